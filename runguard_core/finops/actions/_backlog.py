"""The backlog: a fold of what was written about actions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from runguard_core.events import ACTION_CHANGED, ACTION_DONE, ACTION_DROPPED, ACTION_OPENED
from runguard_core.finops.actions._action import Action, ActionState, Size, Step
from runguard_core.ledger import Event, EventFilter, Store

ACTION_KINDS = (ACTION_OPENED, ACTION_CHANGED, ACTION_DONE, ACTION_DROPPED)


def read_actions(store: Store, app: str | None = None, until: datetime | None = None) -> tuple[Action, ...]:
    """The backlog of a ledger, as it was before an instant; see `actions_of`."""
    return actions_of(store.events(EventFilter(kinds=ACTION_KINDS, app=app, until=until)))


def actions_of(events: Iterable[Event]) -> tuple[Action, ...]:
    """Every action, by deadline, then id, whatever the order in which its events arrived."""
    lines: dict[str, dict[int, Event]] = {}
    for event in events:
        if event.kind in ACTION_KINDS:
            lines.setdefault(event.facts["action"], {})[event.facts["number"]] = event
    found = [_action([its[number] for number in sorted(its)]) for its in lines.values() if 0 in its]
    return tuple(sorted(found, key=lambda action: (action.deadline, action.id)))


def _action(events: Sequence[Event]) -> Action:
    action = _opened(events[0])
    for event in events[1:]:
        action = _after(action, event) if action.is_open else action
    return action


def _opened(event: Event) -> Action:
    facts, check_on = event.facts, event.facts["check_on"]
    return Action(
        id=facts["action"], app=event.app, title=facts["title"], feature=event.feature, agent=event.agent,
        owner=facts["owner"], size=Size(facts["size"]), deadline=date.fromisoformat(facts["deadline"]),
        check_on=None if check_on is None else date.fromisoformat(check_on), opened_at=event.at, opened_by=facts["by"],
        steps=(Step(event.at, facts["by"], "opened"),),
    )  # fmt: skip


def _after(action: Action, event: Event) -> Action:
    facts = event.facts
    what = {ACTION_DONE: "done", ACTION_DROPPED: "dropped"}.get(event.kind) or facts["what"]
    steps = (*action.steps, Step(event.at, facts["by"], what, facts["reason"]))
    if event.kind == ACTION_CHANGED:
        checked = event.at if facts["is_checked"] else action.checked_at
        return replace(action, **_changed(facts["changes"]), checked_at=checked, steps=steps)
    if event.kind == ACTION_DROPPED:
        return replace(action, state=ActionState.DROPPED, ended_at=event.at, steps=steps)
    shipped = datetime.fromisoformat(facts["shipped_at"])
    return replace(action, state=ActionState.DONE, ended_at=event.at, shipped_at=shipped, credit=facts["credit"], steps=steps)


def _changed(changes: Mapping[str, str]) -> dict[str, Any]:
    """Values of an action's fields; dates are dates again."""
    return {key: date.fromisoformat(text) if key in ("deadline", "check_on") else text for key, text in changes.items()}


@dataclass(frozen=True, slots=True)
class Standing:
    """The backlog on a day: what is open, and of that what is overdue and whose mid-point check is due, by deadline."""

    open: tuple[Action, ...]
    overdue: tuple[Action, ...]
    checks_due: tuple[Action, ...]


def standing(actions: Iterable[Action], today: date) -> Standing:
    """Where the backlog stands on a local date."""
    known = tuple(actions)
    return Standing(
        tuple(action for action in known if action.is_open),
        tuple(action for action in known if action.is_overdue(today)),
        tuple(action for action in known if action.check_is_due(today)),
    )
