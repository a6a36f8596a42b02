"""Limits of `[[budgets]]` that follow another budget or a metric, as plain numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from runguard_core.budgets import Limit, Period, parse_limit
from runguard_core.errors import PolicyError
from runguard_core.finops import Calendar
from runguard_core.finops.planning import Following, MetricBook, MetricRule, Resolved, of_metric, read_following, share_of
from runguard_core.policy._schema import BudgetTable

#: Periods that a metric can be held against: what comes in per hour or in a lifetime nobody tells.
_PERIODS = frozenset({Period.DAY, Period.WEEK, Period.MONTH})


class Limits:
    """Every budget's limit as a plain one; budgets that are followed are worked out first."""

    def __init__(
        self, tables: Sequence[BudgetTable], rules: Mapping[str, MetricRule], calendar: Calendar,
        book: MetricBook, today: date | None,
    ) -> None:  # fmt: skip
        """Take the tables.

        Args:
            rules: how metrics count. book: the metrics; today: the local date; None asks no metric, so that fallbacks hold.
        """
        self._tables, self._rules, self._calendar, self._book, self._today = tables, rules, calendar, book, today
        self._places = {table.name: index for index, table in enumerate(tables)}
        self._found: dict[int, Limit] = {}
        self._open: list[str] = []
        self.resolved: dict[int, Resolved] = {}

    def limit(self, index: int) -> Limit:
        """The limit of a budget by its place in the file.

        Raises:
            PolicyError: naming the key: no limit, a circle of shares, a metric without a fallback.
        """
        if index not in self._found:
            table, key = self._tables[index], f"budgets.{index}"
            following = read_following(table.limit, key=f"{key}.limit")
            if following is None:
                if table.fallback is not None:
                    expected = 'only a limit that follows a metric has one ("3 % of revenue")'
                    raise PolicyError(key=f"{key}.fallback", expected=expected)
                self._found[index] = parse_limit(table.limit, key=f"{key}.limit")
            else:
                found = self._followed(table, following, key)
                self.resolved[index], self._found[index] = found, found.limit
        return self._found[index]

    def _followed(self, table: BudgetTable, following: Following, key: str) -> Resolved:
        other = self._places.get(following.of)
        if other is not None and following.ratio is not None:
            return self._share(table, following, other, key)
        fallback = self._fallback(table, following, key)
        try:
            period = Period(table.period)
        except ValueError:
            raise PolicyError(key=f"{key}.period", expected=f"expected day, week or month, got {table.period!r:.80}") from None
        return of_metric(
            table.name, following, period, table.where.get("feature"), self._book if self._today else MetricBook(), self._rules,
            fallback, self._calendar, self._today or date(1, 1, 1),
        )  # fmt: skip

    def _share(self, table: BudgetTable, following: Following, other: int, key: str) -> Resolved:
        its = self._tables[other]
        if table.name in self._open or other == self._places[table.name]:
            circle = " -> ".join([*self._open, table.name, following.of] if not self._open else [*self._open, table.name])
            raise PolicyError(key=f"{key}.limit", expected=f"expected a share that does not follow itself: {circle}")
        if table.period != its.period:
            raise PolicyError(
                key=f"{key}.period", expected=f"expected {its.period!r}, as {its.name!r} has: a share is of the same period"
            )
        if table.fallback is not None:
            raise PolicyError(key=f"{key}.fallback", expected="a share of a budget needs none; the budget itself may have one")
        self._open.append(table.name)
        found = share_of(table.name, following, its.name, self.limit(other))
        self._open.pop()
        return found

    def _fallback(self, table: BudgetTable, following: Following, key: str) -> Limit:
        """The fallback, and all that a limit of a metric must be."""
        if table.fallback is None:
            known = ", ".join(repr(name) for name in self._places if name != table.name) or "none"
            raise PolicyError(
                key=f"{key}.fallback",
                expected=f'expected a limit such as "50 USD", for as long as the metric {following.of!r} is not known '
                f"(no other budget has that name; known: {known})",
            )
        fallback = parse_limit(table.fallback, key=f"{key}.fallback")
        unit = parse_limit("0 USD").unit if following.each is None else following.each.unit
        if fallback.unit is not unit:
            expected = f"expected {unit.value}, as the limit has, got {table.fallback!r:.80}"
            raise PolicyError(key=f"{key}.fallback", expected=expected)
        if table.per or table.period not in {period.value for period in _PERIODS}:
            at = "per" if table.per else "period"
            why = (
                "a limit that follows a metric is one number for all: choose with where, or give each a share of this budget"
                if table.per
                else f"expected day, week or month for a limit that follows a metric, got {table.period!r:.80}"
            )
            raise PolicyError(key=f"{key}.{at}", expected=why)
        if table.landing is not None and not str(table.landing).strip().endswith("%"):
            raise PolicyError(key=f"{key}.landing", expected='expected a share such as "2 %": the limit moves')
        return fallback


def is_tighter(old: object, new: object) -> bool | None:
    """Whether a limit that follows is no more than another one that follows the same; None where neither follows."""
    before, after = read_following(old), read_following(new)
    if before is None and after is None:
        return None
    if before is None or after is None or before.of.lower() != after.of.lower():
        return False
    if before.ratio is not None and after.ratio is not None:
        return after.ratio <= before.ratio
    if before.each is not None and after.each is not None:
        return after.each.unit is before.each.unit and after.each.amount <= before.each.amount
    return False
