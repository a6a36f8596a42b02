"""Ledgers of many hosts in one: nothing lost, nothing twice, whatever happens on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from runguard_core.errors import ConflictingEntryError, StoreUnavailableError
from runguard_core.fleet import ship
from runguard_core.ledger import Balance, CallFilter, CallState, FleetStore, Parcel, totals_of
from runguard_core.stores import open_fleet
from runguard_core.testing._ledger_values import DAY, LATER, T0, a_call, a_settlement, an_event, holds
from tests.stores.postgres.conftest import own_schema

AT = T0 + timedelta(hours=1)
KINDS = ["sqlite", "postgres"]


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Callable[[str], Any]]:
    """Ledgers of hosts, by name."""
    opened: dict[str, Any] = {}

    def of(name: str) -> Any:
        if name not in opened:
            opened[name] = open_fleet(f"sqlite:///{tmp_path / name}.db")
        return opened[name]

    yield of
    for ledger in opened.values():
        ledger.close()


@pytest.fixture(params=KINDS)
def fleet(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FleetStore]:
    """The ledger of the fleet, of both kinds."""
    if request.param == "sqlite":
        opened = open_fleet(f"sqlite:///{tmp_path / 'fleet.db'}")
        yield opened
        opened.close()
        return
    with own_schema(request.getfixturevalue("postgres_url")) as url:
        opened = open_fleet(url)
        yield opened
        opened.close()


def send(ledger: Any, fleet: FleetStore, at: Any = AT, host: str = "h") -> int:
    """Ship; how many lines were new."""
    return ship(ledger, ledger.ledger_id(), fleet, host=host, at=at).line_count


def spend(ledger: Any, cost: int, **who: Any) -> str:
    """A call from its reserve to its post."""
    call = a_call(**who)
    ledger.reserve(call, holds(10, None), expires_at=LATER, owner="t", events=[an_event(call.id)])
    ledger.post(call.id, a_settlement(cost))
    return call.id


def same(fleet: FleetStore, *ledgers: Any) -> bool:
    """Whether the fleet's sums, calls and events are those of the ledgers together."""
    calls = sorted((call for ledger in ledgers for call in ledger.calls(CallFilter())), key=lambda c: (c.started_at, c.id))
    sums: dict[str, Balance] = {}
    for ledger in ledgers:
        for row in ledger.accounts():
            b, more = sums.get(row.account.key, Balance()), row.balance
            sums[row.account.key] = Balance(b.posted + more.posted, b.pending + more.pending)
    here = {row.account.key: Balance(row.balance.posted, row.balance.pending) for row in fleet.accounts()}
    events = {event.id for ledger in ledgers for event in ledger.events()}
    assert [call.settlement for call in fleet.calls(CallFilter())] == [call.settlement for call in calls]
    assert {key: balance for key, balance in here.items() if balance != Balance()} == {
        key: balance for key, balance in sums.items() if balance != Balance()
    }
    assert {event.id for event in fleet.events()} == events
    assert dict(fleet.totals(["agent", "model"], CallFilter())) == totals_of(calls, ["agent", "model"])
    assert fleet.verify() == ()
    return True


def test_what_was_shipped_is_there_as_it_was_and_shipping_again_adds_nothing(local: Any, fleet: FleetStore) -> None:
    """Calls, sums, events; from two hosts that share an account."""
    one, two = local("one"), local("two")
    for ledger, cost in ((one, 7), (one, 3), (two, 5)):
        spend(ledger, cost)
    assert send(one, fleet, host="web-1") > 0
    assert send(two, fleet, host="web-2") > 0
    assert fleet.balances([DAY.key])[DAY.key].posted == 15
    before = fleet.entries()
    assert (send(one, fleet, AT + timedelta(hours=1), "web-1"), send(two, fleet, host="web-2")) == (0, 0)
    assert fleet.entries() == before
    assert [(s.host, s.shipped_at) for s in fleet.sources()] == [("web-1", AT + timedelta(hours=1)), ("web-2", AT)]
    assert same(fleet, one, two)


def test_what_happens_later_arrives_later_corrections_too(local: Any, fleet: FleetStore) -> None:
    """A call in flight that ends, an assumption that the truth corrects, an invoice, a void."""
    ledger = local("one")
    posted = spend(ledger, 9)
    flying, forgotten, unsent = a_call(), a_call(), a_call()
    for call in (flying, forgotten, unsent):
        ledger.reserve(call, holds(10, None), expires_at=LATER if call is forgotten else LATER + timedelta(days=9), owner="t")
    send(ledger, fleet)
    assert same(fleet, ledger)
    assert len(fleet.calls(CallFilter(state=CallState.PENDING))) == 3
    fleet.expire(LATER + timedelta(days=99))  # a call in flight elsewhere is no business of this ledger's clock
    assert same(fleet, ledger)
    ledger.expire(LATER)
    send(ledger, fleet)
    assert same(fleet, ledger)
    ledger.post(flying.id, a_settlement(4))
    ledger.post(forgotten.id, a_settlement(2))
    ledger.void(unsent.id, a_settlement(0))
    ledger.adjust(posted, a_settlement(1), "invoice")
    assert send(ledger, fleet) > 0
    assert same(fleet, ledger)
    assert send(ledger, fleet) == 0


def test_a_run_that_is_killed_anywhere_is_finished_by_the_next(
    local: Any, fleet: FleetStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A parcel arrives whole or not; where it stopped is kept with it."""
    monkeypatch.setattr("runguard_core.fleet._shipping._PARCEL_CALLS", 2)
    ledger = local("one")
    for cost in range(1, 8):
        spend(ledger, cost)
    receive, arrived = fleet.receive, 0

    def dying(parcel: Parcel) -> int:
        nonlocal arrived
        found = receive(parcel)
        arrived += 1
        raise KeyboardInterrupt(str(found))

    while arrived < 3:
        monkeypatch.setattr(fleet, "receive", dying)
        with pytest.raises(KeyboardInterrupt):
            send(ledger, fleet)
        assert fleet.verify() == ()
        assert len(fleet.calls(CallFilter())) == 2 * arrived
    monkeypatch.setattr(fleet, "receive", receive)
    send(ledger, fleet)
    assert same(fleet, ledger)


def parcels_of(ledger: Any) -> list[Parcel]:
    """What shipping a ledger for the first time would send."""
    found: list[Parcel] = []

    class Keeping:
        def sources(self) -> tuple[()]:
            return ()

        def receive(self, parcel: Parcel) -> int:
            found.append(parcel)
            return 0

    ship(ledger, ledger.ledger_id(), Keeping(), host="h", at=AT)  # type: ignore[arg-type]  # what shipping asks of it
    return found


def test_an_older_parcel_that_comes_after_a_newer_one_changes_nothing(local: Any, fleet: FleetStore) -> None:
    """Two shippers at once: one read the ledger before a correction, and comes last."""
    ledger = local("one")
    call_id = spend(ledger, 9)
    older = parcels_of(ledger)
    ledger.adjust(call_id, a_settlement(2), "invoice")
    send(ledger, fleet)
    for parcel in older:
        assert fleet.receive(parcel) == 0
    assert same(fleet, ledger)


def test_a_call_that_is_known_as_it_is_later_stays_so_beside_one_that_is_new(local: Any, postgres_url: str) -> None:
    """A parcel of both: the one is passed over, the other is taken in."""
    ledger = local("one")
    corrected = spend(ledger, 9)
    (older,) = parcels_of(ledger)
    ledger.adjust(corrected, a_settlement(2), "invoice")
    with own_schema(postgres_url) as url:
        fleet = open_fleet(url)
        send(ledger, fleet)
        spend(ledger, 4)
        (newer,) = parcels_of(ledger)
        mixed = replace(newer, calls=[*older.calls, newer.calls[1]], lines={**newer.lines, **older.lines})
        assert fleet.receive(mixed) == 2
        assert same(fleet, ledger)
        fleet.close()


def test_merging_into_a_ledger_that_spends_itself_keeps_both(local: Any, fleet: FleetStore) -> None:
    """Guards may write there directly."""
    ledger = local("one")
    spend(ledger, 9)
    own = spend(fleet, 4)
    send(ledger, fleet)
    assert fleet.balances([DAY.key])[DAY.key].posted == 13
    kept = fleet.call(own)
    assert kept is not None
    assert kept.state is CallState.POSTED
    assert fleet.verify() == ()


def test_a_copy_that_went_on_is_refused_by_name(local: Any, tmp_path: Path, postgres_url: str) -> None:
    """Two files with one id: the lines of one would hide those of the other."""
    ledger = local("one")
    spend(ledger, 1)
    ledger_id = ledger.ledger_id()
    copy = local("copy")
    with copy._connections.writing() as db:
        db.execute("INSERT OR REPLACE INTO meta VALUES ('ledger', ?)", (ledger_id,))
    spend(copy, 2)
    with own_schema(postgres_url) as url:
        fleet = open_fleet(url)
        send(ledger, fleet)
        fleet._connections.run(lambda link: link.execute("UPDATE source SET line = 0"))  # type: ignore[attr-defined]
        with pytest.raises(ConflictingEntryError, match="a copy of this ledger went on elsewhere"):
            send(copy, fleet)
        assert same(fleet, ledger)
        fleet.close()


def test_the_rest_of_lost_leases_is_shipped_too(local: Any, fleet: FleetStore, tmp_path: Path) -> None:
    """It is a line of no call."""
    from runguard_core.ledger import Owner, Want
    from runguard_core.stores._sqlite_leasing import SqliteLeases

    backend = SqliteLeases(str(tmp_path / "one.db"))
    backend.enlist(Owner(id="o", host="h", boot_id="b", journal="j", applied=0, deadline=T0))
    backend.grant("o", [Want(DAY, 30, 30, 100, 100)], now=T0)
    backend.recover("o", 0, [], is_lost=True, now=T0)
    backend.close()
    send(local("one"), fleet)
    assert fleet.balances([DAY.key])[DAY.key].posted == 30
    assert fleet.verify() == ()
    assert send(local("one"), fleet) == 0


@pytest.mark.parametrize("url", ["memory://", "mysql://x"])
def test_only_files_and_postgresql_take_ledgers_in(url: str) -> None:
    """The sentence says which."""
    with pytest.raises(StoreUnavailableError, match=r"sqlite:///FILE"):
        open_fleet(url)
