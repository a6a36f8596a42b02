"""What detectors are shown of a recorded call: its values where they are whole, else what is there and the digest of the rest.

A digest stands for its value: equal digests are equal texts, different ones differ. It is written in letters that no
pattern of volatile parts (ids, time stamps, hexadecimal numbers) takes out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha1
from typing import Any

from runguard_core.replay._recording import RecordedEvent

_LETTERS = str.maketrans("0123456789abcdef", "ghijklmnopqrstuv")
_DIGEST_CHARS = 16


def letters(digest: str) -> str:
    """A digest as 16 letters from g to v; equal for equal ones."""
    return sha1(digest.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()[:_DIGEST_CHARS].translate(_LETTERS)


def arguments_of(event: RecordedEvent, place: int) -> Mapping[str, Any] | str:
    """The arguments of a tool call.

    Where neither arguments nor a result were recorded nothing is known of the call, and it equals no other.
    """
    rest = _rest(event.args_digest, event.args_chars)
    if event.has_args and not event.is_args_clipped:
        return event.args if isinstance(event.args, (dict, str)) else {"args": event.args}
    if event.has_args and isinstance(event.args, dict):
        return {**event.args, "(rest)": rest}
    if event.has_args:
        return f"{_as_text(event.args)} {rest}"
    if event.args_digest is not None:
        return letters(event.args_digest)
    is_known = event.has_result or event.result_digest is not None or event.error is not None
    return {} if is_known else letters(f"nothing was recorded of event {place}")


def is_reported(event: RecordedEvent) -> bool:
    """Whether anything was recorded of what came of a tool call."""
    return event.has_result or event.result_digest is not None or event.result_chars is not None or event.error is not None


def result_of(event: RecordedEvent) -> Any:
    """The result of a tool call, for its digest and its emptiness; only where `is_reported`."""
    if event.has_result and not event.is_result_clipped:
        return event.result
    rest = _rest(event.result_digest, event.result_chars)
    if event.has_result:
        return f"{_as_text(event.result)} {rest}"
    if event.result_chars == 0:
        return ""
    return letters(event.result_digest) if event.result_digest is not None else rest


def answer_of(event: RecordedEvent) -> str | None:
    """The text of a model's answer, for its digest; None where there was none or nobody recorded it."""
    if event.text_chars == 0:
        return None
    is_whole = event.text is not None and (event.text_chars is None or len(event.text) >= event.text_chars)
    if is_whole or (event.text is not None and event.text_digest is None):
        return event.text
    return letters(event.text_digest) if event.text_digest is not None else None


def _rest(digest: str | None, chars: int | None) -> str:
    return f"<{'' if chars is None else chars} {letters(digest) if digest is not None else ''}>"


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
