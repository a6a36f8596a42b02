"""`runguard doctor`: the installed frameworks, driven for real, and what it says when one is broken."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runguard_core.cli import _doctor
from runguard_core.cli._doctor import Framework, examine, problems_of

FINE = {
    "kind": "chat", "sent": 1, "entries": 1, "certainty": "exact", "usage_is_read": True, "leaked": 0, "is_stopped": True, "error": None,
}  # fmt: skip


def test_everything_installed_here_is_stopped_and_metered() -> None:
    """Exit code 0, every kind of every framework."""
    command = [sys.executable, "-m", "runguard_core.cli", "doctor", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    found = json.loads(done.stdout)
    assert (done.returncode, found["ok"]) == (0, True), done.stdout
    assert [one["framework"] for one in found["frameworks"]] == ["langchain", "litellm", "llama_index"]
    for one in found["frameworks"]:
        assert one["missing"] is None
        assert len(one["kinds"]) >= 6
        assert all(problems_of(kind) == [] for kind in one["kinds"])


@pytest.mark.parametrize(
    ("facts", "word"),
    [
        ({}, None), ({"leaked": 1, "is_stopped": False}, "was sent"), ({"is_stopped": False}, "did not reach the program"),
        ({"entries": 2}, "2 entries"), ({"usage_is_read": False, "certainty": "estimated"}, "usage was not read"),
        ({"error": "TypeError: no"}, "the first call failed"),
    ],
)  # fmt: skip
def test_each_thing_that_can_be_wrong_is_said(facts: dict[str, Any], word: str | None) -> None:
    """In words that say what to do where something can be done."""
    said = problems_of({**FINE, **facts})
    assert said == [] if word is None else word in said[0]


def broken(monkeypatch: pytest.MonkeyPatch, folder: Path, program: str) -> Framework:
    """A framework whose check is this program."""
    (folder / "check_mine.py").write_text(program)
    monkeypatch.setattr(_doctor, "_CHECKS", folder)
    monkeypatch.setattr(_doctor, "_SECONDS", 3)
    return Framework("mine", "mine", (("json",),), ("pytest",))


def test_a_version_that_hangs_or_crashes_does_not_take_the_doctor_with_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What had been found is kept."""
    line = json.dumps(FINE)
    hangs = examine(broken(monkeypatch, tmp_path, f"print('{line}', flush=True)\nimport threading; threading.Event().wait()"))
    assert [one["kind"] for one in hangs.kinds] == ["chat"]
    assert "it hung" in hangs.problems[0]
    crashes = examine(broken(monkeypatch, tmp_path, "raise ImportError('their bug')"))
    assert "their bug" in crashes.problems[0]


def test_a_private_name_that_is_gone_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Also where everything still seems to work."""
    program = "from runguard_core.testing import check_kinds\ncheck_kinds('mine', {}, ('json:dumps', 'json:gone.too', 'no_such_module:x'))"
    found = examine(broken(monkeypatch, tmp_path, program))
    assert [problem.split(" ")[0] for problem in found.problems] == ["json:gone.too", "no_such_module:x"]


def test_a_malicious_release_is_named_and_never_imported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Running it is what it wants."""
    framework = broken(monkeypatch, tmp_path, "raise SystemExit('imported')")
    monkeypatch.setattr(_doctor, "_versions", lambda packages: {"litellm": "1.82.7"})
    found = examine(framework)
    assert "change every key" in found.problems[0]
    assert len(found.problems) == 1
    monkeypatch.setattr(_doctor, "_versions", lambda packages: {"llama-index-workflows": "2.11.6"})
    assert "hang" in examine(framework).problems[0]


def test_a_framework_that_is_not_here_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what installs it."""
    found = examine(Framework("x", "x", (("no_such_module", "no.such"),), ()))
    assert found.missing is not None
    assert "runguard-core[x]" in found.missing
    assert found.problems == []
