"""What an action saved: cost per session before x sessions after - what these cost, so that traffic does not fake it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runguard_core.finops._means import Moments
from runguard_core.finops.actions._action import Action
from runguard_core.finops.actions._interval import LEAST_SESSIONS, half_width_nanos, saved_nanos
from runguard_core.finops.actions._spans import Spans

#: Costs of sessions in nano-USD, by feature and session.
Costs = Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class Stratum:
    """One feature before and after; each is compared with itself, so that a change of their mix saves nothing."""

    feature: str
    before: Moments
    after: Moments


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """What was saved between two instants.

    Attributes:
        spans: which stretches of time were compared.
        strata: the features that are compared. One with few sessions on a side (see LEAST_SESSIONS) is left out where others have
            enough; what was spent after by those left out is `other_nanos`.
        saved_nanos: nano-USD, negative where it got dearer; None where there is nothing to compare.
        low_nanos, high_nanos: the interval around it; None of too few sessions.
        spanning_count: sessions with calls in both stretches, left out of both.
        why_not: why there is no saving or no interval, "" where there is.
    """

    spans: Spans
    strata: tuple[Stratum, ...] = ()
    saved_nanos: int | None = None
    low_nanos: int | None = None
    high_nanos: int | None = None
    other_nanos: int = 0
    spanning_count: int = 0
    why_not: str = ""

    @property
    def is_clear(self) -> bool:
        """Whether the whole interval lies above zero: money was saved, and not by chance."""
        return self.low_nanos is not None and self.low_nanos > 0

    @property
    def session_count(self) -> int:
        """Sessions after."""
        return sum(it.after.count for it in self.strata)

    @property
    def expected_nanos(self) -> int:
        """What the sessions after would have cost at the cost per session before."""
        return self.actual_nanos + (self.saved_nanos or 0)

    @property
    def actual_nanos(self) -> int:
        """What they cost."""
        return sum(it.after.nanos for it in self.strata)

    @property
    def saved_ratio(self) -> float | None:
        """Of what they would have cost."""
        return None if self.saved_nanos is None or not self.expected_nanos else self.saved_nanos / self.expected_nanos


def saving_of(spans: Spans, before: Costs, after: Costs) -> Saving:
    """Compare the costs of sessions in two stretches of time."""
    if spans.why_not:
        return Saving(spans=spans, why_not=spans.why_not)
    both = before.keys() & after.keys()
    old, new = _by_feature(before, both), _by_feature(after, both)
    strata = _strata(old, new)
    others = sum(map(sum, new.values())) - sum(it.after.nanos for it in strata)
    if not strata:
        side = "after" if old else "before"
        why = f"no session {side} it was shipped that lies there whole"
        return Saving(spans=spans, other_nanos=others, spanning_count=len(both), why_not=why)
    pairs = [(it.before, it.after) for it in strata]
    saved, half = sum(saved_nanos(*pair) for pair in pairs), half_width_nanos(pairs)
    return Saving(
        spans=spans, strata=strata, saved_nanos=saved, low_nanos=None if half is None else saved - half,
        high_nanos=None if half is None else saved + half, other_nanos=others, spanning_count=len(both),
        why_not="too few sessions for an interval" if half is None else "",
    )  # fmt: skip


def _strata(old: Mapping[str, Sequence[int]], new: Mapping[str, Sequence[int]]) -> tuple[Stratum, ...]:
    found = [Stratum(name, Moments.of(old[name]), Moments.of(new[name])) for name in sorted(old.keys() & new.keys())]
    enough = [it for it in found if min(it.before.count, it.after.count) >= LEAST_SESSIONS]
    return tuple(enough or found)


def _by_feature(costs: Costs, without: set[tuple[str, str]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for (feature, session), nanos in costs.items():
        if (feature, session) not in without:
            found.setdefault(feature, []).append(nanos)
    return found


@dataclass(frozen=True, slots=True)
class Win:
    """An action that is done, and what it saved in a stretch of time."""

    action: Action
    saving: Saving
