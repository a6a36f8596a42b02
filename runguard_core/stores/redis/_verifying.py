"""Does the book agree with itself? Compared page by page while others write on.

The lines are added up once, in order. Whatever is compared with their sums is read together with the number of the last line at
that moment, and the sums are brought up to just that line first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace

from runguard_core.ledger import Balance, Discrepancy, Tell
from runguard_core.stores.redis import _paging as paging
from runguard_core.stores.redis import _rows as rows
from runguard_core.stores.redis._book import Book


class _Sums:
    """What the lines say, up to one of them."""

    def __init__(self, book: Book, tell: Tell | None) -> None:
        self._book, self._tell, self._line = book, tell, 0
        self.accounts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        self.costs: dict[str, int] = defaultdict(int)

    def up_to(self, line: int) -> None:
        """Add up the lines to this one."""
        for page in paging.lines(self._book.server, self._book.keys.entry, after=self._line, most=line):
            for number, said in page:
                self._line = number
                self.costs[said["call"]] += int(said["cost"])
                for account, pending, posted, assumed in rows.moves_of(said["moves"]):
                    row = self.accounts[account]
                    row[0] += posted
                    row[1] += pending
                    row[2] += assumed
            if self._tell is not None:
                self._tell(self._line, line)

    @property
    def line(self) -> int:
        """The last one added."""
        return self._line


def discrepancies(book: Book, tell: Tell | None) -> Iterator[Discrepancy]:
    """Where balances differ from the lines' sums, a call's charge from its lines' sum, or lines are missing."""
    sums = _Sums(book, tell)
    count = book.line_count()
    sums.up_to(count)
    if sums.line != count:
        yield Discrepancy("lines", str(sums.line), str(count))
    yield from _accounts(book, sums)
    yield from _calls(book, sums)
    yield from _leases(book)


def _accounts(book: Book, sums: _Sums) -> Iterator[Discrepancy]:
    seen = set()
    for page in paging.fields(book.server, book.keys.detail):
        _, (line, *found) = book.run("read_sums", *page)
        sums.up_to(int(line))
        for (number, text), recorded in zip(page.items(), found, strict=True):
            balance = rows.balance_of(recorded)
            expected = replace(Balance(*sums.accounts.get(number, (0, 0, 0))), leased=balance.leased)  # no line speaks of leases
            if balance != expected and number not in seen:
                yield Discrepancy(f"account {rows.account_of(text).title}", str(balance), str(expected))
            seen.add(number)
    for number, row in list(sums.accounts.items()):
        if number not in seen and any(row):
            yield Discrepancy(f"account {number}", "missing", str(Balance(*row)))


def _calls(book: Book, sums: _Sums) -> Iterator[Discrepancy]:
    for page in paging.latest_first(book.server, book.keys.started):
        _, (line, standings, _, _) = book.run("read_calls", *page)
        sums.up_to(int(line))
        for call_id, text in zip(page, standings, strict=True):
            recorded = rows.Standing.of(text).cost_nanos if text is not None else None
            if recorded != sums.costs.get(call_id, 0):
                yield Discrepancy(f"call {call_id}", str(recorded), str(sums.costs.get(call_id, 0)))


def _leases(book: Book) -> Iterator[Discrepancy]:
    """What accounts say is leased, against what owners have; read in one step, again when owners come or go in between."""
    leased = {number for page in paging.fields(book.server, book.keys.sums) for number in _leased(page)}
    word, found = "CHANGED", list[str]()
    while word == "CHANGED":
        owners = [owner for page in paging.fields(book.server, book.keys.owner) for owner in page]
        owners = list(dict.fromkeys(owners))
        word, found = book.run("read_leases", *owners, more_keys=[book.keys.lease_of(owner) for owner in owners])
    for number, rests, recorded in zip(found[::3], found[1::3], found[2::3], strict=True):
        leased.discard(number)
        if rests != recorded:
            yield _leased_wrongly(book, number, recorded, rests)
    for number in sorted(leased):
        _, (_, sums) = book.run("read_sums", number)
        if sums[3] != "0":
            yield _leased_wrongly(book, number, sums[3], "0")


def _leased(page: Mapping[str, str]) -> Iterator[str]:
    """Numbers of accounts of which something is leased."""
    for field, amount in page.items():
        if field.endswith("l") and amount != "0":
            yield field[:-1]


def _leased_wrongly(book: Book, number: str, recorded: str, rests: str) -> Discrepancy:
    title = book.accounts([number])[number].title
    return Discrepancy(f"account {title}", f"leased {recorded}", f"leased {rests}")
