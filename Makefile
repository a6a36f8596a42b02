# One virtual environment with two stamps (what the demo needs, what developing needs on top), and a second one for LlamaIndex
# with its client of OpenAI, which excludes the openai that current LangChain and LiteLLM need.
.DEFAULT_GOAL := help
SHELL := bash
VENV ?= .venv
# The first interpreter that runs and is new enough; PYTHON=... overrides.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	"$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && { echo "$$p"; break; }; done)
BIN := $(VENV)/bin
DEMO := $(VENV)/.demo-installed
DEV := $(VENV)/.dev-installed
LLAMA := $(VENV)-llama-index
PIP := -m pip install --quiet --disable-pip-version-check

.PHONY: help demo test test-lowest check bench explore matrix clean
help: ## show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "RunGuard needs Python 3.11, 3.12 or 3.13: none was found. Set PYTHON=/path/to/python." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(DEMO): pyproject.toml | $(BIN)/python
	$(BIN)/python $(PIP) -e '.[langchain]'
	@touch $@

$(DEV): pyproject.toml | $(BIN)/python
	$(BIN)/python $(PIP) -e '.[dev]'
	@touch $@ $(DEMO)

$(LLAMA)/.installed: pyproject.toml
	@test -x $(LLAMA)/bin/python || $(PYTHON) -m venv $(LLAMA)
	$(LLAMA)/bin/python $(PIP) -e '.[dev-llama-index]'
	@touch $@

demo: $(DEMO) ## install and run the main job, offline
	@$(BIN)/runguard demo

test: $(DEV) $(LLAMA)/.installed ## run all tests with branch coverage, in both environments
	$(BIN)/python -m pytest --cov --cov-report=term
	$(LLAMA)/bin/python -m pytest tests/integrations/llama_index --cov=integrations/runguard_llama_index --cov-report=term

# What each adapter's own environment needs beside the oldest versions in tests/lowest.
lowest-langchain: NEEDS = -e '.[langchain,test]' langchain-anthropic
lowest-litellm: NEEDS = -e '.[litellm,langchain,test]' 'litellm[proxy]' langchain-litellm tenacity
lowest-llama_index: NEEDS = -e '.[dev-llama-index]'
lowest-%:
	@test -x $(VENV)-$@/bin/python || $(PYTHON) -m venv $(VENV)-$@
	$(VENV)-$@/bin/python $(PIP) -c tests/lowest/$*.txt $(NEEDS)
	$(VENV)-$@/bin/python -m pytest -q tests/integrations/$*

test-lowest: lowest-langchain lowest-litellm lowest-llama_index ## run each adapter's tests with the oldest versions it promises

check: $(DEV) ## lint, format, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(DEV) ## run every benchmark
	@for f in benchmarks/[a-z]*.py; do echo "== $$f"; $(BIN)/python $$f || exit 1; done

explore: $(DEV) ## look for new failing examples of the property tests (minutes)
	HYPOTHESIS_PROFILE=explore $(BIN)/python -m pytest -q tests/core tests/stores/test_machine.py

matrix: ## run the tests on every supported interpreter that is there
	@for v in 3.11 3.12 3.13; do \
		p=$$(command -v python$$v) && "$$p" -c '' 2>/dev/null || { echo "== python$$v: not here"; continue; }; \
		echo "== python$$v"; $(MAKE) --no-print-directory test VENV=.venv-$$v PYTHON=python$$v || exit 1; done

clean: ## remove what was built and installed
	rm -rf .venv .venv-* build dist .coverage* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
