"""Reading what may be large a page at a time, so that the server answers others in between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from runguard_core.stores.redis._connection import Server

#: Members a page: about a millisecond of the server's time.
PAGE = 500
T = TypeVar("T")


def latest_first(server: Server, key: str, *, least: object = "-inf", most: object = "+inf") -> Iterator[list[str]]:
    """Pages of a sorted set from its greatest score down, equal scores by name; each page least first.

    A page goes on at the last one's score, behind the members seen there: what is added meanwhile moves nothing.
    """
    seen_count, bound = 0, most
    while True:
        page: list[tuple[str, float]] = server.ask(lambda client: _below(client, key, bound, least, seen_count))  # noqa: B023  asked now
        if not page:
            return
        last = page[-1][1]
        at_last = sum(score == last for _, score in page)
        seen_count = at_last + (seen_count if f"{last:.0f}" == bound else 0)
        bound = f"{last:.0f}"  # a whole number, for microseconds have more digits than the client would write
        yield [member for member, _ in reversed(page)]
        if len(page) < PAGE:
            return


def _below(client: Any, key: str, most: object, least: object, start: int) -> list[tuple[str, float]]:
    return [(name, float(score)) for name, score in client.zrevrangebyscore(key, most, least, start, PAGE, withscores=True)]


def fields(server: Server, key: str) -> Iterator[dict[str, str]]:
    """Pages of a hash, in no order; a field may come twice while the hash grows."""
    cursor = 0
    while True:
        cursor, page = server.ask(lambda client: client.hscan(key, cursor, count=PAGE))  # noqa: B023  asked now
        if page:
            yield page
        if not cursor:
            return


def lines(server: Server, key: str, *, after: int = 0, most: int | None = None) -> Iterator[list[tuple[int, dict[str, str]]]]:
    """Pages of the book's lines behind a number, up to one: their numbers and fields."""
    end = "+" if most is None else f"{most}-0"
    while most is None or after < most:
        found = server.ask(lambda client: client.xrange(key, min=f"{after + 1}-0", max=end, count=PAGE))  # noqa: B023  asked now
        page = [one for name, line in found for one in _told_apart(int(name.partition("-")[0]), line)]
        if not page:
            return
        after = page[-1][0]
        yield page


def _told_apart(number: int, line: dict[str, str]) -> list[tuple[int, dict[str, str]]]:
    """Where a call began and ended in one step its two lines are kept as one; see lua/settle.lua."""
    started = line.pop("from", None)
    if started is None:
        return [(number, line)]
    held, spent = [], []
    for move in filter(None, line["moves"].split(",")):
        account, hold, *posted = move.split(":")
        held.append(f"{account}:{hold}")
        spent.append(":".join([account, "0" if hold == "0" else f"-{hold}", *posted]))
    begun = {"call": line["call"], "kind": "pending", "at": started, "moves": ",".join(held), "cost": "0", "reason": ""}
    return [(number, begun), (number + 1, line | {"moves": ",".join(spent)})]


def chunks(names: Sequence[T]) -> Iterator[Sequence[T]]:
    """A long sequence in pages."""
    for start in range(0, len(names), PAGE):
        yield names[start : start + PAGE]
