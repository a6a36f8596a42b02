# Virtual environments: .venv with all that fits together (two stamps: what the demo needs, what developing needs on top), and one
# for each framework alone, in its newest version (.venv-FRAMEWORK) and in the oldest one that its adapter promises
# (.venv-lowest-FRAMEWORK). What is in them is said in pyproject.toml, under `dev` and `dev-FRAMEWORK`.
.DEFAULT_GOAL := help
SHELL := bash
VENV ?= .venv
# The first interpreter that runs and is new enough; PYTHON=... overrides.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	"$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && { echo "$$p"; break; }; done)
BIN := $(VENV)/bin
DEMO := $(VENV)/.demo-installed
DEV := $(VENV)/.dev-installed
FRAMEWORKS := langchain litellm llama-index
# Processes that share the tests of an environment; 0 for none.
WORKERS ?= auto
PYTEST := -m pytest --numprocesses=$(WORKERS) --dist=loadgroup
PIP := -m pip install --quiet --disable-pip-version-check

.PHONY: help demo focus test test-together $(FRAMEWORKS:%=test-%) test-lowest $(FRAMEWORKS:%=lowest-%) check bench explore simulate matrix clean
.NOTPARALLEL:
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

$(VENV)-%/.installed: pyproject.toml
	@test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	@echo "== $(@D): installing $*, newest"
	@$(@D)/bin/python $(PIP) -e '.[dev-$*]'
	@touch $@

demo: $(DEMO) ## install and run the main job, offline
	@$(BIN)/runguard demo

# A folder that is named is collected, whatever is missing: what cannot be imported there is an error, not a test fewer.
test: test-together $(FRAMEWORKS:%=test-%) ## run all tests: all frameworks together, then each alone; branch coverage of all
	@$(BIN)/python -m coverage combine --quiet .coverage-*
	@$(BIN)/python -m coverage report

test-together: $(DEV)
	@echo "== $(VENV): all that fits together"
	@COVERAGE_FILE=.coverage-together $(BIN)/python $(PYTEST) --cov --cov-report=

$(FRAMEWORKS:%=test-%): test-%: $(VENV)-%/.installed
	@echo "== $(VENV)-$*: $* alone, newest"
	@COVERAGE_FILE=.coverage-$* $(VENV)-$*/bin/python $(PYTEST) --cov --cov-report= tests/integrations/$(subst -,_,$*)

# The proxy's tests need LiteLLM's proxy, whose oldest version is there, unlike its newest.
lowest-litellm: EXTRA = -proxy
lowest-litellm: MORE = tests/integrations/litellm_proxy
$(FRAMEWORKS:%=lowest-%): lowest-%: pyproject.toml
	@echo "== $(VENV)-lowest-$*: $* alone, oldest"
	@test -x $(VENV)-lowest-$*/bin/python || $(PYTHON) -m venv $(VENV)-lowest-$*
	@$(VENV)-lowest-$*/bin/python $(PIP) -c tests/lowest/$*.txt -e '.[dev-$*$(EXTRA)]'
	@$(VENV)-lowest-$*/bin/python $(PYTEST) tests/integrations/$(subst -,_,$*) $(MORE)

test-lowest: $(FRAMEWORKS:%=lowest-%) ## run each adapter's tests with the oldest versions it promises

check: $(DEV) ## lint, format, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(DEV) ## run every benchmark
	@for f in benchmarks/[a-z]*.py; do echo "== $$f"; $(BIN)/python $$f || exit 1; done

explore: $(DEV) ## look for new failing examples of the property tests (minutes)
	HYPOTHESIS_PROFILE=explore $(BIN)/python -m pytest -q tests/core tests/stores/test_machine.py

simulate: $(DEV) ## simulate SEEDS=500 worlds from START=0: processes, crashes, power cuts; SIMULATE=--bugs for the planted ones
	@$(BIN)/python -m tests.simulator --seeds $(or $(SEEDS),500) --start $(or $(START),0) $(SIMULATE)

# The official validator needs Python 3.12, numpy 1 and its own pyarrow: an environment of its own.
FOCUS_PYTHON ?= $(shell for p in python3.12 python3.13 $$HOME/.pyenv/versions/3.1[23]*/bin/python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info[:2] not in {(3, 12), (3, 13)})' 2>/dev/null && { echo "$$p"; break; }; done)

.venv-focus/.installed:
	@test -n "$(FOCUS_PYTHON)" || { echo "The FOCUS validator needs Python 3.12 or 3.13: none was found. Set FOCUS_PYTHON=/path/to/python." >&2; exit 1; }
	@echo "== .venv-focus: the official FOCUS validator"
	@$(FOCUS_PYTHON) -m venv .venv-focus
	@.venv-focus/bin/python $(PIP) 'focus-validator==2.2.1' 'pyarrow<21'
	@touch $@

focus: $(DEV) .venv-focus/.installed ## check the FOCUS bill of a demo ledger with the official validator, offline
	@$(BIN)/python -m tests.export.focus_validator .venv-focus

matrix: ## run the tests on every supported interpreter that is there
	@for v in 3.11 3.12 3.13; do \
		p=$$(command -v python$$v) && "$$p" -c '' 2>/dev/null || { echo "== python$$v: not here"; continue; }; \
		echo "== python$$v"; $(MAKE) --no-print-directory test VENV=.venv-$$v PYTHON=python$$v || exit 1; done

clean: ## remove what was built and installed
	rm -rf .venv .venv-* build dist .coverage* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
