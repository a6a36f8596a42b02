"""What the policy's budgets allow a feature in a window: limits of days, weeks and months, scaled to it exactly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from runguard_core.budgets import Budget, Mode, Period
from runguard_core.finops._calendar import Calendar, Window
from runguard_core.ledger import Unit

_SPANS = frozenset({Period.DAY, Period.WEEK, Period.MONTH})


@dataclass(frozen=True, slots=True)
class Allowed:
    """How much may be spent in a window, and by which budget.

    Attributes:
        name: of the budget, or "plan". nanos: in the window, nano-USD.
    """

    name: str
    nanos: int


def allowed(budgets: Iterable[Budget], who: Mapping[str, str], window: Window) -> Allowed | None:
    """The tightest USD budget on the calendar that counts these calls and no others, for the window; None without one.

    Args:
        budgets: of the policy. who: the calls' dimensions ("app", "feature", "team"); without "feature": the whole app.
    """
    found = [Allowed(one.name, scaled(one, window)) for one in budgets if _is_of(one, who)]
    return min(found, key=lambda one: (one.nanos, one.name), default=None)


def scaled(budget: Budget, window: Window) -> int:
    """A budget's limit for a window: days as they are, a week by sevenths, a month by its days; rounded down."""
    limit, days = budget.limit.amount, window.days
    if budget.period is Period.DAY:
        return limit * len(days)
    if budget.period is Period.WEEK:
        return limit * len(days) // 7
    return scaled_months(limit, window)


def scaled_months(nanos: int, window: Window) -> int:
    """An amount a month for a window: its days of each month, rounded down once a month."""
    months: dict[tuple[int, int], int] = {}
    for day in window.days:
        months[day.year, day.month] = months.get((day.year, day.month), 0) + 1
    calendar = Calendar()
    first = {(day.year, day.month): day for day in window.days}
    return sum(nanos * count // len(calendar.month(first[month]).days) for month, count in months.items())


def _is_of(budget: Budget, who: Mapping[str, str]) -> bool:
    if budget.limit.unit is not Unit.USD or budget.period not in _SPANS or budget.mode is Mode.OFF:
        return False
    where = dict(budget.where)
    named = set(where) | set(budget.per)
    return ("feature" in named) == ("feature" in who) and named <= set(who) and where.items() <= who.items()
