"""One line of a recording file to a `Recording`: strict about what it is, tolerant of everything in it.

A field of the wrong type is taken as not recorded: a recording is what somebody else's program wrote.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from runguard_core.calls import PromptPart
from runguard_core.errors import InvalidAmountError, RunguardError
from runguard_core.money import MAX_AMOUNT, usd_to_nanos
from runguard_core.replay._recording import RecordedEvent, Recording, owned
from runguard_core.replay._texts import letters

#: Later instants are milliseconds, not seconds, since 1970.
_MILLISECONDS_FROM = 10**11
#: No call has more tokens; a larger count is a mistake of the recorder.
_MOST_TOKENS = 10**9
_WHO = ("feature", "team", "owner", "user", "release")


class RecordingError(RunguardError):
    """A line that is no recording.

    Attributes:
        place: FILE:LINE, or the file.
        expected: what should stand there.
    """

    def __init__(self, place: str, expected: str) -> None:
        """Keep where the mistake is and what was expected."""
        self.place, self.expected = place, expected
        super().__init__(f"{place}: {expected}")


def parse_line(line: str, place: str) -> Recording:
    """A run.

    Raises:
        RecordingError: no JSON object, or one without `run_id` and `events`.
    """
    try:
        found = json.loads(line)
    except RecursionError:
        raise RecordingError(place, "expected one JSON object a line, this one is nested too deeply") from None
    except ValueError as error:
        raise RecordingError(place, f"expected one JSON object a line: {error}") from None
    return parse_run(found, place)


def parse_run(found: Any, place: str) -> Recording:
    """A run from its JSON value.

    Raises:
        RecordingError: not an object, or one without `run_id` and `events`.
    """
    if not isinstance(found, dict):
        raise RecordingError(place, f"expected a JSON object with run_id and events, got {_kind(found)}")
    events = found.get("events")
    if events is None and found.get("run_id") is None:
        keys = ", ".join(sorted(map(str, found))[:8]) or "nothing"
        raise RecordingError(place, f"expected run_id and events (one recorded run a line), got an object with {keys}")
    if events is not None and not isinstance(events, list):
        raise RecordingError(place, f"expected a list as events, got {_kind(events)}")
    return Recording(
        run_id=_text(found.get("run_id")) or place,
        events=owned([parse_event(event, number) for number, event in enumerate(events or ())]),
        source=_text(found.get("source")),
        labels=_mapping(found.get("labels")),
        outcome=_mapping(found.get("outcome")),
        totals=_mapping(found.get("totals")),
        session=_text(found.get("session")),
        who={key: text for key in _WHO if (text := _text(found.get(key)))},
        started_at=instant(found.get("started_at")),
        place=place,
    )


def parse_event(found: Any, place: int) -> RecordedEvent:
    """An event from its JSON value; what is no object is an event of a kind that nobody knows.

    Args:
        found: the value. place: its place in the list, the number of an event that has none.
    """
    if not isinstance(found, dict):
        return RecordedEvent(index=place, kind="")
    number, kind = found.get("i"), _text(found.get("kind")) or ""
    return RecordedEvent(
        index=number if isinstance(number, int) and not isinstance(number, bool) else place,
        kind=kind.strip().lower(),
        agent=_text(found.get("agent")),
        instance=_text(found.get("instance")),
        segment=_text(found.get("segment")),
        name=_text(found.get("name")),
        **_arguments(found),
        **_answer(found),
        text=_text(found.get("text")),
        text_digest=_text(found.get("text_sha1")),
        text_chars=_whole(found.get("text_len")),
        step=_text(found.get("step")),
        **_failure(found),
        model=_text(found.get("model")),
        provider=_text(found.get("provider")),
        **_counts(found),
        cost_nanos=_nanos(found.get("cost_usd")),
        is_charged=found.get("cost_certainty") is not None,
        message_count=_whole(found.get("n_messages")),
        parts=tuple(_parts(found.get("parts"))),
        **_times(found),
        was_refused=found.get("refused") is True,
    )


def _counts(found: Mapping[str, Any]) -> dict[str, Any]:
    names = ("input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens")
    counts = {name: _whole(found.get(name)) for name in names}
    return {name: count if count is not None and count <= _MOST_TOKENS else None for name, count in counts.items()}


def _arguments(found: Mapping[str, Any]) -> dict[str, Any]:
    args, chars, digest = found.get("args"), _whole(found.get("args_len")), _text(found.get("args_sha1"))
    short = isinstance(args, str) and chars is not None and len(args) < chars
    return {
        "args": args, "has_args": args is not None, "args_digest": digest, "args_chars": chars,
        "is_args_clipped": args is not None and (bool(found.get("args_clipped")) or short),
    }  # fmt: skip


def _answer(found: Mapping[str, Any]) -> dict[str, Any]:
    """A null beside a digest is a null that was returned; without one it is a result that nobody recorded."""
    result, chars, digest = found.get("result"), _whole(found.get("result_len")), _text(found.get("result_sha1"))
    short = isinstance(result, str) and chars is not None and len(result) < chars
    return {
        "result": result, "has_result": result is not None, "result_digest": digest, "result_chars": chars,
        "is_result_clipped": result is not None and (bool(found.get("result_clipped")) or short),
    }  # fmt: skip


def _parts(found: Any) -> Iterator[PromptPart]:
    for part in found if isinstance(found, list) else ():
        chars = _whole(part.get("chars")) if isinstance(part, dict) else None
        if chars is not None:
            yield PromptPart(_text(part.get("origin")) or "prompt", chars, _whole(part.get("message_count")) or 1)


def _failure(found: Mapping[str, Any]) -> dict[str, Any]:
    """`error` is a text, an HTTP status, an object, or true where the result says what went wrong."""
    error, status = found.get("error"), _whole(found.get("error_status"))
    if error is None or error is False or error == "":
        text = f"error {letters(digest)}" if (digest := _text(found.get("error_sha1"))) else None
        return {"error": text if text is not None or status is None else f"status {status}", "error_status": status}
    if error is True:
        said = found.get("result") or found.get("text")
        return {"error": _text(said) or "failed", "error_status": status}
    if isinstance(error, int):
        return {"error": _text(found.get("text")) or f"status {error}", "error_status": error if status is None else status}
    text = error if isinstance(error, str) else json.dumps(error, sort_keys=True, default=str)
    return {"error": text, "error_status": status}


def _times(found: Mapping[str, Any]) -> dict[str, Any]:
    raw, lasted = found.get("ts"), _number(found.get("duration_s"))
    at = instant(raw)
    end = instant(found.get("end_ts")) or instant(found.get("result_ts"))
    if lasted is None and at is not None and end is not None:
        lasted = (end - at).total_seconds()
    return {
        "at": at,
        "is_naive": at is not None and isinstance(raw, str) and datetime.fromisoformat(raw).tzinfo is None,
        "offset_seconds": _number(found.get("t_s")),
        "duration_seconds": lasted if lasted is not None and lasted >= 0 else None,
    }


def instant(value: Any) -> datetime | None:
    """An instant in UTC from ISO 8601 or seconds (or milliseconds) since 1970; None for anything else."""
    try:
        if isinstance(value, str) and value:
            at = datetime.fromisoformat(value)
            return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
        seconds = _number(value)
        if seconds is None or seconds <= 0:
            return None
        return datetime.fromtimestamp(seconds / 1000 if seconds >= _MILLISECONDS_FROM else seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value or None
    return None if value is None or isinstance(value, (dict, list)) else str(value)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _whole(value: Any) -> int | None:
    """A count: a whole number, zero or more."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 0 <= value <= MAX_AMOUNT else None
    number = _number(value)
    return int(number) if number is not None and number >= 0 and number == int(number) and number <= MAX_AMOUNT else None


def _nanos(value: Any) -> int | None:
    try:
        return usd_to_nanos(value)
    except InvalidAmountError:
        return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


_NAMES = {dict: "an object", list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number"}


def _kind(value: Any) -> str:
    return _NAMES.get(type(value), "null")
