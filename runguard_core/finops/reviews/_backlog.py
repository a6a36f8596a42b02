"""The backlog in a review: what is overdue or open, what was done in the time, and what actions saved in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from runguard_core.finops._calendar import Window
from runguard_core.finops.actions import (
    Action,
    ActionState,
    Standing,
    Win,
    action_json,
    read_actions,
    standing,
    win_json,
    wins,
)
from runguard_core.finops.reviews._page import Point, Points
from runguard_core.finops.reviews._words import counted, day_month, short_name
from runguard_core.ledger import Store
from runguard_core.money import brief_usd


@dataclass(frozen=True, slots=True)
class Backlog:
    """The backlog for a review.

    Attributes:
        today: the first local date after the reviewed time: what is overdue is so on that day.
        actions: all, as they are now. done: those shipped in the time. wins: what actions saved in it.
    """

    today: date
    actions: tuple[Action, ...] = ()
    done: tuple[Action, ...] = ()
    wins: tuple[Win, ...] = ()

    @property
    def standing(self) -> Standing:
        """What is open, overdue, to be checked."""
        return standing(self.actions, self.today)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to speak of."""
        return not (self.standing.open or self.done or self.wins)

    def owned_by(self, owner: str) -> Backlog:
        """One person's part."""
        done = tuple(action for action in self.done if action.owner == owner)
        own = tuple(action for action in self.actions if action.owner == owner)
        return Backlog(self.today, own, done, tuple(win for win in self.wins if (win.action.credit or win.action.owner) == owner))


def read_backlog(store: Store, app: str | None, window: Window) -> Backlog:
    """The backlog of a ledger for the review of a window."""
    actions = read_actions(store, app)
    done = tuple(
        action
        for action in actions
        if action.state is ActionState.DONE and action.shipped_at is not None and window.covers(action.shipped_at)
    )
    return Backlog(window.end_day, actions, done, wins(store, actions, window.start, window.end))


def backlog_points(it: Backlog) -> Points:
    """What is overdue, to be checked, open, done; then what was saved."""
    late, checks = it.standing.overdue, it.standing.checks_due
    points = [Point(f"overdue since {day_month(one.deadline)}: {_said(one)}", tone="bad") for one in late]
    points += [Point(f"half-way, to be checked: {_said(one)}", tone="warn") for one in checks if one not in late]
    rest = [one for one in it.standing.open if one not in late and one not in checks]
    points += [Point(f"until {day_month(one.deadline)}: {_said(one)}") for one in rest]
    points += [Point(f"done: {_said(one)}", tone="good") for one in it.done]
    points += [_win(win) for win in it.wins]
    return Points("Actions and wins", tuple(points), "No action is open; `runguard actions add` takes one on.")


def backlog_sentence(it: Backlog) -> str:
    """In one line, for an agenda."""
    now = it.standing
    counts = {"overdue": now.overdue, "to be checked": now.checks_due, "open": now.open, "done": it.done}
    said = ", ".join(f"{len(found)} {word}" for word, found in counts.items() if found)
    saved = sum(win.saving.saved_nanos or 0 for win in it.wins if win.saving.is_clear)
    return "; ".join(filter(None, (said, f"{brief_usd(saved)} saved" if saved else ""))) or "none recorded"


def backlog_document(it: Backlog) -> dict[str, Any]:
    """As JSON values."""
    shown: Sequence[Action] = [*it.standing.open, *it.done]
    return {"actions": [action_json(one, it.today) for one in shown], "wins": [win_json(win, it.today) for win in it.wins]}


def _said(one: Action) -> str:
    return f"{one.title} ({one.subject}, {short_name(one.owner)}) {one.id}"


def _win(win: Win) -> Point:
    """What an action saved; what may be chance says so."""
    saving, who = win.saving, short_name(win.action.credit or win.action.owner)
    head = f"{win.action.title} ({win.action.subject}, {who})"
    if saving.saved_nanos is None:
        return Point(f"{head}: not measured", saving.why_not)
    share = f" ({saving.saved_ratio:.0%})" if saving.saved_ratio is not None else ""
    sure = "" if saving.is_clear else "; may be chance"
    said = f"{head}: saved {brief_usd(saving.saved_nanos)}{share}{sure}"
    return Point(said, f"{_interval(win)}over {counted(saving.session_count, 'session')}", "good" if saving.is_clear else "")


def _interval(win: Win) -> str:
    low, high = win.saving.low_nanos, win.saving.high_nanos
    return "" if low is None or high is None else f"between {brief_usd(low)} and {brief_usd(high)}, "
