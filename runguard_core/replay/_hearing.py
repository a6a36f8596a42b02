"""What the guard said while a recording went by, brought back to the recording's own events."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from runguard_core import events as ev
from runguard_core.errors import RefusedError, StoppedError, TrippedError
from runguard_core.ledger import Event
from runguard_core.replay._played import Stop, Warn

_OBSERVED = frozenset({ev.WOULD_TRIP, ev.WOULD_REFUSE})
#: Said of the book, not of the run.
_NOT_OF_RUNS = frozenset({ev.CALL_ASSUMED, ev.CALL_UNVERIFIED, ev.STORE_FAILED, ev.CLOCK_JUMPED})


def stop_of(error: StoppedError, index: int, place: int) -> Stop:
    """Where, by which rule, on what evidence."""
    if isinstance(error, RefusedError):
        return Stop(index, f"budget {error.budget}", str(error), place)
    evidence = error.verdict if isinstance(error, TrippedError) else str(error)
    return Stop(index, error.rule, evidence, place)


@dataclass(frozen=True, slots=True)
class Heard:
    """What was said of a run.

    Attributes:
        warns: in order.
        last_stop: where it was tripped; the stop of a run of which no call was refused, because its last one tripped it.
    """

    warns: tuple[Warn, ...]
    last_stop: Stop | None


def heard(said: Iterable[Event], run: str, starts: Sequence[datetime], numbers: Sequence[int]) -> Heard:
    """Bring events back to the recording.

    Args:
        said: events of its session. run: its id; its segments' are longer.
        starts: when each event of the recording was played, ascending; numbers: the events' own.
    """
    warns, last_stop = [], None
    for event in said:
        its = event.run or ""
        if its != run and not its.startswith(f"{run}#"):
            continue
        place = max(0, bisect_right(starts, event.at) - 1)
        if event.severity == ev.WARN and event.kind not in _NOT_OF_RUNS:
            warns.append(Warn(numbers[place], rule_of(event), event.message, event.kind in _OBSERVED))
        elif event.kind == ev.RUN_TRIPPED and last_stop is None:
            last_stop = Stop(numbers[place], rule_of(event), event.message, place + 1)
    return Heard(tuple(warns), last_stop)


def rule_of(event: Event) -> str:
    """The detector's name, "budget NAME", or what kind of event it is."""
    if event.kind == ev.CALL_UNPRICED:
        return "unpriced"
    budget, rule = event.facts.get("budget"), event.facts.get("rule")
    return f"budget {budget}" if budget else str(rule or event.kind)
