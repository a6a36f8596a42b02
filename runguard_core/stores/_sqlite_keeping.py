"""`SqliteKeeper`: a file that ceases to keep what it must not, or need not, keep any longer."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Collection, Iterator
from datetime import datetime

from runguard_core.errors import ConflictingEntryError
from runguard_core.ledger import Event, Forgotten, Pruned, Tell
from runguard_core.stores._sqlite import SqliteStore
from runguard_core.stores._sqlite_forgetting import forget
from runguard_core.stores._sqlite_packing import fit
from runguard_core.stores._sqlite_pen import Pen
from runguard_core.stores._sqlite_pruning import carry, make_tables, old_rows


class SqliteKeeper(SqliteStore):
    """A `KeepingStore` in a file. What is replaced or dropped is overwritten there too."""

    def forget_user(
        self, users: Collection[str], pseudonym: str, say: Callable[[Forgotten], Event], *, dry_run: bool = False
    ) -> Forgotten:
        """See `ForgettingStore.forget_user`."""
        with self._overwriting(), self._writing() as pen:
            pen.db.execute("SAVEPOINT forgetting")
            found = forget(pen.db, users, pseudonym)
            _announce(pen, say(found))
            if dry_run:
                pen.undo("forgetting")
        self._connections.words().forget()
        self._written += 1
        return found

    def prune(
        self, before: datetime, say: Callable[[Pruned], Event], *, dry_run: bool = False, tell: Tell | None = None
    ) -> Pruned:
        """See `KeepingStore.prune`. Some thousand calls a transaction; the event is in the first."""
        with self._connections.snapshot() as db:
            span, count, lines = old_rows(db, before)
        planned = Pruned(call_count=count, line_count=lines)
        if dry_run or not count:
            return planned
        with self._overwriting():
            with self._writing() as pen:
                make_tables(pen.db)
                _announce(pen, say(planned))
            done = 0
            while span[0] <= span[1]:
                with self._writing() as pen:
                    some, following = carry(pen.db, pen.words, span)
                span, done = (following, *span[1:]), done + some
                if tell is not None:
                    tell(done, count)
        sums = self._all("SELECT count(*) FROM carried WHERE first_at < ?", span[2])[0][0]
        return Pruned(call_count=done, line_count=lines, sum_count=sums)

    @contextlib.contextmanager
    def _overwriting(self) -> Iterator[None]:
        """Inside, what is deleted is overwritten with zeros; afterwards the file's log is folded into it, if nobody reads."""
        with self._connections.reading() as db:
            was = db.execute("PRAGMA secure_delete=ON").fetchone()
        try:
            yield
        finally:
            with self._connections.reading() as db, contextlib.suppress(sqlite3.Error):
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                db.execute(f"PRAGMA secure_delete={'ON' if was and was[0] == 1 else 'OFF'}").fetchone()


def _announce(pen: Pen, event: Event) -> None:
    """In the transaction. ConflictingEntryError: somebody has that id."""
    if pen.db.execute("SELECT 1 FROM event WHERE id = ?", (fit(event.id),)).fetchone() is not None:
        raise ConflictingEntryError(event.id, "an event of this id is there")
    pen.say([event])
