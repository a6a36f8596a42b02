"""Differences in money that tokens do not explain: rounding, a discount or a service tier, a price."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from fractions import Fraction

from runguard_core.finops.bills._comparing_tokens import Side
from runguard_core.finops.bills._findings import Difference, DifferenceKind
from runguard_core.finops.bills._grouping import Subject
from runguard_core.finops.bills._valuing import Valuer
from runguard_core.money import format_usd

#: A discount is a whole multiple of this.
_STEP = Fraction(1, 20)
#: Dollars and cents are apart by this, and by a tenth of it more or less for what else differs.
_HUNDRED, _NEARLY = 100, Fraction(1, 10)


def compare_money(
    subject: Subject, day: date, side: Side, by_tokens: Sequence[Difference], before_nanos: int, valuer: Valuer
) -> Iterator[Difference]:
    """What is left of a day's difference in money; with the differences in tokens it is the whole difference, to the nano-dollar.

    Args:
        subject, day, side: what is compared. by_tokens: its differences in tokens on that day.
        before_nanos: money that the day before has moved here (day boundary). valuer: list prices.
    """
    moved = before_nanos + sum(one.nanos for one in by_tokens)
    left = side.billed.nanos - side.booked.nanos - moved
    if not left:
        return
    expected = side.booked.nanos + moved
    slack = side.billed.slack_nanos + side.booked.call_count + len(by_tokens) + 1
    kind, said = _kind(subject, day, side, left, expected, slack, valuer)
    yield Difference(kind=kind, day=day, payer=subject[0], model=subject[1], nanos=left, evidence=said, ids=_ids(kind, side))


def _ids(kind: DifferenceKind, side: Side) -> tuple[str, ...]:
    return tuple(sorted(side.billed.ids)) if kind is DifferenceKind.UNMETERED else ()


def _kind(
    subject: Subject, day: date, side: Side, left: int, expected: int, slack: int, valuer: Valuer
) -> tuple[DifferenceKind, str]:
    billed = side.billed.nanos
    if abs(left) <= slack:
        return (
            DifferenceKind.ROUNDING,
            f"within {format_usd(slack)}: a nano-dollar a call, and the last place of the bill's lines",
        )
    if not side.booked.call_count and not expected:
        what = ", ".join(sorted(side.billed.whats)) or "no call in the ledger"
        return DifferenceKind.UNMETERED, f"{format_usd(billed)} are billed, and the ledger has nothing here: {what}"
    if not billed and not side.billed.tokens and not side.billed.tiers:
        return DifferenceKind.NOT_BILLED, f"the ledger has {format_usd(expected)}, the bill nothing here"
    if side.billed.tiers:
        return DifferenceKind.DISCOUNT, f"the bill has usage of the service tier {', '.join(sorted(side.billed.tiers))}"
    if side.booked.unpriced_count:
        return DifferenceKind.PRICE, f"{side.booked.unpriced_count:,} calls of the ledger have no price"
    step = _discount(billed, expected, slack)
    if step is not None:
        return DifferenceKind.DISCOUNT, f"all of it is billed at {int(step * 100)} % of what the ledger charged"
    ratio = Fraction(billed, expected) if expected else None
    times = f"{float(ratio):.4g} times" if ratio is not None else "something instead of nothing:"
    known = "" if subject[1] is None or valuer.rates(subject[1], day) is not None else " (the price list does not know the model)"
    return DifferenceKind.PRICE, f"the same tokens are billed at {times} what the ledger charged{known}"


def _discount(billed: int, expected: int, slack: int) -> Fraction | None:
    """The whole twentieth below 1 that a bill is of what was expected; None where it is none."""
    if expected <= 0 or billed <= 0 or billed >= expected:
        return None
    step = round(Fraction(billed, expected) / _STEP) * _STEP
    return step if 0 < step < 1 and abs(billed - step * expected) <= slack else None


#: What the providers' own reports write.
_WRITES = {"openai": " (OpenAI writes dollars)", "anthropic": " (Anthropic writes cents, as text)"}


def unit_mistake(billed_nanos: int, expected_nanos: int, provider: str | None) -> str | None:
    """The sentence on a bill that is about a hundred times, or a hundredth of, what was expected; None where it is not."""
    if billed_nanos <= 0 or expected_nanos <= 0:
        return None
    ratio = Fraction(billed_nanos, expected_nanos)
    mistakes = ((Fraction(_HUNDRED), "cents were taken for dollars"), (Fraction(1, _HUNDRED), "dollars were taken for cents"))
    for near, what in mistakes:
        if abs(ratio / near - 1) <= _NEARLY:
            return (
                f"the bill says {format_usd(billed_nanos)} where {format_usd(expected_nanos)} is expected, "
                f"{float(ratio):.4g} times as much: probably {what}, here or by whatever wrote the file"
                f"{_WRITES.get(provider or '', '')}"
            )
    return None
