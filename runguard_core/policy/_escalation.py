"""`[escalation]` and `[[planned]]` of the policy file."""

from __future__ import annotations

from runguard_core.policy._table import Table


class EscalationTable(Table):
    """`[escalation]`: who hears of what."""


class PlannedTable(Table):
    """`[[planned]]`: a window in which more is spent on purpose."""
