"""Which stretches of time are compared: before and after an action took effect, away from other actions on the same thing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from runguard_core.finops.actions._action import Action, ActionState

#: Four whole weeks on each side: as many Mondays before as after.
MEASURED_DAYS = 28


@dataclass(frozen=True, slots=True)
class Spans:
    """Two stretches of time, each from an instant to one that is no longer in it (UTC).

    Attributes:
        neighbours: ids of other actions on the same thing that cut a stretch short.
        why_not: why they cannot be compared, "" where they can.
    """

    before_start: datetime
    before_end: datetime
    after_start: datetime
    after_end: datetime
    neighbours: tuple[str, ...] = ()
    why_not: str = ""


def spans_of(
    action: Action, known: Iterable[Action], until: datetime, since: datetime | None = None, days: int = MEASURED_DAYS
) -> Spans:
    """The stretches of an action that is done.

    Each reaches `days` away from the instant at which it was shipped, and no further than the next action that was shipped on the
    same thing: no saving is credited twice.

    Args:
        known: the backlog. until: the end of what is known. since: the stretch after begins here at the earliest.
    """
    shipped = action.shipped_at
    if shipped is None:
        return Spans(until, until, until, until, why_not=f"it is {action.state.value}: savings are measured once it is done")
    others = [it for it in known if it.id != action.id and it.state is ActionState.DONE and action.shares_scope_with(it)]
    edges = [(it.shipped_at, it.id) for it in others if it.shipped_at is not None]
    twins = [name for at, name in edges if at == shipped]
    first, before = max([(shipped - timedelta(days=days), ""), *(edge for edge in edges if edge[0] < shipped)])
    last, after = min([(shipped + timedelta(days=days), ""), *(edge for edge in edges if edge[0] > shipped)])
    start, end = max(shipped, since or shipped), min(last, until)
    why = f"shipped together with {', '.join(sorted(twins))}: they cannot be told apart" if twins else ""
    why = why or ("nothing of it lies in that time" if end <= start else "")
    return Spans(first, shipped, start, max(start, end), tuple(name for name in (before, after) if name), why)
