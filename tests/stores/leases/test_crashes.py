"""What is left of an owner that died: nothing it spent is lost, nothing it held stays, and nobody is charged twice."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from runguard_core.calls import Certainty, ModelCall, Outcome, PromptPart
from runguard_core.errors import StoreUnavailableError
from runguard_core.ledger import (
    Balance,
    CallDraft,
    CallFilter,
    CallState,
    Hold,
    Refusal,
    SettlementDraft,
)
from runguard_core.stores.leases import Leased
from runguard_core.testing._ledger_values import DAY, LATER, T0, a_call, a_settlement, an_event
from runguard_core.usage import Usage

from .opened import HOUR, StillHost, abandon, leased, plain, reserve, spend


def day(store: object) -> Balance:
    found: Balance = store.balances([DAY.key])[DAY.key]  # type: ignore[attr-defined]
    return found


def test_the_next_process_finds_everything_a_killed_one_has_done(tmp_path: Path) -> None:
    """Never flushed: the journal alone tells it. The call in flight is charged at its quote, and a late post corrects it."""
    dead = leased(tmp_path)
    assert spend(dead, 7)
    reserve(dead, 10, call_id="open")
    reserve(dead, 5, call_id="void")
    dead.void("void", a_settlement(0))
    assert plain(tmp_path).calls(CallFilter()) == ()
    abandon(dead)
    store = leased(tmp_path)
    assert [(call.id, call.state, call.cost_nanos) for call in store.expire(T0)] == [("open", CallState.ASSUMED, 10)]
    assert day(store) == Balance(17, 0, 10)
    assert store.post("open", a_settlement(4)).applied.value == "late"
    assert day(store) == Balance(11)
    assert list((tmp_path / "l.db.leases").glob("*.journal")) == []
    assert store.verify() == ()
    store.close()


def test_a_reader_needs_no_reserve_to_find_it(tmp_path: Path) -> None:
    """A report on the ledger of a program that was killed a moment ago."""
    dead = leased(tmp_path)
    spend(dead, 7)
    abandon(dead)
    store = leased(tmp_path)
    assert [call.cost_nanos for call in store.calls(CallFilter())] == [7]
    store.close()


def test_what_was_flushed_is_not_applied_twice(tmp_path: Path) -> None:
    """The offset and the book moved together."""
    dead = leased(tmp_path)
    spend(dead, 7)
    dead.tick()
    spend(dead, 8)
    abandon(dead)
    store = leased(tmp_path)
    assert day(store) == Balance(15)
    assert len(store.entries()) == 4
    store.close()


def test_everything_about_a_call_survives_in_the_journal(tmp_path: Path) -> None:
    """Field by field, for whole values and for drafts, with what is rare and with what breaks files."""
    dead, alive = leased(tmp_path / "dead"), leased(tmp_path / "alive")
    full = a_settlement(
        5, duration_seconds=1.5, model_answered="m\ud800", provider_request_id="r\0", error="E: ü", error_status=500, attempt_count=2,
        from_cache=True, tool_names=("x", "y"), result_hash="h", result_chars=3, note="n", certainty=Certainty.ESTIMATED,
        usage=Usage(input_tokens=9, output_tokens=8, cache_read_input_tokens=7, web_search_count=1), amounts={"day": 5, "other": 6},
    )  # fmt: skip
    call = a_call("one", feature="f", team="t", owner="o", user="u", instance="i", release="1", tags=(("a", "x"), ("b", "ü")))
    model = ModelCall(model="m", provider="p", parts=(PromptPart("user", 3, 2, 1), PromptPart("tool:ü", 4)), max_output_tokens=5)
    drafts = [
        CallDraft("two", model, call.attribution, 4, 5, T0, None, quote_is_bound=True, policy_hash="h", unverified=True),
        CallDraft("three", "a tool", call.attribution, None, None, T0, 3, quote_is_bound=False, signature="s"),
    ]
    outcome = Outcome(model="m-1", provider_request_id="q", usage=Usage(input_tokens=1, output_tokens=2))
    for store in (dead, alive):
        event = an_event()
        for one in (call, *drafts):
            store.reserve(one, [Hold(DAY, 5, 100, 70)], expires_at=LATER, owner="t", events=[event] if one is call else ())
        store.post("one", full)
        store.post("two", SettlementDraft(T0, outcome, {"day": 4}, None, Certainty.UNPRICED, outcome.usage, float("nan")))
    abandon(dead)
    again = leased(tmp_path / "dead")
    again.expire(T0)
    alive.expire(LATER)
    for call_id in ("one", "two", "three"):
        found, wanted = again.call(call_id), alive.call(call_id)
        assert found is not None
        assert wanted is not None
        if call_id == "three":
            assert found.state is wanted.state is CallState.ASSUMED
            continue
        assert repr(found) == repr(wanted).replace("duration_seconds=nan", "duration_seconds=None")
    assert len(again.events()) == len(alive.events()) == 1
    assert [(row.account, row.limit) for row in again.accounts()] == [(row.account, row.limit) for row in alive.accounts()]
    again.close()
    alive.close()


def test_a_torn_end_loses_what_never_returned_and_nothing_else(tmp_path: Path) -> None:
    """The last record was being written: its call was not sent."""
    dead = leased(tmp_path)
    spend(dead, 7)
    holdings = dead._leases.holdings
    assert holdings is not None
    whole = holdings.waiting[-1][0]
    reserve(dead, 10)
    journal = Path(holdings.journal.path)
    abandon(dead)
    with journal.open("r+b") as file:
        file.seek(20 + whole + 30)
        file.write(b"\0" * 40)
    store = leased(tmp_path)
    assert day(store) == Balance(7)
    assert store.verify() == ()
    store.close()


@pytest.mark.parametrize("damage", ["missing", "emptied", "no journal", "another user's", "a lie"])
def test_a_journal_that_cannot_be_believed_is_charged_not_handed_back(tmp_path: Path, damage: str) -> None:
    """What was leased is posted as assumed, and the warning names the journal."""
    host = StillHost()
    dead = leased(tmp_path, host=host)
    reserve(dead, 10, call_id="told")
    dead.tick()
    rest = plain(tmp_path).balances([DAY.key])[DAY.key].leased
    assert rest > 0
    spend(dead, 3)
    holdings = dead._leases.holdings
    assert holdings is not None
    journal = Path(holdings.journal.path)
    abandon(dead)
    if damage == "missing":
        journal.unlink()
    elif damage == "emptied":
        os.truncate(journal, 0)
    elif damage == "no journal":
        journal.write_bytes(b"\xff" * 4096)
    elif damage == "another user's":
        journal.chmod(0o644)
        host.wall += HOUR
    else:
        content = journal.read_bytes()
        from runguard_core.stores.leases._segments import _FRAME, _HEAD, _crc

        bad = b'["r",1,2,3]'
        at = _HEAD.size
        journal.write_bytes(content[:at] + _FRAME.pack(len(bad), _crc(bad, 0)) + bad + content[at + 8 + len(bad) :])
    store = leased(tmp_path, host=host)
    store.expire(T0)
    assert day(store) == Balance(10 + rest, 0, 10 + rest)
    assert [entry.call_id.partition(":")[0] for entry in store.entries()][-1] in {"told", "lease"}
    assert store.verify() == ()
    store.close()


def test_after_a_power_cut_the_whole_rest_is_charged(tmp_path: Path) -> None:
    """The end of the journal may never have reached the disk, whatever can be read of it."""
    host = StillHost()
    dead = leased(tmp_path, host=host)
    reserve(dead, 10, call_id="told")
    dead.tick()
    rest = plain(tmp_path).balances([DAY.key])[DAY.key].leased
    spend(dead, 3)
    abandon(dead)
    host.boot = "the next"
    store = leased(tmp_path, host=host)
    store.expire(T0)
    assert day(store) == Balance(10 + rest, 0, 10 + rest)
    store.close()


def test_another_host_waits_for_the_deadline(tmp_path: Path) -> None:
    """It cannot see the journal, nor whether its process lives."""
    host, elsewhere = StillHost(), StillHost()
    elsewhere.name, elsewhere.boot = "elsewhere", "its own"
    alive = leased(tmp_path, host=host)
    reserve(alive, 10, call_id="open")
    alive.tick()
    other = leased(tmp_path, host=elsewhere)
    other.expire(T0)
    assert plain(tmp_path).owners() != ()
    elsewhere.wall += HOUR
    other.expire(T0)
    assert plain(tmp_path).owners() == ()
    call = other.call("open")
    assert call is not None
    assert call.state is CallState.ASSUMED
    other.close()
    # the owner was only slow: what it tells now corrects
    alive.post("open", a_settlement(2))
    spend(alive, 5)
    call = alive.call("open")
    assert call is not None
    assert (call.state, call.cost_nanos) == (CallState.POSTED, 2)
    assert alive.verify() == ()
    alive.close()


def test_an_owner_that_was_given_up_loses_no_truth(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It had not told everything: calls it had begun and ended in memory are entered as they were, under its next owner."""
    store = leased(tmp_path)
    spend(store, 7)
    first = store._leases.owner
    book = plain(tmp_path)
    book.recover(first, 0, (), is_lost=True, now=T0)
    reserve(store, 3, call_id="open")
    with caplog.at_level(logging.WARNING):
        assert store.tick()
    assert "given up" in caplog.text
    assert {call.cost_nanos for call in book.calls(CallFilter(state=CallState.POSTED))} == {7}
    store.post("open", a_settlement(2))
    assert spend(store, 1)
    assert store._leases.owner != first
    assert {call.cost_nanos for call in store.calls(CallFilter())} == {7, 2, 1}
    assert store.verify() == ()
    store.close()


def test_a_lost_reply_is_asked_again_and_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows whether the book has heard the batch: the same batch comes again, whatever has happened since."""
    store = leased(tmp_path)
    spend(store, 7)
    real = store.backend.settle
    fails = [True]

    def lossy(*args: object, **kwargs: object) -> object:
        found = real(*args, **kwargs)  # type: ignore[arg-type]
        if fails.pop() if fails else False:
            raise StoreUnavailableError("l.db", "the reply was lost")
        return found

    monkeypatch.setattr(store.backend, "settle", lossy)
    assert store.tick() is False
    spend(store, 8)
    assert store.tick() is True
    assert day(store) == Balance(15)
    assert len(store.entries()) == 4
    assert store.verify() == ()
    store.close()


def test_while_the_store_is_away_what_is_leased_is_spent_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it refuses to guess; and once the store is back the book hears everything."""
    store = leased(tmp_path)
    assert spend(store, 1)

    def away(*args: object, **kwargs: object) -> object:
        raise StoreUnavailableError("l.db", "away")

    with monkeypatch.context() as patched:
        for verb in ("settle", "grant", "balances", "owners", "reserve"):
            patched.setattr(store.backend, verb, away)
        passed = 0
        with pytest.raises(StoreUnavailableError):
            while spend(store, 1):
                passed += 1
        assert passed == 31
        assert store.tick() is False
    assert day(store) == Balance(32)
    assert spend(store, 1)
    assert store.verify() == ()
    store.close()


def test_a_journal_is_used_again_from_its_start_and_what_it_said_before_is_not_read(tmp_path: Path) -> None:
    """Many times its size passes through it; a crash in the middle finds exactly the rest."""
    store = leased(tmp_path, journal_bytes=1 << 14)
    for _ in range(200):
        assert spend(store, 1)
    holdings = store._leases.holdings
    assert holdings is not None
    assert holdings.journal.base > 1 << 14
    store.tick()
    for _ in range(5):
        spend(store, 1)
    abandon(store)
    again = leased(tmp_path)
    assert day(again) == Balance(205)
    assert len(again.calls(CallFilter())) == 205
    assert again.verify() == ()
    again.close()


def test_a_call_larger_than_the_journal_is_reserved_plainly(tmp_path: Path) -> None:
    """And its end reaches the book directly."""
    store = leased(tmp_path, journal_bytes=1 << 12)
    spend(store, 1)
    store.reserve(a_call("big", agent="x" * 200, run="y" * 6000), [Hold(DAY, 5, 1000)], expires_at=LATER, owner="t")
    store.post("big", a_settlement(4))
    reserve(store, 2, call_id="small")
    store.post("small", a_settlement(2, note="z" * 6000))
    assert day(store) == Balance(7)
    assert store.verify() == ()
    store.close()


def test_an_id_that_the_book_knows_from_elsewhere_gets_a_call_of_its_own(tmp_path: Path) -> None:
    """Found out at the flush: both are counted, and nothing behind them waits."""
    book = plain(tmp_path)
    book.reserve(a_call("same"), [Hold(DAY, 5, 1000)], expires_at=LATER, owner="t")
    book.post("same", a_settlement(5))
    store = leased(tmp_path)
    reserve(store, 10, call_id="same")
    store.tick()
    store.post("same", a_settlement(9))
    spend(store, 1)
    assert day(store) == Balance(15)
    assert len(store.calls(CallFilter())) == 3
    assert store.verify() == ()
    store.close()


def test_an_end_that_contradicts_the_book_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Somebody else (the child of a fork) has said how the call ended; that stays, and the rest of the batch passes."""
    store, book = leased(tmp_path), plain(tmp_path)
    reserve(store, 10, call_id="open")
    store.tick()
    book.post("open", a_settlement(4))
    store.post("open", a_settlement(9))
    spend(store, 1)
    with caplog.at_level(logging.WARNING):
        assert store.tick()
    assert "contradiction" in caplog.text
    assert day(store) == Balance(5)
    assert store.verify() == ()
    store.close()


# -- processes ------------------------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from pathlib import Path
from tests.stores.leases.opened import leased, reserve, spend
store = leased(Path(sys.argv[1]), background=True)
for _ in range(100):
    spend(store, 3)
reserve(store, 5)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_kill_9_loses_nothing(tmp_path: Path) -> None:
    """A real process, a real signal."""
    ended = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False, cwd=Path(__file__).parents[3])
    assert ended.returncode == -signal.SIGKILL
    store = leased(tmp_path)
    assert len(store.expire(T0)) == 1
    assert day(store) == Balance(305, 0, 5)
    assert store.verify() == ()
    store.close()


def test_a_live_owner_is_left_alone(tmp_path: Path) -> None:
    """Also by another store of the same process, whose lock on the same journal would be its own."""
    one, two = leased(tmp_path), leased(tmp_path)
    spend(one, 1)
    spend(two, 1)
    one.expire(T0)
    two.expire(T0)
    assert len(plain(tmp_path).owners()) == 2
    for store in (one, two, one, two):
        assert spend(store, 1)
    one.close()
    assert day(two) == Balance(6)
    two.close()
    assert plain(tmp_path).owners() == ()


def test_the_child_of_a_fork_spends_nothing_of_its_parents(tmp_path: Path) -> None:
    """It begins anew; the parent's slice, journal and lock stay the parent's, and when it dies the child may recover it."""
    store = leased(tmp_path)
    spend(store, 1)
    owner = store._leases.owner
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            assert store._leases.holdings is None
            store.expire(T0)  # the parent lives
            assert spend(store, 2)
            assert store._leases.owner != owner
            os.write(writing, b"x")
            store.close()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    assert os.read(reading, 1) == b"x"
    os.close(reading)
    os.close(writing)
    assert [one.id for one in plain(tmp_path).owners()] == [owner]
    assert spend(store, 1)
    assert day(store) == Balance(4)
    store.close()


ORPHAN = """
import os, signal, sys
from pathlib import Path
from tests.stores.leases.opened import leased, spend
store = leased(Path(sys.argv[1]))
spend(store, 7)
if os.fork() == 0:
    print(os.getpid(), flush=True)
    signal.pause()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_dead_parent_is_recovered_while_its_forked_child_lives(tmp_path: Path) -> None:
    """The lock is not inherited."""
    parent = subprocess.Popen(
        [sys.executable, "-c", ORPHAN, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.stdout.close()
    assert parent.wait(30) == -signal.SIGKILL
    try:
        store = leased(tmp_path)
        assert day(store) == Balance(7)
        assert store._leases.backend.owners() == ()
        store.close()
    finally:
        os.kill(child, signal.SIGKILL)


ENDING = """
import sys
from pathlib import Path
from tests.stores.leases.opened import leased, spend
store = leased(Path(sys.argv[1]), background=True)
for _ in range(50):
    spend(store, 1)
"""


def test_a_program_that_just_ends_leaves_nothing_behind(tmp_path: Path) -> None:
    """Nobody closed the store; the interpreter's end does."""
    subprocess.run([sys.executable, "-c", ENDING, str(tmp_path)], check=True, cwd=Path(__file__).parents[3])
    book = plain(tmp_path)
    assert day(book) == Balance(50)
    assert book.owners() == ()
    assert list((tmp_path / "l.db.leases").glob("*.journal")) == []


def test_interrupts_at_any_statement_leave_no_lock_and_cost_nobody_too_little(tmp_path: Path) -> None:
    """Control-C hundreds of times inside the verbs: what was let through and posted is in the book, exactly or above."""
    store = leased(tmp_path)
    before = signal.signal(signal.SIGALRM, _interrupt)
    done, hits = 0, 0
    try:
        for _ in range(3000):
            signal.setitimer(signal.ITIMER_REAL, 0.00007)
            try:
                if spend(store, 1, 10**9):
                    done += 1
            except KeyboardInterrupt:
                hits += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        hits += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    store.tick()
    assert hits > 100
    balance = day(store)
    assert done <= balance.posted + balance.pending <= done + hits + 1
    assert store.verify() == ()
    store.close()
    assert plain(tmp_path).owners() == ()
    last = day(plain(tmp_path))
    assert (last.pending, last.leased) == (0, 0)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_threads_lose_no_nano_dollar(tmp_path: Path) -> None:
    """Eight threads on one store, with its own flushing beside them."""
    store = leased(tmp_path, background=True)

    def work(cost: int) -> None:
        for _ in range(200):
            assert spend(store, cost, 10**9)

    threads = [threading.Thread(target=work, args=(cost,)) for cost in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert day(store) == Balance(200 * sum(range(1, 9)))
    assert store.verify() == ()
    store.close()


def test_a_full_disk_where_the_journal_should_be_leaves_calls_plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No room is an error when the journal is made, never a signal later; the program goes on."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    store = leased(tmp_path)
    assert spend(store, 1)
    assert store._leases.holdings is None
    assert list((tmp_path / "l.db.leases").glob("*.journal")) == []
    store.close()


def test_files_are_private(tmp_path: Path) -> None:
    """0600 in 0700."""
    store = leased(tmp_path)
    spend(store, 1)
    folder = tmp_path / "l.db.leases"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}
    store.close()


def test_a_short_script_makes_no_journal_no_folder_and_no_thread(tmp_path: Path) -> None:
    """Sixteen calls are plain transactions."""
    store = Leased(plain(tmp_path), str(tmp_path / "l.db.leases"))
    before = threading.active_count()
    for _ in range(16):
        assert spend(store, 1)
    assert not (tmp_path / "l.db.leases").exists()
    assert threading.active_count() == before
    assert spend(store, 1)
    assert (tmp_path / "l.db.leases").exists()
    assert isinstance(reserve(store, 10_000), Refusal)
    store.close()
