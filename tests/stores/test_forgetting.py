"""A forgotten user leaves a pseudonym, and every sum by anything else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runguard_core.budgets import account_of, without_user
from runguard_core.errors import ConflictingEntryError
from runguard_core.ledger import (
    Account,
    CallFilter,
    Event,
    EventFilter,
    Forgotten,
    KeepingStore,
    Latch,
    LatchState,
    LimitOverride,
    Owner,
    Settlement,
    Want,
)
from runguard_core.stores._sqlite_keeping import SqliteKeeper
from runguard_core.stores._sqlite_leasing import SqliteLeases
from runguard_core.testing._ledger_values import a_settlement
from tests.stores.keeping_values import BUDGETS, CUT, FOR_EVER, T0, an_event, enter, fill, sums


def but_for_users(store: KeepingStore) -> dict[Any, Any]:
    """Every sum by anything but the user, and what the book says of money."""
    found = {key: value for key, value in sums(store).items() if "user" not in str(key) and key not in {"run", "accounts"}}
    found["balances"] = sorted([(row.account.unit, row.balance, row.limit or 0) for row in store.accounts()], key=str)
    found["lines"] = [
        (one.sequence, one.call_id, one.kind, one.cost_nanos, [m.posted for m in one.moves]) for one in store.entries()
    ]
    return found


def place_of(user: str) -> Account:
    """The account of a user's first budget."""
    return account_of(BUDGETS[0], "app", (user,), None, "UTC")


def settled(keeper: KeepingStore) -> None:
    """Everything in flight has ended."""
    keeper.expire(FOR_EVER + timedelta(days=1))


def test_a_forgotten_user_is_nowhere_and_no_total_has_changed(keeper: KeepingStore) -> None:
    """Calls, accounts, limits, latches, events; others with ids that begin alike keep theirs."""
    fill(keeper)
    enter(keeper, T0 + timedelta(hours=3), user="ann-marie", session="s9")
    settled(keeper)
    ann, marie = place_of("ann"), place_of("ann-marie")
    keeper.put_override(LimitOverride(account_key=ann.key, limit=5, by="x", reason="y", since=T0))
    keeper.put_latch(
        Latch(
            scope_kind="run",
            scope_id="r",
            state=LatchState.OPEN,
            rule="budget",
            reason=f"{ann.title} is full",
            since=T0,
            account_key=ann.key,
        )
    )
    keeper.announce([
        replace(an_event("a", account=ann.key, user="ann", count="1", inner={"user": ["ann", "bob"]}), message=f"budget ({ann.title}) is full"),
        replace(an_event("b", account=marie.key), message=f"limit of {marie.title} is now 3"),
    ])  # fmt: skip
    before, ids = but_for_users(keeper), {call.id for call in keeper.calls(CallFilter()) if call.attribution.user == "ann"}
    of_ann = keeper.totals(("user",), CallFilter())[("ann",)]
    found = keeper.forget_user(("ann",), "forgotten-1", lambda done: an_event("done", user="forgotten-1", calls=done.call_count))
    assert but_for_users(keeper) == before
    assert keeper.verify() == ()
    assert found.call_count == len(ids) > 10 and found.account_count > 3 and (found.event_count, found.in_use_count) == (1, 0)
    assert {call.id for call in keeper.calls(CallFilter()) if call.attribution.user == "forgotten-1"} == ids
    assert keeper.totals(("user",), CallFilter())[("forgotten-1",)] == of_ann
    first, second, _ = keeper.events()
    assert dict(first.facts) == {
        "account": place_of("forgotten-1").key, "user": "forgotten-1", "count": "1", "inner": {"user": ["forgotten-1", "bob"]},
    }  # fmt: skip
    assert (first.message, second.message) == ("budget (user forgotten-1) is full", "limit of user ann-marie is now 3")
    assert second.facts["account"] == marie.key
    assert list(keeper.overrides()) == [place_of("forgotten-1").key]
    (latch,) = keeper.latches().values()
    assert (latch.account_key, latch.reason) == (place_of("forgotten-1").key, "user forgotten-1 is full")
    assert not [row for row in keeper.accounts() if without_user(row.account, {"ann"}, "x") is not None]


def test_a_user_is_forgotten_in_the_sums_of_dropped_calls_too(keeper: KeepingStore) -> None:
    """In either order."""
    fill(keeper)
    settled(keeper)
    keeper.prune(CUT, lambda _: an_event("pruned"))
    before = but_for_users(keeper)
    keeper.forget_user(("ann",), "forgotten-1", lambda _: an_event("done"))
    assert but_for_users(keeper) == before
    assert keeper.verify() == ()
    keeper.prune(CUT + timedelta(hours=9), lambda _: an_event("pruned again"))
    users = {user for (user,) in keeper.totals(("user",), CallFilter())}
    assert users == {"forgotten-1", "bob", None}


def test_an_account_with_calls_in_flight_keeps_its_name_until_they_have_ended(keeper: KeepingStore) -> None:
    """Renamed under them, their spend would be counted nowhere."""
    call = enter(keeper, T0, "pending")
    first = keeper.forget_user(("ann",), "forgotten-1", lambda _: an_event("one"))
    assert (first.account_count, first.in_use_count) == (0, 2)
    keeper.void(call.id, Settlement(at=T0, outcome=a_settlement(1).outcome, cost_nanos=0))
    again = keeper.forget_user(("ann",), "forgotten-1", lambda _: an_event("two"))
    assert (again.account_count, again.in_use_count) == (2, 0)
    assert keeper.verify() == ()


def test_an_account_that_a_process_has_leased_keeps_its_name(tmp_path: Path) -> None:
    """The process gives back and settles by the key that it knows."""
    backend = SqliteLeases(str(tmp_path / "book.db"))
    account, now = place_of("ann"), datetime.now(UTC)
    backend.enlist(Owner(id="o", host="h", boot_id="b", journal="j", applied=0, deadline=now + timedelta(minutes=5)))
    backend.grant("o", [Want(account, 10, 10, 1000)], now=now)
    backend.close()
    keeper = SqliteKeeper(str(tmp_path / "book.db"))
    found = keeper.forget_user(("ann",), "forgotten-1", lambda _: an_event("e"))
    assert (found.account_count, found.in_use_count) == (0, 1)
    assert account.key in {row.account.key for row in keeper.accounts()}
    keeper.close()


def test_a_dry_run_forgets_nobody_and_an_event_that_is_there_stops_all_of_it(keeper: KeepingStore) -> None:
    """Counts are those of the run."""
    fill(keeper)
    settled(keeper)
    said: Callable[[Forgotten], Event] = lambda _: an_event("one")  # noqa: E731
    dry = keeper.forget_user(("ann",), "forgotten-1", said, dry_run=True)
    assert keeper.events(EventFilter()) == ()
    keeper.announce([an_event("one")])
    before = keeper.totals(("user",), CallFilter())
    with pytest.raises(ConflictingEntryError):
        keeper.forget_user(("ann",), "forgotten-1", said)
    assert keeper.totals(("user",), CallFilter()) == before
    assert keeper.forget_user(("ann",), "forgotten-1", lambda _: an_event("two")) == dry


def test_the_bytes_of_the_id_are_gone_from_the_file(tmp_path: Path) -> None:
    """What is replaced is overwritten."""
    store = SqliteKeeper(str(tmp_path / "book.db"))
    for number in range(50):
        enter(store, T0 + timedelta(hours=number), user="annabella@example.com", session=f"s{number}")
    store.forget_user(("annabella@example.com",), "forgotten-1", lambda _: an_event("e"))
    store.close()
    left = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"annabella" not in left
    assert b"forgotten-1" in left


def test_a_program_that_runs_on_counts_the_users_next_calls(tmp_path: Path) -> None:
    """It remembers numbers of accounts that have another name now; its next call opens the account anew, and spend is counted."""
    store, other = (SqliteKeeper(str(tmp_path / "book.db")) for _ in range(2))
    enter(other, T0)
    store.forget_user(("ann",), "forgotten-1", lambda _: an_event("e"))
    enter(other, T0 + timedelta(minutes=1), nanos=700)
    assert other.balances([place_of("ann").key])[place_of("ann").key].posted == 700
    assert store.balances([place_of("forgotten-1").key])[place_of("forgotten-1").key].posted == 100
    assert [call.attribution.user for call in other.calls(CallFilter())] == ["forgotten-1", "ann"]
    assert store.verify() == ()
    for one in (store, other):
        one.close()
