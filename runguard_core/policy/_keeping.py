"""`[retention]` and `[privacy]` of the policy file."""

from __future__ import annotations

from runguard_core.policy._table import Table


class RetentionTable(Table):
    """`[retention]`: how long rows are kept."""


class PrivacyTable(Table):
    """`[privacy]`: what is not kept as it came."""
