"""`[alerts]` of the policy file."""

from __future__ import annotations

from runguard_core.policy._table import Table


class AlertsTable(Table):
    """`[alerts]`: where alerts go."""
