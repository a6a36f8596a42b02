"""The engine: the only place that puts prices, budgets, detectors, breaker and store together."""

from runguard_core.guard._ambient import current_session
from runguard_core.guard._anomaly_events import FiledEpisode, anomaly_event, episode_facts, filed_episodes, label_event
from runguard_core.guard._anomaly_rules import AnomalyRules
from runguard_core.guard._attribution_rules import AttributionRule, OnWrong
from runguard_core.guard._building import load_refreshed_prices, price_file, rules_of, zone_of
from runguard_core.guard._callback import BudgetExceeded
from runguard_core.guard._child import Child
from runguard_core.guard._dispatcher import Listener
from runguard_core.guard._guard import Guard
from runguard_core.guard._installing import restored_afterwards
from runguard_core.guard._reservation import Reservation
from runguard_core.guard._rules import OnStoreError, QuoteMode, Rules, Unpriced
from runguard_core.guard._session import Session
from runguard_core.guard._settling import is_unbilled_status

__all__ = [
    "AnomalyRules",
    "AttributionRule",
    "BudgetExceeded",
    "Child",
    "FiledEpisode",
    "Guard",
    "Listener",
    "OnStoreError",
    "OnWrong",
    "QuoteMode",
    "Reservation",
    "Rules",
    "Session",
    "Unpriced",
    "anomaly_event",
    "current_session",
    "episode_facts",
    "filed_episodes",
    "is_unbilled_status",
    "label_event",
    "load_refreshed_prices",
    "price_file",
    "restored_afterwards",
    "rules_of",
    "zone_of",
]
