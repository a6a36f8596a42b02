"""Closed months in the warehouse: what was closed, line by line, adding up to the ledger."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
from typer.testing import CliRunner

from runguard_core.cli._app import app
from tests.export.ledgers import MONTH, START, as_nanos, spent_nanos, traffic_ledger


def run(*words: str) -> Any:
    """The command line."""
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 0, done.output
    return done


def test_statements_of_closed_months_add_up_to_the_ledger(tmp_path: Path) -> None:
    """Open months are no rows; a closed one comes once, whoever asks how often; corrections are rows of a later month."""
    store, to = traffic_ledger(tmp_path / "shop.db", days=3), tmp_path / "statements"
    export = ("export", "statements", "--store", store.url, "-o", str(to), "--format", "parquet")
    assert run(*export).stdout == "There are no statements then.\n"
    run("chargeback", "close", "--period", MONTH, "--force", "a call hangs", "--by", "ana", "--store", store.url)
    said = json.loads(run(*export, "--json").stdout)
    assert said["row_count"] > 3
    assert json.loads(run(*export, "--json").stdout)["files"] == []
    with duckdb.connect() as db:
        query = f"SELECT sum(cost_nanos), sum(cost_usd), count(DISTINCT id), count(*), any_value(period) FROM '{to}/*/*.parquet'"
        nanos, usd, ids, rows, period = db.execute(query).fetchall()[0]
    assert int(nanos) == as_nanos(usd) == spent_nanos(store, START, datetime(2026, 11, 1, tzinfo=START.tzinfo))
    assert (ids, rows, period) == (said["row_count"], said["row_count"], MONTH)
    store.close()
