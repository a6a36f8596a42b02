"""Pages of the providers' reports as one bill: every page there, every bucket once, whole UTC days only."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from runguard_core.finops.bills import _anthropic, _openai
from runguard_core.finops.bills._amounts import BillError
from runguard_core.finops.bills._lines import Bill, BillLine

_DAY = timedelta(days=1)
#: (page, where it stands)
Page = tuple[Mapping[str, Any], str]


def read_report(files: Iterable[tuple[str, str]], provider: str) -> Bill:
    """The bill in files of JSON: a page as the API returns it, a list of pages, or a page a line.

    Args:
        files: (name, text) of each. provider: "openai" or "anthropic".

    Raises:
        BillError: no report of this provider, a page that is missing, an amount in another unit or currency.
    """
    pages = [page for name, text in files for page in _pages(name, text)]
    its = {"openai": _openai.is_costs, "anthropic": _anthropic.is_costs}[provider]
    usage, costs = _Report(provider), _Report(provider)
    for page, place in pages:
        kind = _is_costs_page(page, place, provider, its)
        for report in (usage, costs) if kind is None else (costs,) if kind else (usage,):
            report.take(page, place)
    notes = usage.check("usage") + costs.check("costs")
    return Bill(
        provider=provider, usage=tuple(usage.lines()), costs=tuple(costs.lines()), usage_days=usage.whole_days(),
        cost_days=costs.whole_days(), notes=tuple(notes),
    )  # fmt: skip


def _pages(name: str, text: str) -> Iterator[Page]:
    try:
        found = [json.loads(text, parse_float=Decimal)]
    except ValueError:
        try:
            found = [json.loads(line, parse_float=Decimal) for line in text.splitlines() if line.strip()]
        except ValueError as error:
            raise BillError(name, f"expected JSON as the provider's API returns it: {error}") from None
    if len(found) == 1 and isinstance(found[0], list):
        found = found[0]
    for number, page in enumerate(found, 1):
        place = name if len(found) == 1 else f"{name}, page {number}"
        if not isinstance(page, Mapping) or not isinstance(page.get("data"), list):
            raise BillError(place, "expected a page with data (a list of buckets), as the provider's API returns it")
        yield page, place


def _is_costs_page(
    page: Mapping[str, Any], place: str, provider: str, is_costs: Callable[[Mapping[str, Any]], bool]
) -> bool | None:
    """Whether it is a page of costs; None for one without results, which says that there was neither."""
    buckets = [bucket for bucket in page["data"] if isinstance(bucket, Mapping)]
    its = "anthropic" if any("starting_at" in bucket for bucket in buckets) else "openai"
    if buckets and its != provider:
        raise BillError(place, f"is a report of {its}, not of {provider}")
    results = [result for bucket in buckets for result in bucket.get("results") or ()]
    kinds = {is_costs(result) for result in results if isinstance(result, Mapping)}
    if len(kinds) > 1:
        raise BillError(place, "expected results of one report in a page, got costs and usage")
    return next(iter(kinds), None)


class _Report:
    """The buckets of one kind of report."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._buckets: dict[tuple[datetime, datetime], tuple[list[Mapping[str, Any]], str]] = {}
        self._is_complete: bool | None = None
        self._twice: list[str] = []

    def take(self, page: Mapping[str, Any], place: str) -> None:
        """One page; the same bucket with the same content counts once."""
        if page.get("has_more") is not True:
            self._is_complete = True
        elif self._is_complete is None:
            self._is_complete = False
        for number, bucket in enumerate(page["data"], 1):
            where = f"{place}, bucket {number}"
            span, results = _span(bucket, self._provider, where), list(bucket.get("results") or ())
            known = self._buckets.get(span)
            if known is not None and known[0] and results and known[0] != results:
                raise BillError(where, f"differs from the same bucket in {known[1]}: expected each bucket once")
            if known is not None and known[0] and results:
                self._twice.append(where)
            if known is None or not known[0]:
                self._buckets[span] = (results, where)

    def check(self, what: str) -> list[str]:
        """What a reader should know.

        Raises:
            BillError: the last page is not among those given.
        """
        if self._is_complete is False:
            where = next(iter(self._buckets.values()), ([], "the report"))[1]
            raise BillError(where, f"has more pages ({what}): fetch the next ones too (has_more, next_page)")
        notes = [f"buckets of {what} that were given twice count once: {len(self._twice)}"] if self._twice else []
        if partly := sorted(set(self._hours()) - self.whole_days()):
            notes.append(f"{what} cover only a part of {', '.join(map(str, partly))}: left out")
        return notes

    def _hours(self) -> dict[date, timedelta]:
        found: Counter[date] = Counter()
        for start, end in self._buckets:
            at = start
            while at < end:
                midnight = datetime(at.year, at.month, at.day, tzinfo=UTC) + _DAY
                found[at.date()] += (min(midnight, end) - at) // timedelta(seconds=1)
                at = midnight
        return {day: timedelta(seconds=seconds) for day, seconds in found.items()}

    def whole_days(self) -> frozenset[date]:
        """Days that buckets cover from midnight to midnight."""
        return frozenset(day for day, covered in self._hours().items() if covered >= _DAY)

    def lines(self) -> Iterator[BillLine]:
        """All lines of whole days."""
        whole, read = self.whole_days(), self._reader()
        for (start, end), (results, place) in sorted(self._buckets.items()):
            if results and end - start > _DAY:
                raise BillError(place, "expected buckets of a day or less (bucket_width=1d)")
            if start.date() in whole:
                for number, result in enumerate(results, 1):
                    if not isinstance(result, Mapping):
                        raise BillError(f"{place}, result {number}", "expected an object")
                    yield from read(start.date(), result, f"{place}, result {number}")

    def _reader(self) -> Callable[[date, Mapping[str, Any], str], Iterable[BillLine]]:
        if self._provider == "openai":
            return _openai.lines_of
        results: Sequence[Mapping[str, Any]] = [one for found, _ in self._buckets.values() for one in found]
        grouped = any(one.get("workspace_id") for one in results if isinstance(one, Mapping))
        return partial(_anthropic.lines_of, has_workspaces=grouped)


def _span(bucket: object, provider: str, place: str) -> tuple[datetime, datetime]:
    names = ("starting_at", "ending_at") if provider == "anthropic" else ("start_time", "end_time")
    if not isinstance(bucket, Mapping):
        raise BillError(place, "expected an object")
    start, end = [_instant(bucket.get(name), name, place) for name in names]
    if end <= start:
        raise BillError(place, f"expected {names[1]} after {names[0]}")
    return start, end


def _instant(said: object, name: str, place: str) -> datetime:
    try:
        if isinstance(said, (int, Decimal)) and not isinstance(said, bool):
            return datetime.fromtimestamp(int(said), UTC)
        if isinstance(said, str):
            at = datetime.fromisoformat(said)
            return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise BillError(place, f"expected a time as {name}, got {said!r:.40}")
