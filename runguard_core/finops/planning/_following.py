"""Limits that follow something: "3 % of revenue", "0.06 USD per active user", "20 % of feature-day" (another budget).

A limit becomes a plain whole number before any call is judged; how it came about is kept as a sentence. The rules:

- *Sums* (revenue, orders; what "% of" means unless the policy says otherwise) are taken over the last whole period of the budget
  that every day is known of: last month's revenue for a budget of a month, last week's for one of a week, and a seventh of last
  week's for one of a day, so that a Monday does not live on a Sunday's sales.
- *Levels* (active users, seats; what "per" means unless the policy says otherwise) count as they were told last.
- Where a metric is not known yet, the fallback holds. There is no limit without a number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from fractions import Fraction

from runguard_core.budgets import Limit, Period, parse_limit, show_amount
from runguard_core.errors import PolicyError
from runguard_core.finops._calendar import Calendar, Window
from runguard_core.finops.planning._metrics import Metric, MetricBook, latest, span_of, total_in, watermark
from runguard_core.ledger import Unit
from runguard_core.money import MAX_AMOUNT

_SHARE = re.compile(r"^\s*(\S+?)\s*%\s+of\s+(.+?)\s*$", re.IGNORECASE)
_EACH = re.compile(r"^\s*(.+?)\s+per\s+(.+?)\s*$", re.IGNORECASE)
#: How old a metric may be by itself: twice what its newest row speaks of, and never less than a week.
_LEAST_STALE_DAYS = 7


class Tally(StrEnum):
    """What a metric's values come to: SUM over a period, or LATEST as they were told last."""

    SUM = "sum"
    LATEST = "latest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """A limit as it is written.

    Attributes:
        text: the whole. ratio: the share (0.03), None for an amount for each. each: the amount for one ("0.06 USD").
        of: the metric or the budget, as written.
    """

    text: str
    of: str
    ratio: Fraction | None = None
    each: Limit | None = None

    @property
    def tally(self) -> Tally:
        """What is meant where the policy does not say."""
        return Tally.SUM if self.ratio is not None else Tally.LATEST


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricRule:
    """`[plan.metrics.NAME]`: how a metric counts; None follows the sentence, and the newest row."""

    tally: Tally | None = None
    stale_days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What a limit came to.

    Attributes:
        budget: its name. text: as written. limit: what holds. how: the arithmetic, or why the fallback holds.
        metric: the metric it follows (None for a share of a budget). known_to: the last day that metric speaks of.
        age_days: since that day; is_stale: it is older than it should be. is_fallback: no number was to be had.
    """

    budget: str
    text: str
    limit: Limit
    how: str
    metric: str | None = None
    known_to: date | None = None
    age_days: int | None = None
    is_stale: bool = False
    is_fallback: bool = False


def read_following(value: object, *, key: str = "limit") -> Following | None:
    """The limit as one that follows; None for a plain one.

    Raises:
        PolicyError: naming `key`: no share above 0 and up to 100 %, no amount for each.
    """
    if not isinstance(value, str):
        return None
    if found := _SHARE.match(value):
        return Following(text=value.strip(), of=found[2], ratio=_ratio(found[1], value, key))
    if found := _EACH.match(value):
        return Following(text=value.strip(), of=found[2], each=parse_limit(found[1], key=key))
    return None


def _ratio(text: str, value: str, key: str) -> Fraction:
    try:
        share = Decimal(text.replace(",", "")) / 100
    except InvalidOperation:
        share = Decimal(-1)
    if not share.is_finite() or not 0 < share <= 1:
        raise PolicyError(
            key=key, expected=f'expected a share above 0 and up to 100 %, such as "3 % of revenue", got {value!r:.80}'
        )
    return Fraction(share)


def share_of(budget: str, following: Following, other: str, limit: Limit) -> Resolved:
    """A share of another budget's limit, rounded down: never more than that limit."""
    ratio = following.ratio or Fraction(1)
    found = Limit(int(ratio * limit.amount), limit.unit)
    return Resolved(budget=budget, text=following.text, limit=found, how=f"{_per_cent(ratio)} of {other} ({limit}) = {found}")


def of_metric(
    budget: str, following: Following, period: Period, feature: str | None, book: MetricBook,
    rules: Mapping[str, MetricRule], fallback: Limit, calendar: Calendar, today: date,
) -> Resolved:  # fmt: skip
    """What a limit that follows a metric comes to today; the fallback where the metric is not known."""
    name = book.find(following.of)
    rule = rules.get(name, MetricRule())
    rows = book.series(name, feature)
    tally = rule.tally or following.tally
    value, what = _value(rows, tally, period, calendar, today) if rows else (None, "it was never imported")
    known_to = watermark(rows, calendar)
    age = None if known_to is None else max((today - known_to).days, 0)
    newest = max((span_of(row, calendar) for row in rows), key=lambda span: span.end_day, default=None)
    most = rule.stale_days or max(_LEAST_STALE_DAYS, 2 * len(newest.days) if newest else 0)
    whose = f"{name} of {feature}" if feature else name
    if value is None:
        limit, how = fallback, f"fallback {fallback}: no {whose} is known ({what})"
    else:
        limit = _limit(following, value)
        how = f"{_written(following)} {whose} {_number(value)} ({what}) = {limit}"
    return Resolved(
        budget=budget, text=following.text, limit=limit, how=how, metric=whose, known_to=known_to, age_days=age,
        is_stale=age is not None and age > most, is_fallback=value is None,
    )  # fmt: skip


def _value(rows: Sequence[Metric], tally: Tally, period: Period, calendar: Calendar, today: date) -> tuple[Fraction | None, str]:
    """What a metric comes to for a period, and how that is said."""
    if tally is Tally.LATEST:
        found = latest(rows)
        return (None, "it was never imported") if found is None else (found[0], f"as of {found[1]}")
    kind = "month" if period is Period.MONTH else "week"
    window = _last_known(rows, kind, calendar, today)
    if window is None:
        return None, f"no whole {kind} of it was imported"
    total = total_in(rows, window, calendar)
    if total is None:  # pragma: no cover - the window was chosen for being known
        return None, f"no whole {kind} of it was imported"
    return (total / 7, f"a day of {window.name}") if period is Period.DAY else (total, window.name)


def _last_known(rows: Sequence[Metric], kind: str, calendar: Calendar, today: date) -> Window | None:
    """The last window of a kind that is over and that every day is known of."""
    oldest = min(row.day for row in rows)
    window = calendar.before(calendar.of_kind(kind, today), kind)
    while window.end_day > oldest:
        if total_in(rows, window, calendar) is not None:
            return window
        window = calendar.before(window, kind)
    return None


def _limit(following: Following, value: Fraction) -> Limit:
    """Rounded down, between nothing and what an account can hold."""
    if following.each is not None:
        amount, unit = following.each.amount * value, following.each.unit
    else:
        amount, unit = (following.ratio or Fraction(0)) * value * Unit.USD.scale, Unit.USD
    return Limit(min(max(int(amount), 0), MAX_AMOUNT), unit)


def _written(following: Following) -> str:
    if following.each is not None:
        return f"{show_amount(following.each.amount, following.each.unit)} x"
    return f"{_per_cent(following.ratio or Fraction(0))} of"


def _per_cent(ratio: Fraction) -> str:
    return f"{float(ratio * 100):.10g} %"


def _number(value: Fraction) -> str:
    return f"{value.numerator:,}" if value.denominator == 1 else f"{float(value):,.2f}"
