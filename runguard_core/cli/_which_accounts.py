"""Which accounts of a ledger a person means: by budget, dimensions, and whether they refused a call."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from runguard_core.budgets import Limit
from runguard_core.cli._reading import budget_name
from runguard_core.events import CALL_REFUSED
from runguard_core.ledger import AccountRow, EventFilter, Store
from runguard_core.policy import Policy


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for; None means any.

    Attributes:
        limit: the new limit; only accounts of its unit are meant.
        budget: its name. refused_since: it refused a call since then. dimensions: what it is split by, or what it is of.
    """

    limit: Limit
    budget: str | None
    refused_since: datetime | None
    dimensions: Mapping[str, str]


def wanted_accounts(store: Store, policy: Policy, wanted: Wanted, now: datetime) -> list[tuple[str | None, AccountRow]]:
    """Accounts whose window has not ended, with their budgets' names, by title."""
    refused: set[str] | None = None
    if wanted.refused_since is not None:
        events = store.events(EventFilter(kinds=(CALL_REFUSED,), since=wanted.refused_since))
        refused = {str(event.facts.get("account")) for event in events}
    found = []
    for row in store.accounts():
        account = row.account
        is_live = account.window_end is None or account.window_end > now
        if is_live and account.unit is wanted.limit.unit and (refused is None or account.key in refused):
            name = budget_name(row, policy)
            if wanted.budget in {None, name} and wanted.dimensions.items() <= dimensions_of(account.key).items():
                found.append((name, row))
    return found


def dimensions_of(key: str) -> dict[str, str | None]:
    """What an account's key says that it is of: `where` and split values; nothing of a sub-agent's part."""
    try:
        _, where, split, *rest = json.loads(key)
        return {str(name): value for name, value in (*where, *split)} if rest else {}
    except (ValueError, TypeError):
        return {}
