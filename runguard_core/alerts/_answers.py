"""From what a destination answered to what happens next: pure arithmetic and a table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from hashlib import blake2b

from runguard_core.alerts._messages import Result

#: A message is given up after so many tries without success: by then about nine hours have passed.
MOST_TRIES = 9
_FIRST_SECONDS, _FACTOR = 10.0, 3.0
_MAX_SECONDS = 6 * 3600.0
#: A destination that fails is tried again after so long at the latest, whatever message is next.
_MAX_HOLD_SECONDS = 900.0
#: Answers that a gateway gives while what is behind it may be at work on the request.
_UNCLEAR = frozenset({408, 502, 504})
_LATER = frozenset({425, 429})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of one request.

    Attributes:
        status: of HTTP, None where there was no answer. words: the beginning of the answer, or what went wrong.
        is_sent: whether any of it may have reached the destination; False is certain.
        is_final: whether another try cannot help (a private address, a request that cannot be made).
        retry_after: as the header says it.
    """

    status: int | None = None
    words: str = ""
    is_sent: bool = True
    is_final: bool = False
    retry_after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What an answer means.

    Attributes:
        result, reason: for the book. is_final: no try by itself will follow.
        is_channels: the destination as a whole is at fault, not this message: the others need not be tried now.
        wait_seconds: what the destination asked for, 0 where it asked for nothing.
    """

    result: Result
    reason: str
    is_final: bool = False
    is_channels: bool = False
    wait_seconds: float = 0.0


def judged(answer: Answer, now: datetime) -> Judgement:
    """The meaning of an answer."""
    status, wait = answer.status, _wait_seconds(answer.retry_after, now)
    if status is None:
        if answer.is_final or not answer.is_sent:
            return Judgement(result=Result.FAILED, reason=answer.words, is_final=answer.is_final, is_channels=not answer.is_final)
        return Judgement(result=Result.UNKNOWN, reason=f"sent, but no answer: {answer.words}", is_channels=True)
    said = f"answered {status}" + (f": {answer.words}" if answer.words else "")
    if 200 <= status < 300:
        return Judgement(result=Result.SENT, reason=said)
    if status in _UNCLEAR:
        return Judgement(result=Result.UNKNOWN, reason=said, is_channels=True, wait_seconds=wait)
    if status in _LATER or status >= 500:
        return Judgement(result=Result.FAILED, reason=said, is_channels=True, wait_seconds=wait)
    if 300 <= status < 400:
        return Judgement(result=Result.FAILED, reason=f"{said}: redirects are not followed", is_final=True)
    return Judgement(result=Result.FAILED, reason=said, is_final=True)


def next_due_seconds(fail_count: int, message: str = "") -> float | None:
    """How long to wait after so many failures, None where it is given up: 10 s, 30 s, 90 s ... 6 h, each up to a fifth more.

    Args:
        message: spreads the tries of messages that failed together, always in the same way.
    """
    if fail_count >= MOST_TRIES:
        return None
    spread = blake2b(f"{message}{fail_count}".encode(), digest_size=2).digest()
    return float(min(_MAX_SECONDS, _FIRST_SECONDS * _FACTOR ** (fail_count - 1)) * (1 + int.from_bytes(spread) / 65535 / 5))


def hold_seconds(streak_count: int, wait_seconds: float) -> float:
    """How long a destination is left alone after so many failures one after the other; at least what it asked for."""
    return max(wait_seconds, min(_MAX_HOLD_SECONDS, _FIRST_SECONDS * _FACTOR ** (min(streak_count, 20) - 1)))


def _wait_seconds(header: str, now: datetime) -> float:
    """`Retry-After`, in seconds or as a date; no longer than six hours, 0 where it cannot be read."""
    text = header.strip()
    try:
        if text.isascii() and text.isdecimal():
            return min(float(text), _MAX_SECONDS)
        at = parsedate_to_datetime(text)
        at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        return min(max((at - now) / timedelta(seconds=1), 0.0), _MAX_SECONDS)
    except (ValueError, OverflowError):
        return 0.0
