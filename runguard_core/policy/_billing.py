"""`[billing]` of the policy file."""

from __future__ import annotations

from runguard_core.policy._table import Table


class BillingTable(Table):
    """`[billing]`: whose the keys and projects on a bill are."""
