"""Events of the backlog. Their ids are claims: of two that change one state of an action, the second is not written."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from hashlib import blake2b
from typing import Any

from runguard_core.events import ACTION_CHANGED, ACTION_DONE, ACTION_DROPPED, ACTION_OPENED, NOTICE
from runguard_core.finops.actions._action import Action, Size
from runguard_core.ledger import Event


def opening(
    title: str, known: Iterable[Action], *, app: str, owner: str, size: Size, deadline: date, check_on: date | None,
    by: str, at: datetime, feature: str | None = None, agent: str | None = None,
) -> Event:  # fmt: skip
    """An action is taken on. Said twice it is one; once the first is done or dropped, the same words open another.

    Args:
        known: the backlog.
    """
    about = (app, feature, agent, title)
    before = sum((it.app, it.feature, it.agent, it.title) == about and not it.is_open for it in known)
    action_id = f"ac-{_digest(*about, before)[:12]}"
    facts = {
        "action": action_id, "title": title, "owner": owner, "size": size.value, "deadline": deadline.isoformat(),
        "check_on": None if check_on is None else check_on.isoformat(), "by": by,
    }  # fmt: skip
    message = f"action {action_id} of {owner}, due {deadline}: {title}"
    return _event(ACTION_OPENED, action_id, 0, message, at, facts, app, feature, agent)


def changing(
    action: Action, *, by: str, reason: str, at: datetime, owner: str | None = None, deadline: date | None = None,
    check_on: date | None = None, title: str | None = None, checked: bool = False,
) -> Event:  # fmt: skip
    """An open action gets another owner, deadline, mid-point or title, or its mid-point check is made; why is part of it."""
    new = {"owner": owner, "deadline": deadline, "check_on": check_on, "title": title}
    changes = {key: str(value) for key, value in new.items() if value is not None and value != getattr(action, key)}
    said = [f"{key} {getattr(action, key)} -> {value}" for key, value in changes.items()]
    said += ["mid-point checked"] if checked else []
    facts = {"changes": changes, "is_checked": checked, "what": ", ".join(said), "reason": reason, "by": by}
    return _next(ACTION_CHANGED, action, f"action {action.id}: {facts['what']}: {reason}", at, facts)


def finishing(action: Action, *, by: str, at: datetime, shipped_at: datetime, credit: str, note: str = "") -> Event:
    """It is done, in effect since `shipped_at` (savings are measured from there), and the saving is `credit`'s."""
    facts = {"shipped_at": shipped_at.isoformat(), "credit": credit, "by": by, "reason": note}
    return _next(ACTION_DONE, action, f"action {action.id} is done, shipped {shipped_at:%Y-%m-%d}: {action.title}", at, facts)


def dropping(action: Action, *, by: str, reason: str, at: datetime) -> Event:
    """It will not be done; why is part of it."""
    facts = {"by": by, "reason": reason}
    return _next(ACTION_DROPPED, action, f"action {action.id} is dropped: {reason}", at, facts)


def _next(kind: str, action: Action, message: str, at: datetime, facts: dict[str, Any]) -> Event:
    if not action.is_open:
        raise ValueError(f"action {action.id} is {action.state.value}: it stays so; open another one")
    facts = {"action": action.id, **facts}
    return _event(kind, action.id, len(action.steps), message, at, facts, action.app, action.feature, action.agent)


def _event(
    kind: str, action_id: str, number: int, message: str, at: datetime, facts: dict[str, Any], app: str,
    feature: str | None, agent: str | None,
) -> Event:  # fmt: skip
    return Event(
        id=f"{action_id}-{number}", kind=kind, at=at, severity=NOTICE, message=message, app=app, feature=feature, agent=agent,
        facts={**facts, "number": number},
    )  # fmt: skip


def _digest(*parts: object) -> str:
    return blake2b("\0".join(map(repr, parts)).encode("utf-8", "replace"), digest_size=8).hexdigest()
