"""`blame`: which release changed the cost of a session, and by which part of its prompts.

A session belongs to the release in which it began. Releases are taken in the order in which they were first seen, and each is
compared with the one before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import pairwise

from runguard_core.attribution import Attribution, feature_of
from runguard_core.finops._means import Moments
from runguard_core.finops.why._intervals import LEAST_SESSIONS, Interval, difference
from runguard_core.ledger import CallRecord, conversation_of
from runguard_core.reports import part_costs


class Verdict(StrEnum):
    """What is said of a release's cost per session against the one before."""

    FIRST = "the first"
    RAISED = "raised it"
    LOWERED = "lowered it"
    UNSHOWN = "no difference shown"
    TOO_FEW = "not enough sessions"


@dataclass(frozen=True, slots=True)
class PartChange:
    """A part of the prompts (its origin), the answers or the tools: nano-USD a session, before and after."""

    part: str
    before: Moments
    after: Moments
    change: Interval


@dataclass(frozen=True, slots=True)
class Release:
    """A release's sessions, and what changed against the release before.

    Attributes:
        name: the release. since: its first call (UTC).
        cost: of its sessions.
        split_count: sessions that went on under another release; they count where they began.
        verdict: RAISED and LOWERED only where the interval leaves out zero.
        before: the release before, None for the first; change: in cost per session, None for the first and of too few sessions.
        parts: largest rise first; their changes add up to `change` but for rounding. Empty without a change.
    """

    name: str
    since: datetime
    cost: Moments
    split_count: int
    verdict: Verdict
    before: str | None = None
    change: Interval | None = None
    parts: tuple[PartChange, ...] = ()


@dataclass(slots=True)
class _Sessions:
    since: datetime
    costs: dict[str, dict[str, int]] = field(default_factory=dict)
    split: set[str] = field(default_factory=set)


class Blamed:
    """Collects calls in the order in which they were admitted; `releases` is the answer."""

    def __init__(self, feature: str, by: str = "release") -> None:
        """Of a feature; `by` is the dimension that names a release (a tag will do)."""
        self._feature, self._by = feature, by
        self._releases: dict[str, _Sessions] = {}
        self._home: dict[str, str] = {}
        self.unnamed_count = 0

    def add(self, calls: Iterable[CallRecord]) -> None:
        """More calls; those of other features are passed over, those of no release are counted."""
        for call in calls:
            who = call.attribution
            if not call.is_paid or feature_of(who) != self._feature:
                continue
            name = release_of(who, self._by)
            if name is None:
                self.unnamed_count += 1
            else:
                self._add(call, name)

    def _add(self, call: CallRecord, name: str) -> None:
        session = conversation_of(call)
        home = self._home.setdefault(session, name)
        kept = self._releases.setdefault(home, _Sessions(call.started_at))
        if home != name:
            kept.split.add(session)
            self._releases.setdefault(name, _Sessions(call.started_at))
        costs = kept.costs.setdefault(session, {})
        for part, nanos in part_costs(call).items():
            costs[part] = costs.get(part, 0) + nanos

    def releases(self) -> tuple[Release, ...]:
        """In the order in which they were first seen; one in which no session began is left out."""
        kept = {name: sessions for name, sessions in self._releases.items() if sessions.costs}
        ordered = sorted(kept, key=lambda name: (kept[name].since, name))
        found = [_release(ordered[0], kept[ordered[0]], None, None)] if ordered else []
        for before, name in pairwise(ordered):
            found.append(_release(name, kept[name], before, kept[before]))
        return tuple(found)


def release_of(who: Attribution, by: str = "release") -> str | None:
    """The release of a call: the dimension, else the tag of that name."""
    return who.value(by) or who.value(f"tag:{by}")


def _release(name: str, mine: _Sessions, before: str | None, other: _Sessions | None) -> Release:
    cost = _moments(mine)
    known = (name, mine.since, cost, len(mine.split))
    if other is None:
        return Release(*known, Verdict.FIRST)
    was = _moments(other)
    if min(cost.count, was.count) < LEAST_SESSIONS:
        return Release(*known, Verdict.TOO_FEW, before)
    change = difference(was, cost)
    verdict = Verdict.UNSHOWN if not change.is_sure else Verdict.RAISED if change.nanos > 0 else Verdict.LOWERED
    return Release(*known, verdict, before, change, _parts(other, mine))


def _moments(sessions: _Sessions, part: str | None = None) -> Moments:
    found = Moments()
    for costs in sessions.costs.values():
        found = found.plus(_cost(costs, part))
    return found


def _cost(costs: Mapping[str, int], part: str | None) -> int:
    return sum(costs.values()) if part is None else costs.get(part, 0)


def _parts(before: _Sessions, after: _Sessions) -> tuple[PartChange, ...]:
    names = {part for side in (before, after) for costs in side.costs.values() for part in costs}
    pairs = [(name, _moments(before, name), _moments(after, name)) for name in sorted(names)]
    found = [PartChange(name, was, now, difference(was, now)) for name, was, now in pairs if was.nanos or now.nanos]
    return tuple(sorted(found, key=lambda one: (-one.change.nanos, one.part)))


def culprit(releases: Iterable[Release]) -> Release | None:
    """The release that surely raised cost per session most; None where none did."""
    raised = [one for one in releases if one.verdict is Verdict.RAISED and one.change is not None]
    return max(raised, key=lambda one: one.change.nanos if one.change else 0, default=None)
