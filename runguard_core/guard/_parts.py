"""`Parts`: the sub-agents' parts that are open in this process, those of others that a crash may orphan; how each is closed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from runguard_core import events as ev
from runguard_core.budgets import Part, part_key, show_amount
from runguard_core.calls import CallKind, OutcomeKind
from runguard_core.errors import ConflictingEntryError
from runguard_core.ledger import Applied, CallFilter, CallRecord, CallState, Event, Settlement, Store


class Parts:
    """By the id of the part, which is the id of the sub-agent's run. Single steps on dictionaries and sets: no lock."""

    def __init__(self) -> None:
        """None yet."""
        self._open: dict[str, Part] = {}
        self._others: frozenset[str] = frozenset()

    def of(self, run: str | None) -> Part | None:
        """The open part whose sub-agent's run this is; None for every other run."""
        return self._open.get(run) if run is not None else None

    def open(self, part: Part) -> None:
        """Its sub-agent begins."""
        self._open[part.id] = part

    def forget(self, part_id: str) -> None:
        """Its sub-agent is over, or was let go of. Twice is harmless; a finalizer may call it."""
        self._open.pop(part_id, None)

    def ids(self) -> list[str]:
        """Those that are open here, for the heartbeat."""
        return list(self._open)

    def orphaned(self, pending: Iterable[str]) -> frozenset[str]:
        """Parts of other processes that were pending when this was asked before, and are not any more.

        Args:
            pending: ids of all parts that are pending now.
        """
        before, self._others = self._others, frozenset(pending).difference(self._open)
        return before - self._others


def settle(store: Store, part: Part, at: datetime) -> list[Event]:
    """Charge the accounts that a part was carved out of with what its account has spent; the event that was written with it.

    Said again after a call of the sub-agent was settled late, it corrects them.
    """
    spent = _spent(store, part.account.key)
    closing, said = _closing(part.carved, spent, at), [_closed(part, spent, at)]
    try:
        return said if store.post(part.id, closing, said).applied is not Applied.EXISTS else []
    except ConflictingEntryError:
        store.adjust(part.id, closing, "a call of the sub-agent was settled later")
        return []


def correct(store: Store, entries: Iterable[CallRecord], at: datetime) -> None:
    """Of these calls, the parts that expired were assumed in full; their sub-agents' calls say what was really spent."""
    for entry in entries:
        settled = entry.settlement
        if entry.kind is CallKind.CHILD and entry.state is CallState.ASSUMED and settled is not None:
            spent = _spent(store, part_key(entry.attribution.app, entry.id))
            store.adjust(entry.id, _closing(settled.amounts, spent, at), "the sub-agent's process died before its end")


def look_for_orphans(parts: Parts, store: Store, app: str, at: datetime) -> None:
    """For the heartbeat: parts whose processes have died, and which any process's reserve may have let expire."""
    if store.url.startswith("memory:"):
        return  # nobody else is there
    where = CallFilter(app=app, state=CallState.PENDING)
    gone = parts.orphaned(call.id for call in store.calls(where) if call.kind is CallKind.CHILD)
    correct(store, [entry for entry in map(store.call, gone) if entry is not None], at)


def _spent(store: Store, key: str) -> int:
    """What a part's account has spent as far as anybody knows: what is in flight may still be billed."""
    balance = store.balances([key])[key]
    return balance.posted + balance.pending


def _closing(keys: Iterable[str], spent: int, at: datetime) -> Settlement:
    return Settlement(at=at, outcome=OutcomeKind.COMPLETED, amounts=dict.fromkeys(keys, spent), cost_nanos=0)


def _closed(part: Part, spent: int, at: datetime) -> Event:
    unit, limit = part.account.unit, part.limit
    rest = f"{show_amount(limit - spent, unit)} returned" if spent <= limit else f"{show_amount(spent - limit, unit)} above it"
    message = f"sub-agent {part.name} spent {show_amount(spent, unit)} of {part.budget.limit}, {rest}"
    return ev.event(ev.CHILD_CLOSED, ev.NOTICE, message, part.who, at, call_id=part.id, child=part.name, spent=str(spent),
                    limit=str(limit), unit=unit.value)  # fmt: skip
