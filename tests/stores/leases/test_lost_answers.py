"""An answer of the store is lost after it did what it was asked: nothing is stranded, nothing is done twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runguard_core.errors import StoreUnavailableError
from runguard_core.ledger import Account, CallState, Hold, Reserved, Unit
from runguard_core.stores._sqlite_leasing import SqliteLeases
from runguard_core.stores.leases import Leased
from runguard_core.testing._ledger_values import DAY, LATER, T0, a_call, a_settlement

from .opened import leased

ALL = Account("all", Unit.USD, "all")


class Deaf(SqliteLeases):
    """One whose answer to one verb is lost."""

    lost = ""
    is_away = False

    def settle(self, *values: Any, **more: Any) -> Any:
        if self.is_away:
            raise StoreUnavailableError("ledger", "it is away")
        return super().settle(*values, **more)

    def grant(self, *values: Any, **more: Any) -> Any:
        return self._heard("grant", super().grant(*values, **more))

    def reserve(self, *values: Any, **more: Any) -> Any:
        return self._heard("reserve", super().reserve(*values, **more))

    def _heard(self, verb: str, answer: Any) -> Any:
        if self.lost == verb:
            self.lost = ""
            raise StoreUnavailableError("ledger", "the answer was lost")
        return answer


def test_a_slice_whose_grant_was_not_heard_of_is_no_lost_money(tmp_path: Path) -> None:
    """The store has leased it to us, and we do not know: the next call that lacks it gets it back (seed 12 of the simulator)."""
    backend = Deaf(str(tmp_path / "l.db"))
    store = Leased(backend, str(tmp_path / "journals"), lease_after=1, background=False)
    store.reserve(a_call("plain"), [], expires_at=LATER, owner="t")
    backend.lost = "grant"
    with pytest.raises(StoreUnavailableError):
        store.reserve(a_call("unheard"), [Hold(ALL, 10, 800, 800)], expires_at=LATER, owner="t")
    assert backend.balances(["all"])["all"].leased == 100
    found = store.reserve(a_call("all of it"), [Hold(ALL, 800, 800, 800)], expires_at=LATER, owner="t")
    assert isinstance(found, Reserved)
    store.post("all of it", a_settlement(0, amounts={"all": 800}))
    assert store.verify() == ()
    store.close()


def test_a_call_that_others_assumed_is_corrected_by_its_end(tmp_path: Path) -> None:
    """Reserved plainly without hearing of it, again with leases, and expired by somebody whose clock is ahead (seed 204)."""
    backend = Deaf(str(tmp_path / "l.db"))
    store = Leased(backend, str(tmp_path / "journals"), lease_after=1, background=False)
    backend.lost = "reserve"
    hold = [Hold(ALL, 10, 800, 800)]
    with pytest.raises(StoreUnavailableError):
        store.reserve(a_call("twice"), hold, expires_at=LATER, owner="t")
    store.reserve(a_call("twice"), hold, expires_at=LATER, owner="t")
    SqliteLeases(str(tmp_path / "l.db")).expire(LATER)
    store.tick()
    store.post("twice", a_settlement(12, amounts={"all": 12}))
    assert store.balances(["all"])["all"].posted == 12
    kept = store.call("twice")
    assert kept is not None
    assert (kept.state.value, kept.cost_nanos) == ("posted", 12)
    assert store.verify() == ()
    store.close()


def test_a_batch_that_was_not_heard_is_said_before_the_next_grant(tmp_path: Path) -> None:
    """It claims what we had then: said afterwards it would hand the new slice back while it is being spent (seed 1580)."""
    backend = Deaf(str(tmp_path / "l.db"))
    store = Leased(backend, str(tmp_path / "journals"), lease_after=1, background=False)
    store.reserve(a_call("plain"), [], expires_at=LATER, owner="t")
    store.reserve(a_call("one"), [Hold(ALL, 10, 800, 800)], expires_at=LATER, owner="t")
    backend.is_away = True
    with pytest.raises(StoreUnavailableError):
        store.balances(["all"])
    backend.is_away = False
    store.reserve(a_call("two"), [Hold(ALL, 95, 800, 800)], expires_at=LATER, owner="t")
    store.tick()
    ours = store._leases.holdings
    assert ours is not None
    assert 0 < ours.slices["all"].free <= backend.balances(["all"])["all"].leased
    store.close()


def test_a_call_is_ended_after_what_a_lost_owner_has_not_told_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others gave this owner up, and the correction met a store that was away: an end that comes now waits for its beginning."""
    store = leased(tmp_path)
    call = a_call()
    store.reserve(call, [Hold(DAY, 9, 1000, 1000)], expires_at=LATER, owner="t")
    store.backend.recover(store._leases.owner, 0, (), is_lost=True, now=T0)

    def away(*_: Any, **__: Any) -> Any:
        raise StoreUnavailableError("l.db", "away")

    with monkeypatch.context() as patched:
        patched.setattr(store.backend, "reserve", away)
        assert store.tick() is False
    store.post(call.id, a_settlement(5, amounts={DAY.key: 5}))
    kept = store.call(call.id)
    assert kept is not None
    assert (kept.state, kept.cost_nanos) == (CallState.POSTED, 5)
    assert store.verify() == ()
    store.close()
