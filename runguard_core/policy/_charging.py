"""`[chargeback]` of the policy file."""

from __future__ import annotations

from runguard_core.policy._table import Table


class ChargebackTable(Table):
    """`[chargeback]`: how spend is charged to teams."""
