"""Reports: pure functions over the ledger's rows."""

from runguard_core.money import usd_text as usd
from runguard_core.reports._anomalies import EpisodeRow, day_of, episode_json, episode_rows, feature_days
from runguard_core.reports._documents import (
    account_json,
    call_json,
    event_json,
    explained_json,
    grade_json,
    latch_json,
    session_json,
    spend_json,
)
from runguard_core.reports._explaining import Explained, OriginCost, RunExplained, Turn, explain, part_costs
from runguard_core.reports._grading import Grade, Sign, grade
from runguard_core.reports._spending import (
    NONE_KEY,
    SPECIAL_KEYS,
    SessionRow,
    Spend,
    dead_tails,
    dimension,
    sessions,
    spend_rows,
    spending,
    total,
    whole,
)

__all__ = [
    "NONE_KEY",
    "SPECIAL_KEYS",
    "EpisodeRow",
    "Explained",
    "Grade",
    "OriginCost",
    "RunExplained",
    "SessionRow",
    "Sign",
    "Spend",
    "Turn",
    "account_json",
    "call_json",
    "day_of",
    "dead_tails",
    "dimension",
    "episode_json",
    "episode_rows",
    "event_json",
    "explain",
    "explained_json",
    "feature_days",
    "grade",
    "grade_json",
    "latch_json",
    "part_costs",
    "session_json",
    "sessions",
    "spend_json",
    "spend_rows",
    "spending",
    "total",
    "usd",
    "whole",
]
