"""Acting when a module is imported; putting work off for finalizers."""

from __future__ import annotations

import importlib
import logging
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from runguard_core import Guard, Hook, on_import


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the program's, not imported yet."""
    name = f"theirs_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text("value = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def test_the_action_comes_right_after_the_import_and_once(module: str) -> None:
    """With the module complete, and its own loader back in place."""
    seen: list[object] = []
    on_import(module, lambda: seen.append(sys.modules[module].value))
    assert seen == []
    found = importlib.import_module(module)
    importlib.reload(found)
    assert seen == [1]
    assert type(found.__loader__).__name__ == "SourceFileLoader"
    on_import(module, lambda: seen.append("at once"))
    assert seen == [1, "at once"]


def test_an_action_that_raises_does_not_break_the_programs_import(module: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged: its calls are not guarded."""

    def broken() -> None:
        raise RuntimeError("ours")

    done: list[int] = []
    on_import(module, broken)
    on_import(module, lambda: done.append(1))
    with caplog.at_level(logging.ERROR, "runguard"):
        assert importlib.import_module(module).value == 1
    assert done == [1]
    assert "not guarded" in caplog.text


def test_a_module_that_fails_or_is_not_there_fails_as_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And may be tried again."""
    monkeypatch.syspath_prepend(str(tmp_path))
    on_import("no_such_module_here", lambda: None)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("no_such_module_here")
    (tmp_path / "fails_at_first.py").write_text("raise ValueError('theirs')")
    on_import("fails_at_first", lambda: None)
    with pytest.raises(ValueError, match="theirs"):
        importlib.import_module("fails_at_first")


def test_what_a_finalizer_puts_off_runs_on_the_guards_thread(make_guard: Callable[..., Guard]) -> None:
    """Even while the caller holds a lock that it needs; an error in it is logged."""
    guard = make_guard()
    with guard.session("s"):
        guard.reserve
    held, ran = threading.Lock(), []

    def work() -> None:
        with held:
            ran.append(threading.current_thread().name)

    guard._engine.dispatcher.start()
    with held:
        guard.defer(work)
        guard.defer(lambda: 1 / 0)
    assert guard.flush()
    assert ran == ["runguard-dispatch"]


def test_a_hook_waits_for_the_framework_and_what_is_wanted_last_holds(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The adapter's module is imported with it, not before; taken back in time, it never is."""
    (tmp_path / f"hooks_{module}.py").write_text(
        "said = []\ndef attach(*wanted): said.append(wanted)\ndef detach(): said.append('detached')\n"
    )
    hook = Hook(module, f"hooks_{module}")
    hook.uninstall()
    hook.install("first")
    hook.install("second", 2)
    assert f"hooks_{module}" not in sys.modules
    importlib.import_module(module)
    said = sys.modules[f"hooks_{module}"].said
    assert said[-1] == ("second", 2)
    hook.uninstall()
    assert said[-1] == "detached"


def test_a_hook_that_was_taken_back_attaches_nothing(module: str) -> None:
    """Though the framework is imported later."""
    hook = Hook(module, "no_such_module")
    hook.install()
    hook.uninstall()
    importlib.import_module(module)
