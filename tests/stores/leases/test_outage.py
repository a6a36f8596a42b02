"""A store with leases whose backend does not answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runguard_core.calls import OutcomeKind
from runguard_core.errors import StoreUnavailableError
from runguard_core.ledger import Account, Balance, CallFilter, Hold, Reserved, Settlement, Unit
from runguard_core.stores._sqlite_leasing import SqliteLeases
from runguard_core.stores.leases import Host, Leased
from runguard_core.stores.leases._files import WORD_COUNT, open_words
from runguard_core.testing._ledger_values import DAY, LATER, T0, a_call, a_settlement, holds
from tests.stores.leases.test_neighbours import crash

TIMEOUT_SECONDS = 0.1


class Silent(SqliteLeases):
    """Fails each writing verb after a timeout while it is away."""

    is_away = False

    def _writing(self, **how: Any) -> Any:
        if self.is_away:
            time.sleep(TIMEOUT_SECONDS)
            raise StoreUnavailableError("ledger", "no answer", "wait")
        return super()._writing(**how)


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Silent]:
    """In a folder of its own."""
    backend = Silent(str(tmp_path / "ledger.db"))
    yield backend
    backend.is_away = False


@pytest.fixture
def store(tmp_path: Path, backend: Silent) -> Iterator[Leased]:
    """Leases from the first call."""
    store = Leased(backend, str(tmp_path / "ledger.db.leases"), lease_after=0, background=False)
    yield store
    store.close()


@pytest.mark.parametrize("verb", ["reserve", "post"])
def test_threads_do_not_wait_for_one_timeout_after_the_other(store: Leased, backend: Silent, verb: str) -> None:
    """Twelve ask at once; the last one hears of the failure after about two timeouts, not after twelve."""
    store.reserve(a_call(), holds(1), expires_at=LATER, owner="t")
    backend.is_away = True
    start, waited = threading.Barrier(12), []

    def ask(index: int) -> None:
        account = Account(f"account-{index}", Unit.USD, f"account {index}")
        start.wait()
        began = time.monotonic()
        with pytest.raises(StoreUnavailableError, match="no answer"):
            if verb == "reserve":
                store.reserve(a_call(), [Hold(account, 1, 9, 9)], expires_at=LATER, owner="t")
            else:
                store.post("unknown here", a_settlement(1))
        waited.append(time.monotonic() - began)

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(waited) == 12
    assert max(waited) < 6 * TIMEOUT_SECONDS


def test_who_only_reads_is_not_stopped_by_what_cannot_be_written(tmp_path: Path, backend: Silent) -> None:
    """A process has died and its books cannot be closed: the disk is full. A report shows what is there."""
    crash(tmp_path)
    backend.is_away = True
    reader = Leased(backend, str(tmp_path / "ledger.db.leases"))
    assert reader.balances([DAY.key])[DAY.key].leased > 0
    assert reader.calls(CallFilter()) == ()
    backend.is_away = False
    assert Leased(backend, str(tmp_path / "ledger.db.leases")).balances([DAY.key])[DAY.key] == Balance(2)


class Picky(SqliteLeases):
    """Cannot write what one owner did."""

    def recover(self, owner_id: str, *how: Any, **more: Any) -> Any:
        if owner_id == min(owner.id for owner in self.owners()):
            raise OverflowError(owner_id)
        return super().recover(owner_id, *how, **more)


def test_one_journal_that_no_store_takes_does_not_close_the_ledger(tmp_path: Path) -> None:
    """The other dead are recovered, and calls go on; the journal stays for whoever can read it."""
    crash(tmp_path)
    crash_again = Leased(Picky(str(tmp_path / "ledger.db")), str(tmp_path / "ledger.db.leases"), lease_after=0, background=False)
    assert isinstance(crash_again.reserve(a_call(), holds(1), expires_at=LATER, owner="t"), Reserved)
    assert crash_again.balances([DAY.key])[DAY.key].pending == 1
    crash_again.close()
    assert len(list((tmp_path / "ledger.db.leases").glob("*.journal"))) == 1


class Broken(SqliteLeases):
    """Raises what no store should."""

    def settle(self, *how: Any, **more: Any) -> Any:
        raise OverflowError("too large")


def test_a_program_ends_whatever_its_store_raises(tmp_path: Path) -> None:
    """Closing never raises; what happened is in the journal, and in the book when the next process comes."""
    store = Leased(Broken(str(tmp_path / "ledger.db")), str(tmp_path / "ledger.db.leases"), lease_after=0, background=False)
    store.reserve(a_call("one"), holds(2), expires_at=LATER, owner="t")
    store.post("one", a_settlement(2))
    store.close()
    heir = Leased(SqliteLeases(str(tmp_path / "ledger.db")), str(tmp_path / "ledger.db.leases"))
    assert heir.balances([DAY.key])[DAY.key] == Balance(2)
    heir.close()


class Ending(Host):
    """The interpreter is going down."""

    def start(self, work: Any) -> Any:
        raise RuntimeError("can't create new thread at interpreter shutdown")


def test_calls_are_made_after_the_last_thread_could_start(tmp_path: Path) -> None:
    """In an exit handler, for example."""
    store = Leased(SqliteLeases(str(tmp_path / "ledger.db")), str(tmp_path / "ledger.db.leases"), lease_after=0, host=Ending())
    store.reserve(a_call("one"), holds(2), expires_at=LATER, owner="t")
    store.post("one", a_settlement(2))
    assert store.balances([DAY.key])[DAY.key] == Balance(2)
    store.close()


def test_a_full_disk_is_an_error_when_words_are_opened_and_never_a_signal_later(tmp_path: Path) -> None:
    """Their page is on the disk from the start: writing into a hole of a mapped file would end the process."""
    open_words(str(tmp_path / "recall"))
    assert (tmp_path / "recall").stat().st_blocks * 512 >= WORD_COUNT * 8


def test_calls_that_another_process_ended_do_not_leave_more_to_spend_than_is_leased(tmp_path: Path) -> None:
    """What such a call did not cost goes back to the account, once: not to the account and to the lease."""
    path = str(tmp_path / "ledger.db")
    here, plain = Leased(SqliteLeases(path), f"{path}.leases", lease_after=0, background=False), SqliteLeases(path)
    calls = [a_call(f"call-{number}") for number in range(10)]
    for call in calls:
        here.reserve(call, [Hold(DAY, 9, 100, 100)], expires_at=LATER, owner="t")
    here.tick()
    for store in (plain, here):
        for call in calls:
            store.post(call.id, Settlement(at=T0, outcome=OutcomeKind.COMPLETED, amounts={DAY.key: 1}, cost_nanos=1))
    here.tick()
    left = plain.balances([DAY.key])[DAY.key].available(100)
    plain.reserve(a_call(), [Hold(DAY, left, 100, 100)], expires_at=LATER, owner="p")
    while isinstance(here.reserve(a_call(), [Hold(DAY, 1, 100, 100)], expires_at=LATER, owner="t"), Reserved):
        pass
    assert here.balances([DAY.key])[DAY.key] == Balance(10, 90)
    here.close()
