"""Whatever goes wrong, a file that has its name is whole, the next run goes on from there, and one sentence says what to do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from runguard_core.calls import CallKind
from runguard_core.cli._app import app
from runguard_core.errors import ExportError
from runguard_core.export import STATE_NAME, Format, LedgerCalls, Span, export_table
from runguard_core.ledger import CallFilter
from runguard_core.stores import SqliteStore
from tests.export.ledgers import policy_file, traffic_ledger

AT = datetime(2026, 11, 25, tzinfo=UTC)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteStore]:
    """Four days, read only."""
    store = traffic_ledger(tmp_path_factory.mktemp("ledger") / "shop.db")
    yield store
    store.close()


def run(store: SqliteStore, *words: str) -> Any:
    """The command line."""
    return CliRunner().invoke(app, ["export", *words, "--store", store.url])


def models_nanos(store: SqliteStore) -> int:
    """Charged for calls to models."""
    return sum(call.cost_nanos for call in store.calls(CallFilter()) if call.kind is CallKind.MODEL)


def loaded_nanos(to: Path, end: str = "csv") -> int:
    """What a warehouse has."""
    read = f"FROM read_csv('{to}/*/*.csv')" if end == "csv" else f"FROM read_parquet('{to}/*/*.parquet')"
    newest = f"SELECT cost_nanos {read} QUALIFY row_number() OVER (PARTITION BY id ORDER BY revision DESC) = 1"
    with duckdb.connect() as db:
        return int(db.execute(f"SELECT sum(cost_nanos) FROM ({newest})").fetchall()[0][0])


#: A process in which no file can grow beyond so many bytes, as on a disk that is full.
FULL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from runguard_core.cli import main
import pyarrow.parquet
room = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
sys.argv[0] = "runguard"
main()
"""


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_a_disk_that_is_full_midway_leaves_only_whole_files(ledger: SqliteStore, tmp_path: Path, format_: str) -> None:
    """Days that fitted are there and remembered; the one that did not is not, under no name; with room the rest follows."""
    to = tmp_path / "calls"
    words = ["export", "calls", "--store", ledger.url, "-o", str(to), "--format", format_]
    whole = tmp_path / "whole"
    export_table(LedgerCalls(ledger, CallKind.MODEL, Span()), whole, Format(format_), ledger=ledger.url, span=Span(), at=AT)
    sizes = [path.stat().st_size for path in sorted(whole.glob("*/*"))]
    room = max(sizes) - 1
    assert sizes[0] < room
    done = subprocess.run([sys.executable, "-c", FULL, str(room), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "cannot be written: File too large; what was written before is whole" in " ".join(done.stderr.split())
    left = [path for path in to.rglob("*") if path.is_file() and path.parent != to]
    assert left
    assert all(path.name.startswith("part-") and path.stat().st_size in sizes for path in left), left
    assert loaded_nanos(to, format_) < models_nanos(ledger)
    again = run(ledger, "calls", "-o", str(to), "--format", format_, "--json")
    assert len(json.loads(again.stdout)["files"]) == len(sizes) - len(left)
    assert loaded_nanos(to, format_) == models_nanos(ledger)


def test_a_run_that_is_killed_anywhere_is_made_good_by_the_next(ledger: SqliteStore, tmp_path: Path) -> None:
    """`kill -9` after the second day's file, before the watermark says so: its rows come twice and count once."""
    to = tmp_path / "calls"
    program = f"""
import os, signal
from datetime import UTC, datetime
from pathlib import Path
from runguard_core.calls import CallKind
from runguard_core.export import Format, LedgerCalls, Span, export_table
from runguard_core.export._watermark import Watermark
from runguard_core.stores import SqliteStore
saved, save = [], Watermark.save
def die_at_the_second(self, folder):
    saved.append(folder)
    os.kill(os.getpid(), signal.SIGKILL) if len(saved) == 2 else save(self, folder)
Watermark.save = die_at_the_second
store = SqliteStore({str(ledger.url.removeprefix("sqlite:///"))!r})
span = Span()
export_table(LedgerCalls(store, CallKind.MODEL, span), Path({str(to)!r}), Format.CSV, ledger=store.url, span=span,
             at=datetime(2026, 11, 25, tzinfo=UTC))
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -signal.SIGKILL
    assert len(list(to.glob("*/part-*"))) == 2
    again = json.loads(run(ledger, "calls", "-o", str(to), "--json").stdout)
    assert len(again["files"]) == 4
    assert len(list(to.glob("day=2026-10-01/part-*"))) == 2
    assert loaded_nanos(to) == models_nanos(ledger)


def test_a_clock_that_was_put_back_makes_no_lower_revision(ledger: SqliteStore, tmp_path: Path) -> None:
    """The highest revision is the newest row, whatever the clock says."""
    source, span = LedgerCalls(ledger, CallKind.MODEL, Span()), Span()
    first = export_table(source, tmp_path / "c", Format.CSV, ledger="x", span=span, at=AT)
    second = export_table(source, tmp_path / "c", Format.CSV, ledger="x", span=span, at=AT.replace(year=2020))
    assert second.revision == first.revision + 1


def mistakes(tmp_path: Path, store: SqliteStore) -> list[tuple[list[str], str]]:
    """What a person may get wrong, and the sentence."""
    file, held, broken = tmp_path / "a-file", tmp_path / "held", tmp_path / "broken"
    file.write_text("x")
    broken.mkdir()
    (broken / STATE_NAME).write_text("{")
    assert run(store, "calls", "-o", str(held)).exit_code == 0
    return [
        (["calls", "-o", str(file)], "is a file; name a folder"),
        (["calls", "-o", str(file / "below")], "Not a directory"),
        (["calls", "-o", str(tmp_path / "c"), "--columns", "id,costs"], "column 'costs': calls has none of that name; it has: id, revision, app"),
        (["tool-calls", "-o", str(held)], 'an export whose table is "calls", not "tool-calls"; name another folder'),
        (["calls", "-o", str(held), "--format", "jsonl"], 'whose format is "csv", not "jsonl"'),
        (["calls", "-o", str(held), "--columns", "cost_nanos"], "whose columns is"),
        (["calls", "-o", str(broken)], "does not say what was exported; remove it to export everything again"),
        (["schema", "cals"], "there is none of that name; there are: calls, tool-calls"),
        (["focus", "--period", "October", "-o", str(tmp_path / "f.csv")], "expected a month such as 2026-10"),
        (["focus", "--period", "2026-10", "-o", str(tmp_path / "f.xls")], "end the name in .csv or .parquet"),
        (["focus", "--period", "2025-01", "-o", str(tmp_path / "f.csv")], "has no calls in it"),
        (["focus", "--period", "2026-10", "-o", str(file / "f.csv")], "cannot be written: File exists"),
        (["focus", "--period", "2026-10", "-o", str(tmp_path / "f.csv"), "--by", "agnt"], "--by agnt: no dimension of a call; known: agent"),
    ]  # fmt: skip


def test_mistakes_are_one_sentence_with_the_way_out(ledger: SqliteStore, tmp_path: Path) -> None:
    """Never a traceback, never a file."""
    for words, sentence in mistakes(tmp_path, ledger):
        store = [] if words[0] == "schema" else ["--store", ledger.url]
        done = CliRunner().invoke(app, ["export", *words, *store])
        assert done.exit_code == 1, words
        assert sentence in " ".join(done.stderr.split()), (words, done.stderr)
        assert not (tmp_path / "f.csv").exists()
        assert not list(tmp_path.rglob("*.part"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_the_right_to_write_is_named(ledger: SqliteStore, tmp_path: Path) -> None:
    """With what the system says."""
    (tmp_path / "locked").mkdir(mode=0o500)
    assert "Permission denied" in run(ledger, "calls", "-o", str(tmp_path / "locked" / "c")).stderr


def test_an_export_that_is_ahead_of_its_ledger_is_refused(tmp_path: Path) -> None:
    """An older copy of the ledger was put back: going on would leave rows in the warehouse that no ledger has."""
    store = traffic_ledger(tmp_path / "new.db", days=3)
    old = traffic_ledger(tmp_path / "old.db", days=2)
    source, span = LedgerCalls(store, CallKind.MODEL, Span()), Span()
    export_table(source, tmp_path / "c", Format.CSV, ledger="x", span=span, at=AT)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ExportError, match=r"ahead of the ledger: \d+ parts from 2026-10-03T.* older copy"):
        export_table(LedgerCalls(old, CallKind.MODEL, span), tmp_path / "c", Format.CSV, ledger="x", span=span, at=AT)
    assert sorted(tmp_path.rglob("*")) == before
    store.close(), old.close()


def test_nothing_to_export_is_said_and_makes_no_files(ledger: SqliteStore, tmp_path: Path) -> None:
    """An empty time is no mistake of a nightly job."""
    done = run(ledger, "calls", "-o", str(tmp_path / "c"), "--since", "2027-01-01")
    assert (done.exit_code, done.stdout) == (0, "There are no calls then.\n")
    assert not (tmp_path / "c").exists()


def test_parquet_without_pyarrow_names_the_extra(ledger: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CSV and JSON lines need nothing."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    done = run(ledger, "calls", "-o", str(tmp_path / "c"), "--format", "parquet")
    assert done.exit_code == 1
    assert "Parquet: needs pyarrow; pip install 'runguard-core[export]'" in " ".join(done.stderr.split())
    assert not (tmp_path / "c").exists()
    assert run(ledger, "calls", "-o", str(tmp_path / "c")).exit_code == 0


def test_the_bill_is_one_whole_file_or_none(ledger: SqliteStore, tmp_path: Path) -> None:
    """A disk that is full leaves last night's as it was."""
    path, policy = tmp_path / "focus.csv", str(policy_file(tmp_path))
    path.write_text("last night's")
    words = ["export", "focus", "--period", "2026-10", "--store", ledger.url, "--policy", policy, "-o", str(path)]
    done = subprocess.run([sys.executable, "-c", FULL, "4000", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert path.read_text() == "last night's"
    assert sorted(one.name for one in tmp_path.iterdir() if one.is_file()) == ["focus.csv", "priced.toml"]
