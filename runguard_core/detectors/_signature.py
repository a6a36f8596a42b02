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
from runguard_core.detectors._canonical import bounded, canonical, squeezed

#: Argument keys that say nothing about what is asked. Compared without case, "-" and "_".
DEFAULT_VOLATILE_KEYS = frozenset({
    "requestid", "traceid", "spanid", "correlationid", "idempotencykey", "nonce", "timestamp",
    "requestedat", "now", "currenttime", "thought", "thoughts", "reasoning", "rationale", "runmanager", "callid", "toolcallid",
})  # fmt: skip
_DIGEST_CHARS = 32
#: A longer text says more than "nothing".
_SAYING_CHARS = 32

_UUID = re.compile(r"\b[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}\b")
_STAMP = re.compile(
    r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?|\b\d\d:\d\d:\d\d(?:[.,]\d+)?\b"
)
_EPOCH = re.compile(r"\b1[5-9]\d{8}(?:\d{3}|\d{6}|\d{9})?(?:\.\d+)?\b")
_DURATION = re.compile(r"\b\d+(?:\.\d+)?\s?(?:ns|us|µs|ms|s|sec|seconds?|minutes?)\b", re.IGNORECASE)
_HEX = re.compile(r"\b(?:0x)?(?=[0-9a-fA-F]*\d)(?=[0-9a-fA-F]*[a-fA-F])[0-9a-fA-F]{12,64}\b")
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


def signature(call: ToolCall, fingerprint: Fingerprint, volatile_keys: frozenset[str] = DEFAULT_VOLATILE_KEYS) -> str:
    """Digest of a tool's name and its canonical arguments; arguments given as JSON text are parsed."""
    arguments: Any = call.arguments
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            arguments = call.arguments
    return fingerprint.text(f"{call.name}\0{canonical(arguments, volatile_keys)}")


def result_mark(result: Any, fingerprint: Fingerprint) -> str:
    """Digest of a result without what changes by itself: time stamps, ids, durations."""
    text = bounded(result) if isinstance(result, str) else canonical(result, DEFAULT_VOLATILE_KEYS)
    return fingerprint.text(_steady(text))


#: Texts by which tools say that there is nothing.
_NOTHING = frozenset({"", "none", "null", "nil", "undefined", "[]", "{}", "()", "''", '""', "no results", "no result", "n/a"})


def is_empty(result: Any) -> bool:
    """Whether a result holds nothing: None, an empty container, or a short text that says so."""
    if isinstance(result, str):
        return len(result) < _SAYING_CHARS and result.strip().rstrip(".").lower() in _NOTHING
    if isinstance(result, (bool, int, float)):
        return False
    try:
        return result is None or len(result) == 0
    except Exception:  # noqa: BLE001  no length, or a caller's `__len__` that raises
        return False


def _steady(text: str) -> str:
    for pattern in (_UUID, _STAMP, _EPOCH, _DURATION, _HEX):
        text = pattern.sub("~", text)
    return squeezed(text)


def error_mark(tool: str, error: str, fingerprint: Fingerprint) -> str:
    """Digest of a tool and the way it failed: numbers, ids and spacing do not matter."""
    folded = _NUMBER.sub("#", _steady(error[:2000])).lower()
    return fingerprint.text(f"{tool}\0error\0{folded}")
