"""How commands of the backlog find an action, read days and times, and write an event."""

from __future__ import annotations

from datetime import UTC, date, datetime

from runguard_core.cli._app import Exit, fail
from runguard_core.errors import PolicyError
from runguard_core.finops import Calendar
from runguard_core.finops.actions import Action, read_actions
from runguard_core.ledger import CallFilter, Event, Store
from runguard_core.policy import Policy


def app_named(opened: Store, loaded: Policy, app_name: str | None) -> str:
    """Whose action it is: the app asked for, or that of the ledger's latest call, or the policy's."""
    latest = () if app_name is not None else opened.calls(CallFilter(limit=1))
    return app_name or (latest[-1].attribution.app if latest else loaded.rules.defaults.app)


def find_action(opened: Store, action_id: str, app_name: str | None) -> Action:
    """The action of an id; else the command fails."""
    action = next((it for it in read_actions(opened, app_name) if it.id == action_id), None)
    if action is None:
        raise fail(f"no action {action_id!r} in {opened.url}; see `runguard actions list --all`", Exit.FOUND_WRONG)
    return action


def open_action(opened: Store, action_id: str, app_name: str | None) -> Action:
    """The same, and it can still be changed."""
    action = find_action(opened, action_id, app_name)
    if not action.is_open:
        raise fail(f"{action_id} is {action.state.value} and stays so; open another one", Exit.FOUND_WRONG)
    return action


def write_event(opened: Store, said: Event) -> None:
    """Write what follows the state that was read; else the command fails."""
    if opened.announce([said]) != 1:
        raise fail(f"{said.facts['action']} was changed at this moment by somebody else; look and say it again", Exit.FOUND_WRONG)


def day_of_text(text: str | None, option: str) -> date | None:
    """A local date. PolicyError: it is none."""
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise PolicyError(key=option, expected=f"expected a date such as 2026-12-20, got {text!r:.80}") from None


def instant_of_text(text: str | None, calendar: Calendar) -> datetime | None:
    """A local date's first instant, or a time; one without a zone is local."""
    try:
        if text is None:
            return None
        at = datetime.fromisoformat(text)
    except ValueError:
        raise PolicyError(key="--shipped", expected=f"expected 2026-11-02 or 2026-11-02T14:00, got {text!r:.80}") from None
    return (at if at.tzinfo else at.replace(tzinfo=calendar.zone)).astimezone(UTC)
