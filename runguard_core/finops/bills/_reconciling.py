"""A bill against the ledger: token classes first, then money, per UTC day, payer and model."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date

from runguard_core.finops.bills._books import BookRow, Books
from runguard_core.finops.bills._comparing_money import compare_money, unit_mistake
from runguard_core.finops.bills._comparing_tokens import Side, compare_tokens
from runguard_core.finops.bills._findings import Difference, DifferenceKind
from runguard_core.finops.bills._grouping import BilledRow, Detail, Subject, billed, booked, family
from runguard_core.finops.bills._keys import ANYONE, KeyRing
from runguard_core.finops.bills._lines import Bill, BillLine
from runguard_core.finops.bills._valuing import Valuer
from runguard_core.values import value


@value(kw_only=True)
class Reconciliation:
    """What came out.

    Attributes:
        provider: of the bill. days: compared, in order; usage_days, cost_days: how many of them for tokens and for money.
        differences: by day, kind, payer and model; with the ledger's money they add up to the bill's.
        billed_tokens, booked_tokens: of the days compared for tokens. billed_nanos, booked_nanos: of those for money.
        tokens_by_payer, money_by_payer: whether differences are told apart by payer; else theirs is ANYONE.
        notes: what was left out.
    """

    provider: str | None
    days: tuple[date, ...]
    usage_day_count: int
    cost_day_count: int
    differences: tuple[Difference, ...]
    billed_tokens: int
    booked_tokens: int
    billed_nanos: int
    booked_nanos: int
    tokens_by_payer: bool = False
    money_by_payer: bool = False
    notes: tuple[str, ...] = ()

    @property
    def unexplained(self) -> tuple[Difference, ...]:
        """What somebody must look at."""
        return tuple([one for one in self.differences if not one.is_explained])


def reconcile(bill: Bill, books: Books, ring: KeyRing, valuer: Valuer) -> Reconciliation:
    """Compare a bill with the ledger; the same input gives the same differences in the same order.

    Args:
        bill: see `read_report` and `focus_bill`. books: the ledger's rows of the bill's days (`rows_of_totals`).
        ring: whose the bill's keys are. valuer: the policy's prices.
    """
    books = _of_provider(books, bill.provider, valuer)
    usage = bill.usage or tuple(_counted(bill.costs))
    usage_days = sorted(bill.usage_days if bill.usage else bill.usage_days | (bill.cost_days if usage else frozenset()))
    detail = Detail.of(usage, ring) if usage else Detail.of(bill.costs, ring)
    if not usage and not bill.costs:
        detail = Detail(False, True)
    by_tokens = list(_tokens(usage, books, ring, detail, usage_days, valuer))
    money_detail = Detail.of(bill.costs, ring).within(detail) if bill.costs else detail
    cost_days = sorted(bill.cost_days)
    found = list(_money(bill.costs, books, ring, money_detail, cost_days, by_tokens, valuer))
    used = [row for (day, *_), row in books.items() if day in set(usage_days)]
    paid = [row for (day, *_), row in books.items() if day in set(cost_days)]
    return Reconciliation(
        provider=bill.provider, days=tuple(sorted({*usage_days, *cost_days})), usage_day_count=len(usage_days),
        cost_day_count=len(cost_days), differences=tuple(sorted(found, key=_order)),
        billed_tokens=sum(line.tokens for line in usage), booked_tokens=sum(sum(row.tokens.values()) for row in used),
        billed_nanos=sum(line.nanos for line in bill.costs), booked_nanos=sum(row.nanos for row in paid),
        tokens_by_payer=detail.has_payers, money_by_payer=money_detail.has_payers, notes=bill.notes,
    )  # fmt: skip


def _order(one: Difference) -> tuple[str, ...]:
    return (str(one.day), one.kind.value, one.payer.title, one.model or "")


def _of_provider(books: Books, provider: str | None, valuer: Valuer) -> Books:
    """The rows of the bill's provider; calls that name none are those whose model it lists."""
    if provider is None:
        return books
    names = {name for _, name, _, _ in books if name is not None}
    if provider not in {"openai", "anthropic"} and provider not in names:
        return books  # a reseller's bill: its name is nobody's in the ledger
    return {
        key: row
        for key, row in books.items()
        if key[1] == provider or (key[1] is None and _is_listed(key[2], key[0], provider, valuer))
    }


def _is_listed(model: str, day: date, provider: str, valuer: Valuer) -> bool:
    rates = valuer.rates(family(model), day)
    return rates is not None and rates.provider_id == provider


def _counted(costs: Iterable[BillLine]) -> Iterable[BillLine]:
    """Lines of costs that count tokens, too: then they are the usage."""
    return [line for line in costs if line.tokens and line.token_class is not None]


def _tokens(
    usage: Sequence[BillLine], books: Books, ring: KeyRing, detail: Detail, days: Sequence[date], valuer: Valuer
) -> Iterable[Difference]:
    ours, theirs, wanted = booked(books, detail), billed(usage, ring, detail), set(days)
    subjects = {subject: None for day, subject in sorted((*ours, *theirs), key=_subject_order) if day in wanted}
    for subject in subjects:
        sides = {
            day: Side(theirs.get((day, subject), BilledRow()), ours.get((day, subject), BookRow()))
            for day in days
            if (day, subject) in theirs or (day, subject) in ours
        }
        yield from compare_tokens(subject, days, sides, valuer)


def _subject_order(key: tuple[date, Subject]) -> tuple[str, str, date]:
    day, (payer, model) = key
    return payer.title, model or "", day


def _money(
    costs: Sequence[BillLine], books: Books, ring: KeyRing, detail: Detail, days: Sequence[date],
    by_tokens: Sequence[Difference], valuer: Valuer,
) -> Iterable[Difference]:  # fmt: skip
    """The differences in tokens, and what is left in money."""
    ours, theirs = booked(books, detail), billed(costs, ring, detail)
    parts: defaultdict[tuple[date, Subject], list[Difference]] = defaultdict(list)
    moved: defaultdict[tuple[date, Subject], int] = defaultdict(int)
    following = dict(itertools.pairwise(days))
    for one in by_tokens:
        subject = detail.subject(one.payer, one.model)
        parts[one.day, subject].append(one)
        if one.next_day_nanos and one.day in following:
            moved[following[one.day], subject] += one.next_day_nanos
    wanted = set(days)
    keys = sorted({*ours, *theirs, *parts, *moved}, key=_subject_order)
    sides = {key: Side(theirs.get(key, BilledRow()), ours.get(key, BookRow())) for key in keys if key[0] in wanted}
    said = _unit(sides, by_tokens, valuer.provider)
    if said is not None:
        left = sum(side.billed.nanos - side.booked.nanos for side in sides.values()) - sum(
            one.net_nanos for one in by_tokens if one.day in wanted
        )
        yield from by_tokens
        yield Difference(kind=DifferenceKind.UNIT, day=min(wanted), payer=ANYONE, nanos=left, evidence=said)
        return
    done: set[tuple[date, Subject]] = set()
    for key, side in sides.items():
        done.add(key)
        its = _billed_at_its_own(parts[key], side)
        yield from its
        yield from compare_money(key[1], key[0], side, its, moved[key], valuer)
    for key in sorted(set(parts) - done, key=_subject_order):
        yield from parts[key]


def _billed_at_its_own(parts: list[Difference], side: Side) -> list[Difference]:
    """Traffic that the ledger knows nothing of is worth what the bill says: there is no price of ours to compare with."""
    if side.booked.call_count or len(parts) != 1 or parts[0].kind is not DifferenceKind.UNMETERED or not side.billed.nanos:
        return parts
    only = parts[0]
    return [
        Difference(
            kind=only.kind, day=only.day, payer=only.payer, model=only.model, tokens=only.tokens, nanos=side.billed.nanos,
            evidence=only.evidence, ids=only.ids,
        )
    ]  # fmt: skip


def _unit(sides: dict[tuple[date, Subject], Side], by_tokens: Sequence[Difference], provider: str | None) -> str | None:
    days = {day for day, _ in sides}
    bill = sum(side.billed.nanos for side in sides.values())
    ours = sum(side.booked.nanos for side in sides.values()) + sum(one.net_nanos for one in by_tokens if one.day in days)
    return unit_mistake(bill, ours, provider)
