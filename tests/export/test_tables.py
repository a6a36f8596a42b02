"""What a warehouse loads is what the ledger says, to the nano-dollar, however often and in whichever format it is exported."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from runguard_core.calls import CallKind
from runguard_core.cli._app import app
from runguard_core.cli._export import TABLES
from runguard_core.events import BUDGET_THRESHOLD, WARN, event
from runguard_core.export import LedgerCalls, Span
from runguard_core.export import _sources as sources
from runguard_core.ledger import CallFilter, CallRecord, conversation_of
from runguard_core.stores import SqliteStore
from runguard_core.usage import USAGE_FIELDS, Usage
from tests.export.ledgers import START, add, as_nanos, begin, ended, spent_nanos, traffic_ledger

FORMATS = ("csv", "jsonl", "parquet")
KEPT_SCHEMAS = Path(__file__).with_name("schemas.json")


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteStore]:
    """Four days; tests that write make their own."""
    store = traffic_ledger(tmp_path_factory.mktemp("ledger") / "shop.db")
    yield store
    store.close()


def export(store: SqliteStore, table: str, to: Path, *words: str) -> dict[str, Any]:
    """The command's document."""
    done = CliRunner().invoke(app, ["export", table, "--store", store.url, "-o", str(to), "--json", *words])
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))


def rows_of(to: Path, format_: str, table: str, what: str = "*") -> list[tuple[Any, ...]]:
    """What DuckDB reads, one row an id, as docs/finops/export.md shows it."""
    schema = TABLES[table][0].all_columns
    types = {"int64": "BIGINT", "nano-usd": "BIGINT", "usd": "DECIMAL(19, 9)", "instant": "TIMESTAMPTZ", "bool": "BOOLEAN",
             "seconds": "DOUBLE"}  # fmt: skip
    columns = {column.name: types.get(column.kind.value, "VARCHAR") for column in schema}
    read = {
        "csv": f"read_csv('{to}/*/*.csv', header = true, quote = '\"', escape = '\"', columns = {columns}, hive_partitioning = true)",
        "jsonl": f"read_json('{to}/*/*.jsonl', format = 'newline_delimited', columns = {columns}, hive_partitioning = true)",
        "parquet": f"read_parquet('{to}/*/*.parquet', hive_partitioning = true)",
    }[format_]
    newest = f"SELECT * FROM {read} QUALIFY row_number() OVER (PARTITION BY id ORDER BY revision DESC) = 1"
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        return db.execute(f"SELECT {what} FROM ({newest})").fetchall()


SUMS = "sum(cost_nanos), sum(cost_usd), count(*)"


@pytest.mark.parametrize("format_", FORMATS)
def test_duckdb_adds_up_calls_to_what_the_ledger_says(ledger: SqliteStore, tmp_path: Path, format_: str) -> None:
    """Calls and tool calls together are the ledger; tokens too; each row lies in the folder of its day."""
    nanos = count = 0
    for table in ("calls", "tool-calls"):
        to = tmp_path / table
        said = export(ledger, table, to, "--format", format_)
        cost, usd, rows = rows_of(to, format_, table, SUMS)[0]
        assert as_nanos(usd) == cost
        assert rows == said["row_count"]
        assert rows_of(to, format_, table, "bool_and(strftime(started_at, '%Y-%m-%d') = day::VARCHAR)") == [(True,)]
        nanos, count = nanos + int(cost), count + rows
    assert nanos == spent_nanos(ledger)
    assert count == len(ledger.calls(CallFilter()))
    tokens = ledger.totals((), CallFilter())[()].usage
    sums = rows_of(tmp_path / "calls", format_, "calls", ", ".join(f"sum({name})" for name in USAGE_FIELDS))[0]
    assert Usage(**dict(zip(USAGE_FIELDS, map(int, sums), strict=True))) == tokens


@pytest.mark.parametrize("format_", FORMATS)
def test_rows_of_sessions_add_up_to_the_ledger_on_every_day(ledger: SqliteStore, tmp_path: Path, format_: str) -> None:
    """A session that goes over midnight is a row on each day."""
    export(ledger, "sessions", tmp_path / "s", "--format", format_)
    by_day = {
        str(day): int(cost)
        for day, cost in rows_of(tmp_path / "s", format_, "sessions", "day, sum(cost_nanos) OVER (PARTITION BY day)")
    }
    for day, nanos in by_day.items():
        since = sources.instant_of(day)
        assert nanos == spent_nanos(ledger, since, since + timedelta(days=1))
    assert sum(by_day.values()) == spent_nanos(ledger)
    found = {(session, feature) for session, feature in rows_of(tmp_path / "s", format_, "sessions", "session, feature")}
    assert found == {(conversation_of(call), call.attribution.feature) for call in ledger.calls(CallFilter())}


def test_events_come_back_word_for_word(ledger: SqliteStore, tmp_path: Path) -> None:
    """Amounts in their facts are texts, so no reader rounds them."""
    export(ledger, "events", tmp_path / "e", "--format", "jsonl")
    found = rows_of(tmp_path / "e", "jsonl", "events", "id, message, facts->>'spent_nanos'")
    assert sorted(found) == sorted((one.id, one.message, one.facts["spent_nanos"]) for one in ledger.events())


def test_a_second_run_writes_what_is_new_and_what_was_corrected(tmp_path: Path) -> None:
    """A late settlement, a correction of last week's call and a new call: the warehouse has each once, and nothing else is sent."""
    store = traffic_ledger(tmp_path / "shop.db", days=3)
    late = begin(store, 900, at=START + timedelta(hours=5))
    to, sessions = tmp_path / "calls", tmp_path / "sessions"
    first = export(store, "calls", to, "--format", "parquet")
    export(store, "sessions", sessions)
    assert export(store, "calls", to, "--format", "parquet")["files"] == []

    usage = Usage(input_tokens=10, output_tokens=1)
    store.post(late, ended(usage, 123_456_789, START))
    old = next(call for call in store.calls(CallFilter(since=START + timedelta(days=1))) if call.kind is CallKind.MODEL)
    store.adjust(old.id, ended(usage, old.cost_nanos + 1, old.started_at), "the bill says so")
    add(store, 901, usage, 5, at=START + timedelta(days=2, hours=23))
    again = export(store, "calls", to, "--format", "parquet")
    export(store, "sessions", sessions)

    assert again["changed_part_count"] == 3 == len(again["files"])
    assert again["row_count"] < first["row_count"] / 10
    assert again["revision"] > first["revision"]
    sums = rows_of(to, "parquet", "calls", "sum(cost_nanos), count(*)")[0]
    models = [call for call in store.calls(CallFilter()) if call.kind is CallKind.MODEL]
    assert (int(sums[0]), sums[1]) == (sum(call.cost_nanos for call in models), len(models))
    assert int(rows_of(sessions, "csv", "sessions", "sum(cost_nanos)")[0][0]) == spent_nanos(store)
    assert rows_of(to, "parquet", "calls", "state, cost_nanos, note")  # newest rows only
    store.close()


def test_an_event_that_is_written_late_is_exported_with_its_day(tmp_path: Path) -> None:
    """Other hosts ship theirs days later; days before the first and gaps between are found."""
    store = traffic_ledger(tmp_path / "shop.db", days=2)
    export(store, "events", tmp_path / "e")
    for days in (-40, 1, 75):
        who = store.calls(CallFilter(limit=1))[0].attribution
        store.announce([event(BUDGET_THRESHOLD, WARN, "late", who, START + timedelta(days=days, hours=4))])
    assert export(store, "events", tmp_path / "e")["changed_part_count"] == 3
    ids = [row[0] for row in rows_of(tmp_path / "e", "csv", "events", "id")]
    assert sorted(ids) == sorted(one.id for one in store.events())
    store.close()


def test_days_can_be_chosen_and_are_whole(ledger: SqliteStore, tmp_path: Path) -> None:
    """From any instant of a day on, the day; the days before a date; the rest follows later."""
    to = tmp_path / "calls"
    export(ledger, "calls", to, "--since", "2026-10-02T12:00", "--until", "2026-10-03")
    assert [path.name for path in sorted(to.glob("day=*"))] == ["day=2026-10-02"]
    export(ledger, "calls", to)
    cost = int(rows_of(to, "csv", "calls", "sum(cost_nanos)")[0][0])
    assert cost == sum(call.cost_nanos for call in ledger.calls(CallFilter()) if call.kind is CallKind.MODEL)


def test_no_more_calls_are_held_at_once_than_fit(ledger: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten million calls stream through: lots are stretches of quarters of an hour."""
    monkeypatch.setattr(sources, "_TOGETHER_COUNT", 40)
    source = LedgerCalls(ledger, CallKind.MODEL, Span())
    marks = source.marks()
    busiest = max(ledger.totals(("quarter_hour",), CallFilter()).values(), key=lambda total: total.call_count + total.tool_count)
    days = sorted({part[:10] for part in marks})
    lots = [lot for day in days for lot in source.rows(day, [part for part in marks if part.startswith(day)])]
    assert len(lots) > 20
    assert max(map(len, lots)) <= max(40, busiest.call_count + busiest.tool_count)
    assert sum(map(len, lots)) == sum(mark.count for mark in marks.values())


def test_some_columns_and_hostile_texts(tmp_path: Path) -> None:
    """Line ends, quotes, halves of characters and NUL in what users and tools say come through each format as a cell."""
    store = SqliteStore(str(tmp_path / "x.db"))
    nasty = 'a "b",\r\nc;=1+1\ud800\0é'
    add(store, 1, Usage(input_tokens=1), 7, user=nasty, tags=(("k,\n", '{"x"'),))
    kept: CallRecord = store.calls(CallFilter())[0]
    for format_ in FORMATS:
        to = tmp_path / format_
        export(store, "calls", to, "--format", format_, "--columns", "user, cost_nanos")
        with duckdb.connect() as db:
            read = {"csv": "read_csv", "jsonl": "read_json", "parquet": "read_parquet"}[format_]
            table = db.execute(f"SELECT * EXCLUDE (day) FROM {read}('{to}/*/*.{format_}')")
            assert [column[0] for column in table.description] == ["id", "revision", "user", "cost_nanos"]
            row = table.fetchall()[0]
        assert (row[0], str(row[2]), int(row[3])) == (kept.id, kept.attribution.user, 7)
    store.close()


def test_a_schema_that_changes_has_a_new_version() -> None:
    """Columns may be added; one that goes or changes its type is a new version: then write the kept file anew."""
    kept = json.loads(KEPT_SCHEMAS.read_text())
    for name in TABLES:
        now = json.loads(CliRunner().invoke(app, ["export", "schema", name]).stdout)
        old = kept[name]
        types = {column["name"]: column["type"] for column in now["columns"]}
        assert len(types) == len(now["columns"])
        assert now["version"] > old["version"] or old["types"].items() <= types.items()


def test_parquet_says_its_schema_and_revision(ledger: SqliteStore, tmp_path: Path) -> None:
    """In the file's own metadata; beside it in a folder of text files."""
    said = export(ledger, "calls", tmp_path / "c", "--format", "parquet")
    with duckdb.connect() as db:
        found = db.execute(f"SELECT decode(key), decode(value) FROM parquet_kv_metadata('{said['files'][0]}')").fetchall()
        types = dict(db.execute(f"SELECT column_name, column_type FROM (DESCRIBE FROM '{said['files'][0]}')").fetchall())
    assert {("runguard.schema", "calls/1"), ("runguard.revision", str(said["revision"]))} <= set(found)
    assert (types["cost_nanos"], types["cost_usd"], types["started_at"]) == (
        "BIGINT",
        "DECIMAL(19,9)",
        "TIMESTAMP WITH TIME ZONE",
    )
    assert json.loads((tmp_path / "c" / "_schema.json").read_text())["version"] == 1
