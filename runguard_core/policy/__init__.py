"""`runguard.toml` and RUNGUARD_* variables to a checked policy, and from there to a guard."""

from runguard_core.policy._policy import Policy, load_policy
from runguard_core.policy._schema import policy_schema
from runguard_core.policy._starter import STARTER

__all__ = ["STARTER", "Policy", "load_policy", "policy_schema"]
