"""Calls that begin and end in one batch: written once, already settled, with everything a script would work out at hand."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from runguard_core.ledger import CallRecord, Hold, LeaseVerb, ReserveVerb, Settlement, SettleVerb
from runguard_core.stores._laws import check_asked, check_spent
from runguard_core.stores.redis import _rows as rows
from runguard_core.stores.redis._places import Places

_BECOMES = {"post": "posted", "void": "voided", "expire": "assumed"}


def pairs_of(
    verbs: Sequence[LeaseVerb], numbers: Mapping[str, str]
) -> tuple[list[tuple[ReserveVerb, SettleVerb]], list[LeaseVerb]]:
    """The calls of a batch that begin and end in it, in accounts whose numbers are known; and the other verbs."""
    said = Counter(verb.call.id if isinstance(verb, ReserveVerb) else verb.call_id for verb in verbs)
    begun: dict[str, ReserveVerb] = {}
    pairs, rest = [], list[LeaseVerb]()
    for verb in verbs:
        if isinstance(verb, ReserveVerb):
            if said[verb.call.id] == 2 and all(hold.account.key in numbers for hold in verb.holds):
                begun[verb.call.id] = verb
            else:
                rest.append(verb)
        elif verb.call_id in begun:
            pairs.append((begun.pop(verb.call_id), verb))
        else:
            rest.append(verb)
    return pairs, [*begun.values(), *rest]  # reserved twice: the script knows what to say


class Wholes:
    """Words for lua/settle.lua: columns of many calls, and sums by account."""

    def __init__(self, places: Places, owner_id: str, numbers: Mapping[str, str]) -> None:
        self._places, self._numbers, self._owner = places, numbers, rows.owner_text(owner_id)
        self._requests: list[object] = []
        self._settled: list[object] = []
        self._started: list[object] = []
        self._lists: dict[int, list[object]] = {}
        self._lines: list[object] = []
        self._events: list[list[object]] = []
        self._sums: dict[str, list[int]] = {}
        self._shown: dict[str, str] = {}
        self._count = 0

    def add(self, begun: ReserveVerb, ended: SettleVerb) -> None:
        """One call.

        Raises:
            InvalidAmountError: an amount is none; nothing has been written.
        """
        check_asked(begun.call, begun.holds)
        check_spent(ended.settlement)
        call, settlement = begun.call.record(), ended.settlement.record()
        kind = "expire" if ended.is_assumed else "void" if ended.is_void else "post"
        if ended.is_void:
            settlement = replace(settlement, amounts={}, cost_nanos=0)
        started = rows.micros(call.started_at)
        self._count += 1
        self._requests += (call.id, rows.request_text(call))
        is_told = settlement.amounts.keys() == {hold.account.key for hold in begun.holds}
        self._settled += (call.id, rows.settlement_text(settlement, has_amounts=not is_told))
        self._started += (started, call.id)
        for place in self._places.lists_of(call):
            self._lists.setdefault(place, []).extend((started, call.id))
        self._line(kind, call, begun.holds, settlement)
        for events in (begun.events, ended.events):
            self._events += self._places.rows_of(events)

    def _line(self, kind: str, call: CallRecord, holds: Sequence[Hold], settlement: Settlement) -> None:
        held, moves, amounts, spent = [], [], [], settlement.amounts
        for hold in holds:
            key = hold.account.key
            number, actual = self._numbers[key], spent.get(key, 0)
            held.append(f"{number}={hold.amount}")
            moves.append(f"{number}:{hold.amount}:{actual}" + (f":{actual}" if kind == "expire" else ""))
            amounts.append(str(actual))
            sums = self._sums.setdefault(number, [0, 0, 0])
            sums[0] += actual
            sums[1] += actual if kind == "expire" else 0
            sums[2] -= actual
            self._shown[number] = rows.amount_text(hold.shown_limit)
        cost, ended = rows.amount_text(settlement.cost_nanos), rows.micros(settlement.at)
        head = f"{_BECOMES[kind]}|{rows.asked(call, holds)}|{rows.amount_text(call.quote_nanos)}|{','.join(held)}|"
        tail = f"|{rows.said(settlement)}|{','.join(amounts)}|{cost}|{ended}|{self._owner}|"
        reason = "" if kind == "expire" else settlement.note or (settlement.error if kind == "void" else None) or ""
        started = rows.micros(call.started_at)
        self._lines += (head, tail, kind, ended, started, ",".join(moves), cost or "0", rows.fit(reason))

    def words(self) -> list[object]:
        """How many, sums, the limits to show, lists, events; then the columns."""
        sums = [[number, *map(str, row)] for number, row in self._sums.items()]
        lists = [[place, len(column)] for place, column in self._lists.items()]
        events = json.dumps(self._events) if self._events else ""
        columns = [word for column in self._lists.values() for word in column]
        return [self._count, json.dumps(sums), json.dumps(list(self._shown.items())), json.dumps(lists), events,
                *self._requests, *self._settled, *self._started, *columns, *self._lines]  # fmt: skip
