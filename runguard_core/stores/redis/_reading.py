"""The reading half of `RedisStore`. What may be large is read in pages; a page is one moment, the whole is not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from runguard_core.ledger import (
    ALL_EVENTS,
    AccountRow,
    Balance,
    CallFilter,
    CallRecord,
    CallState,
    Discrepancy,
    Entry,
    EntryKind,
    Event,
    EventFilter,
    Latch,
    LimitOverride,
    Move,
    Tell,
)
from runguard_core.stores._adding_up import AddsUp
from runguard_core.stores._laws import assumed_settlement, matches
from runguard_core.stores._watching import Watch
from runguard_core.stores.redis import _breaker_rows as breaker
from runguard_core.stores.redis import _paging as paging
from runguard_core.stores.redis import _rows as rows
from runguard_core.stores.redis._address import Address
from runguard_core.stores.redis._book import Book
from runguard_core.stores.redis._verifying import discrepancies


class RedisReading(AddsUp):
    """Opens a book and reads it; writes nothing but the epoch of a new one."""

    def __init__(self, url: str, *, folder: Path | None = None) -> None:
        """Open the book that a URL names, or make it.

        Args:
            url: "redis://HOST:PORT/DB?tenant=NAME"; see `Address`.
            folder: where this host remembers which books it has seen, so that a lost one is not taken for a new one.

        Raises:
            StoreError: naming the server, why it cannot be used, and the way out.
        """
        address = Address.of(url)
        self._book = Book(address, folder)
        self.url = address.shown
        self._watch = Watch(self._breaker_version, self._read_latches, self._read_overrides, place=self.url)

    def verify(self, tell: Tell | None = None) -> tuple[Discrepancy, ...]:
        """See `Store.verify`. Others may go on writing: each page of accounts is compared with the lines up to that moment."""
        return tuple(discrepancies(self._book, tell))

    def balances(self, keys: Iterable[str]) -> dict[str, Balance]:
        """See `Store.balances`."""
        wanted = list(keys)
        found: dict[str, Balance] = {}
        for some in paging.chunks(wanted):
            _, sums = self._book.run("read_balances", *map(rows.fit, some))
            found |= {key: rows.balance_of(one) for key, one in zip(some, sums, strict=True)}
        return found

    def accounts(self) -> tuple[AccountRow, ...]:
        """See `Store.accounts`."""
        found: dict[str, AccountRow] = {}
        for page in paging.fields(self._book.server, self._book.keys.detail):
            _, (_, *sums) = self._book.run("read_sums", *page)
            for (number, text), one in zip(page.items(), sums, strict=True):
                limit = None if one[4] is None else int(one[4])
                found[number] = AccountRow(rows.account_of(text), rows.balance_of(one), limit)
        return tuple(sorted(found.values(), key=lambda row: (row.account.title, row.account.key)))

    def call(self, call_id: str) -> CallRecord | None:
        """See `Store.call`."""
        found = self._read([call_id])
        return found[0] if found else None

    def calls(self, where: CallFilter) -> tuple[CallRecord, ...]:
        """See `Store.calls`. A session's, a run's and those still pending are found at once; for others all are looked at."""
        found: list[CallRecord] = []
        for ids in self._ids(where):
            found += [call for call in reversed(self._read(ids)) if matches(call, call.state, where)]
            if where.limit and len(found) >= where.limit and where.state is not CallState.PENDING:
                break
        found.sort(key=lambda call: (call.started_at, call.id))
        return tuple(found[-where.limit :] if where.limit else found)

    def _ids(self, where: CallFilter) -> Iterator[list[str]]:
        """Pages of the calls among which a filter's are: the latest page first, but those pending by deadline."""
        self._book.line_count()  # a book that is lost is not an empty one
        keys = self._book.keys
        if where.state is CallState.PENDING:
            yield from paging.latest_first(self._book.server, keys.pending)
            return
        key = keys.started
        for dimension, value in (("session", where.session), ("run", where.run)):
            key = keys.calls_of(dimension, value) if value is not None else key
        since, until = rows.micros(where.since), rows.micros(where.until)
        least, most = "-inf" if since is None else since, "+inf" if until is None else f"({until}"
        yield from paging.latest_first(self._book.server, key, least=least, most=most)

    def _read(self, ids: Sequence[str]) -> list[CallRecord]:
        """Calls by id, those that are known."""
        _, (_, *columns) = self._book.run("read_calls", *ids)
        found = [one for one in zip(ids, *columns, strict=True) if one[2] is not None] if columns else []
        standings = [rows.Standing.of(standing) for _, standing, _, _ in found]
        accounts = self._book.accounts(number for standing in standings for number, _ in standing.holds)
        keys = {number: account.key for number, account in accounts.items()}
        return [_call(rows.call_of(call_id, request), standing, settled, keys)
                for (call_id, _, request, settled), standing in zip(found, standings, strict=True)]  # fmt: skip

    def entries(self, call_id: str | None = None) -> tuple[Entry, ...]:
        """See `Store.entries`."""
        self._book.line_count()
        server, key = self._book.server, self._book.keys.entry
        if call_id is None:
            return tuple(self._entry(number, line) for page in paging.lines(server, key) for number, line in page)
        _, (_, *columns) = self._book.run("read_calls", call_id)
        numbers = [int(number) for number in rows.Standing.of(columns[0][0]).lines] if columns[0][0] else []
        found = [page for number in numbers for page in paging.lines(server, key, after=number - 1, most=number)]
        return tuple(self._entry(number, line) for page in found for number, line in page)

    def _entry(self, number: int, line: Mapping[str, str]) -> Entry:
        moves = list(rows.moves_of(line["moves"]))
        accounts = self._book.accounts(move[0] for move in moves)
        told = tuple(Move(accounts[account].key, *amounts) for account, *amounts in moves)
        return Entry(
            number, line["call"], EntryKind(line["kind"]), rows.instant(line["at"]), told, int(line["cost"]), line["reason"]
        )

    def events(self, where: EventFilter = ALL_EVENTS) -> tuple[Event, ...]:
        """See `Store.events`."""
        self._book.line_count()
        server, keys = self._book.server, self._book.keys
        found: list[Event] = []
        for ids in paging.latest_first(server, keys.events if where.session is None else keys.events_of(where.session)):
            texts = server.ask(lambda client, ids=ids: client.hmget(keys.event, ids))  # type: ignore[misc]  # asked now
            found += [event for event in map(breaker.event_of, reversed(texts)) if where.allows(event)]
            if where.limit and len(found) >= where.limit:
                break
        found.reverse()
        return tuple(found[-where.limit :] if where.limit else found)

    def latches(self) -> Mapping[tuple[str, str], Latch]:
        """See `Store.latches`; no round trip: see `Watch` for how late it may be."""
        return self._watch.latches()

    def overrides(self) -> Mapping[str, LimitOverride]:
        """See `Store.overrides`; no round trip: see `Watch` for how late it may be."""
        return self._watch.overrides()

    def _breaker_version(self) -> str:
        return str(self._book.run("read_breaker")[1][0])

    def _read_latches(self) -> dict[tuple[str, str], Latch]:
        texts = self._book.server.ask(lambda client: client.hvals(self._book.keys.latch))
        return {latch.scope: latch for latch in map(breaker.latch_of, texts)}

    def _read_overrides(self) -> dict[str, LimitOverride]:
        texts = self._book.server.ask(lambda client: client.hvals(self._book.keys.override))
        return {override.account_key: override for override in map(breaker.override_of, texts)}

    def close(self) -> None:
        """See `Store.close`."""
        self._watch.close()
        self._book.close()


def _call(call: CallRecord, standing: rows.Standing, settled: str | None, keys: Mapping[str, str]) -> CallRecord:
    """A call as it stands. How an assumption came about is known without being kept."""
    state = CallState(standing.state)
    if state is CallState.PENDING:
        return call
    if state is CallState.ASSUMED and settled is None:
        amounts = {keys[number]: amount for number, amount in standing.holds}
        settlement = replace(assumed_settlement(call, (), rows.instant(standing.ended)), amounts=amounts)
        return replace(call, state=state, settlement=settlement)
    spent = {keys[number]: amount for (number, _), amount in zip(standing.holds, standing.amounts, strict=False)}
    return replace(call, state=state, settlement=rows.settlement_of(settled, spent) if settled is not None else None)
