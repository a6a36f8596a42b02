"""What a policy may say and probably does not mean: told by `runguard policy check`, no reason to refuse it."""

from __future__ import annotations

from datetime import datetime
from difflib import get_close_matches

from runguard_core.attribution import DIMENSIONS
from runguard_core.errors import UnknownModelError
from runguard_core.policy._policy import Policy


def notes(policy: Policy, at: datetime) -> list[str]:
    """One sentence for each: dimensions that look misspelt (every other word is the key of a tag), prices of unknown models."""
    found = [_misspelt("require", key) for key in policy.content.require]
    found += [_misspelt("attribution", key) for key in policy.content.attribution]
    for budget in policy.rules.budgets:
        found += [_misspelt(f"budget {budget.name!r}: where", key) for key, _ in budget.where]
        found += [_misspelt(f"budget {budget.name!r}: per", key) for key in budget.per]
    return [note for note in found if note] + _unpriced(policy, at)


def _misspelt(where: str, key: str) -> str | None:
    if key in DIMENSIONS or key.startswith("tag:"):
        return None
    near = get_close_matches(key, sorted(DIMENSIONS), n=1, cutoff=0.7)
    return f"{where}: {key!r} is read as the key of a tag; did you mean {near[0]!r}?" if near else None


def _unpriced(policy: Policy, at: datetime) -> list[str]:
    found = []
    for model, table in policy.content.prices.items():
        try:
            policy.rules.prices.rates(model, None, at)
        except UnknownModelError:
            found.append(f"prices.{model}: the price list has no {table.same_as!r}, so the model stays without a price")
    return found
