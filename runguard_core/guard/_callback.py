"""`on_budget_exceeded`: the one callback most users start with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from runguard_core import events as ev
from runguard_core.guard._dispatcher import Listener
from runguard_core.ledger import CallFilter, Event
from runguard_core.money import nanos_to_usd

if TYPE_CHECKING:
    from runguard_core.guard._guard import Guard


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetExceeded:
    """What the callback gets.

    Attributes:
        app: the program; session_id: the conversation; current_cost_usd: its cost so far.
        budget: the budget that refused, or would have if enforced; message: the whole sentence.
        enforced: whether the call was refused.
    """

    app: str
    session_id: str | None
    current_cost_usd: Decimal
    budget: str
    message: str
    enforced: bool


def budget_listener(callback: Callable[[BudgetExceeded], Any], guard: Guard) -> Listener:
    """A listener that calls back on refusals of budgets, enforced and observed."""

    def listen(event: Event) -> Any:
        if event.kind not in {ev.CALL_REFUSED, ev.WOULD_REFUSE}:
            return None
        calls = guard.store.calls(CallFilter(app=event.app, session=event.session)) if event.session else ()
        cost = nanos_to_usd(sum(call.cost_nanos for call in calls))
        return callback(
            BudgetExceeded(
                app=event.app, session_id=event.session, current_cost_usd=cost, budget=str(event.facts.get("budget")),
                message=event.message, enforced=event.kind == ev.CALL_REFUSED,
            )
        )  # fmt: skip

    return listen
