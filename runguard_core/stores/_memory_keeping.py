"""`KeepsLess`: how the memory store forgets a user and drops the rows of old calls; the specification of both."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain

from runguard_core.errors import ConflictingEntryError
from runguard_core.ledger import (
    CallFilter,
    CallRecord,
    CallState,
    Entry,
    EntryKind,
    Event,
    Forgotten,
    Latch,
    LimitOverride,
    Move,
    Pruned,
    Settlement,
    SettlementOrDraft,
    Tell,
    Total,
    TotalKey,
    latest_sessions,
    quarter_hour_of,
    total_of,
)
from runguard_core.stores._adding_up import AddsUp, added, carried_totals
from runguard_core.stores._forgetting import Renaming
from runguard_core.stores._laws import matches
from runguard_core.stores._memory_rows import KeptAccount, KeptCall, Line, call_of, entry_of

_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Carried:
    """A sum that stands for dropped calls: the first of them without what is its own, the last one's instant, their total."""

    call: CallRecord
    last_at: datetime
    total: Total


class KeepsLess(AddsUp):
    """What stands for dropped calls, and both verbs of a `KeepingStore`, over a memory store's dictionaries."""

    _lock: threading.RLock
    _accounts: dict[str, KeptAccount]
    _calls: dict[str, KeptCall]
    _lines: list[Line | KeptCall | None]
    _events: dict[str, Event]
    _latches: dict[tuple[str, str], Latch]
    _overrides: dict[str, LimitOverride]
    _carried: dict[tuple[object, ...], Carried] | None = None
    _carried_moves: dict[str, list[int]] | None = None

    # -- sums ---------------------------------------------------------------------------------------------------------

    def totals(self, by: Sequence[str], where: CallFilter) -> Mapping[TotalKey, Total]:
        """See `Store.totals`."""
        return added(dict(super().totals(by, where)), carried_totals(self._selected(where), by))

    def sessions(self, where: CallFilter) -> tuple[tuple[str, str], ...]:
        """See `Store.sessions`."""
        dropped = (replace(one.call, started_at=one.last_at) for one in self._selected(where))
        return latest_sessions(chain(self.calls(replace(where, limit=None)), dropped), where.limit)

    def _selected(self, where: CallFilter) -> list[Carried]:
        return [one for one in (self._carried or {}).values() if matches(one.call, one.call.state, where)]

    def carried_entries(self) -> tuple[Entry, ...]:
        """What the dropped lines did to accounts, as one line."""
        moves = tuple([Move(key, 0, posted, assumed) for key, (posted, assumed) in (self._carried_moves or {}).items()])
        return (Entry(0, "carried", EntryKind.ADJUST, _NO_TIME, moves),) if moves else ()

    # -- dropping calls -----------------------------------------------------------------------------------------------

    def prune(
        self, before: datetime, say: Callable[[Pruned], Event], *, dry_run: bool = False, tell: Tell | None = None
    ) -> Pruned:
        """See `KeepingStore.prune`."""
        with self._lock:
            old = {
                call_id for call_id, known in self._calls.items()
                if known.state is not CallState.PENDING and known.call.started_at < before
            }  # fmt: skip
            places = [at for at, line in enumerate(self._lines) if line is not None and call_of(line).call.id in old]
            planned = Pruned(call_count=len(old), line_count=len(places))
            if dry_run or not old:
                return planned
            self._claim(say(planned))
            self._carry(sorted(old), places)
            return replace(planned, sum_count=len(self._carried or {}))

    def _carry(self, old: Sequence[str], places: Sequence[int]) -> None:
        carried = self._carried = dict(self._carried or {})
        moves = self._carried_moves = dict(self._carried_moves or {})
        for at in places:
            line = self._lines[at]
            assert line is not None
            for move in entry_of(at + 1, line).moves:
                sums = moves.setdefault(move.account_key, [0, 0])
                sums[0] += move.posted
                sums[1] += move.assumed
            self._lines[at] = None
        for call_id in old:
            call = self._calls.pop(call_id).record()
            key, bare = _in_common(call)
            kept = carried.setdefault(key, Carried(bare, call.started_at, Total()))
            kept.total = kept.total + total_of(call)
            kept.last_at = max(kept.last_at, call.started_at)
            if call.started_at < kept.call.started_at:
                kept.call = bare

    def _claim(self, event: Event) -> None:
        if event.id in self._events:
            raise ConflictingEntryError(event.id, "an event of this id is there")
        self._events[event.id] = event

    # -- forgetting a user --------------------------------------------------------------------------------------------

    def forget_user(
        self, users: Collection[str], pseudonym: str, say: Callable[[Forgotten], Event], *, dry_run: bool = False
    ) -> Forgotten:
        """See `ForgettingStore.forget_user`."""
        renaming = Renaming(frozenset(users), pseudonym)
        with self._lock:
            in_use = 0
            for state in self._accounts.values():
                if renaming.account(state.account) is not None and state.pending:
                    del renaming.accounts[state.account.key]
                    in_use += 1
            mine = [known for known in self._calls.values() if known.call.who.user in users]
            dropped = [one for one in (self._carried or {}).values() if one.call.attribution.user in users]
            renamed = {event.id: after for event in self._events.values() if (after := renaming.event(event)) != event}
            sessions = {replace(one.attribution, turn=None, loop=None) for one in _calls(mine, dropped)}
            found = Forgotten(
                session_count=len(sessions), call_count=len(mine), account_count=len(renaming.accounts),
                event_count=len(renamed), in_use_count=in_use,
            )  # fmt: skip
            if dry_run:
                return found
            self._claim(say(found))
            self._events.update(renamed)
            self._rename(renaming, mine, dropped)
            return found

    def _rename(self, renaming: Renaming, mine: Sequence[KeptCall], dropped: Sequence[Carried]) -> None:
        for known in mine:
            call = known.call.record()
            known.call = replace(call, attribution=replace(call.attribution, user=renaming.pseudonym))
        for one in dropped:
            one.call = replace(one.call, attribution=replace(one.call.attribution, user=renaming.pseudonym))
        pairs = renaming.accounts
        for key in [key for key in self._accounts if key in pairs]:
            state = self._accounts.pop(key)
            state.account = pairs[key][1]
            self._accounts[state.account.key] = state
        for known in self._calls.values():
            known.holds = tuple(
                [replace(hold, account=pairs[hold.account.key][1]) if hold.account.key in pairs else hold for hold in known.holds]
            )
            known.settlement = _settled(known.settlement, renaming)
        self._lines = [_line(line, renaming) for line in self._lines]
        moves = (self._carried_moves or {}).items()
        self._carried_moves = {renaming.key(key) or key: sums for key, sums in moves} if moves else self._carried_moves
        self._overrides = {
            renaming.key(key) or key: replace(one, account_key=renaming.key(key) or key) for key, one in self._overrides.items()
        }
        self._latches = {
            scope: replace(one, account_key=renaming.key(one.account_key), reason=renaming.text(one.reason))
            for scope, one in self._latches.items()
        }


def _calls(mine: Sequence[KeptCall], dropped: Sequence[Carried]) -> list[CallRecord]:
    return [known.call.record() for known in mine] + [one.call for one in dropped]


def _settled(settlement: SettlementOrDraft | None, renaming: Renaming) -> Settlement | None:
    if settlement is None:
        return None
    whole = settlement.record()
    return replace(whole, amounts=renaming.amounts(whole.amounts))


def _line(line: Line | KeptCall | None, renaming: Renaming) -> Line | KeptCall | None:
    if line is None or isinstance(line, KeptCall):
        return line
    known, kind, was, before, after, reason = line
    return known, kind, was, _settled(before, renaming), _settled(after, renaming) or after, reason


def _in_common(call: CallRecord) -> tuple[tuple[object, ...], CallRecord]:
    """By what dropped calls are summed up, and the call with nothing else."""
    who = replace(call.attribution, turn=None, loop=None)
    ended = call.settlement
    answered = ended.model_answered if ended is not None else None
    lone = "" if who.session or who.run else call.id
    key = (who, call.kind, call.name, call.provider, answered, call.state, quarter_hour_of(call.started_at), lone)
    settlement = None if ended is None else Settlement(at=call.started_at, outcome=ended.outcome, model_answered=answered)
    bare = CallRecord(
        id=lone, kind=call.kind, name=call.name, attribution=who, started_at=call.started_at, provider=call.provider,
        state=call.state, settlement=settlement,
    )  # fmt: skip
    return key, bare
