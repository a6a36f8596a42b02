"""What a ledger says of a period, as far as statements need it: sums by app, feature, team and agent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from runguard_core.attribution import UNATTRIBUTED
from runguard_core.ledger import CallFilter, Store, Total


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendRow:
    """Calls that say the same of themselves.

    Attributes:
        app, feature, team, agent: as the calls carry them; None where they do not ("unattributed" and "" are None too).
        nanos: charged, nano-USD; unsure_nanos: of it estimated or assumed.
        call_count: model calls; token_count: input and output; unpriced_count: calls without a price.
    """

    app: str
    feature: str | None = None
    team: str | None = None
    agent: str | None = None
    nanos: int = 0
    unsure_nanos: int = 0
    call_count: int = 0
    token_count: int = 0
    unpriced_count: int = 0

    def value(self, dimension: str) -> str | None:
        """What the calls carry; KeyError: none of the four dimensions."""
        return {"app": self.app, "feature": self.feature, "team": self.team, "agent": self.agent}[dimension]


def read_rows(store: Store, app: str | None, since: datetime, until: datetime) -> tuple[SpendRow, ...]:
    """Sums of the calls admitted in [since, until), of an app or of all."""
    found = store.totals(("app", "feature", "team", "agent"), CallFilter(app=app, since=since, until=until))
    rows = [_row(key, total) for key, total in found.items()]
    return tuple(sorted(rows, key=lambda row: (row.app, row.feature or "", row.team or "", row.agent or "")))


def _row(key: tuple[str | None, ...], total: Total) -> SpendRow:
    app, feature, team, agent = (None if name in ("", UNATTRIBUTED) else name for name in key)
    return SpendRow(
        app=app or "", feature=feature, team=team, agent=agent, nanos=total.cost_nanos,
        unsure_nanos=total.estimated_nanos + total.assumed_nanos, call_count=total.call_count,
        token_count=total.usage.input_tokens + total.usage.output_tokens, unpriced_count=total.unpriced_count,
    )  # fmt: skip
