"""`RedisStore`: one Lua script a verb, on Redis 7 or Valkey; any number of processes and hosts on one book."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from runguard_core.calls import OutcomeKind
from runguard_core.errors import AlreadyPostedError, AlreadyVoidedError, ConflictingEntryError, StoreUnavailableError
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
    Settlement,
    SettlementOrDraft,
)
from runguard_core.money import check_amount
from runguard_core.stores._laws import check_asked, check_spent
from runguard_core.stores.redis import _breaker_rows as breaker
from runguard_core.stores.redis import _rows as rows
from runguard_core.stores.redis._connection import NotReplicatedError
from runguard_core.stores.redis._places import Places
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
        places = Places(self._book.keys, [self._book.keys.open_of(owner)])
        before = (call.id, rows.asked(call, holds), rows.amount_text(call.quote_nanos), rows.micros(call.started_at),
                  rows.request_text(call), rows.micros(expires_at), rows.owner_text(owner))  # fmt: skip
        after = (places.events(events), places.lists(call))
        try:
            word, found = self._book.run("reserve", *before, rows.holds_text(holds), *after, more_keys=places.more)
        except NotReplicatedError:
            self._take_back(call)
            raise
        if word in {"CREATED", "EXISTS"}:
            balances, admitted = balances_of(found), tuple(holds)
            self._book.learn({number: hold.account for hold, (number, _) in zip(holds, balances, strict=True)})
            self._book.remember("reserve", lambda: (*before, rows.holds_text(admitted, is_admitted=True), *after), places.more)
            return Reserved(Applied(word.lower()), tuple(balance for _, balance in balances))
        if word == "REFUSED":
            return Refusal(holds[int(found[0]) - 1], rows.balance_of(found[2:]))
        raise refusal_of(call.id, "ASKED" if word == "CONFLICT" else word)

    def _take_back(self, call: CallRecord) -> None:
        """Void what only the primary has; where even that fails, the hold is charged at its deadline."""
        with contextlib.suppress(StoreUnavailableError):
            self.void(call.id, Settlement(at=call.started_at, outcome=OutcomeKind.FAILED, note="no replica had it in time"))

    def post(self, call_id: str, settlement: SettlementOrDraft, events: Sequence[Event] = ()) -> Settled:
        """See `Store.post`."""
        check_spent(settlement)
        settlement = settlement.record()
        places = Places(self._book.keys)
        word, found = self._book.write(
            "post", call_id, rows.said(settlement), rows.settlement_text(settlement), rows.amounts_text(settlement.amounts),
            rows.amount_text(settlement.cost_nanos), rows.micros(settlement.at), rows.fit(settlement.note or ""),
            places.events(events), more_keys=places.more,
        )  # fmt: skip
        return self._settled(call_id, word, found)

    def void(self, call_id: str, settlement: SettlementOrDraft, events: Sequence[Event] = ()) -> Settled:
        """See `Store.void`."""
        nothing = replace(settlement.record(), amounts={}, cost_nanos=0)
        places = Places(self._book.keys)
        reason = rows.fit(nothing.note or nothing.error or "")
        text, at = rows.settlement_text(nothing), rows.micros(nothing.at)
        return self._settled(
            call_id, *self._book.write("void", call_id, text, at, reason, places.events(events), more_keys=places.more)
        )

    def extend(self, call_ids: Iterable[str], expires_at: datetime) -> int:
        """See `Store.extend`."""
        _, found = self._book.write("extend", rows.micros(expires_at), *call_ids)
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
        word, found = self._book.write(
            "adjust", call_id, rows.said(settlement), rows.settlement_text(settlement), rows.amounts_text(settlement.amounts),
            rows.amount_text(settlement.cost_nanos), rows.micros(settlement.at), rows.fit(reason), new_id(),
        )  # fmt: skip
        if word == "PENDING":
            raise LookupError(call_id)
        return self._settled(call_id, "CREATED" if word == "EXISTS" else word, found)

    def announce(self, events: Sequence[Event]) -> int:
        """See `Store.announce`; where an answer was lost on the way, what was said before is not new."""
        return int(self._say("announce", events)[0]) if events else 0

    def _settled(self, call_id: str, word: str, found: Sequence[str]) -> Settled:
        if word not in {"CREATED", "EXISTS", "LATE"}:
            raise refusal_of(call_id, word)
        balances = balances_of(found)
        accounts = self._book.accounts(number for number, _ in balances)
        return Settled(Applied(word.lower()), {accounts[number].key: balance for number, balance in balances})

    def _say(self, verb: str, events: Sequence[Event], *words: object) -> list[Any]:
        """Run a verb whose last word is the events that come with it."""
        places = Places(self._book.keys)
        said = places.events(events)
        return self._book.write(verb, *words, said, more_keys=places.more)[1]

    # -- the breaker's state --------------------------------------------------------------------------------------

    def put_latch(self, latch: Latch, events: Sequence[Event] = ()) -> None:
        """See `Store.put_latch`."""
        self._say("put_latch", events, breaker.scope_text(*latch.scope), latch.state.value, breaker.latch_text(latch))
        self._watch.refresh()

    def drop_latch(self, scope_kind: str, scope_id: str, events: Sequence[Event] = ()) -> bool:
        """See `Store.drop_latch`."""
        found = self._say("drop_latch", events, breaker.scope_text(scope_kind, scope_id))
        self._watch.refresh()
        return bool(found[0])

    def put_override(self, override: LimitOverride, events: Sequence[Event] = ()) -> None:
        """See `Store.put_override`."""
        check_amount(override.limit)
        self._say("put_override", events, rows.fit(override.account_key), breaker.override_text(override))
        self._watch.refresh()


def balances_of(found: Sequence[str]) -> list[tuple[str, Balance]]:
    """Numbers of accounts and their balances, from what a script answers."""
    starts = range(0, len(found), _FIELDS_PER_ACCOUNT)
    return [(found[at], rows.balance_of(found[at + 1 : at + _FIELDS_PER_ACCOUNT])) for at in starts]


def refusal_of(call_id: str, word: str) -> Exception:
    """The error that a script's word stands for."""
    if word == "UNKNOWN":
        return KeyError(call_id)
    if word == "POSTED":
        return AlreadyPostedError(call_id)
    if word == "ASKED":
        return ConflictingEntryError(call_id, "reserved before for something else")
    if word == "CONFLICT":
        return ConflictingEntryError(call_id, "posted before with other amounts")
    return AlreadyVoidedError(call_id, *(["a void of this id came first"] if word == "STONE" else []))
