"""A month as a bill: exact to the nano-dollar, by token class, with what is not exact marked."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from runguard_core.cli._app import app
from runguard_core.errors import ExportError
from runguard_core.export import FOCUS_COLUMNS, TokenClass, class_counts, export_focus
from runguard_core.export._token_classes import coefficient
from runguard_core.ledger import CallFilter
from runguard_core.money import split
from runguard_core.prices import PriceBook, consistent
from runguard_core.stores import SqliteStore
from runguard_core.usage import Usage
from tests.export.ledgers import MONTH, START, add, as_nanos, policy_file, pricing, spent_nanos, traffic_ledger

NOVEMBER = datetime(2026, 11, 1, tzinfo=START.tzinfo)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteStore]:
    """Three days, read only."""
    store = traffic_ledger(tmp_path_factory.mktemp("ledger") / "shop.db", days=3)
    yield store
    store.close()


@pytest.fixture(scope="module")
def bill(ledger: SqliteStore, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """The month as CSV, by the command."""
    folder = tmp_path_factory.mktemp("bill")
    path = folder / "focus.csv"
    words = ["export", "focus", "--period", MONTH, "-o", str(path), "--policy", str(policy_file(folder)), "--store", ledger.url]
    done = CliRunner().invoke(app, [*words, "--by", "agent"])
    assert done.exit_code == 0, done.output
    assert "equal to the ledger's 2026-10. 1 call in flight are not in it yet." in " ".join(done.stdout.split())
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def of(bill: list[dict[str, str]], **values: str) -> list[dict[str, str]]:
    """Rows with these values."""
    return [row for row in bill if all(row[name] == value for name, value in values.items())]


@pytest.mark.parametrize("end", ["csv", "parquet"])
def test_effective_cost_adds_up_to_the_ledger_to_the_nano_dollar(ledger: SqliteStore, tmp_path: Path, end: str) -> None:
    """Of the month, and of each day, team and model in it; twice the same bytes."""
    path, again = tmp_path / f"focus.{end}", tmp_path / f"again.{end}"
    for to in (path, again):
        export_focus(ledger, to, MONTH, pricing(tmp_path))
    assert path.read_bytes() == again.read_bytes()
    read = f"read_csv('{path}', all_varchar = true)" if end == "csv" else f"'{path}'"
    by = "CAST(ChargePeriodStart AS VARCHAR)[:10], SubAccountId, x_Model"
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        rows = db.execute(f"SELECT {by}, sum(EffectiveCost::DECIMAL(38, 9)) FROM {read} GROUP BY ALL").fetchall()
    found = {(day, team, model): as_nanos(usd) for day, team, model, usd in rows}
    assert sum(found.values()) == spent_nanos(ledger, START, NOVEMBER) > 0
    truth: dict[tuple[str, str, str], int] = {}
    for call in ledger.calls(CallFilter(since=START, until=NOVEMBER)):
        key = (f"{call.started_at:%Y-%m-%d}", call.attribution.team or "unattributed", call.name)
        truth[key] = truth.get(key, 0) + call.cost_nanos
    assert found == {key: nanos for key, nanos in truth.items() if nanos or key in found}


def test_columns_are_those_of_the_specification_and_own_ones_stand_last(bill: list[dict[str, str]]) -> None:
    """In its spelling; a dimension asked for has its column and its tag."""
    names = list(bill[0])
    assert names == [*FOCUS_COLUMNS, "x_Agent"]
    own = [name.startswith("x_") for name in names]
    assert own == sorted(own)
    for row in bill:
        assert json.loads(row["Tags"]).get("agent", "") == row["x_Agent"]


def test_costs_are_prices_times_quantities(bill: list[dict[str, str]]) -> None:
    """Exactly for list and agreed cost; a listed charge differs by its rounding up only: below a nano-dollar a call."""
    for row in bill:
        quantity = Decimal(row["PricingQuantity"])
        assert Decimal(row["ListCost"]) == Decimal(row["ListUnitPrice"]) * quantity
        assert Decimal(row["ContractedCost"]) == Decimal(row["ContractedUnitPrice"]) * quantity
        assert row["BilledCost"] == row["EffectiveCost"]
        if row["PricingUnit"] == "1000000 Tokens":
            assert quantity * 10**6 == Decimal(row["ConsumedQuantity"])
        if row["x_CostBasis"] == "listed":
            assert abs(Decimal(row["EffectiveCost"]) - Decimal(row["ContractedCost"])) < Decimal("0.000001"), row


def test_a_discount_of_the_policy_stands_between_list_and_contracted_cost(bill: list[dict[str, str]]) -> None:
    """gpt-4.1-mini is listed at 0.40 and agreed at 0.32; what was charged is the agreed price."""
    rows = of(bill, x_Model="gpt-4.1-mini", x_Feature="odd")
    assert {row["x_TokenClass"]: (row["ListUnitPrice"], row["ContractedUnitPrice"]) for row in rows} == {
        "input": ("0.4", "0.32"), "cache_read": ("0.1", "0.08"), "output": ("1.6", "1.28"),
    }  # fmt: skip
    assert all(row["x_CostBasis"] == "listed" and Decimal(row["ListCost"]) > Decimal(row["ContractedCost"]) for row in rows)


def test_the_tier_of_service_is_read_from_the_charge(bill: list[dict[str, str]]) -> None:
    """The ledger keeps none: a batch price that gives the charge is the price, with a price id of its own and the same SKU."""
    rows = of(bill, x_Model="claude-fable-5-2", x_TokenClass="output")
    assert {row["x_ServiceTier"]: row["ListUnitPrice"] for row in rows} == {"": "40.0", "batch": "20.0", "fast": "80.0"}
    assert {row["SkuId"] for row in rows} == {"anthropic/claude-fable-5-2/output"}
    assert len({row["SkuPriceId"] for row in rows}) == 3


def test_what_is_not_the_list_price_times_tokens_says_so(bill: list[dict[str, str]]) -> None:
    """The provider's own price is split by list prices; estimates, crashes and unknown prices are marked."""
    own = of(bill, x_Model="gpt-4o", x_CostBasis="recorded", x_Certainty="exact")
    assert sum(as_nanos(Decimal(row["EffectiveCost"])) for row in own) == 1_234_567
    assert [row["x_TokenClass"] for row in own] == ["input", "cache_read", "output"]
    assumed = of(bill, x_Certainty="assumed")
    assert [(row["x_TokenClass"], row["PricingUnit"], row["EffectiveCost"], row["ListCost"]) for row in assumed] == [
        ("whole", "Dollars", "0.001000003", "0.001000003")
    ]
    unpriced = of(bill, x_CostBasis="unpriced")
    assert {row["x_Model"] for row in unpriced} == {"never-heard-of"}
    assert {row["EffectiveCost"] for row in unpriced} == {"0.0"}
    estimated = of(bill, x_Certainty="estimated")
    assert {row["SubAccountId"] for row in estimated} == {"unattributed"}


def test_every_class_of_tokens_is_a_row_of_its_own(bill: list[dict[str, str]]) -> None:
    """Reads and both kinds of writes of caches, audio, reasoning, searches, requests."""
    sonnet = {row["x_TokenClass"]: row for row in of(bill, x_Model="claude-sonnet-4-5", x_Feature="odd")}
    assert {name: row["ConsumedQuantity"] for name, row in sonnet.items()} == {
        "input": "3997.0", "cache_read": "3001.0", "cache_write_5m": "1002.0", "cache_write_1h": "1001.0", "output": "701.0",
        "web_search": "3.0",
    }  # fmt: skip
    assert (sonnet["web_search"]["ConsumedUnit"], sonnet["web_search"]["ListUnitPrice"]) == ("Searches", "0.01")
    assert (sonnet["cache_write_1h"]["ListUnitPrice"], sonnet["cache_write_5m"]["ListUnitPrice"]) == ("6.0", "3.75")
    pieces = of(bill, x_Model="house-painter")
    assert [(row["x_TokenClass"], row["ConsumedQuantity"], row["EffectiveCost"]) for row in pieces] == [
        ("output", "5.0", "0.0"), ("request", "2.0", "0.08"),
    ]  # fmt: skip
    assert "reasoning" in {row["x_TokenClass"] for row in of(bill, x_Model="o3")}
    assert {"input_audio", "cache_read_audio", "output_audio"} <= {
        row["x_TokenClass"] for row in of(bill, x_Model="gpt-4o-audio-preview")
    }


def test_paid_tools_are_rows_and_free_ones_are_none(bill: list[dict[str, str]]) -> None:
    """At the policy's price by the call, or as the sum that the ledger has."""
    search = of(bill, x_Model="search")
    assert [(row["x_Agent"], row["ConsumedQuantity"], row["ListUnitPrice"], row["EffectiveCost"]) for row in search] == [
        ("a-0", "4.0", "0.005", "0.02"), ("a-1", "3.0", "0.005", "0.015"),
    ]  # fmt: skip
    assert [(row["PricingUnit"], row["EffectiveCost"]) for row in of(bill, x_Model="fax")] == [("Dollars", "0.007777777")]
    assert of(bill, x_Model="free") == []


def test_rows_that_do_not_add_up_to_the_ledger_are_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls that were dropped after their time, or settled while it ran."""
    store = SqliteStore(str(tmp_path / "l.db"))
    add(store, 1, Usage(input_tokens=5), 7)
    add(store, 2, Usage(input_tokens=5), 8)
    kept = store.calls(CallFilter())[:1]
    monkeypatch.setattr(store, "calls", lambda where: kept)
    with pytest.raises(ExportError, match="its calls add up to 7 nano-USD and the ledger's sums to 15"):
        export_focus(store, tmp_path / "f.csv", MONTH, pricing(tmp_path))
    assert not (tmp_path / "f.csv").exists()
    store.close()


COUNTS = st.integers(0, 10**7)


@given(
    COUNTS, COUNTS, st.lists(COUNTS, min_size=6, max_size=6), st.sampled_from(["claude-sonnet-4-5", "gpt-4o-audio-preview", "o3"])
)
def test_classes_at_their_prices_are_the_tables_total(more: int, answer: int, parts: list[int], model: str) -> None:
    """For whatever counts may be together: nothing is charged twice, nothing is left out."""
    read, audio_read, write, hour, audio, reasoning = parts
    usage = Usage(
        input_tokens=more + read + write + audio, cache_read_input_tokens=read, cache_audio_read_tokens=min(audio_read, read, audio),
        cache_creation_input_tokens=write, cache_creation_1h_input_tokens=min(hour, write), input_audio_tokens=audio,
        output_tokens=answer + reasoning, reasoning_output_tokens=reasoning,
    )  # fmt: skip
    table = PriceBook().rates(model, None, START).table(usage.input_tokens)
    counts = class_counts(usage)
    total = sum(count * coefficient(table, kind) for kind, count in counts.items())
    assert -(-total // (table.scale * 10**6)) == table.total(consistent(usage))
    tokens = sum(count for kind, count in counts.items() if kind.counts_tokens)
    assert tokens == usage.total_tokens
    assert TokenClass.REQUEST not in counts


@given(st.integers(0, 2**62), st.lists(st.integers(0, 2**70), min_size=1, max_size=13))
def test_a_split_loses_and_invents_nothing(nanos: int, weights: list[int]) -> None:
    """Each part is its exact share rounded down or up."""
    parts, total = split(nanos, weights), sum(weights)
    assert sum(parts) == nanos
    if total:
        assert all(
            nanos * weight // total <= part <= -(-nanos * weight // total) for part, weight in zip(parts, weights, strict=True)
        )


def test_months_are_utc_whatever_the_policy_says(tmp_path: Path) -> None:
    """The first instant is in, the first of the next month is not; an odd zone changes nothing."""
    store = SqliteStore(str(tmp_path / "l.db"))
    ids = [add(store, number, Usage(input_tokens=5), 7 + number, at=at) for number, at in enumerate([
        START - timedelta(microseconds=1), START, NOVEMBER - timedelta(microseconds=1), NOVEMBER,
    ])]  # fmt: skip
    found: Any = export_focus(store, tmp_path / "f.csv", MONTH, pricing(tmp_path))
    assert len(ids) == 4
    assert found.nanos == 8 + 9
    store.close()
