"""Files that are locked, read-only, full, deleted, corrupt or foreign: the error names the file and the way out."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import stat
from pathlib import Path

import platformdirs
import pytest

from runguard_core import Guard, Outcome, OutcomeKind, ToolCall, Usage
from runguard_core.attribution import clean
from runguard_core.errors import StoreSchemaError, StoreUnavailableError
from runguard_core.ledger import CallFilter
from runguard_core.stores import MemoryStore, SqliteStore, default_path, open_default, open_store
from runguard_core.stores._sqlite_versions import check_version
from runguard_core.testing._ledger_values import LATER, a_call, a_settlement, holds


def with_one_call(path: Path) -> SqliteStore:
    """A ledger that has something to lose."""
    store = SqliteStore(str(path), busy_seconds=0.1)
    call = a_call("kept")
    store.reserve(call, holds(10), expires_at=LATER, owner="t")
    store.post("kept", a_settlement(7))
    return store


def test_files_are_private(tmp_path: Path) -> None:
    """0600 for the ledger, its gate and its key; 0700 for the folder we make."""
    guard = Guard(app="private")
    folder = default_path("private").parent
    for file in folder.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    guard.close()


def test_a_locked_file_is_named_after_a_bounded_wait(tmp_path: Path) -> None:
    """Somebody else's transaction."""
    path = tmp_path / "l.db"
    store = with_one_call(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailableError, match="locked") as caught:
        store.reserve(a_call(), holds(1), expires_at=LATER, owner="t")
    assert str(path) in str(caught.value)
    assert "close it" in caught.value.way_out
    other.execute("ROLLBACK")
    store.reserve(a_call(), holds(1), expires_at=LATER, owner="t")
    other.close()
    store.close()


def test_a_writer_that_was_suspended_is_waited_for_no_longer_than_a_lock(tmp_path: Path) -> None:
    """Whoever holds the queue's place may be stopped for good (docker pause, Ctrl-Z): others get an error, not eternity."""
    path = tmp_path / "l.db"
    store = with_one_call(path)
    with Path(f"{path}.gate").open("r+b") as suspended:
        fcntl.flock(suspended, fcntl.LOCK_EX)
        with pytest.raises(StoreUnavailableError, match="locked"):
            store.reserve(a_call(), holds(1), expires_at=LATER, owner="t")
        with pytest.raises(StoreUnavailableError, match="locked"):
            SqliteStore(str(path), busy_seconds=0.05)
    store.reserve(a_call(), holds(1), expires_at=LATER, owner="t")
    store.close()


def test_a_lock_is_not_taken_for_another_schema(tmp_path: Path) -> None:
    """Moving a ledger aside because somebody else holds it would be bad advice."""
    store = with_one_call(tmp_path / "l.db")

    class Locked:
        def execute(self, _: str) -> None:
            raise sqlite3.OperationalError("database is locked")

    with pytest.raises(sqlite3.OperationalError, match="locked"):
        check_version(Locked(), "l.db")  # type: ignore[arg-type]  # a connection that is locked
    store.close()


def test_a_full_disk_loses_nothing_and_says_so(tmp_path: Path) -> None:
    """SQLite has rolled back by itself; what was recorded stays, and later writes work again."""
    store = with_one_call(tmp_path / "l.db")
    db = store._connections.get()
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StoreUnavailableError, match="full") as caught:
        for index in range(2000):
            store.reserve(a_call(f"id{index}"), holds(0), expires_at=LATER, owner="t" * 500)
    assert "free some space" in caught.value.way_out
    assert store.call("kept") is not None
    assert store.verify() == ()
    db.execute("PRAGMA max_page_count=1000000")
    store.reserve(a_call("after"), holds(0), expires_at=LATER, owner="t")
    store.close()


@pytest.mark.parametrize("how", ["deleted", "replaced", "emptied"])
def test_a_deleted_or_replaced_file_is_noticed(tmp_path: Path, how: str) -> None:
    """Writing on into an unlinked file would lose everything silently."""
    path = tmp_path / "l.db"
    store = with_one_call(path)
    if how == "emptied":
        os.truncate(path, 0)
    else:
        path.rename(tmp_path / "gone.db")
    if how == "replaced":
        shutil.copy(tmp_path / "gone.db", path)
    with pytest.raises(StoreUnavailableError, match="deleted, emptied or replaced"):
        store.post("kept", a_settlement(7))
    store.close()


@pytest.mark.parametrize("damage", [b"not a database at all, just text........" * 30, b"\0" * 100])
def test_a_corrupt_file_is_left_alone_and_named(tmp_path: Path, damage: bytes) -> None:
    """It is never overwritten."""
    path = tmp_path / "l.db"
    path.write_bytes(damage)
    with pytest.raises(StoreUnavailableError) as caught:
        SqliteStore(str(path))
    assert str(path) in str(caught.value)
    assert "aside" in caught.value.way_out
    assert path.read_bytes() == damage


def test_a_torn_page_is_found_by_verify_or_refused(tmp_path: Path) -> None:
    """A ledger with garbage in the middle is not served as if it were whole."""
    path = tmp_path / "l.db"
    store = with_one_call(path)
    store._connections.get().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(size - 4096))
    with pytest.raises(StoreUnavailableError):
        SqliteStore(str(path)).verify()


@pytest.mark.parametrize(("version", "way"), [("99", "upgrade"), ("0", "aside")])
def test_another_schema_is_refused(tmp_path: Path, version: str, way: str) -> None:
    """Newer and older are told apart."""
    path = tmp_path / "l.db"
    store = with_one_call(path)
    store._connections.get().execute("UPDATE meta SET value = ? WHERE key IN ('schema', 'readable_by')", (version,))
    store.close()
    with pytest.raises(StoreSchemaError, match=version) as caught:
        SqliteStore(str(path))
    assert way in caught.value.way_out


def test_somebody_elses_database_is_refused(tmp_path: Path) -> None:
    """No tables of ours are put into it, and its journal stays as it was."""
    path = tmp_path / "other.db"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE theirs (x)")
    db.commit()
    before = path.read_bytes()
    with pytest.raises(StoreSchemaError):
        SqliteStore(str(path))
    db.close()
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_used_falls_back_to_memory_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default must not break the program."""
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("RUNGUARD_STATE_DIR", str(blocked / "state"))
    with pytest.warns(RuntimeWarning, match="in memory"):
        assert isinstance(open_default("x"), MemoryStore)
    with pytest.raises(StoreUnavailableError):
        open_store(f"sqlite:///{blocked}/x/l.db")


def test_a_user_without_a_home_gets_memory_and_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's numbered user: the program runs, the warning says what to set."""

    def homeless(*_: object, **__: object) -> Path:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.delenv("RUNGUARD_STATE_DIR")
    monkeypatch.setattr(platformdirs, "user_state_path", homeless)
    with pytest.warns(RuntimeWarning, match="RUNGUARD_STATE_DIR"):
        guard = Guard(app="x", daily_budget_usd=1)
    assert isinstance(guard.store, MemoryStore)
    guard.model_call("gpt-4o-mini", prompt="x").void()
    guard.close()


def test_a_folder_and_a_path_are_no_urls_and_the_way_is_named(tmp_path: Path) -> None:
    """And nothing is left beside the folder."""
    with pytest.raises(StoreUnavailableError, match="it is a folder"):
        SqliteStore(str(tmp_path))
    assert not Path(f"{tmp_path}.gate").exists()
    with pytest.raises(StoreUnavailableError, match=f"for a file: sqlite:///{tmp_path}/l.db"):
        open_store(str(tmp_path / "l.db"))


@pytest.mark.parametrize("url", ["nonsense", "sqlite://x", "sqlite:///", "mysql://x"])
def test_urls_that_name_no_store_here_say_what_does(url: str) -> None:
    """The sentence names the schemes."""
    with pytest.raises(StoreUnavailableError, match="expected memory://, sqlite:///"):
        open_store(url)


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "x" * 10_000, "'; DROP TABLE call; --", "{}{{{", "\u202e", "e\u0301"])
def test_hostile_tags_go_in_and_come_back(tmp_path: Path, text: str) -> None:
    """Through a whole call, as tag, user, session and agent."""
    guard = Guard(app="hostile", store=f"sqlite:///{tmp_path / 'l.db'}", max_cost_per_session_usd="1")
    with guard.session(text, user=text, agent=text, tags={text: text}) as session:
        with guard.model_call("gpt-4o-mini", prompt=text) as call:
            call.post(Usage(input_tokens=1, output_tokens=1))
        assert session.spent_usd > 0
    (kept,) = guard.store.calls(CallFilter())
    assert kept.attribution.user == clean(text)
    assert kept.attribution.tags == ((clean(text), clean(text)),)
    assert guard.store.verify() == ()
    guard.close()


@pytest.mark.parametrize("text", ["\ud800", "a\udcffb", "a\0b"])
def test_what_programs_and_providers_say_settles_whatever_it_is(tmp_path: Path, text: str) -> None:
    """An error's text with the surrogates of a file name, a tool's name, ids and models of an answer: the call is still settled."""
    guard = Guard(app="hostile", store=f"sqlite:///{tmp_path / 'l.db'}", daily_budget_usd=1)
    with guard.session("s"):
        with pytest.raises(OSError, match="theirs"), guard.model_call("gpt-4o-mini", prompt=text):
            raise OSError("theirs " + text)
        with guard.model_call("gpt-4o-mini", prompt=text) as call:
            call.post(Usage(input_tokens=9, output_tokens=1), model=text, provider_request_id=text, tool_names=(text,))
        guard.reserve(ToolCall(name=text, arguments={text: text})).settle(Outcome(kind=OutcomeKind.FAILED, error=text))
    guard.kill("agent:x" + text, reason=text, by=text)
    calls = guard.store.calls(CallFilter())
    assert [call.state.value for call in calls] == ["posted"] * 3
    assert [call.settlement.certainty.value for call in calls if call.settlement] == ["estimated", "exact", "exact"]
    assert guard.store.calls(CallFilter(session="nobody" + text)) == ()
    assert guard.store.verify() == ()
    guard.close()
