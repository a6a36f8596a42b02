"""The backlog: taken on once, changed one after the other, never lost with its people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from runguard_core.finops import Calendar
from runguard_core.finops.actions import (
    Action,
    ActionState,
    Size,
    actions_of,
    changing,
    check_of,
    deadline_of,
    dropping,
    finishing,
    opening,
    read_actions,
    standing,
)
from runguard_core.ledger import Event
from runguard_core.stores import open_store

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
CALENDAR = Calendar(sprint_start=date(2026, 11, 16), sprint_days=14)


def taken_on(known: Sequence[Action] = (), title: str = "Shorten the prompt", **more: Any) -> Event:
    """A small action about search, of ana."""
    facts: dict[str, Any] = {
        "app": "shop", "owner": "ana", "size": Size.SMALL, "deadline": date(2026, 12, 13), "check_on": None, "by": "ana",
        "at": NOW, "feature": "search",
    } | more  # fmt: skip
    return opening(title, known, **facts)


def only(*events: Event) -> Action:
    """The one action of some events."""
    (action,) = actions_of(events)
    return action


def test_a_small_action_is_due_at_the_end_of_the_next_sprint_a_large_one_of_the_next_quarter() -> None:
    """With a check in the middle of that quarter; a quarter may begin in February."""
    today = date(2026, 11, 25)
    assert deadline_of(Size.SMALL, today, CALENDAR) == date(2026, 12, 13)
    assert check_of(Size.SMALL, today, date(2026, 12, 13), CALENDAR) is None
    due = deadline_of(Size.LARGE, today, CALENDAR)
    assert (due, check_of(Size.LARGE, today, due, CALENDAR)) == (date(2027, 3, 31), date(2027, 2, 14))
    assert deadline_of(Size.LARGE, today, replace(CALENDAR, year_starts_in=2)) == date(2027, 4, 30)
    assert check_of(Size.LARGE, today, date(2026, 12, 25), CALENDAR) == date(2026, 12, 10)  # half-way to a date of one's own


def test_an_action_is_overdue_the_day_after_its_deadline_and_due_for_a_check_on_its_day() -> None:
    """And neither once it is done, or has been checked."""
    action = only(taken_on(check_on=date(2026, 12, 1)))
    assert not action.is_overdue(date(2026, 12, 13))
    assert action.is_overdue(date(2026, 12, 14))
    assert not action.check_is_due(date(2026, 11, 30))
    assert standing([action], date(2026, 12, 1)).checks_due == (action,)
    checked = only(
        taken_on(check_on=date(2026, 12, 1)), changing(action, by="ana", reason="half of it is out", at=NOW, checked=True)
    )
    assert not checked.check_is_due(date(2026, 12, 1))
    assert standing([checked], date(2026, 12, 14)).overdue == (checked,)
    done = only(taken_on(), finishing(action, by="ana", at=NOW, shipped_at=NOW, credit="ana"))
    assert standing([done], date(2027, 1, 1)).overdue == ()


def test_what_a_person_leaves_behind_goes_to_somebody_else_with_its_history() -> None:
    """Who promised it first, when it changed hands and why stays on the line."""
    first = taken_on()
    action = only(first, changing(only(first), by="lead", reason="ana has moved", at=NOW + timedelta(days=1), owner="ben"))
    assert (action.owner, action.opened_by) == ("ben", "ana")
    assert [(step.what, step.reason) for step in action.steps] == [("opened", ""), ("owner ana -> ben", "ana has moved")]


def test_saying_an_action_twice_is_one_and_after_it_ended_another() -> None:
    """The id is a claim on the words while they are open."""
    first = taken_on()
    again = taken_on([only(first)], owner="ben", at=NOW + timedelta(hours=1))
    assert first.id == again.id
    dropped = only(first, dropping(only(first), by="ana", reason="no time", at=NOW))
    assert dropped.state is ActionState.DROPPED
    assert taken_on([dropped]).facts["action"] != dropped.id
    assert taken_on(feature="chat").id != first.id


def test_what_has_ended_stays_so() -> None:
    """Nothing can be written behind it, and what another host wrote is passed over."""
    first = taken_on()
    done = finishing(only(first), by="ana", at=NOW, shipped_at=NOW - timedelta(days=3), credit="ben", note="two lines less")
    action = only(first, done)
    assert (action.state, action.credit, action.shipped_at) == (ActionState.DONE, "ben", NOW - timedelta(days=3))
    with pytest.raises(ValueError, match="is done"):
        changing(action, by="ana", reason="?", at=NOW, owner="cleo")
    later = replace(dropping(only(first), by="x", reason="late", at=NOW), id="elsewhere", facts={**done.facts, "number": 2})
    assert only(first, done, later).state is ActionState.DONE


def test_the_order_in_which_events_arrive_does_not_matter() -> None:
    """They come from several hosts."""
    first = taken_on()
    moved = changing(only(first), by="ana", reason="needs a week more", at=NOW, deadline=date(2026, 12, 20))
    done = finishing(only(first, moved), by="ana", at=NOW, shipped_at=NOW, credit="ana")
    found = {actions_of(order) for order in permutations([first, moved, done])}
    assert len(found) == 1
    assert found.pop()[0].deadline == date(2026, 12, 20)


def _change(url: str, owner: str, results: Any) -> None:
    store = open_store(url)
    results.put(store.announce([changing(only_of(url), by=owner, reason="mine", at=NOW, owner=owner)]))
    store.close()


def only_of(url: str) -> Action:
    """The action as it was opened, whatever was written since: both processes have read the same state."""
    store = open_store(url)
    events = [event for event in store.events() if event.facts["number"] == 0]
    store.close()
    return only(*events)


def test_of_two_changes_of_one_state_one_is_written(tmp_path: Path) -> None:
    """By two processes at once; the other is told to look again. It survives both."""
    url = f"sqlite:///{tmp_path / 'l.db'}"
    store = open_store(url)
    store.announce([taken_on()])
    context = get_context("spawn")
    results = context.Queue()
    workers = [context.Process(target=_change, args=(url, name, results)) for name in ("ben", "cleo")]
    for worker in workers:
        worker.start()
    assert sorted(results.get(timeout=60) for _ in workers) == [0, 1]
    for worker in workers:
        worker.join(60)
    (action,) = read_actions(store, "shop")
    store.close()
    assert action.owner in ("ben", "cleo")
    assert len(action.steps) == 2
