"""Whatever a recorder wrote: it is played, or one sentence says where it is wrong and what was expected."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runguard_core.policy import load_policy
from runguard_core.replay import RecordingError, parse_run, play, play_many, played_json, read_recordings, recording_files

from .recorded import llm, played, run, tool

KEYS = (
    "i", "kind", "agent", "instance", "segment", "name", "args", "args_sha1", "args_len", "args_clipped", "result", "result_sha1",
    "result_len", "error", "error_status", "model", "provider", "input_tokens", "output_tokens", "cached_tokens",
    "cache_write_tokens", "reasoning_tokens", "cost_usd", "cost_certainty", "n_messages", "parts", "ts", "end_ts", "t_s",
    "duration_s",
)  # fmt: skip
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8),
    st.sampled_from(["llm", "tool", "user", "span", "gpt-4o", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00", "9999-12-31", -1, 1e308]),
)  # fmt: skip
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3))
EVENTS = st.one_of(VALUES, st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=14))
RULES = load_policy(environ={}).rules


@given(
    st.lists(EVENTS, max_size=12),
    st.dictionaries(st.sampled_from(["labels", "outcome", "totals", "session", "started_at"]), VALUES),
)
def test_nothing_that_is_json_breaks_a_replay(events: list[Any], more: dict[str, Any]) -> None:
    """Every value in every place; what is saved is never more than the whole, and the line is JSON."""
    found = play([parse_run({"run_id": "r", "events": events, **more}, "test")], RULES)[0]
    assert found.event_count == len(events)
    assert 0 <= found.saved.nanos <= found.whole.nanos
    assert found.saved.call_count <= found.whole.call_count
    assert json.loads(json.dumps(played_json(found)))["run_id"] == "r"


def test_missing_parts_are_taken_as_not_recorded() -> None:
    """No events, no name, no kind, events that are no objects."""
    assert played(run()).event_count == 0
    assert played(parse_run({"run_id": "r"}, "x")).event_count == 0
    assert played(parse_run({"run_id": "r", "events": None}, "x")).stop is None
    assert parse_run({"events": []}, "runs.jsonl:3").run_id == "runs.jsonl:3"
    odd = [None, 7, "text", [], {}, {"kind": "dance"}, {"name": "f"}, {"kind": "tool"}, {"kind": "llm"}]
    found = played(run(*odd))
    assert (found.event_count, found.whole.call_count, found.stop) == (9, 2, None)
    unnamed = {"kind": "tool", "args_sha1": "2be88ca4242c", "result": "unknown command", "result_len": 15}
    stop = played(run(*[unnamed] * 4)).stop
    assert stop is not None
    assert "(unnamed)" in stop.evidence


def test_counts_beside_the_total_are_added_to_it() -> None:
    """Anthropic's input comes without what the cache served, Gemini's answer without thoughts; one proof holds for the run."""
    claude = llm("claude-sonnet-4-5", 5, 20, cached_tokens=1000, cache_write_tokens=500)
    later = llm("claude-sonnet-4-5", 2000, 20, cached_tokens=1500)
    assert played(run(claude, later)).whole.tokens == (5 + 1000 + 500 + 20) + (2000 + 1500 + 20)
    assert played(run(later)).whole.tokens == 2020
    gemini = llm("gemini-2.5-flash", 10, 5, reasoning_tokens=90)
    assert played(run(gemini)).whole.tokens == 10 + 95
    assert played(run(llm("gpt-5", 10, 90, reasoning_tokens=64))).whole.tokens == 100


def test_counts_that_cannot_be_are_not_recorded() -> None:
    """Negative, endless, no number, or more than any call has."""
    for count in (-1, float("inf"), float("nan"), "many", True, [1], 10**9 + 1, 1.5):
        found = played(run(llm(tokens_in=count, tokens_out=count)))  # type: ignore[arg-type]  # what recorders write
        assert (found.whole.tokens, found.whole.untold_count, found.whole.nanos) == (0, 1, 0)
    assert played(run(llm(tokens_in=1000.0, tokens_out=100.0))).whole.tokens == 1100  # type: ignore[arg-type]  # a float that is whole


def test_a_cost_stated_for_the_run_only_is_its_total() -> None:
    """Nothing of it is spread over calls that carry no tokens."""
    found = played(run(llm(None, None, None), llm(None, None, None), totals={"cost_usd": 0.3017616}))
    assert (found.total_nanos, found.saved.nanos, found.whole.untold_count) == (301_761_600, 0, 2)
    assert played(run(llm(), totals={"cost_usd": 9})).total_nanos == 210_000


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "expected one JSON object a line"),
        ("[1]", "got a list"),
        ("null", "got null"),
        ('"x"', "got a text"),
        ('{"trace": 1, "spans": []}', "got an object with spans, trace"),
        ('{"run_id": "r", "events": {}}', "expected a list as events, got an object"),
        ("[" * 100_000, "JSON object"),
    ],
)
def test_a_line_that_is_no_recording_is_named(tmp_path: Path, line: str, said: str) -> None:
    """File, line, what was expected; with `on_error` the rest is read."""
    file = tmp_path / "runs.jsonl"
    good = json.dumps({"run_id": "good", "events": []})
    file.write_text(f"{good}\n\n{line}\n{good}\n")
    with pytest.raises(RecordingError, match=r"runs\.jsonl:3") as caught:
        list(read_recordings([file]))
    assert said in str(caught.value)
    skipped: list[RecordingError] = []
    assert len(list(read_recordings([file], on_error=skipped.append))) == 2
    assert [str(error) for error in skipped] == [str(caught.value)]


def test_files_are_known_by_their_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """gzip under any name, a byte order mark, folders, standard input; a broken file is one sentence."""
    line = json.dumps({"run_id": "é", "events": []}).encode()
    (tmp_path / "a.jsonl").write_bytes(gzip.compress(line + b"\n" + line))
    (tmp_path / "b.jsonl.gz").write_bytes(b"\xef\xbb\xbf" + line)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "c.jsonl").write_bytes(line)
    (tmp_path / "notes.txt").write_text("no recording")
    files = recording_files([tmp_path])
    assert [file.name for file in files] == ["a.jsonl", "b.jsonl.gz", "c.jsonl"]
    assert [recording.run_id for recording in read_recordings(files)] == ["é"] * 4
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(line))))
    assert [recording.run_id for recording in read_recordings(recording_files(["-"]))] == ["é"]
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(line * 1000)[:40])
    (tmp_path / "latin.jsonl").write_bytes(b'{"run_id": "\xe9"}')
    for name, said in (("cut.jsonl.gz", "cannot be read"), ("latin.jsonl", "latin.jsonl:1: expected UTF-8")):
        with pytest.raises(RecordingError, match=said):
            list(read_recordings([tmp_path / name]))
    with pytest.raises(RecordingError, match="no such file"):
        recording_files([tmp_path / "nowhere"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecordingError, match=r"\*\.jsonl"):
        recording_files([tmp_path / "empty"])


def test_standard_input_is_read_once_however_often_it_is_named() -> None:
    """The second time there is nothing left of it."""
    assert recording_files(["-", "-"]) == [Path("-")]


def test_a_damaged_archive_is_named_wherever_it_is_damaged(tmp_path: Path) -> None:
    """In its head, its body, its end, or cut off: one error that names the file."""
    lines = "".join(
        json.dumps({"run_id": f"{number}", "events": [tool("f", number, "x" * number)]}) + "\n" for number in range(300)
    )
    whole, file = gzip.compress(lines.encode()), tmp_path / "runs.jsonl.gz"
    for place in range(10, len(whole), 50):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        errors: list[RecordingError] = []
        list(read_recordings([file], on_error=errors.append))
        assert all("runs.jsonl.gz" in str(error) for error in errors)


def test_a_line_of_many_megabytes_is_played() -> None:
    """Long texts are cut for comparison, not refused."""
    huge = "x" * 5_000_000
    found = played(run(*[tool("f", {"text": huge}, huge) for _ in range(4)]))
    assert found.stop is not None


def test_thousands_of_events_take_time_in_proportion() -> None:
    """No event is looked at again for every later one: 4,000 calls pass in seconds."""
    events = [event for place in range(2000) for event in (llm(), tool("f", {"n": place}, f"r{place}"))]
    assert played(run(*events)).whole.call_count == 4000


def test_real_recordings_of_others(shared_data: Path) -> None:
    """All of them are read and played; what went well stays under a hundredth of stops with the defaults."""
    files = recording_files([shared_data / "tau_retail_agentrx.jsonl.gz", shared_data / "cassette_runs.jsonl.gz"])
    found = list(play_many(read_recordings(files), RULES))
    assert len(found) > 200
    assert sum(one.stop is not None and one.went_well is True for one in found) == 0
    assert all(one.saved.nanos <= one.whole.nanos for one in found)
