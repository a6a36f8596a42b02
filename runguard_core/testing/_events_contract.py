"""The part of a store's contract that speaks of the event log: order, filters, and ids that are claims."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from runguard_core.ledger import EventFilter, Store
from runguard_core.testing._ledger_values import LATER, T0, a_call, a_settlement, an_event, holds


class EventsContract:
    """What must hold of `Store.announce` and `Store.events`."""

    def test_events_come_with_what_they_speak_of(self, store: Store) -> None:
        """Committed with the entry, read back in order, by session and time."""
        call, one, two, three = a_call(), an_event("1"), an_event("2"), replace(an_event("3"), session="other")
        store.reserve(call, holds(1), expires_at=LATER, owner="test", events=[one])
        store.post(call.id, a_settlement(1), [two])
        store.announce([three])
        assert store.events() == (one, two, three)
        assert store.events(EventFilter(session="s")) == (one, two)
        assert store.events(EventFilter(limit=1)) == (three,)
        assert store.events(EventFilter(since=T0 + timedelta(seconds=1))) == ()

    def test_one_id_is_one_event(self, store: Store) -> None:
        """Who adds an id first is told so: an id is a claim, whatever a second one says."""
        first, second = an_event("mine"), an_event("other")
        assert store.announce([first]) == 1
        assert store.announce([replace(first, message="too late"), second, second]) == 1
        assert store.announce([first, second]) == store.announce([]) == 0
        assert store.events() == (first, second)

    def test_events_are_chosen_by_kind_app_and_time(self, store: Store) -> None:
        """All that a filter names must hold."""
        one, two, three = an_event("1"), replace(an_event("2"), kind="x", app="b"), replace(an_event("3"), at=LATER, kind="y")
        store.announce([one, two, three])
        for where, found in (
            (EventFilter(kinds={"x", "y"}), (two, three)), (EventFilter(kinds=()), ()), (EventFilter(app="b"), (two,)),
            (EventFilter(until=LATER), (one, two)), (EventFilter(since=LATER), (three,)),
            (EventFilter(kinds=["x", "kind"], app="app"), (one,)), (EventFilter(kinds={"x", "y"}, limit=1), (three,)),
        ):  # fmt: skip
            assert store.events(where) == found
