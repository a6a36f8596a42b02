"""`[retention]` and `[privacy]` of the policy file."""

from __future__ import annotations

from pydantic import Field

from runguard_core.policy._table import Table


class RetentionTable(Table):
    """`[retention]`: how long rows are kept."""

    calls_days: int | None = Field(
        default=None,
        ge=42,
        description="`runguard prune` drops rows of calls after so many days; baselines read 42",
    )


class PrivacyTable(Table):
    """`[privacy]`: what is not kept as it came."""

    hash_users: bool = Field(default=False, description="users' ids are kept as digests under the ledger's key")
