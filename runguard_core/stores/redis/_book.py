"""One tenant's book on a server: opened, checked, and never mistaken for an empty one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from runguard_core.errors import StoreSchemaError, StoreUnavailableError
from runguard_core.ids import new_id
from runguard_core.ledger import Account
from runguard_core.stores.redis import _rows as rows
from runguard_core.stores.redis._address import Address
from runguard_core.stores.redis._connection import Server
from runguard_core.stores.redis._epoch import Remembered
from runguard_core.stores.redis._keys import Keys
from runguard_core.stores.redis._recent import Said

#: What the keys and texts are; the oldest program that may share them.
SCHEMA, READABLE_BY = 1, 1
_MOST_ACCOUNTS_KNOWN = 50_000


class Book:
    """Where the verbs are run.

    Attributes:
        server: where the book is; keys: of what it consists; epoch: which book it is.
    """

    def __init__(self, address: Address, folder: Path | None) -> None:
        """Open the tenant's book, or make one where none has been.

        Args:
            address: which book on which server.
            folder: where this host remembers books it has seen; None for nowhere.

        Raises:
            StoreUnavailableError: the server cannot be used, or the book that this host has seen there is gone.
            StoreSchemaError: it was written by a version that this one cannot share it with.
        """
        self.server, self.keys = Server(address), Keys(address.tenant)
        self._remembered = Remembered(folder, address.name)
        self._accounts: dict[str, Account] = {}
        #: Numbers of accounts by key, those that this process has met.
        self.numbers: dict[str, str] = {}
        try:
            self.epoch = self._open(address)
        except BaseException:
            self.server.close()
            raise
        self._remembered.write(self.epoch)

    def _open(self, address: Address) -> str:
        known = self._remembered.read()
        may_create = address.may_create and known is None
        words = (new_id(), SCHEMA, READABLE_BY, int(may_create))
        word, *found = self.server.run("open", self.keys.book, *words)
        if word == "MISSING":
            raise self.lost() if known else self._absent()
        epoch, schema, readable_by = found
        if known not in {None, epoch}:
            raise self.lost()
        if int(schema) > SCHEMA and int(readable_by) > SCHEMA:
            raise StoreSchemaError(
                address.shown, f"its schema is version {schema}, this program reads {SCHEMA}", "upgrade runguard-core"
            )
        return str(epoch)

    def lost(self) -> StoreUnavailableError:
        """The book is not the one that was here."""
        return self.server.unavailable("the book that was kept here is gone: what was spent is unknown", self._remembered.way_out)

    def _absent(self) -> StoreUnavailableError:
        tenant = self.server.address.tenant
        return self.server.unavailable(f"there is no book of tenant {tenant} here", "open it once without create=no")

    def run(self, verb: str, *words: object, more_keys: Sequence[str] = ()) -> tuple[str, list[Any]]:
        """Run a verb on this book: the word that it answers with, and the rest.

        Raises:
            StoreUnavailableError: the server cannot be reached, or the book is lost.
        """
        word, *found = self.server.run(verb, (*self.keys.book, *more_keys), self.epoch, *words)
        if word == "LOST":
            raise self.lost()
        if word == "RANGE":
            raise self.server.unavailable("an account would hold more than 2**62", "correct the amounts")
        return word, found

    def remember(
        self, verb: str, words: Callable[[], Sequence[object]], more_keys: Sequence[str], *, word_count: int = 15
    ) -> None:
        """A verb was answered: it is said again, with these words, to a primary that may not have heard it."""
        self.server.recent.add(Said(verb, (*self.keys.book, *more_keys), lambda: (self.epoch, *words()), word_count))

    def write(self, verb: str, *words: object, more_keys: Sequence[str] = ()) -> tuple[str, list[Any]]:
        """Run a verb that may be said again as it is, and remember it."""
        answer = self.run(verb, *words, more_keys=more_keys)
        self.remember(verb, lambda: words, more_keys, word_count=len(words))
        return answer

    def line_count(self) -> int:
        """How many lines the book has now.

        Raises:
            StoreUnavailableError: the server cannot be reached, or the book is lost.
        """
        return int(self.run("read_calls")[1][0])

    def accounts(self, numbers: Iterable[str]) -> dict[str, Account]:
        """Accounts by number. What an account is called never changes, so it is asked for once."""
        known, wanted = self._accounts, list(dict.fromkeys(numbers))
        found = {number: known[number] for number in wanted if number in known}
        missing = [number for number in wanted if number not in found]
        if missing:
            texts = self.server.ask(lambda client: client.hmget(self.keys.detail, missing))
            found |= (read := {number: rows.account_of(text) for number, text in zip(missing, texts, strict=True)})
            self.learn(read)
        return found

    def learn(self, accounts: dict[str, Account]) -> None:
        """Remember what accounts are called."""
        if len(self._accounts) > _MOST_ACCOUNTS_KNOWN:
            self._accounts, self.numbers = {}, {}
        self._accounts.update(accounts)
        self.numbers.update({account.key: number for number, account in accounts.items()})

    def close(self) -> None:
        """Let go of the connections."""
        self.server.close()
