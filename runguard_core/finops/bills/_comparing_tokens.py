"""Differences in tokens, in this order: the day they are filed on, their class, whether they are there at all."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from runguard_core.finops.bills._books import BookRow
from runguard_core.finops.bills._findings import Difference, DifferenceKind
from runguard_core.finops.bills._grouping import BilledRow, Subject
from runguard_core.finops.bills._lines import INPUT_SIDE, TokenClass, Tokens, difference, without_zeros
from runguard_core.finops.bills._valuing import Valuer


@dataclass(frozen=True, slots=True)
class Side:
    """One subject on one day: what is billed, what is booked."""

    billed: BilledRow
    booked: BookRow


def compare_tokens(subject: Subject, days: Sequence[date], sides: Mapping[date, Side], valuer: Valuer) -> Iterator[Difference]:
    """Every difference in the tokens of one subject.

    Args:
        subject: payer and model. days: those that the bill covers, in order. sides: by day. valuer: what tokens are worth.
    """
    left = {day: difference(side.billed.tokens, side.booked.tokens) for day, side in sides.items()}
    for day, following in itertools.pairwise(days):
        if following - day == timedelta(days=1) and day in sides and following in sides:
            moved = _moved(left[day], left[following], sides[day].booked.late, sides[following].booked.early)
            if moved:
                left[day] = difference(left[day], moved)
                left[following] = without_zeros({kind: left[following][kind] + moved[kind] for kind in TokenClass})
                yield _boundary(subject, day, moved, sides[day].booked, valuer)
    for day in days:
        if left.get(day):
            yield from _of_day(subject, day, left[day], sides[day], valuer)


def _moved(one: Tokens, other: Tokens, late: Tokens, early: Tokens) -> Tokens:
    """Tokens that the bill has a day later (below 0) or earlier (above 0) than the ledger.

    None unless that ends the difference of one of the days; no more than the calls of the hour before or after midnight have.
    """
    for whole, rest in ((one, other), (other, one)):
        signs = {count > 0 for count in whole.values()}
        if len(signs) != 1:
            continue
        is_first, is_more = whole is one, next(iter(signs))
        near = early if is_first == is_more else late
        fits = all(
            abs(count) <= near[kind] and count * rest[kind] < 0 and abs(count) <= abs(rest[kind]) for kind, count in whole.items()
        )
        if fits:
            return whole if is_first else without_zeros({kind: -count for kind, count in whole.items()})
    return Tokens()


def _boundary(subject: Subject, day: date, moved: Tokens, row: BookRow, valuer: Valuer) -> Difference:
    worth = valuer.worth(subject[1], day, moved, row) or 0
    way = "a day earlier" if next(iter(moved.values())) > 0 else "a day later"
    count = sum(abs(count) for count in moved.values())
    return Difference(
        kind=DifferenceKind.DAY_BOUNDARY, day=day, payer=subject[0], model=subject[1], tokens=tuple(moved.items()), nanos=worth,
        next_day_nanos=-worth, evidence=f"{count:,} tokens of calls within an hour of midnight (UTC) are billed {way}",
    )  # fmt: skip


def _of_day(subject: Subject, day: date, left: Tokens, side: Side, valuer: Valuer) -> Iterator[Difference]:
    crossed, said = _crossed(left, side)
    if crossed:
        yield _difference(DifferenceKind.TOKEN_CLASS, subject, day, crossed, side, valuer, said)
        left = difference(left, crossed)
    more = without_zeros({kind: max(0, count) for kind, count in left.items()})
    fewer = without_zeros({kind: min(0, count) for kind, count in left.items()})
    if more:
        kind, said = _of_more(side)
        yield _difference(kind, subject, day, more, side, valuer, said)
    if fewer:
        kind, said = _of_fewer(side)
        yield _difference(kind, subject, day, fewer, side, valuer, said)


def _crossed(left: Tokens, side: Side) -> tuple[Tokens, str]:
    """The part of a difference that is the same tokens under another name, and the sentence that says so."""
    if sum(left.values()) == 0:
        return left, f"the same tokens, in other classes: {shown(left)} on the bill"
    cached = side.billed.tokens[TokenClass.CACHE_READ]
    if set(left) == {TokenClass.INPUT} and cached and abs(left[TokenClass.INPUT]) == cached:
        return (
            left,
            f"input differs by just the {cached:,} cached tokens: part of input on one side, beside it on the other",
        )
    reasoning = side.booked.reasoning_tokens
    if set(left) == {TokenClass.OUTPUT} and reasoning and abs(left[TokenClass.OUTPUT]) == reasoning:
        return left, f"output differs by just the {reasoning:,} reasoning tokens: part of it on one side only"
    prompt = {kind: left[kind] for kind in INPUT_SIDE if left[kind]}
    more, fewer = sum(max(0, count) for count in prompt.values()), -sum(min(0, count) for count in prompt.values())
    amount = min(more, fewer)
    if not amount:
        return Tokens(), ""
    crossed, taken = Tokens(), {1: amount, -1: amount}
    for kind, count in prompt.items():
        sign = 1 if count > 0 else -1
        part = min(abs(count), taken[sign])
        taken[sign] -= part
        crossed[kind] = sign * part
    crossed = without_zeros(crossed)
    return crossed, f"{amount:,} tokens of prompts are in other classes: {shown(crossed)} on the bill"


def _of_more(side: Side) -> tuple[DifferenceKind, str]:
    """The bill has more tokens: of calls that the ledger knows, or of calls that it does not."""
    billed, booked = side.billed.request_count, side.booked.call_count
    if billed is not None and booked:
        if billed > booked:
            return DifferenceKind.UNMETERED, f"{billed:,} requests are billed, {booked:,} calls were metered"
        return (
            DifferenceKind.MISSING_USAGE,
            f"{billed:,} requests are billed and {booked:,} calls were metered, with fewer tokens",
        )
    if side.booked.unsure_nanos:
        return DifferenceKind.MISSING_USAGE, "the ledger has calls whose usage was not reported: they are estimates"
    if not booked:
        return DifferenceKind.UNMETERED, "the ledger has no call of this model here"
    return DifferenceKind.UNMETERED, "the bill has more tokens, and the usage of every call in the ledger is known"


def _of_fewer(side: Side) -> tuple[DifferenceKind, str]:
    """The ledger has more tokens: estimates that were too high, or calls that are on no bill."""
    if side.booked.unsure_nanos:
        return DifferenceKind.MISSING_USAGE, "the ledger has calls whose usage was not reported: their estimates were too high"
    if not side.billed.tokens:
        return (
            DifferenceKind.NOT_BILLED,
            "the bill has nothing of this model here: another account or key, or a wrong entry in [billing]",
        )
    return DifferenceKind.NOT_BILLED, "the ledger has more tokens than the bill: counted twice, or billed elsewhere"


def _difference(
    kind: DifferenceKind, subject: Subject, day: date, tokens: Tokens, side: Side, valuer: Valuer, said: str
) -> Difference:
    return Difference(
        kind=kind, day=day, payer=subject[0], model=subject[1], tokens=tuple(tokens.items()),
        nanos=valuer.worth(subject[1], day, tokens, side.booked) or 0, evidence=said,
        ids=tuple(sorted(side.billed.ids)) if kind is DifferenceKind.UNMETERED else (),
    )  # fmt: skip


def shown(tokens: Mapping[TokenClass, int]) -> str:
    """Counts with their signs: "+1,200 cache read, -1,200 input"."""
    return ", ".join(f"{count:+,} {kind.value}" for kind, count in tokens.items())
