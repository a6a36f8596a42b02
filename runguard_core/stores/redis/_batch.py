"""A batch of an owner's verbs in a script's words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from runguard_core.ledger import Hold, LeaseVerb, ReserveVerb, SettleVerb
from runguard_core.stores._laws import check_asked, check_spent
from runguard_core.stores.redis import _rows as rows
from runguard_core.stores.redis._keys import Keys
from runguard_core.stores.redis._places import Places
from runguard_core.stores.redis._whole import Wholes, pairs_of

#: The limit that readers see stays what it is.
_AS_IT_IS = "-"


class Batch:
    """Verbs put into words: nine a verb (see lua/leasing.lua), and the accounts that they name by their places."""

    def __init__(self, keys: Keys, owner_id: str, verbs: Sequence[LeaseVerb], numbers: Mapping[str, str] | None = None) -> None:
        """Put them into words. With `numbers`, those of accounts by key, calls that begin and end here are written once.

        Raises:
            InvalidAmountError: an amount is none; nothing has been written.
        """
        self.places = Places(keys, [keys.lease_of(owner_id), keys.open_of(owner_id)])
        self._accounts: dict[str, list[str]] = {}
        self._numbers: dict[str, int] = {}
        self.words: list[object] = []
        pairs, rest = ([], verbs) if numbers is None else pairs_of(verbs, numbers)
        self._wholes = Wholes(self.places, owner_id, numbers or {})
        for begun, ended in pairs:
            self._wholes.add(begun, ended)
        self.has_wholes = bool(pairs)
        for verb in rest:
            self.words += self._reserve(verb) if isinstance(verb, ReserveVerb) else self._settle(verb)

    @property
    def accounts(self) -> str:
        """The accounts, as JSON: key, how to open it ("" for not at all), the limit to show."""
        return json.dumps(list(self._accounts.values()), ensure_ascii=True, separators=(",", ":"))

    def settling(self) -> list[object]:
        """All of it for lua/settle.lua: accounts, calls that begin and end here, the other verbs."""
        return [self.accounts, *self._wholes.words(), *self.words]

    def _reserve(self, verb: ReserveVerb) -> Sequence[object]:
        check_asked(verb.call, verb.holds)
        call = verb.call.record()
        return (
            "R", call.id, rows.asked(call, verb.holds), rows.amount_text(call.quote_nanos), rows.micros(call.started_at),
            rows.request_text(call), ",".join([f"{self._opened(hold)}={hold.amount}" for hold in verb.holds]),
            self.places.lists(call), self.places.events(verb.events),
        )  # fmt: skip

    def _settle(self, verb: SettleVerb) -> Sequence[object]:
        check_spent(verb.settlement)
        settlement, word = verb.settlement.record(), "A" if verb.is_assumed else "V" if verb.is_void else "P"
        if verb.is_void:
            settlement = replace(settlement, amounts={}, cost_nanos=0)
        reason = (settlement.note or (settlement.error if verb.is_void else None) or "") if not verb.is_assumed else ""
        amounts = ",".join([f"{self._named(key)}={amount}" for key, amount in settlement.amounts.items()])
        return (
            word, verb.call_id, rows.said(settlement), rows.settlement_text(settlement), amounts,
            rows.amount_text(settlement.cost_nanos), rows.micros(settlement.at), rows.fit(reason),
            self.places.events(verb.events),
        )  # fmt: skip

    def _opened(self, hold: Hold) -> int:
        """The place of an account that is opened if it is new."""
        place, row = self._named(hold.account.key), self._accounts[hold.account.key]
        if not row[1]:
            row[1] = rows.account_text(hold.account)
        row[2] = rows.amount_text(hold.shown_limit)
        return place

    def _named(self, key: str) -> int:
        if key not in self._accounts:
            self._accounts[key] = [rows.fit(key), "", _AS_IT_IS]
            self._numbers[key] = len(self._accounts)
        return self._numbers[key]
