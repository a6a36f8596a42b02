"""The canonical form of a call, of a result and of an error, as keyed digests.

Only what would make equal calls look different is taken out: volatile keys of arguments (ids, time stamps, thoughts)
and volatile parts of results (time stamps, ids, durations).
"""

from __future__ import annotations

import hmac
import json
import re
from hashlib import sha256
from typing import Any

from runguard_core.calls import ToolCall
from runguard_core.detectors._answer import Answer, folded_failure, read_answer, read_failure
from runguard_core.detectors._canonical import bounded, canonical
from runguard_core.detectors._likeness import SKETCH_CHARS
from runguard_core.detectors._step import Ending
from runguard_core.detectors._volatile import steady

#: Argument keys that say nothing about what is asked. Compared without case, "-" and "_".
DEFAULT_VOLATILE_KEYS = frozenset({
    "requestid", "traceid", "spanid", "correlationid", "idempotencykey", "nonce", "timestamp",
    "requestedat", "now", "currenttime", "attempt", "attempts", "retrycount",
    "thought", "thoughts", "reasoning", "rationale", "runmanager", "callid", "toolcallid",
})  # fmt: skip
_DIGEST_CHARS = 32
_FAILURES = frozenset({Answer.FAILED, Answer.BUSY})
#: No hexadecimal digits.
_LETTERS = {
    Answer.TOLD: "t", Answer.BRIEF: "w", Answer.DONE: "k", Answer.EMPTY: "n", Answer.FAILED: "x", Answer.BUSY: "y",
    Answer.WAITING: "p",
}  # fmt: skip
_ANSWERS = {letter: answer for answer, letter in _LETTERS.items()}

_NUMBER = re.compile(r"\d+")


class Fingerprint:
    """Digests under a key, so that short texts cannot be guessed from the ledger."""

    __slots__ = ("_start",)

    def __init__(self, key: bytes) -> None:
        """Keep the key (any length above 0)."""
        self._start = hmac.new(key, digestmod=sha256)

    def text(self, text: str | bytes) -> str:
        """32 hexadecimal characters; equal texts give equal digests under one key."""
        digest = self._start.copy()
        digest.update(text if isinstance(text, bytes) else text.encode("utf-8", "replace"))
        return digest.hexdigest()[:_DIGEST_CHARS]

    def value(self, value: Any) -> str:
        """Digest of a value's canonical JSON."""
        return self.text(canonical(value, frozenset()))


def read_call(
    call: ToolCall, fingerprint: Fingerprint, volatile_keys: frozenset[str] = DEFAULT_VOLATILE_KEYS, *, sketch: bool = False
) -> tuple[str, str]:
    """A call's signature, and its sketch where asked for: the start of its canonical arguments, to be kept in memory only."""
    arguments: Any = call.arguments
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            arguments = call.arguments
    text = canonical(arguments, volatile_keys)
    return fingerprint.text(f"{call.name}\0{text}"), text[:SKETCH_CHARS] if sketch else ""


def signature(call: ToolCall, fingerprint: Fingerprint, volatile_keys: frozenset[str] = DEFAULT_VOLATILE_KEYS) -> str:
    """Digest of a tool's name and its canonical arguments; arguments given as JSON text are parsed."""
    return read_call(call, fingerprint, volatile_keys)[0]


def read_result(tool: str, result: Any, fingerprint: Fingerprint) -> Ending:
    """What is kept of a result. A text that speaks of a failure has a failure's mark too.

    The mark's last character says the kind of answer, so that a history can be rebuilt from marks alone.
    """
    text = steady(bounded(result) if isinstance(result, str) else canonical(result, DEFAULT_VOLATILE_KEYS))
    answer = read_answer(text, tool)
    failure = fingerprint.text(f"{tool}\0said\0{folded_failure(text)}") if answer in _FAILURES else None
    return Ending(result=fingerprint.text(text)[:-1] + _LETTERS[answer], answer=answer, failure=failure)


def recalled(tool: str, result: str | None, error: str | None, fingerprint: Fingerprint) -> Ending:
    """What a ledger still knows of an ending: the failure that was raised, or the result's mark with its kind of answer."""
    if error:
        return read_error(tool, error, fingerprint)
    return Ending(result=result, answer=_ANSWERS.get(result[-1:]) if result else None)


def read_error(tool: str, error: str, fingerprint: Fingerprint) -> Ending:
    """What is kept of a failure that was raised."""
    return Ending(error=error_mark(tool, error, fingerprint), answer=read_failure(error))


def result_mark(result: Any, fingerprint: Fingerprint) -> str:
    """Digest of a result without what changes by itself: time stamps, ids, durations."""
    text = bounded(result) if isinstance(result, str) else canonical(result, DEFAULT_VOLATILE_KEYS)
    return fingerprint.text(steady(text))


def error_mark(tool: str, error: str, fingerprint: Fingerprint) -> str:
    """Digest of a tool and the way it failed: numbers, ids and spacing do not matter."""
    folded = _NUMBER.sub("#", steady(error[:2000])).lower()
    return fingerprint.text(f"{tool}\0error\0{folded}")
