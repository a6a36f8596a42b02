"""`Decides`: what a person may tell a guard to do; see `_deciding` for what each decision leaves in the ledger."""

from __future__ import annotations

from datetime import datetime

from runguard_core import breaker
from runguard_core.attribution import clean
from runguard_core.budgets import parse_limit
from runguard_core.errors import PolicyError
from runguard_core.guard import _deciding as deciding
from runguard_core.guard._engine import Engine
from runguard_core.ledger import AccountRow, Latch


class Decides:
    """A person's decisions, for `Guard`."""

    _engine: Engine

    def kill(self, scope: str = "app", *, reason: str, by: str = "", until: datetime | None = None) -> None:
        """Stop a scope ("app", "agent:NAME", "feature:NAME", "session:ID", "run:ID") until it is reset, or until a time.

        Raises:
            PolicyError: a scope that is none, or a time that has passed.
        """
        kind, value = self.scope(scope)
        deciding.kill(self._engine, kind, value, reason=reason, by=by, until=until)

    def reset(self, scope: str = "app", *, reason: str, by: str = "") -> bool:
        """Let a stopped scope run again; whether it was stopped. The reason is recorded.

        Raises:
            PolicyError: without a reason, or for a scope that is none.
        """
        kind, value = self.scope(scope)
        return deciding.reset(self._engine, kind, value, reason=reason, by=by)

    def raise_limit(
        self, account: AccountRow, limit: object, *, reason: str, by: str = "", budget: str = "", until: datetime | None = None
    ) -> tuple[Latch, ...]:
        """Let one account of the ledger have another limit, and what the old one had stopped go on; the latches that were lifted.

        Args:
            account: one of `store.accounts()`; `Session.raise_limit` finds a session's own.
            limit: written like a budget's, in the account's unit. until: when the policy's limit holds again.

        Raises:
            PolicyError: another unit, or a time that has passed.
        """
        wanted = parse_limit(limit)
        if wanted.unit is not account.account.unit:
            raise PolicyError(key="limit", expected=f"expected an amount in {account.account.unit.value}, got {wanted}")
        return deciding.set_limit(
            self._engine, account.account, wanted, was=account.limit, budget=budget, who=self._engine.who(), by=by,
            reason=reason, until=until,
        )  # fmt: skip

    def scope(self, scope: str) -> tuple[str, str]:
        """Kind and id of a scope as `kill` and `reset` take it. PolicyError: it is none."""
        kind, colon, value = scope.partition(":")
        if kind not in breaker.SCOPES or (kind != "app" and not value):
            raise PolicyError(
                key="scope", expected=f'expected "app" or KIND:ID with KIND in {", ".join(breaker.SCOPES)}, got {scope!r}'
            )
        return kind, clean(value) if colon and value else self._engine.rules.defaults.app
