"""The part of a store's contract that speaks of sums: whatever has happened, totals equal what the calls add up to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from runguard_core.calls import CallKind, Certainty
from runguard_core.ledger import CallFilter, CallState, Store, Total, latest_sessions, totals_of
from runguard_core.testing._ledger_values import LATER, T0, a_call, a_settlement, holds
from runguard_core.usage import Usage

ALL = CallFilter()
#: Every kind of key: none, what many share, what a run has, what only a call has, several at once.
KEYS: tuple[tuple[str, ...], ...] = (
    (), ("app",), ("feature",), ("team", "owner"), ("agent", "model"), ("tool",), ("provider", "kind"), ("quarter_hour",),
    ("release",), ("k",), ("tag:k", "quarter_hour"), ("user",), ("session",), ("run", "agent"), ("conversation", "model"),
    ("turn",), ("instance",),
)  # fmt: skip


def assert_totals_are_true(store: Store, edges: Sequence[datetime | None] = (None,), app: str | None = None) -> None:
    """Totals by every kind of key, between any two of the edges, are the sums over the calls; so is who was latest."""
    for since in (None, *edges):
        for until in (None, *edges):
            where = CallFilter(app=app, since=since, until=until)
            calls = store.calls(where)
            for by in KEYS:
                sums = totals_of(calls, by)
                assert dict(store.totals(by, where)) == sums, (by, since, until)
                assert dict(store.costs(by, where)) == {key: total.cost_nanos for key, total in sums.items()}, (by, since, until)
            for limit in (None, 1, 2):
                assert store.sessions(replace(where, limit=limit)) == latest_sessions(calls, limit)


class TotalsContract:
    """What must hold of `Store.totals` and `Store.sessions`."""

    def test_an_empty_book_has_no_totals(self, store: Store) -> None:
        """Nothing, which is not the same as a sum of zero."""
        assert (dict(store.totals((), ALL)), dict(store.totals(["feature"], ALL)), store.sessions(ALL)) == ({}, {}, ())

    def test_totals_show_how_sure_each_part_is(self, store: Store) -> None:
        """Exact, estimated, assumed, unpriced and pending, tokens and counts."""
        charges = [Certainty.EXACT, Certainty.ESTIMATED, Certainty.UNPRICED]
        for cost, certainty in enumerate(charges, 3):
            call = a_call()
            store.reserve(call, holds(10, None), expires_at=LATER, owner="test")
            price = None if certainty is Certainty.UNPRICED else cost
            store.post(call.id, replace(a_settlement(cost), cost_nanos=price, certainty=certainty))
        assumed, tool = a_call(at=T0 - timedelta(hours=1), quote=8), replace(a_call(), kind=CallKind.TOOL, quote_nanos=20)
        store.reserve(assumed, holds(8, None), expires_at=T0, owner="test")
        store.expire(T0)
        store.reserve(tool, holds(20, None), expires_at=LATER, owner="test")
        assert store.totals((), ALL) == {
            (): Total(
                call_count=4, tool_count=1, unpriced_count=1, cost_nanos=15, exact_nanos=3, estimated_nanos=4, assumed_nanos=8,
                pending_nanos=20, usage=Usage(input_tokens=21, output_tokens=6),
            )
        }  # fmt: skip
        assert_totals_are_true(store)

    def test_totals_follow_every_correction(self, store: Store) -> None:
        """A late truth, a late void, an adjustment, another model that answered: moved, never added twice."""
        late, unsent, adjusted, pending = (a_call(agent=name, feature=name) for name in ("late", "unsent", "adjusted", "pending"))
        for call in (late, unsent, adjusted, pending):
            store.reserve(call, holds(10, None), expires_at=LATER, owner="test")
        store.post(adjusted.id, a_settlement(7, model_answered="m-1"))
        assert_totals_are_true(store)
        store.adjust(adjusted.id, replace(a_settlement(2, model_answered="m-2"), usage=None), "invoice")
        assert_totals_are_true(store)
        store.extend([pending.id], LATER + timedelta(hours=1))
        store.expire(LATER)
        assert_totals_are_true(store)
        store.post(late.id, a_settlement(12))
        store.void(unsent.id, a_settlement(0))
        assert_totals_are_true(store)
        sums = store.totals(["feature"], ALL)
        assert [sums[(name,)].cost_nanos for name in ("late", "unsent", "adjusted", "pending")] == [12, 0, 2, 0]
        assert sums["pending",].pending_nanos == 10

    def test_totals_are_cut_at_any_instant(self, store: Store) -> None:
        """In the middle of an hour, of a session and of a run; to the microsecond."""
        edges = [T0 + timedelta(minutes=m) for m in (-1, 0, 30, 59, 60, 61, 150)] + [T0 + timedelta(minutes=30, microseconds=1)]
        for number, minutes in enumerate((0, 29, 30, 30, 59, 60, 90, 150)):
            session = f"s{number % 2}"
            call = a_call(f"cut-{number}", T0 + timedelta(minutes=minutes), session=session, run=f"r{number % 3}", user=session)
            store.reserve(call, [], expires_at=LATER + timedelta(days=1), owner="test")
            if number % 2:
                store.post(call.id, a_settlement(number, at=LATER))
        assert_totals_are_true(store, edges)

    def test_totals_of_one_program_leave_out_the_others(self, store: Store) -> None:
        """By app; calls without a session or a run are sessions of their own."""
        whose: list[dict[str, Any]] = [
            {"app": "one"},
            {"app": "two", "session": None},
            {"app": "two", "session": None, "run": None},
        ]
        for who in [*whose, whose[-1]]:
            store.reserve(a_call(tags=(("k", "x"), ("z", "1")), **who), holds(1, None), expires_at=LATER, owner="test")
        assert {app for app, _ in store.sessions(ALL)} == {"one", "two"}
        assert len(store.sessions(CallFilter(app="two"))) == 3
        for app in (None, "one", "two", "three"):
            assert_totals_are_true(store, app=app)

    def test_totals_take_every_filter_of_calls(self, store: Store) -> None:
        """What no roll-up knows is read from the calls."""
        for number in range(4):
            call = a_call(session=f"s{number % 2}", run=f"r{number}", agent=f"a{number // 2}")
            store.reserve(call, holds(1, None), expires_at=LATER, owner="test")
            if number:
                store.post(call.id, a_settlement(number))
        filters = [
            CallFilter(session="s1"), CallFilter(run="r2"), CallFilter(agent="a1"), CallFilter(state=CallState.POSTED),
            CallFilter(limit=3), CallFilter(agent="a1", since=T0), CallFilter(app="app", agent="a0", session="s0"),
        ]  # fmt: skip
        for where in filters:
            for by in KEYS:
                assert dict(store.totals(by, where)) == totals_of(store.calls(where), by), (where, by)
