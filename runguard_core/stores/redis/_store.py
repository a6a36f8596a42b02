"""`RedisStore`: one Lua script a verb, on Redis 7 or Valkey; any number of processes and hosts on one book."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NoReturn

from runguard_core.errors import AlreadyPostedError, AlreadyVoidedError, ConflictingEntryError
from runguard_core.ids import new_id
from runguard_core.ledger import (
    Applied,
    Balance,
    CallOrDraft,
    CallRecord,
    Event,
    Hold,
    Latch,
    LimitOverride,
    Refusal,
    Reserved,
    Settled,
    SettlementOrDraft,
)
from runguard_core.money import check_amount
from runguard_core.stores._laws import check_asked, check_spent
from runguard_core.stores.redis import _rows as rows
from runguard_core.stores.redis._reading import RedisReading

_MAX_EXPIRED_AT_ONCE = 100
#: What a script answers for each account of a call: its number and its four sums.
_FIELDS_PER_ACCOUNT = 5


class RedisStore(RedisReading):
    """A ledger in a server: `redis://HOST:PORT/DB?tenant=NAME`."""

    # -- verbs ----------------------------------------------------------------------------------------------------

    def reserve(
        self, call: CallOrDraft, holds: Sequence[Hold], *, expires_at: datetime, owner: str, events: Sequence[Event] = ()
    ) -> Reserved | Refusal:
        """See `Store.reserve`."""
        check_asked(call, holds)
        call = call.record()
        who, keys = call.attribution, self._book.keys
        lists = [keys.calls_of(name, value) for name, value in (("session", who.session), ("run", who.run)) if value is not None]
        said, more = self._events(events, len(lists))
        word, found = self._book.run(
            "reserve", call.id, rows.asked(call, holds), _amount(call.quote_nanos), rows.micros(call.started_at),
            rows.request_text(call), rows.micros(expires_at), rows.owner_text(owner), rows.holds_text(holds), said, len(lists),
            more_keys=lists + more,
        )  # fmt: skip
        if word in {"CREATED", "EXISTS"}:
            return Reserved(Applied(word.lower()), tuple(balance for _, balance in _balances(found)))
        if word == "REFUSED":
            return Refusal(holds[int(found[0]) - 1], rows.balance_of(found[2:]))
        if word == "CONFLICT":
            raise ConflictingEntryError(call.id, "reserved before for something else")
        raise AlreadyVoidedError(call.id, *(["a void of this id came first"] if word == "STONE" else []))

    def post(self, call_id: str, settlement: SettlementOrDraft, events: Sequence[Event] = ()) -> Settled:
        """See `Store.post`."""
        check_spent(settlement)
        settlement = settlement.record()
        said, more = self._events(events)
        word, found = self._book.run(
            "post", call_id, rows.said(settlement), rows.settlement_text(settlement), rows.amounts_text(settlement.amounts),
            _amount(settlement.cost_nanos), rows.micros(settlement.at), rows.fit(settlement.note or ""), said, more_keys=more,
        )  # fmt: skip
        return self._settled(call_id, word, found)

    def void(self, call_id: str, settlement: SettlementOrDraft, events: Sequence[Event] = ()) -> Settled:
        """See `Store.void`."""
        nothing = replace(settlement.record(), amounts={}, cost_nanos=0)
        said, more = self._events(events)
        reason = rows.fit(nothing.note or nothing.error or "")
        text, at = rows.settlement_text(nothing), rows.micros(nothing.at)
        return self._settled(call_id, *self._book.run("void", call_id, text, at, reason, said, more_keys=more))

    def extend(self, call_ids: Iterable[str], expires_at: datetime) -> int:
        """See `Store.extend`."""
        _, found = self._book.run("extend", rows.micros(expires_at), *call_ids)
        return int(found[0])

    def expire(self, now: datetime) -> tuple[CallRecord, ...]:
        """See `Store.expire`."""
        calls: list[CallRecord] = []
        while True:
            _, ids = self._book.run("expire", rows.micros(now))
            calls += self._read(ids)
            if len(ids) < _MAX_EXPIRED_AT_ONCE:
                return tuple(calls)

    def adjust(self, call_id: str, settlement: SettlementOrDraft, reason: str) -> Settled:
        """See `Store.adjust`."""
        check_spent(settlement)
        settlement = settlement.record()
        word, found = self._book.run(
            "adjust", call_id, rows.said(settlement), rows.settlement_text(settlement), rows.amounts_text(settlement.amounts),
            _amount(settlement.cost_nanos), rows.micros(settlement.at), rows.fit(reason), new_id(),
        )  # fmt: skip
        if word == "PENDING":
            raise LookupError(call_id)
        return self._settled(call_id, "CREATED" if word == "EXISTS" else word, found)

    def announce(self, events: Sequence[Event]) -> None:
        """See `Store.announce`."""
        if events:
            said, more = self._events(events)
            self._book.run("announce", said, more_keys=more)

    def _settled(self, call_id: str, word: str, found: Sequence[str]) -> Settled:
        if word not in {"CREATED", "EXISTS", "LATE"}:
            _refuse(call_id, word)
        balances = _balances(found)
        accounts = self._book.accounts(number for number, _ in balances)
        return Settled(Applied(word.lower()), {accounts[number].key: balance for number, balance in balances})

    def _events(self, events: Sequence[Event], keys_before: int = 0) -> tuple[str, list[str]]:
        """Events as a script takes them, and the keys of their sessions' lists, which come after `keys_before` others."""
        if not events:
            return "", []
        places: dict[str, int] = {}
        for event in events:
            if event.session is not None:
                places.setdefault(
                    self._book.keys.events_of(event.session), len(self._book.keys.book) + keys_before + len(places) + 1
                )
        place = {None: 0} | {
            event.session: places[self._book.keys.events_of(event.session)] for event in events if event.session is not None
        }
        return rows.events_text(events, place), list(places)

    # -- the breaker's state --------------------------------------------------------------------------------------

    def put_latch(self, latch: Latch, events: Sequence[Event] = ()) -> None:
        """See `Store.put_latch`."""
        said, more = self._events(events)
        self._book.run(
            "put_latch", rows.scope_text(*latch.scope), latch.state.value, rows.latch_text(latch), said, more_keys=more
        )
        self._watch.refresh()

    def drop_latch(self, scope_kind: str, scope_id: str, events: Sequence[Event] = ()) -> bool:
        """See `Store.drop_latch`."""
        said, more = self._events(events)
        _, found = self._book.run("drop_latch", rows.scope_text(scope_kind, scope_id), said, more_keys=more)
        self._watch.refresh()
        return bool(found[0])

    def put_override(self, override: LimitOverride, events: Sequence[Event] = ()) -> None:
        """See `Store.put_override`."""
        check_amount(override.limit)
        said, more = self._events(events)
        self._book.run("put_override", rows.fit(override.account_key), rows.override_text(override), said, more_keys=more)
        self._watch.refresh()


def _amount(nanos: int | None) -> str:
    return "" if nanos is None else str(nanos)


def _balances(found: Sequence[str]) -> list[tuple[str, Balance]]:
    """Numbers of accounts and their balances, from what a script answers."""
    starts = range(0, len(found), _FIELDS_PER_ACCOUNT)
    return [(found[at], rows.balance_of(found[at + 1 : at + _FIELDS_PER_ACCOUNT])) for at in starts]


def _refuse(call_id: str, word: str) -> NoReturn:
    if word == "UNKNOWN":
        raise KeyError(call_id)
    if word == "POSTED":
        raise AlreadyPostedError(call_id)
    if word == "CONFLICT":
        raise ConflictingEntryError(call_id, "posted before with other amounts")
    raise AlreadyVoidedError(call_id)
