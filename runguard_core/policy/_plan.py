"""`[plan]` of the policy file."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Literal

from pydantic import Field

from runguard_core.budgets import parse_limit
from runguard_core.errors import PolicyError
from runguard_core.finops.planning import FeaturePlan, MetricRule, Plan, Tally, metric_name
from runguard_core.ledger import Unit
from runguard_core.money import MAX_AMOUNT
from runguard_core.policy._table import Amount, Table


class PlannedFeatureTable(Table):
    """`[plan.features.NAME]`: of a month; an amount, or sessions x cost of one, or both to compare."""

    usd: Amount | None = Field(default=None, description="what it may cost a month")
    sessions: int | None = Field(default=None, ge=0, description="sessions a month that are expected")
    usd_per_session: Amount | None = Field(default=None, description="what one of them is expected to cost")


class MetricTable(Table):
    """`[plan.metrics.NAME]`: how a metric counts in limits."""

    kind: Literal["sum", "latest"] | None = Field(
        default=None, description='sum over the last whole period ("% of"), or the latest value ("per"); default: by that word'
    )
    stale_days: int | None = Field(default=None, ge=1, description="stale when older; default: twice what a row covers")


class PlanTable(Table):
    """`[plan]`: what is planned to be spent a month."""

    total: Amount | None = Field(default=None, description="of a month, USD")
    reserve: Amount = Field(default="30 %", description="share of the total that is kept for tails")
    features: dict[str, PlannedFeatureTable] = Field(default={})
    metrics: dict[str, MetricTable] = Field(default={})


def plan_of(table: PlanTable) -> Plan:
    """As numbers.

    Raises:
        PolicyError: naming the key and what was expected.
    """
    features = {name: _feature(one, f"plan.features.{name}") for name, one in table.features.items()}
    total = None if table.total is None else usd_of(table.total, "plan.total")
    if total == 0:
        raise PolicyError(key="plan.total", expected="expected more than nothing; leave it out where there is no total")
    return Plan(total_nanos=total, reserve=_reserve(table.reserve), features=features)


def metric_rules_of(table: PlanTable) -> dict[str, MetricRule]:
    """How metrics count, by name."""
    return {
        metric_name(name): MetricRule(tally=None if one.kind is None else Tally(one.kind), stale_days=one.stale_days)
        for name, one in table.metrics.items()
    }


def usd_of(value: object, key: str) -> int:
    """An amount in USD as nano-USD.

    Raises:
        PolicyError: naming the key: another unit, or no amount.
    """
    found = parse_limit(value, key=key)
    if found.unit is not Unit.USD:
        raise PolicyError(key=key, expected=f'expected USD such as "1200 USD", got {value!r:.80}')
    return found.amount


def _feature(table: PlannedFeatureTable, key: str) -> FeaturePlan:
    usd = None if table.usd is None else usd_of(table.usd, f"{key}.usd")
    each = None if table.usd_per_session is None else usd_of(table.usd_per_session, f"{key}.usd_per_session")
    if (table.sessions is None) is not (each is None):
        missing = "usd_per_session" if each is None else "sessions"
        raise PolicyError(key=f"{key}.{missing}", expected="expected a value: sessions and usd_per_session go together")
    if usd is None and each is None:
        raise PolicyError(key=key, expected="expected usd, or sessions and usd_per_session")
    found = FeaturePlan(usd_nanos=usd, session_count=table.sessions, session_nanos=each)
    if found.nanos > MAX_AMOUNT or (found.estimate_nanos or 0) > MAX_AMOUNT:
        raise PolicyError(key=f"{key}.sessions", expected="sessions x usd_per_session is too large")
    return found


def share_of_text(value: object, key: str, *, least: int = 0, most: int = 1) -> Fraction:
    """A share such as "30 %" or 0.3, exactly.

    Args:
        least, most: what it may be, both included.

    Raises:
        PolicyError: naming the key: no number, or out of bounds.
    """
    text = str(value).strip()
    try:
        share = Decimal(text[:-1].strip()) / 100 if text.endswith("%") else Decimal(text)
    except InvalidOperation:
        share = Decimal("NaN")
    if not share.is_finite() or not least <= share <= most:
        expected = f'expected a share such as "30 %" or 0.3, from {least:.0%} to {most:.0%}, got {value!r:.80}'
        raise PolicyError(key=key, expected=expected)
    return Fraction(share)


def _reserve(value: object) -> Fraction:
    share = share_of_text(value, "plan.reserve")
    if share == 1:
        raise PolicyError(key="plan.reserve", expected="expected less than all of it: nothing would be left to plan with")
    return share
