"""`[plan]` of the policy file."""

from __future__ import annotations

from runguard_core.policy._table import Table


class PlanTable(Table):
    """`[plan]`: what is planned to be spent."""
