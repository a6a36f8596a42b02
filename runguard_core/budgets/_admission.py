"""budgets + call + quote -> holds: which accounts a call touches and how much it asks of each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

from runguard_core.attribution import DIMENSIONS, Attribution
from runguard_core.budgets._budget import Budget, Mode
from runguard_core.budgets._periods import Period, Window, window
from runguard_core.budgets._plan import NEVER, Claim, Plan, Share
from runguard_core.ledger import Account, LimitOverride, Unit
from runguard_core.values import value

#: Dimensions that change from call to call.
_PASSING = frozenset({"turn", "loop"})
#: Accounts remembered by one book before it starts afresh; a bound on memory, not on budgets.
_MAX_REMEMBERED = 20_000


@value()
class Asked:
    """What one call asks for: an amount per unit (smallest parts); units left out are not touched.

    Attributes:
        amounts: by unit.
        landing: the call may use the landing allowance.
    """

    amounts: Mapping[Unit, int]
    landing: bool = False


class BudgetBook:
    """The budgets of a guard, with the accounts and windows they name remembered.

    Attributes:
        budgets: those that are not OFF.
        is_by_turn: some budget counts by turn or tool loop, so that a plan is good for one call only.
        epoch: how many windows were opened; plans of an earlier one are stale.
    """

    def __init__(self, budgets: Sequence[Budget], *, app: str, zone: tzinfo, mode: Mode) -> None:
        """Keep the budgets that are not OFF; `mode` is for those that name none."""
        self._zone, self._app = zone, app
        modes = [(budget, budget.mode or mode) for budget in budgets]
        self._rules = [(budget, found is Mode.ENFORCE) for budget, found in modes if found is not Mode.OFF]
        self.budgets = tuple(budget for budget, _ in self._rules)
        self.is_by_turn = any(not _PASSING.isdisjoint((*b.per, *dict(b.where))) for b in self.budgets)
        self.epoch = 0
        self._plans: dict[tuple[Any, ...], Plan] = {}
        dimensions = sorted({key for b in self.budgets for key in (*b.per, *dict(b.where))})
        # what tells two owners apart, as far as budgets go: the fields they name, and all tags where they name one
        self._fields = tuple([key if key in DIMENSIONS else "tags" for key in dimensions])
        self._windows: dict[Period, Window] = {}
        self._accounts: dict[tuple[int, tuple[str | None, ...], datetime | None], Account] = {}

    def claims(
        self,
        who: Attribution,
        asked: Asked,
        at: datetime,
        overrides: Mapping[str, LimitOverride],
        *,
        enforce: bool = True,
    ) -> list[Claim]:
        """One claim for every account the call touches, in the order of the budgets.

        `enforce=False` (an observed agent) makes every hold an observed one.
        """
        return self.plan(who, at, overrides, enforce=enforce, landing=asked.landing).claims(asked.amounts)

    def known_plan(self, who: Attribution, at: datetime, overrides: Mapping[str, LimitOverride], *, enforce: bool = True) -> Plan:
        """The plan of every owner who looks the same to these budgets, made again once it is not good any more."""
        key = (enforce, *[getattr(who, field) for field in self._fields])
        found = self._plans.get(key)
        if found is None or not found.holds_at(at, self.epoch, overrides):
            if len(self._plans) >= _MAX_REMEMBERED:
                self._plans.clear()
            found = self._plans[key] = self.plan(who, at, overrides, enforce=enforce)
        return found

    def plan(
        self,
        who: Attribution,
        at: datetime,
        overrides: Mapping[str, LimitOverride],
        *,
        enforce: bool = True,
        landing: bool = False,
    ) -> Plan:
        """The accounts that this owner's calls touch from now on, with their limits."""
        shares, ends_at = [], NEVER
        for index, (budget, is_enforced) in enumerate(self._rules):
            values = budget.split(who) if budget.applies(who) else None
            if values is None:
                continue
            account = self._account(index, budget, values, at)
            limit = effective_limit(budget, account, overrides, at, landing=landing)
            shares.append(Share(budget, account, limit if is_enforced and enforce else None, limit))
            override = overrides.get(account.key)
            for end in (account.window_end, override.until if override is not None else None):
                if end is not None and at < end < ends_at:
                    ends_at = end
        return Plan(shares, ends_at, self.epoch, overrides)

    def _account(self, index: int, budget: Budget, values: tuple[str | None, ...], at: datetime) -> Account:
        span = self._window(budget.period, at)
        key = (index, values, span[0] if span else None)
        found = self._accounts.get(key)
        if found is None:
            if len(self._accounts) >= _MAX_REMEMBERED:
                self._accounts.clear()
            app = "*" if budget.is_shared else self._app
            found = self._accounts[key] = account_of(budget, app, values, span, str(self._zone))
        return found

    def _window(self, period: Period, at: datetime) -> Window | None:
        """The window of `at`; one that has ended is never reopened, even when the clock goes back."""
        if not period.is_calendar:
            return None
        known = self._windows.get(period)
        if known is None or at >= known[1]:
            known = window(period, at, self._zone)
            if known is not None:
                self._windows[period] = known
                self.epoch += 1
        return known


def effective_limit(
    budget: Budget, account: Account, overrides: Mapping[str, LimitOverride], at: datetime, *, landing: bool
) -> int:
    """The limit that holds now: a person's override, less the landing allowance for calls that may not use it."""
    limit = budget.limit.amount
    override = overrides.get(account.key) if overrides else None
    if override is not None and (override.until is None or at < override.until):
        limit = override.limit
    return limit if landing else max(limit - budget.landing_amount, 0)


def account_of(budget: Budget, app: str, values: tuple[str | None, ...], span: Window | None, zone: str) -> Account:
    """The account a budget names for these split values and this window.

    The key speaks of what is limited only, so that renaming a budget or editing its limit loses no spend.
    """
    split = sorted(zip(budget.per, values, strict=True))
    start = span[0].isoformat() if span else ""
    parts = [app, list(budget.where), split, budget.limit.unit.value, budget.period.value, start, zone if span else ""]
    key = json.dumps(parts, ensure_ascii=True, separators=(",", ":"))
    title = _title(app, budget, split, span)
    return Account(key, budget.limit.unit, title, span[0] if span else None, span[1] if span else None)


def _title(app: str, budget: Budget, split: list[tuple[str, str | None]], span: Window | None) -> str:
    words = [f"{key} {value}" for key, value in budget.where]
    words += [f"{key} {'(none)' if value is None else value}" for key, value in split]
    if not words:
        words = ["all apps" if app == "*" else f"app {app}"]
    if span:
        words.append(f"{budget.period.value} from {span[0]:%Y-%m-%d %H:%M}Z")
    return ", ".join(words)
