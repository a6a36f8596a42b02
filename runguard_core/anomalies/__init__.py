"""Spend that stands out: baselines of finished sessions, feature-hours and feature-days; one event an episode."""

from runguard_core.anomalies._episodes import Change, Episode, What
from runguard_core.anomalies._looking_back import latest, look_back
from runguard_core.anomalies._planned import PlannedSpend, planned_factor
from runguard_core.anomalies._rules import Gravity, Kind, Label, Thresholds, WatchRules
from runguard_core.anomalies._spent import Spent, moment, spent_by, spent_of
from runguard_core.anomalies._watch import SpendWatch

__all__ = [
    "Change",
    "Episode",
    "Gravity",
    "Kind",
    "Label",
    "PlannedSpend",
    "SpendWatch",
    "Spent",
    "Thresholds",
    "WatchRules",
    "What",
    "latest",
    "look_back",
    "moment",
    "planned_factor",
    "spent_by",
    "spent_of",
]
