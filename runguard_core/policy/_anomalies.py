"""`[anomalies]` of the policy file, as the guard takes it."""

from __future__ import annotations

from datetime import timedelta

from runguard_core.anomalies import Gravity, WatchRules
from runguard_core.budgets import Mode
from runguard_core.errors import InvalidAmountError, PolicyError
from runguard_core.finops.owners import spend_of
from runguard_core.guard import AnomalyRules, zone_of
from runguard_core.money import usd_to_nanos
from runguard_core.policy._calendar import calendar_of
from runguard_core.policy._escalation import planned_of
from runguard_core.policy._schema import PolicyFile


def anomaly_rules(content: PolicyFile, idle: timedelta) -> AnomalyRules:
    """How spend is watched; `idle` is after how long without a call a session is finished.

    Raises:
        PolicyError: `min_impact_usd` is no amount, or a planned window ends before it begins.
    """
    table = content.anomalies
    try:
        impact = usd_to_nanos(table.min_impact_usd)
    except InvalidAmountError:
        expected = f'expected USD such as "1", got {table.min_impact_usd!r:.80}'
        raise PolicyError(key="anomalies.min_impact_usd", expected=expected) from None
    calendar = calendar_of(content.calendar, zone_of(content.timezone))
    watch = WatchRules(
        sensitivity=table.sensitivity, min_history_sessions=table.min_history_sessions,
        min_history_days=table.min_history_days, min_impact_nanos=impact, idle_seconds=idle.total_seconds(),
        planned=spend_of(planned_of(content.planned, calendar)),
    )  # fmt: skip
    trip = None if table.trip == "none" else Gravity(table.trip)
    mode = None if table.mode is None else Mode(table.mode)
    return AnomalyRules(mode=mode, watch=watch, trip=trip, trip_feature=table.trip_feature)
