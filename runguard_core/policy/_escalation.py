"""`[escalation]` and `[[planned]]` of the policy file."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from pydantic import Field

from runguard_core.budgets import Budget, Period
from runguard_core.errors import InvalidAmountError, PolicyError
from runguard_core.finops import Calendar
from runguard_core.finops.owners import Ladder, Planned, Rung
from runguard_core.ledger import Unit
from runguard_core.money import usd_to_nanos
from runguard_core.policy._table import Amount, Table

_DEFAULT = Ladder()
_TIMES = "from so many times on somebody is told; 0: always"
_TO = 'roles ("owner", "deputy", "lead", "executive"), contacts or addresses: exactly these'
_MONTH_DAYS = 30


class RungTable(Table):
    """`[escalation.LEVEL]`: when somebody is told, and who."""

    times: float | None = Field(default=None, ge=0, description=_TIMES)
    to: str | list[str] | None = Field(default=None, description=_TO)
    off: bool = Field(default=False, description="nobody is told")

    def rung(self, default: Rung) -> Rung:
        """With what it leaves open taken from the default."""
        to = default.to if self.to is None else (self.to,) if isinstance(self.to, str) else tuple(self.to)
        times = default.times if self.times is None else self.times
        return Rung(times=None if self.off else times, to=to)


class EscalationTable(Table):
    """`[escalation]`: who hears of what."""

    unowned: str = Field(default="", description="a contact or an address: who hears of what nobody owns")
    week_budget: Amount | None = Field(
        default=None, description='"1000 USD" for the app\'s week; else by its own budget a week, month or day'
    )
    session: RungTable = Field(default=RungTable(), description="a session against its baseline: 5 times, to the owner")
    feature: RungTable = Field(default=RungTable(), description="any other episode of a feature: always, to the owner")
    feature_day: RungTable = Field(default=RungTable(), description="a feature's day against a usual one: 3 times, to the lead")
    product_week: RungTable = Field(
        default=RungTable(), description="the app's week, projected, against its budget: 2 times, to the executive"
    )
    burst: RungTable = Field(
        default=RungTable(), description="an agent's 30 minutes against its team's usual week: 1 time, to owner and lead"
    )
    trip: RungTable = Field(default=RungTable(), description="runs that were stopped: always, to the owner")


class PlannedTable(Table):
    """`[[planned]]`: a window in which more is spent on purpose."""

    feature: str | None = Field(default=None, description="whose; left out: everybody's")
    from_: date = Field(alias="from", strict=False, description="first day")
    until: date = Field(strict=False, description="first day that is usual again")
    factor: float = Field(ge=1, le=1000, description="so many times the usual is no anomaly then")
    reason: str = Field(min_length=1, description="for whoever asks later")
    release_days: int = Field(default=1, ge=0, le=366, description="so many days before, the planning reserve is free for it")


def ladder_of(table: EscalationTable, budgets: Iterable[Budget], *, min_impact_nanos: int, min_history_days: int) -> Ladder:
    """Who hears of what.

    Raises:
        PolicyError: an amount that is none.
    """
    names = ("session", "feature", "feature_day", "product_week", "burst", "trip")
    rungs = {name: getattr(table, name).rung(getattr(_DEFAULT, name)) for name in names}
    return Ladder(
        **rungs, unowned=table.unowned, week_budget_nanos=_week_budget(table, budgets), min_impact_nanos=min_impact_nanos,
        min_history_days=min_history_days,
    )  # fmt: skip


def _week_budget(table: EscalationTable, budgets: Iterable[Budget]) -> int | None:
    """The app's budget for a week: as named, else by its tightest USD budget that counts everything."""
    if table.week_budget is not None:
        try:
            return usd_to_nanos(str(table.week_budget).removesuffix("USD").strip())
        except InvalidAmountError:
            expected = f'expected USD such as "1000 USD", got {table.week_budget!r:.80}'
            raise PolicyError(key="escalation.week_budget", expected=expected) from None
    weeks = {Period.WEEK: (1, 1), Period.MONTH: (7, _MONTH_DAYS), Period.DAY: (7, 1)}
    whole = [b for b in budgets if not b.per and not b.where and b.limit.unit is Unit.USD]
    for period, (times, parts) in weeks.items():
        found = [b.limit.amount * times // parts for b in whole if b.period is period]
        if found:
            return min(found)
    return None


def planned_of(tables: Iterable[PlannedTable], calendar: Calendar) -> tuple[Planned, ...]:
    """Planned windows, in the order of the file.

    Raises:
        PolicyError: a window that ends before it begins.
    """
    found = []
    for number, table in enumerate(tables):
        if table.until <= table.from_:
            expected = f"expected a day after {table.from_}: it is the first day that is usual again"
            raise PolicyError(key=f"planned.{number}.until", expected=expected)
        window = calendar.window(f"{table.from_} to {table.until}", table.from_, table.until)
        found.append(
            Planned(
                feature=table.feature, window=window, factor=table.factor, reason=table.reason, release_days=table.release_days
            )
        )
    return tuple(found)
