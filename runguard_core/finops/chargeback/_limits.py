"""What remains of teams' budgets, and which budgets would have stopped an overrun."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from runguard_core.budgets import Budget, Mode, Period
from runguard_core.events import CALL_REFUSED, WOULD_REFUSE
from runguard_core.finops.chargeback._rules import ChargeMode
from runguard_core.finops.chargeback._statement import LineKind, Statement
from runguard_core.ledger import Event, Unit
from runguard_core.money import format_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """A budget that limits a team's calls.

    Attributes:
        budget: its name. limit: for people, with its period and what splits it. mode: enforce, observe or off.
        refused_count: calls of the team's features that it refused in the period; would_count: sessions that it would have.
    """

    budget: str
    limit: str
    mode: Mode
    refused_count: int = 0
    would_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamLimit:
    """A team's month against its budget.

    Attributes:
        budget, limit_nanos: the monthly budget of the team in the policy; None where there is none.
        charged_nanos: what the statement says.
        remaining_nanos: what is left after it is taken off; None in showback, where nothing is taken off, and without a budget.
        watching: budgets of the policy that limit the team's calls.
        sentence: on an overrun, what would have stopped it; else "".
    """

    budget: str | None = None
    limit_nanos: int | None = None
    charged_nanos: int = 0
    remaining_nanos: int | None = None
    watching: tuple[Watching, ...] = ()
    sentence: str = ""


def team_limit(
    statement: Statement, mode: ChargeMode, budgets: Sequence[Budget], default: Mode, stops: Iterable[Event]
) -> TeamLimit:
    """What a team's budgets say of its statement.

    Args:
        budgets, default: of the policy; a budget without a mode has the default one.
        stops: refusals of the period, real ones and those of observed budgets.
    """
    team = statement.party.name
    budget = team_budget(team, budgets)
    watching = _watching(statement, budgets, default, tuple(stops))
    if budget is None:
        return TeamLimit(charged_nanos=statement.nanos, watching=watching)
    limit = budget.limit.amount
    left = limit - statement.nanos if mode is ChargeMode.CHARGEBACK else None
    said = _sentence(statement, budget, budget.mode or default) if statement.nanos > limit else ""
    return TeamLimit(
        budget=budget.name,
        limit_nanos=limit,
        charged_nanos=statement.nanos,
        remaining_nanos=left,
        watching=watching,
        sentence=said,
    )


def team_budget(team: str, budgets: Iterable[Budget]) -> Budget | None:
    """The USD budget of a team's month: one that names the team before one that is split by teams, of several the lowest."""
    found = [
        budget
        for budget in budgets
        if budget.limit.unit is Unit.USD
        and budget.period is Period.MONTH
        and (dict(budget.where), budget.per) in (({"team": team}, ()), ({"team": team}, ("team",)), ({}, ("team",)))
    ]
    return min(found, key=lambda budget: (not budget.where, budget.limit.amount, budget.name), default=None)


def _watching(statement: Statement, budgets: Iterable[Budget], default: Mode, stops: Sequence[Event]) -> tuple[Watching, ...]:
    features = set(statement.features)
    its = [event for event in stops if (event.feature or event.app) in features]
    found = []
    for budget in budgets:
        if _may_limit(budget, statement.party.name, features):
            kinds = [event.kind for event in its if event.facts.get("budget") == budget.name]
            found.append(Watching(
                budget=budget.name, limit=_in_words(budget), mode=budget.mode or default,
                refused_count=kinds.count(CALL_REFUSED), would_count=kinds.count(WOULD_REFUSE),
            ))  # fmt: skip
    return tuple(found)


def _in_words(budget: Budget) -> str:
    """As in "5.00 USD a day per feature"."""
    span = f" a {budget.period.value}" if budget.period.is_calendar else ""
    per = f" per {', '.join(budget.per)}" if budget.per else ""
    return f"{budget.limit}{span}{per}"


def _may_limit(budget: Budget, team: str, features: set[str]) -> bool:
    """Whether some call of the team can be one of the budget's."""
    where = dict(budget.where)
    return where.get("team", team) == team and ("feature" not in where or where["feature"] in features)


def _sentence(statement: Statement, budget: Budget, mode: Mode) -> str:
    """A budget stops what a team itself calls; shared parts, residuals and corrections reach no call."""
    limit, direct = budget.limit.amount, statement.nanos_of(LineKind.DIRECT)
    over, its = format_usd(statement.nanos - limit), f"{budget.name!r} ({format_usd(limit)})"
    if direct <= limit:
        return f"{over} over {its}: no budget on its calls would have stopped it, its own calls cost {format_usd(direct)}"
    own = f"{format_usd(direct - limit)} of it"
    if mode is Mode.ENFORCE:
        return (
            f"{over} over {its}, {own} by its own calls: it is enforced now, so it was raised, is newer, or was overrun in flight"
        )
    return f"{over} over {its}: enforced, that budget would have stopped {own}; it is in mode {mode.value}"
