"""What the documentation says is so."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import runguard_core
from runguard_core.policy import load_policy

ROOT = Path(__file__).parents[2]


def test_the_pages_of_commands_are_their_help() -> None:
    """Run docs/generate_cli.py after changing a command."""
    spec = importlib.util.spec_from_file_location("generate_cli", ROOT / "docs" / "generate_cli.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    commands = re.findall(r"^## (.*)$", (ROOT / "docs" / "cli.md").read_text(), re.MULTILINE)
    assert commands == re.findall(r"^## (.*)$", module.text(), re.MULTILINE)
    assert len(commands) == len(set(commands)) > 15


def test_links_in_pages_lead_somewhere() -> None:
    """Relative links only; the seven files stay under 900 lines together."""
    seven = []
    for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
            if page.name == "README.md" and target.endswith(".py"):
                seven.append(page.parent / target)
    assert len(seven) == 7
    assert sum(len(path.read_text().splitlines()) for path in seven) < 900


def test_every_word_of_the_front_door_is_explained() -> None:
    """In the glossary, the README or a page."""
    pages = " ".join(page.read_text() for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")])
    words = {
        "Guard",
        "Session",
        "Budget",
        "Reservation",
        "Event",
        "Detector",
        "Verdict",
        "Mode",
        "StoppedError",
        "Store",
        "Outcome",
    }
    assert words <= set(runguard_core.__all__)
    assert {word for word in words if word not in pages} == set()


def test_the_examples_of_the_policy_page_are_policies(tmp_path: Path) -> None:
    """Each block alone, as somebody would paste it."""
    blocks = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "policy.md").read_text(), re.DOTALL)
    assert len(blocks) >= 4
    for block in blocks:
        file = tmp_path / "runguard.toml"
        file.write_text(block)
        assert load_policy(file, {}).guard(store="memory://").close() is None


def test_every_test_that_a_page_names_is_there() -> None:
    """A guarantee stands beside the test that fails without it."""
    files = [*ROOT.glob("tests/**/*.py"), *ROOT.glob("runguard_core/testing/*.py")]
    known = {name for path in files for name in re.findall(r"def (test_\w+)\(", path.read_text())}
    named = {name for page in ROOT.glob("docs/**/*.md") for name in re.findall(r"`(test_\w+)`", page.read_text())}
    assert len(named) > 40
    assert named - known == set()
