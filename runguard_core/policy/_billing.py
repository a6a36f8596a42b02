"""`[billing]` of the policy file."""

from __future__ import annotations

from pydantic import Field, model_validator

from runguard_core.finops.bills import BilledKey
from runguard_core.policy._table import Table


class BilledKeyTable(Table):
    """`[billing.keys.NAME]`: a key or project, as the provider names it, and whose it is."""

    provider: str | None = Field(default=None, description='"openai", "anthropic", ...; any when left out')
    ids: list[str] = Field(
        default=[], description='API key, project or workspace ids of bills; "default" is Anthropic\'s default workspace'
    )
    fingerprints: list[str] = Field(default=[], description="of API keys, as calls of the ledger carry them")
    feature: str | None = None
    team: str | None = Field(default=None, description="where no feature is named: all of the team's other features")

    @model_validator(mode="after")
    def _is_somebodys(self) -> BilledKeyTable:
        if self.feature is None and self.team is None:
            message = "expected a feature or a team: whose the key is"
            raise ValueError(message)
        if not self.ids and not self.fingerprints:
            message = "expected ids or fingerprints: how the key is named"
            raise ValueError(message)
        return self


class BillingTable(Table):
    """`[billing]`: whose the keys and projects on a bill are."""

    keys: dict[str, BilledKeyTable] = Field(default={}, description="by a name for readers")

    def billed_keys(self) -> tuple[BilledKey, ...]:
        """As `reconcile` takes them."""
        return tuple([
            BilledKey(
                name=name, provider=it.provider, ids=tuple(it.ids), fingerprints=tuple(it.fingerprints), feature=it.feature,
                team=it.team,
            )
            for name, it in self.keys.items()
        ])  # fmt: skip
