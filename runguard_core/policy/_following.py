"""Limits of `[[budgets]]` that follow another budget or a metric, as plain numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from runguard_core.attribution import DIMENSIONS
from runguard_core.budgets import Limit, Period, parse_limit
from runguard_core.errors import PolicyError
from runguard_core.finops import Calendar
from runguard_core.finops.planning import Following, MetricBook, MetricRule, Plan, Resolved, of_metric, read_following, share_of
from runguard_core.ledger import Unit
from runguard_core.policy._schema import BudgetTable

#: Periods that a metric can be held against: what comes in per hour or in a lifetime nobody tells.
_PERIODS = frozenset({Period.DAY, Period.WEEK, Period.MONTH})
#: What a share may be of, where no budget is called so.
_PLAN = "plan"


class Limits:
    """Every budget's limit as a plain one; budgets that are followed are worked out first."""

    def __init__(
        self, tables: Sequence[BudgetTable], rules: Mapping[str, MetricRule], calendar: Calendar,
        book: MetricBook, today: date | None, plan: Plan,
    ) -> None:  # fmt: skip
        """Take the tables.

        Args:
            plan: what shares of it are shares of.
            rules: how metrics count. book: the metrics; today: the local date; None asks no metric, so that fallbacks hold.
        """
        self._tables, self._rules, self._calendar, self._book, self._today = tables, rules, calendar, book, today
        self._plan = plan
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
            if table.fallback is not None:  # a plain limit laid over one that follows needs none, but no nonsense either
                parse_limit(table.fallback, key=f"{key}.fallback")
            if following is None:
                self._found[index] = parse_limit(table.limit, key=f"{key}.limit")
            else:
                found = self._followed(table, following, key)
                self.resolved[index], self._found[index] = found, found.limit
        return self._found[index]

    def _followed(self, table: BudgetTable, following: Following, key: str) -> Resolved:
        other = self._places.get(following.of)
        if other is not None and following.ratio is not None:
            return self._share(table, following, other, key)
        if following.ratio is not None and following.of.lower() == _PLAN:
            return self._of_plan(table, following, key)
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
        self._open.append(table.name)
        found = share_of(table.name, following, its.name, self.limit(other))
        self._open.pop()
        return found

    def _of_plan(self, table: BudgetTable, following: Following, key: str) -> Resolved:
        """A share of a month's plan: of the feature that the budget is of, else of the total."""
        if table.period != Period.MONTH.value or table.per:
            at = "per" if table.per else "period"
            why = "a plan is one number: choose a feature with where" if table.per else "expected 'month', as a plan is of"
            raise PolicyError(key=f"{key}.{at}", expected=why)
        feature = table.where.get("feature")
        part = self._plan.features.get(feature or "")
        nanos, place = self._plan.total_nanos, "plan.total"
        if feature is not None:
            nanos, place = part.nanos if part is not None else None, f"plan.features.{feature}"
        if nanos is None:
            raise PolicyError(key=place, expected=f"expected an amount of a month: the budget {table.name!r} follows it")
        return share_of(table.name, following, place, Limit(nanos, Unit.USD))

    def _fallback(self, table: BudgetTable, following: Following, key: str) -> Limit:
        """The fallback, and all that a limit of a metric must be."""
        if table.fallback is None:
            self._refuse_dimension(following, key)
            known = ", ".join(repr(name) for name in self._places if name != table.name) or "none"
            raise PolicyError(
                key=f"{key}.fallback",
                expected=f'expected a limit such as "50 USD", for as long as the metric {following.of!r} is not known '
                f"(no other budget has that name; known: {known})",
            )
        fallback = parse_limit(table.fallback, key=f"{key}.fallback")
        unit = Unit.USD if following.each is None else following.each.unit
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

    @staticmethod
    def _refuse_dimension(following: Following, key: str) -> None:
        """Limits such as "0.50 USD per session" are plain ones, split; "20 USD per day" is one of a period."""
        word = following.of.lower()
        if following.each is None or word not in {*DIMENSIONS, *(period.value for period in Period)}:
            return
        plain = following.text[: following.text.lower().rindex(" per ")].strip()
        other = f'per = ["{word}"]' if word in DIMENSIONS else f'period = "{word}"'
        raise PolicyError(key=f"{key}.limit", expected=f'expected limit = "{plain}" and {other}, got {following.text!r:.80}')


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
