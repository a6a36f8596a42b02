"""`RedisLeases`: a book in Redis that also grants slices of its accounts to processes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from runguard_core.errors import LeaseLostError
from runguard_core.ids import new_id
from runguard_core.ledger import Balance, CallRecord, Granted, Heard, Hold, LeaseVerb, Owner, Refusal, Want
from runguard_core.stores._laws import lease_entry_id
from runguard_core.stores.redis import _paging as paging
from runguard_core.stores.redis import _rows as rows
from runguard_core.stores.redis._batch import Batch
from runguard_core.stores.redis._store import RedisStore, refusal_of

_LOST = "the journal of its leases was lost"
#: What a grant answers for each want: the slice, the account's number and its four sums.
_FIELDS_PER_WANT = 6
#: What a settle answers for each account: its number, its four sums, what the owner has of it.
_FIELDS_PER_LEASE = 6


class RedisLeases(RedisStore):
    """A ledger in a server, and a `LeaseBackend`."""

    def enlist(self, owner: Owner) -> None:
        """See `LeaseBackend.enlist`."""
        about = json.dumps({"host": owner.host, "boot_id": owner.boot_id, "journal": owner.journal})
        self._book.write("enlist", owner.id, owner.applied, rows.micros(owner.deadline), about, more_keys=self._keys_of(owner.id))

    def grant(self, owner_id: str, wants: Sequence[Want], *, now: datetime) -> Granted | Refusal:
        """See `LeaseBackend.grant`. As durable as the server: see `docs/stores-redis.md`."""
        token, at, keys = new_id(), rows.micros(now), self._keys_of(owner_id)
        word, found = self._book.run("grant", owner_id, token, at, _wants_text(wants), more_keys=keys)
        if word == "GONE":
            raise LeaseLostError(owner_id)
        if word == "REFUSED":
            want = wants[int(found[0]) - 1]
            return Refusal(Hold(want.account, want.need, want.limit, want.shown_limit), rows.balance_of(found[2:]))
        slices = [found[place : place + _FIELDS_PER_WANT] for place in range(0, len(found), _FIELDS_PER_WANT)]
        amounts = {want.account.key: int(one[0]) for want, one in zip(wants, slices, strict=True)}
        self._book.learn({one[1]: want.account for want, one in zip(wants, slices, strict=True)})
        self._book.remember("grant", lambda: (owner_id, token, at, _wants_text(wants, amounts)), keys)
        return Granted(amounts, {want.account.key: rows.balance_of(one[2:]) for want, one in zip(wants, slices, strict=True)})

    def settle(
        self, owner_id: str, offset: int, verbs: Sequence[LeaseVerb], *, keep: Mapping[str, int], deadline: datetime
    ) -> Heard:
        """See `LeaseBackend.settle`."""
        claims, until = rows.amounts_text(keep), rows.micros(deadline)
        batch = Batch(self._book.keys, owner_id, verbs, self._book.numbers)
        word, found = self._say_batch("settle", owner_id, batch, offset, until, claims, *batch.settling())
        if word == "KNOWN":  # somebody has told the book of a call already: verb by verb, then
            batch = Batch(self._book.keys, owner_id, verbs)
            word, found = self._say_batch("settle", owner_id, batch, offset, until, claims, *batch.settling())
        told = [found[place : place + _FIELDS_PER_LEASE] for place in range(0, len(found), _FIELDS_PER_LEASE)]
        accounts = self._book.accounts(number for number, *_ in told)
        balances = {accounts[number].key: rows.balance_of(sums) for number, *sums, _ in told}
        rests = {accounts[number].key: int(rest) for number, *_, rest in told}
        return Heard(dict.fromkeys(keep, Balance()) | balances, {key: rests.get(key, 0) for key in keep})

    def owners(self) -> tuple[Owner, ...]:
        """See `LeaseBackend.owners`."""
        self._book.line_count()
        pages = paging.fields(self._book.server, self._book.keys.owner)
        found = {owner_id: _owner_of(owner_id, text) for page in pages for owner_id, text in page.items()}
        return tuple(found[owner_id] for owner_id in sorted(found))

    def recover(
        self, owner_id: str, offset: int, verbs: Sequence[LeaseVerb], *, is_lost: bool, now: datetime
    ) -> tuple[CallRecord, ...]:
        """See `LeaseBackend.recover`."""
        batch = Batch(self._book.keys, owner_id, verbs)
        words = (int(is_lost), lease_entry_id(owner_id), _LOST, batch.accounts, *batch.words)
        _, found = self._say_batch("recover", owner_id, batch, offset, rows.micros(now), *words)
        return tuple(self._read(found))

    def _say_batch(self, verb: str, owner_id: str, batch: Batch, *words: object) -> tuple[str, list[Any]]:
        word, found = self._book.write(verb, owner_id, *words, more_keys=batch.places.more)
        if word == "GONE":
            raise LeaseLostError(owner_id)
        if word not in {"DONE", "KNOWN"}:
            raise refusal_of(found[0], word)
        return word, found

    def _keys_of(self, owner_id: str) -> list[str]:
        return [self._book.keys.lease_of(owner_id), self._book.keys.open_of(owner_id)]


def _wants_text(wants: Sequence[Want], given: Mapping[str, int] | None = None) -> str:
    """Wants as the script takes them. What was given already is needed, and not limited again."""
    texts = []
    for want in wants:
        need, limit = (str(want.need), str(want.limit)) if given is None else (str(given[want.account.key]), "")
        about = rows.fit(want.account.key), rows.account_text(want.account)
        texts.append([*about, need, str(want.want), limit, rows.amount_text(want.shown_limit)])
    return json.dumps(texts, ensure_ascii=True)


def _owner_of(owner_id: str, text: str) -> Owner:
    applied, deadline, _, _, about = text.split("|", 4)
    who = json.loads(about)
    return Owner(
        id=owner_id, host=who["host"], boot_id=who["boot_id"], journal=who["journal"], applied=int(applied),
        deadline=rows.instant(deadline),
    )  # fmt: skip
