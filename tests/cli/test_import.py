"""`runguard import`: recordings become a ledger's calls, once, and what cannot be taken is said."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from runguard_core import open_store
from runguard_core.calls import CallKind, Certainty
from runguard_core.cli._main import app
from runguard_core.ledger import CallFilter, CallRecord
from runguard_core.testing import FEATURES, make_traffic, recordings

START = datetime(2026, 6, 1, tzinfo=UTC)


def run(*args: str, code: int = 0) -> str:
    """A command's output."""
    done = CliRunner().invoke(app, list(args), env={"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"})
    assert done.exit_code == code, done.output
    return done.output


def imported(url: str, *args: str, code: int = 0) -> dict[str, Any]:
    """What --json says."""
    found: dict[str, Any] = json.loads(run("import", *args, "--store", url, "--json", code=code))
    return found


def calls_of(url: str) -> tuple[CallRecord, ...]:
    """All calls of a ledger that agrees with itself."""
    store = open_store(url)
    try:
        assert store.verify() == ()
        return store.calls(CallFilter())
    finally:
        store.close()


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A ledger that is not there yet."""
    return f"sqlite:///{tmp_path / 'l.db'}"


def lines(path: Path, *runs: dict[str, Any]) -> str:
    """A file of recordings."""
    path.write_text("".join(json.dumps(one) + "\n" for one in runs))
    return str(path)


def call(**more: Any) -> dict[str, Any]:
    """A recorded model call of a priced model."""
    return {"kind": "llm", "model": "gpt-4.1", "input_tokens": 1000, "output_tokens": 10} | more


def test_what_was_generated_comes_out_of_its_recordings_with_its_times_tokens_and_cost(tmp_path: Path, url: str) -> None:
    """Folder and gzip included; turns within the run, tools between, an own session each."""
    made = make_traffic(START, 2, seed=4, features=FEATURES[2:4]).calls
    folder = tmp_path / "runs"
    folder.mkdir()
    with gzip.open(folder / "shop.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(one) + "\n" for one in recordings(made))
    said = imported(url, str(folder), "--app", "trial", "--team", "care")
    assert said["new_count"] == len(made)
    assert said["cost_nanos"] == str(sum(one.nanos for one in made))
    found = calls_of(url)
    assert sum(one.cost_nanos for one in found) == sum(one.nanos for one in made)
    assert {one.attribution.team for one in found} == {"care"}
    assert {one.attribution.feature for one in found} == {"shop"}, "the file's name, where nothing names a feature"
    by_session = {one.session for one in made}
    assert {one.attribution.session for one in found} == by_session
    assert abs(min(one.started_at for one in found) - made[0].at) < timedelta(milliseconds=1)
    models = [one for one in found if one.kind is CallKind.MODEL]
    assert {one.settlement.certainty for one in models if one.settlement} == {Certainty.EXACT}
    assert sum(one.settlement.usage.input_tokens for one in models if one.settlement and one.settlement.usage) == sum(
        one.usage.input_tokens for one in made if one.usage
    )


def test_a_second_import_changes_nothing_not_even_under_other_prices(tmp_path: Path, url: str) -> None:
    """Ids come from what was recorded; what is settled stays settled."""
    file = lines(
        tmp_path / "a.jsonl", {"run_id": "r1", "events": [call(), {"kind": "tool", "name": "t"}, call(input_tokens=2000)]}
    )
    assert imported(url, file)["new_count"] == 3
    before = calls_of(url)
    dearer = tmp_path / "p.toml"
    dearer.write_text('[prices."gpt-4.1"]\ninput_usd_per_mtok = "900"\noutput_usd_per_mtok = "900"\n')
    said = imported(url, file, "--policy", str(dearer), "--begin", "2026-01-01", "--app", "imported")
    assert (said["new_count"], said["known_count"]) == (0, 3)
    assert calls_of(url) == before


def test_equal_calls_of_a_run_are_as_many_calls(tmp_path: Path, url: str) -> None:
    """Their places tell them apart; the same run in two files is one."""
    runs = {"run_id": "r1", "events": [call(), call(), call()]}
    said = imported(url, lines(tmp_path / "a.jsonl", runs), lines(tmp_path / "b.jsonl", runs), "--feature", "f")
    assert (said["new_count"], said["known_count"]) == (3, 3)
    assert [one.attribution.turn for one in calls_of(url)] == [1, 2, 3]


def test_what_cannot_be_taken_is_said_with_its_reason_and_its_line(tmp_path: Path, url: str) -> None:
    """No token counts, no recording; the rest is taken, the exit code says that something was wrong."""
    file = tmp_path / "a.jsonl"
    good = {"run_id": "r1", "feature": "search", "events": [call(), call(input_tokens=None, output_tokens=None)]}
    none = {"run_id": "r2", "events": [{"kind": "llm", "model": "gpt-4.1"}, {"kind": "tool", "name": "t"}]}
    file.write_text(f"{json.dumps(good)}\nno json\n{json.dumps(none)}\n[1]\n")
    said = imported(url, str(file), code=1)
    assert (said["run_count"], said["new_count"]) == (1, 1)
    assert said["skipped"] == {"runs": 1, "model_calls": {"no token counts": 2}}
    assert [one["place"] for one in said["bad_lines"]] == [f"{file}:2", f"{file}:4"]
    text = " ".join(run("import", str(file), "--store", url, code=1).split())
    assert "2 model calls were skipped: no token counts." in text
    assert "a.jsonl:2: expected one JSON object a line" in text
    assert [one.attribution.feature for one in calls_of(url)] == ["search"]


def test_no_price_is_unpriced_a_recorded_cost_is_an_estimate_and_a_date_has_its_price(tmp_path: Path, url: str) -> None:
    """Unknown is never zero. The list's price of o3 fell on 2025-06-10."""
    events = [
        call(model="nobody-knows", ts="2025-06-01T00:00:00Z"),
        call(model="nobody-knows", cost_usd=0.25, ts="2025-06-01T00:00:01Z"),
        call(model="o3", output_tokens=0, ts="2025-06-01T00:00:02Z"),
        call(model="o3", output_tokens=0, ts="2025-07-01T00:00:02Z"),
    ]
    said = imported(url, lines(tmp_path / "a.jsonl", {"run_id": "r", "events": events}))
    assert said["unpriced"] == {"nobody-knows": 1}
    settled = [one.settlement for one in calls_of(url) if one.settlement is not None]
    assert [(one.certainty, one.cost_nanos) for one in settled] == [
        (Certainty.UNPRICED, None), (Certainty.ESTIMATED, 250_000_000), (Certainty.EXACT, 10_000_000), (Certainty.EXACT, 2_000_000),
    ]  # fmt: skip


def test_runs_without_times_lie_one_after_the_other(tmp_path: Path, url: str) -> None:
    """From the day that is named, a minute apart."""
    runs = [{"run_id": f"r{number}", "events": [call()]} for number in range(3)]
    assert imported(url, lines(tmp_path / "a.jsonl", *runs), "--begin", "2026-11-02")["untimed_run_count"] == 3
    starts = [one.started_at for one in calls_of(url)]
    assert datetime(2026, 11, 2, tzinfo=UTC) <= starts[0] < datetime(2026, 11, 2, 0, 1, tzinfo=UTC)
    assert all(timedelta(minutes=1) <= later - one < timedelta(minutes=2) for one, later in pairwise(starts))


def test_recordings_of_others(shared_data: Path, url: str) -> None:
    """Every model call with token counts or a cost is taken, every other one is counted."""
    said = imported(url, str(shared_data), "--begin", "2026-11-02")
    counted = said["model_call_count"] + sum(said["skipped"]["model_calls"].values())
    events = [
        event
        for file in sorted(shared_data.glob("*.jsonl.gz"))
        for line in gzip.decompress(file.read_bytes()).decode().split("\n")
        if line
        for event in json.loads(line)["events"]
        if event["kind"] == "llm"
    ]
    assert counted == len(events)
    assert said["model_call_count"] == sum(
        any(event.get(name) is not None for name in ("input_tokens", "output_tokens", "cost_usd")) for event in events
    )
    assert imported(url, str(shared_data))["new_count"] == 0
