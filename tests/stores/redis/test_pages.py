"""Books larger than a page: read in pages, whole, in order, and while others write."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from runguard_core.ledger import CallFilter, CallState, EventFilter, Hold
from runguard_core.stores.redis import _paging as paging
from runguard_core.testing._ledger_values import DAY, LATER, T0, a_call, a_settlement, an_event
from tests.stores.redis.conftest import Open

COUNT = 37


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few dozen calls are many pages."""
    monkeypatch.setattr(paging, "PAGE", 5)


@pytest.mark.parametrize("step", [0, 1, 7])
def test_calls_come_in_order_whatever_the_page(valkey_url: str, opened: Open, step: int) -> None:
    """All at one instant, one each, a few at each."""
    store = opened(valkey_url)
    ids = [f"id{number:03}" for number in range(COUNT)]
    for number in (*range(0, COUNT, 2), *range(1, COUNT, 2)):
        at = T0 + timedelta(microseconds=number // step if step else 0)
        store.reserve(a_call(ids[number], at), [Hold(DAY, 1, None)], expires_at=LATER, owner="t")
    assert [call.id for call in store.calls(CallFilter())] == ids
    assert [call.id for call in store.calls(CallFilter(session="s", limit=7))] == ids[-7:]
    assert [call.id for call in store.calls(CallFilter(state=CallState.PENDING, limit=7))] == ids[-7:]
    assert [call.id for call in store.calls(CallFilter(run="nobody"))] == []
    if step == 1:
        between = CallFilter(since=T0 + timedelta(microseconds=3), until=T0 + timedelta(microseconds=20))
        assert [call.id for call in store.calls(between)] == ids[3:20]
    assert len(store.entries()) == COUNT
    assert store.verify() == ()


def test_events_come_in_the_order_in_which_they_were_said(valkey_url: str, opened: Open) -> None:
    """All, the latest, a session's; the same id twice is one event."""
    store = opened(valkey_url)
    events = [an_event(str(number)) for number in range(COUNT)]
    for event in (*events, *events[:5]):
        store.announce([event])
    assert store.events() == tuple(events)
    assert store.events(EventFilter(session="s", limit=12)) == tuple(events[-12:])


def test_the_book_is_checked_while_others_write(valkey_url: str, opened: Open) -> None:
    """Each page is compared with the lines up to that moment: no false alarm, and nothing is stopped for it."""
    store, errors = opened(valkey_url), list[BaseException]()

    def write(index: int) -> None:
        try:
            for number in range(60):
                call = a_call(f"{index}-{number}", session=f"s{number % 11}")
                store.reserve(call, [Hold(DAY, 3, None)], expires_at=LATER, owner="t")
                if number % 3:
                    store.post(call.id, a_settlement(2))
        except BaseException as error:
            errors.append(error)
            raise

    writers = [threading.Thread(target=write, args=(index,)) for index in range(2)]
    for writer in writers:
        writer.start()
    checked = 0
    while any(writer.is_alive() for writer in writers) and not errors:
        assert store.verify() == ()
        checked += 1
    for writer in writers:
        writer.join()
    assert (errors, checked > 0) == ([], True)
    assert store.verify() == ()
