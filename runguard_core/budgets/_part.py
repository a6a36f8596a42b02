"""`Part`: what a parent session has set aside for a sub-agent, in place of the accounts that it came from."""

from __future__ import annotations

import json
from dataclasses import dataclass

from runguard_core.attribution import Attribution
from runguard_core.budgets._budget import Budget
from runguard_core.ledger import Account

#: Where a budget's account key names the first instant of its window; see `account_of`.
_WINDOW = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A sub-agent's part.

    Attributes:
        id: of the entry that holds it, and of the sub-agent's run; name: the sub-agent's; who: its parent.
        budget: its limit, for messages; account: what the sub-agent's calls hold on.
        carved: keys of the accounts that the part is set aside in, until it is closed.
        covers: series of accounts that it stands for: those of `carved`, and those that a parent's own part stands for.
        above: the runs it hangs below, nearest first.
        is_enforced: calls are refused at its limit, not only announced.
    """

    id: str
    name: str
    who: Attribution
    budget: Budget
    account: Account
    carved: tuple[str, ...]
    covers: frozenset[str]
    above: tuple[str, ...]
    is_enforced: bool = True

    @property
    def limit(self) -> int:
        """The most it may spend, in the unit's smallest part."""
        return self.budget.limit.amount


def part_account(app: str, part_id: str, budget: Budget, title: str) -> Account:
    """The account of a part. Found by its id alone, so that anybody can correct what a crash has left of it."""
    return Account(part_key(app, part_id), budget.limit.unit, title)


def part_key(app: str, part_id: str) -> str:
    """The key of a part's account; no budget's key has three parts."""
    return json.dumps([app, "child", part_id], ensure_ascii=True, separators=(",", ":"))


def series_of(account: Account) -> str:
    """The account's key without its window: a part stands for the next day too, it was reserved on this one."""
    if account.window_start is None:
        return account.key
    parts = json.loads(account.key)
    return json.dumps([*parts[:_WINDOW], *parts[_WINDOW + 1 :]], ensure_ascii=True, separators=(",", ":"))
