"""`Plan`: what the calls of one owner ask of every budget, worked out once and good until a window ends or a limit changes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from runguard_core.budgets._budget import Budget
from runguard_core.budgets._part import Part, series_of
from runguard_core.ledger import Account, Hold, LimitOverride, Unit
from runguard_core.values import value

#: The end of a plan that no window and no override ends.
NEVER = datetime.max.replace(tzinfo=UTC)


@value()
class Claim:
    """A hold and the budget it comes from."""

    budget: Budget
    hold: Hold


@value()
class Share:
    """One budget's part in a plan: its account, the limit that refuses (None: observed), and the one that is shown."""

    budget: Budget
    account: Account
    limit: int | None
    shown_limit: int


class Plan:
    """The accounts an owner's calls touch. Two budgets on one account hold once, under the tighter limit.

    Attributes:
        shares: in the order of the budgets.
        is_quiet: no budget has anything to say of a call that fits: no thresholds, nothing observed.
    """

    __slots__ = ("_ends_at", "_epoch", "_legs", "_overrides", "is_quiet", "shares")

    def __init__(self, shares: list[Share], ends_at: datetime, epoch: int, overrides: Mapping[str, LimitOverride]) -> None:
        """Made by `BudgetBook.plan`."""
        self.shares = tuple(shares)
        self.is_quiet = all(share.limit is not None and not share.budget.thresholds for share in shares)
        self._ends_at, self._epoch, self._overrides = ends_at, epoch, overrides
        legs: dict[str, tuple[Account, Unit, int | None, int]] = {}
        for share in shares:
            leg = (share.account, share.account.unit, share.limit, share.shown_limit)
            known = legs.get(share.account.key)
            legs[share.account.key] = leg if known is None else _tighter(known, leg)
        self._legs = tuple(legs.values())

    def holds_at(self, at: datetime, epoch: int, overrides: Mapping[str, LimitOverride]) -> bool:
        """Whether it is still good: same windows (`epoch` counts those opened), same overrides (stores replace, never change)."""
        same = overrides is self._overrides or not (overrides or self._overrides)
        return same and at < self._ends_at and epoch == self._epoch

    def within(self, part: Part, *, enforce: bool = True) -> Plan:
        """The same for a sub-agent's calls: its part, first, in place of the accounts that the part stands for."""
        rest = [share for share in self.shares if series_of(share.account) not in part.covers]
        own = Share(part.budget, part.account, part.limit if part.is_enforced and enforce else None, part.limit)
        return Plan([own, *rest], self._ends_at, self._epoch, self._overrides)

    def holds(self, amounts: Mapping[Unit, int]) -> tuple[Hold, ...]:
        """What to set aside for a call that asks for these amounts: one hold per account."""
        found = []
        for account, unit, limit, shown_limit in self._legs:
            amount = amounts.get(unit)
            if amount is not None:
                found.append(Hold(account, amount, limit, shown_limit))
        return tuple(found)

    def claims(self, amounts: Mapping[Unit, int]) -> list[Claim]:
        """The same, one for each budget: for messages, which name it."""
        return [
            Claim(share.budget, Hold(share.account, amounts[share.account.unit], share.limit, share.shown_limit))
            for share in self.shares
            if share.account.unit in amounts
        ]


def _tighter(
    one: tuple[Account, Unit, int | None, int], other: tuple[Account, Unit, int | None, int]
) -> tuple[Account, Unit, int | None, int]:
    limits = [limit for limit in (one[2], other[2]) if limit is not None]
    return (one[0], one[1], min(limits, default=None), min(one[3], other[3]))
