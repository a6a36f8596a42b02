"""The sessions written by hand: digests are right, labels well formed, files and page as their source spells them."""

from __future__ import annotations

import json
from datetime import datetime
from hashlib import sha1
from typing import Any

import pytest

from runguard_core.policy import load_policy

from .recordings import ALL, FILES, FOLDER, Run, runs_of, spelled_out

IDS = [run["run_id"] for run in ALL]
RULES = {
    "repeat", "cycle", "near_duplicate", "same_result", "stall", "error_streak",
    "delegation", "context_growth", "overflow", "truncation", "rate_limit", "same_answer",
}  # fmt: skip
#: Not in tools or turns; the page says where they are looked after.
ELSEWHERE = {13, 14, 15, 22, 47}


def canonical(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def test_files_and_page_are_what_their_source_spells_out() -> None:
    """After a change of a shape: `python cassettes/sessions/source/write.py`."""
    for name, text in spelled_out().items():
        assert (FOLDER / name).read_text("utf-8") == text, f"{name} differs from its source: run source/write.py"


def test_there_are_enough_of_each_and_every_name_is_used_once() -> None:
    """At least twenty loops and twenty healthy ones; a session of several runs counts once."""
    assert len(IDS) == len(set(IDS))
    healthy = {run.get("session", run["run_id"]) for run in runs_of("healthy")}
    assert len(runs_of("loops")) >= 20
    assert len(healthy) >= 20
    assert {run["labels"]["expect"] for run in runs_of("healthy")} == {"pass"}
    assert {run["labels"]["expect"] for run in runs_of("loops")} == {"stop", "warn"}


def test_every_failure_scenario_with_tools_or_turns_is_here_under_its_number() -> None:
    """The page names those that are not, and why."""
    numbered = {run["labels"]["scenario"] for run in ALL if run["labels"]["expect"] != "pass"} - {None}
    assert numbered == set(range(1, 49)) - ELSEWHERE
    assert all(f"\n| {number} | " in (FOLDER / "README.md").read_text("utf-8") for number in ELSEWHERE)


@pytest.mark.parametrize("run", ALL, ids=IDS)
def test_digests_and_lengths_are_those_of_the_texts(run: Run) -> None:
    """Of whole texts; a clipped one is shorter than its length says, and its digest follows from the source."""
    for event in run["events"]:
        for name in {"args", "result", "text"} & event.keys() if event["kind"] != "user" else ():
            text, length = canonical(event[name]), event[f"{name}_len"]
            if length > 1500 and name != "args":
                assert len(text) == 241
                assert text.endswith("…")
            else:
                assert length == len(text)
                assert event[f"{name}_sha1"] == sha1(text.encode()).hexdigest()[:12]


@pytest.mark.parametrize("run", ALL, ids=IDS)
def test_events_are_numbered_in_the_order_of_their_time(run: Run) -> None:
    """Each ends after it began; prompts of model calls are accounted for by origin."""
    starts = [datetime.fromisoformat(event["ts"]) for event in run["events"]]
    assert starts == sorted(starts)
    for index, event in enumerate(run["events"]):
        assert event["i"] == index
        assert event["kind"] in {"llm", "tool", "user"}
        assert "end_ts" not in event or event["end_ts"] >= event["ts"]
        if "input_tokens" in event:
            assert event["input_tokens"] == sum(part["chars"] // 4 + 4 * part["message_count"] for part in event["parts"])


@pytest.mark.parametrize("run", ALL, ids=IDS)
def test_labels_say_what_is_expected_by_when_and_why(run: Run) -> None:
    """A stop has a first and a last place, a warning a last one, healthy work neither."""
    labels, last = run["labels"], len(run["events"]) - 1
    by_index, not_before = labels["by_index"], labels["not_before"]
    assert labels["why"]
    assert set(labels["rules"]) <= RULES
    if labels["expect"] == "pass":
        assert (labels["rules"], by_index, not_before) == ([], None, None)
        assert labels.get("warn_ok") in {None, True}
        return
    assert labels["expect"] in {"stop", "warn"}
    assert labels["rules"]
    assert by_index <= last
    assert run["events"][by_index]["kind"] != "user"
    assert labels["expect"] == "warn" or not_before is not None
    assert not_before is None or (not_before <= by_index and run["events"][not_before]["kind"] != "user")


@pytest.mark.parametrize("run", [run for run in ALL if "policy" in run["labels"]], ids=lambda run: run["run_id"])
def test_a_policy_of_its_own_is_a_valid_one(run: Run, tmp_path: Any) -> None:
    """Read as a file."""
    file = tmp_path / "runguard.toml"
    file.write_text(run["labels"]["policy"])
    assert load_policy(file, {}).file


def test_the_page_lists_every_run() -> None:
    """And every file."""
    page = (FOLDER / "README.md").read_text("utf-8")
    assert [name for name in IDS if f"| {name} |" not in page] == []
    assert [name for name in FILES if f"`{name}.jsonl`" not in page] == []
