"""What docs/finops/export.md shows is so: its statements are run on what its commands write."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from runguard_core.calls import CallKind
from runguard_core.cli._app import app
from runguard_core.ledger import CallFilter
from tests.export.ledgers import START, as_nanos, spent_nanos, traffic_ledger

PAGE = (Path(__file__).parents[2] / "docs" / "finops" / "export.md").read_text()


def test_the_statements_of_the_page_give_what_the_ledger_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Views, weeks, turns, events, coverage, the bill."""
    monkeypatch.chdir(tmp_path)
    store = traffic_ledger(tmp_path / "shop.db", days=3)
    for words in re.findall(r"^runguard (export (?!schema|statements).*?) *(?:#.*)?$", PAGE, re.MULTILINE):
        done = CliRunner().invoke(app, [*words.split(), "--store", store.url])
        assert done.exit_code == 0, done.output
    models = sum(call.cost_nanos for call in store.calls(CallFilter()) if call.kind is CallKind.MODEL)
    statements = [one for one in "".join(re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)).split(";") if one.strip()]
    summed = [f"SELECT sum(usd) FROM ({one})" if "date_trunc" in one else one for one in statements]
    with duckdb.connect() as db:
        answers = [db.execute(one).fetchall() for one in summed]
    views, (weeks, turns, events, shares, bill) = answers[:3], answers[3:]
    assert len(views) == 3
    assert as_nanos(weeks[0][0]) == models
    assert len(turns) == 20
    assert len(events) == len(store.events())
    assert 0 < shares[0][0] < 1
    assert sum(as_nanos(row[2]) for row in bill) == spent_nanos(store, START)
    store.close()
