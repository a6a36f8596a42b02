"""The shape of the house: import contracts, sizes, the front door, what files may not name."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import runguard_core

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*ROOT.glob("runguard_core/**/*.py"), *ROOT.glob("integrations/**/*.py")])
TRACKED = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()


def test_import_contracts_are_kept() -> None:
    """Layers, front door, no framework in the core, no I/O in the domain."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports"))], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_functions_fit(path: Path) -> None:
    """A file is one idea (300 lines), a function fits a screen (50 lines)."""
    text = path.read_text()
    assert len(text.splitlines()) <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert (node.end_lineno or 0) - node.lineno < 50, node.name


def test_the_front_door_is_a_decision() -> None:
    """Sorted, documented, and equal to the list that is kept beside this test."""
    names = list(runguard_core.__all__)
    assert names == sorted(names)
    kept = Path(__file__).with_name("public_names.txt").read_text().split()
    assert names == kept
    assert [name for name in names if not (getattr(runguard_core, name).__doc__ or "").strip()] == []


def test_importing_the_core_pulls_no_third_party_package() -> None:
    """Not even the ones it depends on for the policy and the command line."""
    program = (
        "import sys, runguard_core; print([m for m in sys.modules if m.partition('.')[0] in "
        "{'pydantic', 'genai_prices', 'typer', 'rich', 'platformdirs', 'langchain_core', 'httpx'}])"
    )
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


#: Module of the framework, its extra, most lines of the adapter (docstrings, comments and blank lines counted), most files.
ADAPTERS = {
    "runguard_langchain": ("langchain_core", "langchain", 750, 6),
    "runguard_litellm": ("litellm", "litellm", 500, 5),
    "runguard_llama_index": ("llama_index", "llama-index", 500, 5),
}


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_the_adapter_without_its_framework_names_the_extra(adapter: str) -> None:
    """One sentence."""
    module, extra, *_ = ADAPTERS[adapter]
    program = (
        "import importlib.util as u, sys\n"
        f"real = u.find_spec; u.find_spec = lambda n, *a: None if n.split('.')[0] == {module!r} else real(n, *a)\n"
        f"sys.modules[{module!r}] = None\nimport {adapter}"
    )
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr.rstrip().endswith(f"pip install 'runguard-core[{extra}]'"), done.stderr


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_the_adapter_is_thin(adapter: str) -> None:
    """Few lines, few files, and only the front door of the core."""
    files = list((ROOT / "integrations" / adapter).glob("*.py"))
    assert 0 < len(files) <= ADAPTERS[adapter][3]
    assert sum(len(path.read_text().splitlines()) for path in files) <= ADAPTERS[adapter][2]
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("runguard_core"):
                assert node.module == "runguard_core", path


@pytest.mark.skipif(not TRACKED, reason="not a git checkout: there is no list of files to look through")
def test_no_file_names_a_host_of_an_index_or_a_place_on_a_machine() -> None:
    """The project speaks of itself only."""
    bad = re.compile(r"(/home/\w+|/root/|/work/|pypi\.org|pythonhosted|registry\.npmjs)")
    for name in TRACKED:
        if name.endswith(".png") or name == "tests/architecture/test_shape.py":
            continue
        found = bad.search((ROOT / name).read_text("utf-8", "replace"))
        assert found is None, f"{name}: {found}"


@pytest.mark.parametrize("path", sorted(ROOT.glob("tests/**/*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_files_of_tests_fit(path: Path) -> None:
    """A file of tests is one idea too (300 lines)."""
    assert len(path.read_text().splitlines()) <= 300
