"""Generated traffic: the same for a seed, true about its incidents, cheap to load."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from runguard_core.ledger import CallFilter
from runguard_core.stores import MemoryStore, SqliteStore
from runguard_core.testing import FEATURES, IncidentKind, Traffic, draw_incident, make_traffic, recordings, write_traffic
from runguard_core.testing._traffic_sizes import CHAT_ANSWER, CHAT_PROMPT, CODE_ANSWER, CODE_PROMPT, Sizes

START = datetime(2026, 6, 1, tzinfo=UTC)


def with_incident(kind: IncidentKind, seed: int = 3) -> Traffic:
    """Two weeks of code reviews with one incident in the second."""
    planned = draw_incident(kind, "code-review", START + timedelta(days=7), Random(seed))
    return make_traffic(START, 14, seed=seed, features=[FEATURES[1]], incidents=[planned])


def test_a_seed_is_a_traffic() -> None:
    """Equal for equal seeds, other for others, in the order of time."""
    one, same, other = (make_traffic(START, 3, seed=seed) for seed in (1, 1, 2))
    assert one == same
    assert one.calls != other.calls
    assert [call.at for call in one.calls] == sorted(call.at for call in one.calls)
    assert {call.of.feature for call in one.calls} == {feature.feature for feature in FEATURES}


@pytest.mark.parametrize("kind", IncidentKind)
def test_the_excess_of_an_incident_is_what_it_cost_beyond_the_same_traffic(kind: IncidentKind) -> None:
    """To the nano-dollar, for what only makes calls longer, dearer or more."""
    plain = make_traffic(START, 14, seed=3, features=[FEATURES[1]])
    made = with_incident(kind)
    truth = made.incidents[0]
    difference = sum(call.nanos for call in made.calls) - sum(call.nanos for call in plain.calls)
    assert truth.excess_nanos == difference > 0
    assert truth.excess_nanos == sum(call.excess_nanos for call in made.calls)
    extra = [call.at for call in made.calls if call.excess_nanos]
    assert truth.started_at <= min(extra)
    assert max(extra) <= truth.ended_at + timedelta(hours=4), "sessions that begin in it may end after it"


def test_writing_it_twice_changes_nothing_and_the_book_agrees(tmp_path: Path) -> None:
    """Through the verbs of any store, at the times of the calls, with progress."""
    traffic, heard = make_traffic(START, 2, seed=1), list[int]()
    for store in (MemoryStore(), SqliteStore(str(tmp_path / "l.db"))):
        assert write_traffic(store, traffic.calls, "shop", progress=heard.append) == len(traffic.calls)
        first = store.calls(CallFilter())
        if isinstance(store, SqliteStore):
            write_traffic(store, traffic.calls, "shop")
        assert store.calls(CallFilter()) == first
        assert len(first) == len(traffic.calls)
        assert sum(call.cost_nanos for call in first) == sum(call.nanos for call in traffic.calls)
        assert {call.attribution.team for call in first} == {feature.team for feature in FEATURES}
        assert store.verify() == ()
        store.close()
    assert heard[-1] == len(traffic.calls)


def test_recordings_have_the_format_that_replay_reads() -> None:
    """One run a session; JSON; a loop shows in its digests, ordinary calls do not repeat."""
    runs = {run["run_id"]: run for run in recordings(with_incident(IncidentKind.TOOL_LOOP).calls)}
    assert json.loads(json.dumps(runs)) == runs
    loop = next(run for name, run in runs.items() if name.endswith("-loop"))
    asked = [event["args_sha1"] for event in loop["events"] if event["kind"] == "tool"]
    assert len(asked) > 50
    assert len(set(asked)) == 1
    other = next(run for name, run in runs.items() if not name.endswith("-loop") and len(run["events"]) > 9)
    asked = [event["args_sha1"] for event in other["events"] if event["kind"] == "tool"]
    assert len(set(asked)) == len(asked)


@pytest.mark.parametrize(
    ("name", "column", "sizes"),
    [
        ("code", "ContextTokens", CODE_PROMPT), ("code", "GeneratedTokens", CODE_ANSWER),
        ("conv", "ContextTokens", CHAT_PROMPT), ("conv", "GeneratedTokens", CHAT_ANSWER),
    ],
)  # fmt: skip
def test_token_sizes_are_like_those_of_the_trace(shared_data: Path, name: str, column: str, sizes: Sizes) -> None:
    """Median and quartiles within a third: a mixture of two log-normals is no more than that."""
    with gzip.open(shared_data / "azure_llm_2023" / f"{name}.csv.gz", "rt") as file:
        real = sorted(int(row[column]) for row in csv.DictReader(file))
    dice = Random(1)
    drawn = sorted(sizes.draw(dice) for _ in range(20_000))
    for share in (0.25, 0.5, 0.75, 0.95):
        assert drawn[int(share * len(drawn))] == pytest.approx(real[int(share * len(real))], rel=0.33)
    assert drawn[-1] <= real[-1]


@pytest.mark.parametrize(
    ("kind", "origin"),
    [
        (IncidentKind.CONTEXT_BLOAT, "tool:read_file"),
        (IncidentKind.PROMPT_REGRESSION, "system"),
        (IncidentKind.TOOL_LOOP, "tool:read_file"),
    ],
)
def test_a_prompt_is_made_of_all_its_tokens_and_an_incident_is_where_it_grew(kind: IncidentKind, origin: str) -> None:
    """Four characters a token, by origin; what an incident adds has a place to be found in."""
    usual, grown = Counter[str](), Counter[str]()
    count = Counter[bool]()
    for call in with_incident(kind).calls:
        if call.usage is None:
            assert call.parts == ()
            continue
        assert abs(sum(part.chars for part in call.parts) - 4 * call.usage.input_tokens) <= 8
        assert all(0 <= part.new_chars <= part.chars for part in call.parts)
        count[call.excess_nanos > 0] += 1
        for part in call.parts:
            (grown if call.excess_nanos else usual)[part.origin] += part.chars
    more = {name: grown[name] / count[True] - usual[name] / count[False] for name in grown}
    assert max(more, key=more.__getitem__) == origin


def test_the_first_prompt_of_a_run_is_new_and_the_next_one_sends_it_again() -> None:
    """As an adapter sees it: what no earlier prompt of this run held."""
    calls = [call for call in make_traffic(START, 2, seed=1, features=[FEATURES[3]]).calls if call.usage is not None]
    for call in calls:
        if call.turn == 1:
            assert all(part.new_chars == part.chars for part in call.parts)
        else:
            assert next(part for part in call.parts if part.origin == "system").new_chars == 0
    assert any(call.turn > 1 for call in calls)
