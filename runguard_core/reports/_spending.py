"""Sums over calls: what was spent, by any dimension, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo

from runguard_core.calls import CallKind
from runguard_core.ledger import CallRecord, Latch, Total, TotalKey, total_of, totals_of
from runguard_core.replay import beats_of_calls, dead_tail_nanos
from runguard_core.usage import NO_USAGE, Usage

#: The key of calls that do not carry what is asked for.
NONE_KEY = "(none)"
#: What `spending` can be split by, besides the dimensions of attribution and "tag:KEY".
SPECIAL_KEYS = ("model", "tool", "day", "provider", "kind")


@dataclass(slots=True)
class Spend:
    """A sum of calls.

    Attributes:
        key: what they have in common.
        nanos: posted, in nano-USD; exact_nanos, estimated_nanos, assumed_nanos: its parts by certainty.
        pending_nanos: set aside for calls in flight.
        call_count: model calls; tool_count: tool calls; unpriced_count: model calls without a price.
        usage: tokens.
    """

    key: str
    nanos: int = 0
    exact_nanos: int = 0
    estimated_nanos: int = 0
    assumed_nanos: int = 0
    pending_nanos: int = 0
    call_count: int = 0
    tool_count: int = 0
    unpriced_count: int = 0
    usage: Usage = field(default=NO_USAGE)

    def add(self, call: CallRecord) -> None:
        """One more call; a sub-agent's part is none."""
        if call.is_paid:
            self.include(total_of(call))

    def include(self, total: Total) -> None:
        """More calls that have been added up."""
        self.nanos += total.cost_nanos
        self.exact_nanos += total.exact_nanos
        self.estimated_nanos += total.estimated_nanos
        self.assumed_nanos += total.assumed_nanos
        self.pending_nanos += total.pending_nanos
        self.call_count += total.call_count
        self.tool_count += total.tool_count
        self.unpriced_count += total.unpriced_count
        self.usage = self.usage + total.usage


def spending(calls: Iterable[CallRecord], by: str, zone: tzinfo) -> list[Spend]:
    """Sums by a dimension, dearest first.

    Args:
        calls: what to sum. by: a dimension of attribution, "tag:KEY", or one of SPECIAL_KEYS. zone: for "day".
    """
    return spend_rows(totals_of(calls, [dimension(by)]), 0, by, zone)


def dimension(by: str) -> str:
    """The dimension of a store's totals that a report by something needs."""
    return "quarter_hour" if by == "day" else by


def spend_rows(totals: Mapping[TotalKey, Total], place: int, by: str, zone: tzinfo) -> list[Spend]:
    """Sums by one of the dimensions of a store's totals, dearest first (days in order).

    Args:
        totals: by several dimensions. place: which of them. by: what it is called in a report. zone: for "day".
    """
    sums: dict[str, Spend] = {}
    for values, total in totals.items():
        key = _key(values[place], by, zone)
        if key is None:
            continue
        found = sums.get(key)
        if found is None:
            found = sums[key] = Spend(key)
        found.include(total)
    order = (lambda s: (s.key,)) if by == "day" else (lambda s: (-s.nanos, -s.pending_nanos, s.key))
    return sorted(sums.values(), key=order)


def total(calls: Iterable[CallRecord], key: str = "total") -> Spend:
    """One sum over all."""
    return whole(totals_of(calls, ()), key)


def whole(totals: Mapping[TotalKey, Total], key: str = "total") -> Spend:
    """One sum over a store's totals."""
    found = Spend(key)
    for one in totals.values():
        found.include(one)
    return found


def _key(value: str | None, by: str, zone: tzinfo) -> str | None:
    """A value as a report shows it; None for what the report leaves out."""
    if by == "day" and value is not None:
        return f"{datetime.fromisoformat(value).astimezone(zone):%Y-%m-%d}"
    return value if by in {"model", "tool"} else value or NONE_KEY


@dataclass(slots=True)
class SessionRow:
    """One session.

    Attributes:
        spend: its sum; started_at, last_at: first and latest call (UTC); run_count, turn_count: of its calls.
        app, agents, users: who made them.
        child_count: sub-agents that were given a part.
        state: "running" (a call in flight), "finished", or "stopped" (its next run is a probe).
        dead_tail_nanos: what its runs spent after their last new tool results, nano-USD.
    """

    id: str
    app: str
    spend: Spend
    started_at: datetime
    last_at: datetime
    runs: set[str] = field(default_factory=set)
    agents: set[str] = field(default_factory=set)
    users: set[str] = field(default_factory=set)
    turn_count: int = 0
    child_count: int = 0
    state: str = "finished"
    dead_tail_nanos: int = 0


def sessions(calls: Iterable[CallRecord], latches: Iterable[Latch], now: datetime, idle: timedelta) -> list[SessionRow]:
    """Sessions by their latest call, the newest first."""
    found: dict[tuple[str, str], SessionRow] = {}
    calls = tuple(calls)
    tails = dead_tails(calls)
    for call in calls:
        who = call.attribution
        key = (who.app, who.session or who.run or call.id)
        row = found.get(key)
        if row is None:
            row = found[key] = SessionRow(key[1], who.app, Spend(key[1]), call.started_at, call.started_at)
        row.spend.add(call)
        row.last_at = max(row.last_at, call.settlement.at if call.settlement else call.started_at)
        if not call.is_paid:
            row.child_count += 1
            continue
        row.runs.add(who.run or "")
        row.agents |= {who.agent} - {None}  # type: ignore[arg-type]  # None is taken out
        row.users |= {who.user} - {None}  # type: ignore[arg-type]  # None is taken out
        row.turn_count += call.kind is CallKind.MODEL
    # stopped by one of its runs, or as a whole; a sub-agent that is stopped stops itself only
    parts = {call.id for call in calls if not call.is_paid}
    own = [latch for latch in latches if latch.scope_kind != "run" or latch.scope_id not in parts]
    stopped = {latch.scope_id if latch.scope_kind == "session" else latch.session for latch in own}
    for row in found.values():
        row.state = _state(row, now, idle, is_stopped=row.id in stopped)
        row.dead_tail_nanos = sum(tails.get((row.app, row.id, run), 0) for run in row.runs)
    return sorted(found.values(), key=lambda row: row.last_at, reverse=True)


def _state(row: SessionRow, now: datetime, idle: timedelta, *, is_stopped: bool) -> str:
    if is_stopped:
        return "stopped"
    return "running" if now - row.last_at < idle and row.spend.pending_nanos else "finished"


def dead_tails(calls: Iterable[CallRecord]) -> dict[tuple[str, str, str], int]:
    """What each run spent after its last new tool result, nano-USD, by (app, session, run); runs without are left out."""
    runs: dict[tuple[str, str, str], list[CallRecord]] = {}
    for call in calls:
        who = call.attribution
        runs.setdefault((who.app, who.session or who.run or call.id, who.run or ""), []).append(call)
    return {key: nanos for key, its in runs.items() if (nanos := dead_tail_nanos(beats_of_calls(its)))}
