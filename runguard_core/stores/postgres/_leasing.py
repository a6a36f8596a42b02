"""`PostgresLeases`: a ledger in PostgreSQL that also grants slices of its accounts to processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

import psycopg
from psycopg.types.numeric import Int8

from runguard_core.errors import AlreadyPostedError, AlreadyVoidedError, ConflictingEntryError, LeaseLostError
from runguard_core.ledger import (
    Account,
    Balance,
    CallRecord,
    Granted,
    Heard,
    Hold,
    LeaseVerb,
    Owner,
    Refusal,
    Want,
)
from runguard_core.stores._sqlite_rows import instant_of, micros
from runguard_core.stores.postgres import _rows as rows
from runguard_core.stores.postgres._batch import accounts_of, batch_of
from runguard_core.stores.postgres._connections import Link
from runguard_core.stores.postgres._store import PostgresStore, balances_of

_GRANT = "SELECT (answer).*, granted FROM lease_slices(%s, %s::jsonb, %s)"
_SETTLE = (
    "SELECT (answer).*, rests FROM settle_leases(%s, %s, %s, %s::jsonb, %s::jsonb, %s::jsonb, %s::jsonb, %s::jsonb, %s::jsonb)"
)
_LOAD = "SELECT show_limits(%s::jsonb) FROM apply_verbs(%s, %s::jsonb, %s::jsonb, %s::jsonb, %s::jsonb, '{}')"
_RECOVER = "SELECT * FROM recover_leases(%s, %s, %s, %s, %s::jsonb, %s::jsonb, %s::jsonb, %s::jsonb, %s::jsonb)"
CONTRADICTION = "RG001"


class PostgresLeases(PostgresStore):
    """A `LeaseBackend`. Every step is on the server's disk when it returns."""

    def enlist(self, owner: Owner) -> None:
        """See `LeaseBackend.enlist`."""
        row = {
            "id": owner.id, "host": owner.host, "boot_id": owner.boot_id, "journal": owner.journal, "applied": owner.applied,
            "deadline": micros(owner.deadline),
        }  # fmt: skip
        self._ask("SELECT enlist(%s::jsonb)", rows.document(row))

    def grant(self, owner_id: str, wants: Sequence[Want], *, now: datetime) -> Granted | Refusal:
        """See `LeaseBackend.grant`."""
        documents = [
            {**rows.account_document(w.account), "need": w.need, "want": w.want, "limit": w.limit, "shown": w.shown_limit}
            for w in wants
        ]
        answer = self._ask(_GRANT, rows.fit(owner_id), rows.document(documents), Int8(micros(now) or 0))
        if answer.outcome == "lost":
            raise LeaseLostError(owner_id)
        if answer.outcome == "refused":
            want = wants[answer.place - 1]
            return Refusal(Hold(want.account, want.need, want.limit, want.shown_limit), balances_of(answer)[0])
        keys = [want.account.key for want in wants]
        return Granted(dict(zip(keys, answer.granted or (), strict=True)), dict(zip(keys, balances_of(answer), strict=True)))

    def settle(
        self, owner_id: str, offset: int, verbs: Sequence[LeaseVerb], *, keep: Mapping[str, int], deadline: datetime
    ) -> Heard:
        """See `LeaseBackend.settle`."""
        numbers = self._numbers(accounts_of(verbs), list(keep))
        kept = {str(numbers[key]): amount for key, amount in keep.items() if key in numbers}
        values = (rows.fit(owner_id), Int8(offset), Int8(micros(deadline) or 0), rows.document(kept))
        documents = batch_of(verbs, numbers).documents()
        answer = self._connections.run(_told(lambda link: link.execute(_SETTLE, (*values, *documents)).fetchone()))
        if answer.outcome == "lost":
            raise LeaseLostError(owner_id)
        self._wrote(len(verbs))
        balances = dict(zip(answer.keys or (), balances_of(answer), strict=True))
        rests = dict(zip(answer.keys or (), answer.rests or (), strict=True))
        return Heard(dict.fromkeys(keep, Balance()) | balances, {key: rests.get(key, 0) for key in keep})

    def load(self, verbs: Sequence[LeaseVerb], owner: str) -> None:
        """Write what was decided elsewhere, in one step: no limit is asked, what is here already is passed over.

        Raises:
            LedgerError, KeyError: a verb contradicts what the book says of its call; nothing is changed.
        """
        calls, pending, ends, shown, events = batch_of(verbs, self._numbers(accounts_of(verbs), [])).documents()
        values = (shown, rows.fit(owner), calls, pending, ends, events)
        self._connections.run(_told(lambda link: link.execute(_LOAD, values)))
        self._wrote(len(verbs))

    def owners(self) -> tuple[Owner, ...]:
        """See `LeaseBackend.owners`."""
        found = self._all('SELECT * FROM lease_owner ORDER BY id COLLATE "C"')
        return tuple([Owner(**{**row._asdict(), "deadline": instant_of(row.deadline)}) for row in found])

    def recover(
        self, owner_id: str, offset: int, verbs: Sequence[LeaseVerb], *, is_lost: bool, now: datetime
    ) -> tuple[CallRecord, ...]:
        """See `LeaseBackend.recover`."""
        documents = batch_of(verbs, self._numbers(accounts_of(verbs), [])).documents()
        values = (rows.fit(owner_id), Int8(offset), is_lost, Int8(micros(now) or 0), *documents)
        found = self._connections.run(_told(lambda link: link.execute(_RECOVER, values).fetchall()))
        return self._records(found)

    def _numbers(self, accounts: Mapping[str, Account], keys: Sequence[str]) -> Mapping[str, int]:
        """The numbers of accounts by key; those named whole are opened when they are new."""
        known = self._number_of
        new = [account for key, account in accounts.items() if key not in known]
        if new:
            found = self._ask("SELECT ids FROM open_accounts(%s::jsonb)", rows.document([rows.account_document(a) for a in new]))
            known.update(zip([account.key for account in new], found.ids, strict=True))
        rest = [key for key in keys if key not in known]
        if rest:
            sql = "SELECT a.id, a.key FROM unnest(%s::text[]) k(key) JOIN account a ON a.key = k.key"
            known.update({row.key: row.id for row in self._all(sql, [rows.fit(key) for key in rest])})
        return known


def _told(step: Callable[[Link], Any]) -> Callable[[Link], Any]:
    """The step, with what the function says of a verb that contradicts the book as our error."""

    def tell(link: Link) -> Any:
        try:
            return step(link)
        except psycopg.DatabaseError as error:
            if error.sqlstate != CONTRADICTION:
                raise
            _raise(error.diag.message_primary or "", error.diag.message_detail or "")

    return tell


def _raise(outcome: str, call_id: str) -> NoReturn:
    if outcome == "unknown":
        raise KeyError(call_id)
    if outcome == "voided":
        raise AlreadyVoidedError(call_id)
    if outcome == "posted":
        raise AlreadyPostedError(call_id)
    raise ConflictingEntryError(call_id, "the book has it with other content")
