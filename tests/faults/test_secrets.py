"""No key, prompt, argument or result is in anything RunGuard writes: ledger, its log, journals, files beside it, what it logs."""

from __future__ import annotations

import logging
import stat
from pathlib import Path
from typing import Any

import pytest

from runguard_core import Guard, Outcome, OutcomeKind, StoppedError, ToolCall, Usage, read_error
from runguard_core.ledger import CallFilter
from tests.faults.opening import FILES, opened, url_of

KEY = "sk-proj-PLANTED0123456789abcdef"
PROMPT, ARGUMENT, RESULT, ANSWER = "planted-prompt-4711", "planted-argument-4712", "planted-result-4713", "planted-answer-4714"
PLANTED = (KEY, PROMPT, ARGUMENT, RESULT, ANSWER)


def use_everything(guard: Guard) -> None:
    """Calls of every kind and end: completed, failed with a key in the text, a loop that is stopped, a refusal, a kill."""
    with guard.session("s", user="u"):
        with guard.model_call("gpt-4o-mini", prompt=PROMPT, key_fingerprint=guard.fingerprint(KEY)) as call:
            call.post(Usage(input_tokens=9, output_tokens=9), output_text=ANSWER)
        with guard.model_call("gpt-4o-mini", prompt=PROMPT) as call:
            call.settle(read_error(PermissionError(f"401: Incorrect API key provided: {KEY}")))
        with pytest.raises(OSError, match="500"), guard.model_call("gpt-4o-mini", prompt=PROMPT):
            raise OSError(f"500 for url 'https://x.test/v1?key={KEY}'")
        tool = ToolCall(name="search", arguments={"q": ARGUMENT, "headers": {"Authorization": f"Bearer {KEY}"}})
        stopped = 0
        for _ in range(8):
            try:
                guard.reserve(tool).settle(Outcome(kind=OutcomeKind.COMPLETED, result={"text": RESULT, "key": KEY}))
            except StoppedError as stop:
                stopped += 1
                assert not any(text in f"{stop!r} {stop.summary!r}" for text in PLANTED)
        assert stopped
    guard.kill("agent:x", reason="enough", by="ann")


@pytest.mark.parametrize("store", [None, *FILES])
def test_nothing_that_was_said_is_written_anywhere(
    tmp_path: Path, store: str | None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every byte of every file is looked at, while the ledger is open and after it was closed; files are the user's alone."""
    caplog.set_level(logging.DEBUG)
    folder = tmp_path / "kept"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("RUNGUARD_STATE_DIR", str(folder))
    url = None if store is None else opened(url_of(store, folder / "l.db"))
    heard: list[Any] = []
    guard = Guard(app="secrets", store=url, max_cost_per_session_usd=1, listeners=[heard.append])
    use_everything(guard)
    guard.flush()
    assert len(guard.store.calls(CallFilter())) >= 4
    while_open = search(folder)
    check_modes(folder)
    guard.close()
    assert (while_open, search(folder)) == ([], [])
    said = " ".join([caplog.text, *(repr(event) for event in heard)])
    assert [text for text in PLANTED if text in said] == []
    check_modes(folder)


def check_modes(folder: Path) -> None:
    """Everything is the user's alone."""
    for file in folder.rglob("*"):
        assert stat.S_IMODE(file.stat().st_mode) == (0o700 if file.is_dir() else 0o600), file


def search(folder: Path) -> list[tuple[str, str]]:
    """Planted texts found, by file; plain, and as their parts would be in UTF-16."""
    found = []
    for file in folder.rglob("*"):
        if file.is_file():
            kept = file.read_bytes()
            found += [(file.name, text) for text in PLANTED if text.encode() in kept or text.encode("utf-16-le") in kept]
    return found


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    """A scan that finds nothing anywhere would prove nothing."""
    guard = Guard(app="secrets", store=f"sqlite:///{tmp_path / 'l.db'}")
    with guard.session("s", user=PROMPT), guard.model_call("gpt-4o-mini", prompt="x"):
        pass
    assert PROMPT in {text for _, text in search(tmp_path)}
    guard.close()
