"""Files of other versions: which are shared, which are converted, which are left alone; and nothing in between."""

from __future__ import annotations

import json
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from runguard_core.cli._main import app
from runguard_core.errors import StoreSchemaError, StoreUnavailableError
from runguard_core.ledger import CallFilter, CallState, EntryKind, LatchState, Store
from runguard_core.stores import SqliteStore, _sqlite_migrating, migrate
from runguard_core.stores._sqlite_versions import SCHEMA_VERSION, check_version
from runguard_core.testing._contract import StoreContract
from runguard_core.testing._ledger_values import LATER, a_call, a_settlement, holds
from tests.stores.version_1 import write_version_1

NEXT = f"""
ALTER TABLE call ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue';
ALTER TABLE quarter_total ADD COLUMN more_nanos INTEGER NOT NULL DEFAULT 0;
ALTER TABLE who_total ADD COLUMN more_nanos INTEGER NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN colour TEXT;
ALTER TABLE who ADD COLUMN colour TEXT;
ALTER TABLE payer ADD COLUMN colour TEXT;
ALTER TABLE asked ADD COLUMN colour TEXT;
ALTER TABLE entry ADD COLUMN colour TEXT;
ALTER TABLE event ADD COLUMN colour TEXT;
ALTER TABLE latch ADD COLUMN colour TEXT;
ALTER TABLE limit_override ADD COLUMN colour TEXT;
ALTER TABLE tombstone ADD COLUMN colour TEXT;
CREATE TABLE invention (x INTEGER) STRICT;
UPDATE meta SET value = '{SCHEMA_VERSION + 1}' WHERE key = 'schema';
"""


def make_next(path: str) -> None:
    """What the next version might make of a file, while programs of this one are still running."""
    db = sqlite3.connect(path)
    db.executescript(NEXT)
    db.close()


class TestSharingANewerLedger(StoreContract):
    """A program of this version keeps the whole contract on a file of the next one that says it may."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        path = str(tmp_path / "ledger.db")
        SqliteStore(path).close()
        make_next(path)
        opened = SqliteStore(path)
        yield opened
        opened.close()


def test_a_newer_ledger_that_asks_for_newer_programs_is_refused(tmp_path: Path) -> None:
    """Both versions are named, and what to do."""
    path = str(tmp_path / "l.db")
    SqliteStore(path).close()
    make_next(path)
    db = sqlite3.connect(path)
    db.execute("UPDATE meta SET value = '3' WHERE key = 'readable_by'")
    db.commit()
    with pytest.raises(StoreSchemaError, match=r"version 3, for programs of version 3 and later; this program is of 2") as caught:
        SqliteStore(path)
    assert "upgrade" in caught.value.way_out
    check_version(db, path, program=3)
    db.close()


def test_an_older_ledger_is_not_touched_by_opening_it(tmp_path: Path) -> None:
    """The error has the command."""
    path = tmp_path / "l.db"
    write_version_1(path)
    before = path.read_bytes()
    with pytest.raises(StoreSchemaError, match="version 1, this program reads 2") as caught:
        SqliteStore(str(path))
    assert f"runguard ledger migrate --store sqlite:///{path}" in caught.value.way_out
    assert path.read_bytes() == before


def test_a_ledger_of_version_1_says_the_same_after_migrating(tmp_path: Path) -> None:
    """Calls, lines with their numbers, balances, events, latches, overrides, tombstones; and it can be written to."""
    path = tmp_path / "l.db"
    write_version_1(path)
    told: list[tuple[int, int]] = []
    found = migrate(f"sqlite:///{path}", backup=True, tell=lambda done, work: told.append((done, work)))
    assert (found.before, found.after, found.call_count, found.line_count) == (1, 2, 12, 23)
    assert told[-1] == (46, 46)
    store = SqliteStore(str(path))
    assert store.verify() == ()
    calls = store.calls(CallFilter())
    assert [call.state.value for call in calls[:5]] == ["posted", "pending", "assumed", "voided", "posted"]
    assert [call.cost_nanos for call in calls[:5]] == [20, 0, 12, 0, 32]
    assert [call.id for call in calls[:2]] == ["call-0", "01AAAAAAAAAAAAAAAAAAAAAA01"]
    posted = calls[0].settlement
    assert posted is not None
    assert posted.usage is not None
    assert (posted.usage.web_search_count, posted.tool_names, posted.result_hash) == (1, ("x", "y"), "0123456789abcdef" * 2)
    assert [p.origin for p in calls[0].parts] == ["user", "tool:x"]
    entries = store.entries()
    assert [entry.sequence for entry in entries] == list(range(1, 24))
    assert [(e.kind, e.cost_nanos, e.reason) for e in store.entries("call-4")][1:] == [
        (EntryKind.POST, 64, ""), (EntryKind.ADJUST, -32, "invoice"),
    ]  # fmt: skip
    assert store.latches()["run", "r"].state is LatchState.OPEN
    assert store.overrides()["day"].limit == 7
    assert [event.message for event in store.events()] == ["hello"]
    assert store.accounts()[0].limit == 1000
    store.reserve(a_call("new", LATER), holds(1, None), expires_at=LATER, owner="t")
    store.post("new", a_settlement(5))
    store.post("01AAAAAAAAAAAAAAAAAAAAAA01", a_settlement(3))
    assert store.verify() == ()
    assert store.entries()[-1].sequence > 23
    store.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(StoreSchemaError, match="version 1"):
        SqliteStore(found.backup or "")
    assert migrate(f"sqlite:///{path}").call_count == 0


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    """It counts."""
    path = tmp_path / "l.db"
    write_version_1(path)
    before = path.read_bytes()
    found = migrate(f"sqlite:///{path}", dry_run=True)
    assert (found.before, found.after, found.call_count, found.bytes_after) == (1, 2, 12, 0)
    assert path.read_bytes() == before
    assert not Path(f"{path}.migrating").exists()


def test_a_ledger_in_use_is_not_migrated(tmp_path: Path) -> None:
    """Whoever has it open, even without writing, would write on into the old file."""
    path = tmp_path / "l.db"
    write_version_1(path)
    reader = sqlite3.connect(path)
    reader.execute("SELECT count(*) FROM call").fetchone()
    before = path.read_bytes()
    with pytest.raises(StoreUnavailableError, match="another program uses it") as caught:
        migrate(f"sqlite:///{path}")
    assert "stop the programs" in caught.value.way_out
    assert path.read_bytes() == before
    reader.close()
    assert migrate(f"sqlite:///{path}").after == 2


def test_a_line_that_would_come_out_different_stops_the_migration(tmp_path: Path) -> None:
    """The old file stays as it is, and no half-made one beside it."""
    path = tmp_path / "l.db"
    write_version_1(path)
    db = sqlite3.connect(path)
    db.execute("UPDATE call SET cost_nanos = 21 WHERE id = 'call-0'")  # its line says 20
    db.commit()
    before = list(db.iterdump())
    db.close()
    with pytest.raises(StoreUnavailableError, match="line 2 is") as caught:
        migrate(f"sqlite:///{path}")
    assert "as it was" in caught.value.way_out
    db = sqlite3.connect(path)
    assert list(db.iterdump()) == before
    db.close()
    assert not Path(f"{path}.migrating").exists()


KILLED = """
import os, signal, sys
from runguard_core.stores import _sqlite_migrating as migrating
step = sys.argv[2]
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
if step == "copying":
    migrating._AT_ONCE = 1
    migrating.migrate(sys.argv[1], tell=die)
elif step == "comparing":
    migrating._compare = die
elif step == "renaming":
    os.replace = die
migrating.migrate(sys.argv[1])
"""


@pytest.mark.parametrize("step", ["copying", "comparing", "renaming"])
def test_a_kill_in_the_middle_leaves_the_old_file_whole(tmp_path: Path, step: str) -> None:
    """A real SIGKILL; the next attempt clears up and succeeds."""
    path = tmp_path / "l.db"
    write_version_1(path)
    done = subprocess.run([sys.executable, "-c", KILLED, str(path), step], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert Path(f"{path}.migrating").exists()
    db = sqlite3.connect(path)
    assert db.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone() == ("1",)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert db.execute("SELECT count(*) FROM entry").fetchone() == (23,)
    db.close()
    assert migrate(f"sqlite:///{path}").line_count == 23
    assert not Path(f"{path}.migrating").exists()


def test_a_full_disk_leaves_the_old_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No room for the new file beside it."""
    path = tmp_path / "l.db"
    write_version_1(path)

    def full(*_: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(_sqlite_migrating, "create_tables", full)
    with pytest.raises(StoreUnavailableError, match="full"):
        migrate(f"sqlite:///{path}")
    monkeypatch.undo()
    assert migrate(f"sqlite:///{path}").after == 2


def test_who_waited_for_the_gate_while_the_file_was_replaced_is_told(tmp_path: Path) -> None:
    """A program that opened the old file before a migration and writes after it must not write into a file that is gone."""
    path = tmp_path / "l.db"
    store = SqliteStore(str(path))
    queue = store._connections.gate

    def replaced() -> Any:
        other = SqliteStore(str(tmp_path / "other.db"))
        other.close()
        (tmp_path / "other.db").replace(path)
        return queue()

    store._connections.gate = replaced  # type: ignore[method-assign]  # in the moment between asking and writing
    with pytest.raises(StoreUnavailableError, match="replaced while it was open"):
        store.reserve(a_call(), holds(1), expires_at=LATER, owner="t")
    store.close()


def test_the_command_says_what_it_did(tmp_path: Path) -> None:
    """In text and as JSON."""
    path = tmp_path / "l.db"
    write_version_1(path)
    run = CliRunner()
    dry = run.invoke(app, ["ledger", "migrate", "--store", f"sqlite:///{path}", "--dry-run"])
    assert (dry.exit_code, "Nothing was changed" in dry.output) == (0, True), dry.output
    done = run.invoke(app, ["ledger", "migrate", "--store", f"sqlite:///{path}", "--backup", "--json"])
    said = json.loads(done.output)
    assert (said["schema_before"], said["schema_after"], said["calls"], said["backup"]) == (1, 2, 12, f"{path}.v1")
    again = run.invoke(app, ["ledger", "migrate", "--store", f"sqlite:///{path}"])
    assert "nothing to do" in again.output
    assert run.invoke(app, ["ledger", "migrate", "--store", "memory://"]).exit_code == 3
    pending = SqliteStore(str(path)).calls(CallFilter(state=CallState.PENDING))
    assert len(pending) == 3
