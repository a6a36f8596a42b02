"""`runguard.toml` and RUNGUARD_* variables to a checked policy, and from there to a guard."""

from runguard_core.policy._charging import charging_rules
from runguard_core.policy._metrics import metrics_at, metrics_of
from runguard_core.policy._notes import notes
from runguard_core.policy._plan import share_of_text, usd_of
from runguard_core.policy._policy import Policy, load_policy
from runguard_core.policy._schema import policy_schema
from runguard_core.policy._starter import STARTER
from runguard_core.policy._varying import Change, changes, sweep_values, with_value

__all__ = [
    "STARTER",
    "Change",
    "Policy",
    "changes",
    "charging_rules",
    "load_policy",
    "metrics_at",
    "metrics_of",
    "notes",
    "policy_schema",
    "share_of_text",
    "sweep_values",
    "usd_of",
    "with_value",
]
