"""`runguard reconcile`: what a bill says beside the ledger, on a terminal and as JSON; corrections that are made once."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from runguard_core import open_store
from runguard_core.calls import CallKind, Certainty
from runguard_core.cli._main import app
from runguard_core.ledger import Account, CallFilter, EntryKind, Hold, Unit
from tests.finops.bills.making import COSTS, USAGE, Part, parts_of, project_of
from tests.finops.bills.shop import DAY, KEYS, PRICES, ROWS, Row, calls_of, replace_usage

FIRST, LAST = DAY, DAY + timedelta(days=1)
FEW = [row for row in ROWS if FIRST <= row[0].started_at.date() <= LAST]
MONEY, TOKENS = Account("budget usd", Unit.USD, "budget"), Account("budget tokens", Unit.TOKENS, "budget")


def run(*args: str, code: int = 0) -> str:
    """A command's output, 100 columns wide."""
    done = CliRunner().invoke(app, list(args), env={"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"})
    assert done.exit_code == code, done.output
    return done.output


class Desk:
    """A ledger, a policy and files of bills in a folder."""

    def __init__(self, folder: Path, rows: list[Row]) -> None:
        self.folder, self.url = folder, f"sqlite:///{folder / 'l.db'}"
        store = open_store(f"{self.url}?leases=off")
        for record, settled in rows:
            tokens = settled.usage.total_tokens if settled.usage is not None else 0
            holds = (Hold(MONEY, record.quote_nanos or 0, None), Hold(TOKENS, 0, None))
            store.reserve(record, holds, expires_at=record.started_at + timedelta(minutes=10), owner="t")
            store.post(record.id, replace(settled, amounts={MONEY.key: settled.cost_nanos or 0, TOKENS.key: tokens}))
        store.close()
        keys = "".join(
            f'[billing.keys.{key.name}]\nprovider = "{key.provider}"\nids = {list(key.ids)}\nfeature = "{key.feature}"\n'
            for key in KEYS
        )
        self.policy = folder / "runguard.toml"
        self.policy.write_text(f'[features.search]\nowner = "cleo@example.com"\n{keys}')

    def bill(self, parts: list[Part], provider: str = "openai") -> list[str]:
        """Files of usage and costs, and the options that name ledger and policy."""
        usage, costs = self.folder / "usage.json", self.folder / "costs.json"
        usage.write_text(USAGE[provider](parts, [FIRST, LAST]))
        costs.write_text(COSTS[provider](parts, [FIRST, LAST]))
        return [str(usage), str(costs), "--provider", provider, "--store", self.url, "--policy", str(self.policy)]

    def json(self, *args: str, code: int = 0) -> dict[str, Any]:
        """What --json says."""
        found: dict[str, Any] = json.loads(run("reconcile", *args, "--json", code=code))
        return found


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Two days of the shop."""
    return Desk(tmp_path, FEW)


def cheaper(parts: list[Part], percent: int) -> list[Part]:
    """The same at a share of the price."""
    return [part.copy(nanos={kind: nanos * percent // 100 for kind, nanos in part.nanos.items()}) for part in parts]


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_bill_of_the_ledgers_own_calls_has_no_difference(desk: Desk, provider: str) -> None:
    """Exit code 0, and the sums."""
    text = run("reconcile", *desk.bill(parts_of(calls_of(FEW), provider), provider))
    assert "No difference." in text
    assert f"{provider}, {FIRST} to {LAST} (UTC)" in text


def test_unmetered_spend_is_shown_with_its_owner_and_the_key_that_nobody_named(desk: Desk) -> None:
    """Exit code 1; the table fits a hundred columns."""
    parts = parts_of(calls_of(FEW), "openai")
    known = next(part for part in parts if part.project == project_of("search"))
    parts[parts.index(known)] = known.copy(
        requests=known.requests * 2, tokens={kind: count * 2 for kind, count in known.tokens.items()},
        nanos={kind: nanos * 2 for kind, nanos in known.nanos.items()},
    )  # fmt: skip
    parts.append(known.copy(project="proj_forgotten"))
    text = run("reconcile", *desk.bill(parts), code=1)
    assert max(map(len, text.splitlines())) <= 100
    assert "cleo@example.com" in text
    assert "Not in [billing]: proj_forgotten" in " ".join(text.split())
    found = desk.json(*desk.bill(parts), code=1)
    assert {(one["kind"], one["owner"]) for one in found["differences"] if one["kind"] != "rounding"} == {
        ("unmetered traffic", "cleo@example.com"), ("unmetered traffic", None),
    }  # fmt: skip
    assert found["unexplained_count"] == 2


def test_a_period_is_a_month_a_day_or_from_one_to_another(desk: Desk) -> None:
    """In UTC; a bill that covers none of it is a mistake."""
    bill = desk.bill(parts_of(calls_of(FEW), "openai"))
    for period, days in [("2026-09", 2), (f"{FIRST}", 1), (f"{FIRST}..{LAST}", 2)]:
        assert desk.json(*bill, "--period", period)["cost_day_count"] == days
    assert "covers no whole day" in run("reconcile", *bill, "--period", "2026-10", code=2)
    assert "--period expects" in run("reconcile", *bill, "--period", "soon", code=2)


def test_corrections_are_adjust_entries_made_once_and_budgets_follow(desk: Desk) -> None:
    """A price that the list does not know: after it ledger and bill agree, and the same again corrects nothing."""
    bill = desk.bill(cheaper(parts_of(calls_of(FEW), "openai"), 87))
    assert "--adjust needs --reason" in run("reconcile", *bill, "--adjust", code=2)
    assert desk.json(*bill, code=1)["unexplained_count"] == 6
    found = desk.json(*bill, "--adjust", "--reason", "contract of May", "--by", "ann")
    assert found["corrected_count"] > 50
    assert found["billed"]["nanos"] == found["booked"]["nanos"]
    assert found["differences"] == []
    assert desk.json(*bill, "--adjust", "--reason", "again")["corrected_count"] == 0
    store = open_store(desk.url)
    entries = [entry for entry in store.entries() if entry.kind is EntryKind.ADJUST]
    assert len(entries) == found["corrected_count"]
    assert entries[0].reason == "contract of May (ann; openai bill)"
    spent = sum(call.cost_nanos for call in store.calls(CallFilter()))
    assert store.balances([MONEY.key])[MONEY.key].posted == spent
    assert store.verify() == ()
    (said,) = [event for event in store.events() if event.kind == "reconciled"]
    assert (said.facts["by"], said.facts["reason"], said.facts["corrected_count"]) == ("ann", "contract of May", len(entries))
    store.close()


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_tokens_are_corrected_too_where_calls_have_them(tmp_path: Path, provider: str) -> None:
    """Cached tokens that were taken for input, and answers that were estimated: afterwards all is as the bill says."""

    def wrong(row: Row, number: int) -> Row:
        record, settled = row
        if record.kind is not CallKind.MODEL or settled.usage is None:
            return row
        usage, certainty = replace_usage(settled.usage, cache_read_input_tokens=0), Certainty.EXACT
        if number % 3 == 0 and record.started_at.date() == LAST:
            usage, certainty = replace_usage(settled.usage, output_tokens=1), Certainty.ESTIMATED
        nanos = PRICES.rates(record.name, record.provider, record.started_at).charge(usage)
        return record, replace(settled, usage=usage, cost_nanos=nanos, certainty=certainty)

    desk = Desk(tmp_path, [wrong(row, number) for number, row in enumerate(FEW)])
    bill = desk.bill(parts_of(calls_of(FEW), provider), provider)
    before = desk.json(*bill, code=1)
    assert {"token class", "missing usage"} <= {one["kind"] for one in before["differences"]}
    after = desk.json(*bill, "--adjust", "--reason", "the adapter of July")
    assert after["billed"]["tokens"] == after["booked"]["tokens"]
    assert {one["kind"] for one in after["differences"]} <= {"rounding"}
    store = open_store(desk.url)
    calls = store.calls(CallFilter())
    tokens = sum(call.settlement.usage.total_tokens for call in calls if call.settlement and call.settlement.usage)
    said = {record.id: settled.usage.output_tokens for record, settled in FEW if settled.usage}
    sure = [call for call in calls if call.id in said and call.settlement and call.settlement.certainty is Certainty.EXACT]
    assert all(call.settlement.usage.output_tokens == said[call.id] for call in sure if call.settlement and call.settlement.usage)
    assert store.balances([TOKENS.key])[TOKENS.key].posted == tokens
    assert all(call.settlement.usage.is_sound for call in calls if call.settlement and call.settlement.usage)
    assert store.verify() == ()
    store.close()


def test_traffic_without_calls_is_not_corrected(desk: Desk) -> None:
    """There is no call to correct: the bill's owner hears of it instead."""
    parts = parts_of(calls_of(FEW), "openai")
    parts.append(parts[0].copy(project="proj_forgotten"))
    found = desk.json(*desk.bill(parts), "--adjust", "--reason", "try", code=1)
    assert (found["corrected_count"], found["unexplained_count"]) == (0, 1)


def test_a_focus_bill_as_csv_and_as_parquet(desk: Desk) -> None:
    """One row for each day, feature, model and token class."""
    rows = [
        {
            "ChargePeriodStart": f"{part.day}T00:00:00Z", "BilledCost": f"{nanos / 10**9:.9f}", "BillingCurrency": "USD",
            "ProviderName": "openai", "ConsumedQuantity": str(part.tokens[kind]), "ConsumedUnit": "Tokens",
            "SkuId": f"{part.model}/{kind.value}", "SkuMeter": f"{kind.value} tokens", "SubAccountId": part.project,
        }
        for part in parts_of(calls_of(FEW), "openai")
        for kind, nanos in part.nanos.items()
        if nanos
    ]  # fmt: skip
    path = desk.folder / "focus.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    options = ["--provider", "focus", "--store", desk.url, "--policy", str(desk.policy)]
    assert desk.json(str(path), *options)["differences"] == []
    pyarrow = pytest.importorskip("pyarrow", reason="Parquet is read where pyarrow is")
    parquet = pytest.importorskip("pyarrow.parquet", reason="as above")
    parquet.write_table(pyarrow.Table.from_pylist(rows), desk.folder / "focus.parquet")
    assert desk.json(str(desk.folder / "focus.parquet"), *options)["differences"] == []


def test_our_own_focus_bill_is_the_ledger(desk: Desk) -> None:
    """What `runguard export focus` writes comes back without a difference, all providers and token classes together."""
    for name in ("month.csv", "month.parquet"):
        path = str(desk.folder / name)
        run("export", "focus", "--period", "2026-09", "-o", path, "--store", desk.url, "--policy", str(desk.policy))
        found = desk.json(path, "--provider", "focus", "--store", desk.url, "--policy", str(desk.policy))
        assert found["differences"] == []
        assert int(found["billed"]["nanos"]) == sum(call.cost_nanos for call in calls_of(FEW))


def test_mistakes_in_files_and_policy_are_one_sentence(desk: Desk) -> None:
    """Which file, which key, what was expected."""
    bill = desk.bill(parts_of(calls_of(FEW), "openai"))
    (desk.folder / "usage.json").write_text("[]x")
    assert "usage.json: expected JSON" in " ".join(run("reconcile", *bill, code=2).split())
    assert "cannot be read" in run("reconcile", str(desk.folder / "none.json"), *bill[2:], code=2)
    desk.bill(parts_of(calls_of(FEW), "openai"))
    desk.policy.write_text('[billing.keys.ci]\nids = ["proj_1"]\n')
    assert "expected a feature or a team" in " ".join(run("reconcile", *bill, code=2).split())
