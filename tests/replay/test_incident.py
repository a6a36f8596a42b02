"""The ledger's own runs: played again from the book, and from a file that holds no content."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runguard_core import Budget, Guard, Outcome, OutcomeKind, StoppedError, ToolCall, Usage
from runguard_core.ledger import CallFilter
from runguard_core.policy import load_policy
from runguard_core.replay import RecordedEvent, Recording, incident_json, parse_run, play_many, recordings_of
from runguard_core.replay._incident import event_json
from runguard_core.reports import dead_tails

SECRETS = (
    "refund of Ann Smith",
    "ann@example.com",
    "s-42",
    "order 4711 is lost",
    "boss@example.com",
    "cannot read /srv/secret-path",
)


@pytest.fixture
def guard() -> Iterator[Guard]:
    """Three runs: one that loops, one that fails the same way until it is stopped, one that answers."""
    guard = Guard(app="shop", store="memory://", owner=SECRETS[4], team="discovery")
    _run(guard, "s-42", lambda step: ({"q": SECRETS[0]}, Outcome(result=SECRETS[3])))
    _run(guard, "s-43", lambda step: ({"q": f"{step}"}, _failed(f"OSError: {SECRETS[5]} in attempt {step}")))
    _run(guard, "s-44", lambda step: ({"q": f"{step}"}, Outcome(result=f"result {step}")))
    yield guard
    guard.close()


def _failed(error: str) -> Outcome:
    return Outcome(kind=OutcomeKind.FAILED, error=error)


def _run(guard: Guard, session: str, act: Callable[[int], tuple[Any, Outcome]]) -> None:
    with guard.session(session, agent="planner", user=SECRETS[1], tags={"ticket": SECRETS[3]}):
        try:
            for step in range(8):
                with guard.model_call("gpt-4o-mini", prompt=SECRETS[0]) as call:
                    call.post(Usage(input_tokens=1000, output_tokens=100, cache_read_input_tokens=500), tool_names=("search",))
                arguments, outcome = act(step)
                guard.reserve(ToolCall(name="search", arguments=arguments)).settle(outcome)
            with guard.model_call("gpt-4o-mini", prompt="x") as call:
                call.post(Usage(input_tokens=1000, output_tokens=100))
        except StoppedError:
            pass


def recorded(guard: Guard) -> list[Recording]:
    return recordings_of(guard.store.calls(CallFilter()), guard.store.events())


def test_the_ledgers_runs_play_as_they_went(guard: Guard) -> None:
    """Same rule, same call, same dollars; the refused call is there although the book has no line of it."""
    found = list(play_many(recorded(guard), load_policy(environ={}).rules))
    stops = [(one.stop and one.stop.rule) for one in found]
    assert stops == ["repeat", "error_streak", None]
    for recording, one in zip(recorded(guard), found, strict=True):
        calls = guard.store.calls(CallFilter(run=recording.run_id))
        assert one.total_nanos == sum(call.cost_nanos for call in calls)
        assert one.dead_tail_nanos == sum(dead_tails(calls).values())
        if one.stop is not None:
            assert one.stop.index == len(calls)
            assert recording.events[-1].was_refused
            assert (one.saved.call_count, one.went_well) == (0, False)
    assert found[2].went_well is True


def test_an_incident_holds_no_content_and_plays_the_same(guard: Guard, tmp_path: Path) -> None:
    """Digests instead of texts, users and sessions; the very same verdicts."""
    runs = recorded(guard)
    lines = [json.dumps(incident_json(run, guard.store.events(), guard.fingerprint)) for run in runs]
    for secret in SECRETS:
        assert secret not in "\n".join(lines)
    again = [parse_run(json.loads(line), "incident") for line in lines]
    rules = load_policy(environ={}).rules
    for before, after in zip(play_many(runs, rules), play_many(again, rules), strict=True):
        assert (before.stop, before.warns, before.whole, before.went_well) == (
            after.stop,
            after.warns,
            after.whole,
            after.went_well,
        )
        assert before.dead_tail_nanos == after.dead_tail_nanos
    first = json.loads(lines[0])
    assert (first["feature"], first["team"], "owner" in first) == ("shop", "discovery", False)
    assert {said["rule"] for said in first["said"]} >= {"repeat", "error_streak"}
    assert "near-duplicates" in first["limits"]
    failed = json.loads(lines[1])["events"][1]
    assert failed["error_type"] == "OSError"
    assert failed["error_sha1"] == json.loads(lines[1])["events"][3]["error_sha1"]


@pytest.mark.parametrize(
    ("error", "kind"),
    [("OSError: gone", "OSError"), ("httpx.ReadTimeout", "httpx.ReadTimeout"), ("openai.APIStatusError: 500", "openai.APIStatusError"),
     ("alice_smith: no such customer", None), ("4711", None), ("alice", None), ("Alice.Smith: unknown", None)],
)  # fmt: skip
def test_what_a_tool_answered_as_its_failure_is_no_type(error: str, kind: str | None) -> None:
    """Frameworks mark an answer as a failure; its first word may be anybody's name."""
    found = event_json(RecordedEvent(index=0, kind="tool", name="find", error=error), lambda text: f"digest of {len(text)}")
    assert found.get("error_type") == kind
    assert "alice" not in json.dumps(found).lower()


def test_runs_of_one_session_share_a_guard(tmp_path: Path) -> None:
    """A budget of the session counts both, and the second run is a probe."""
    guard = Guard(app="shop", store="memory://", budgets=[Budget("1 USD", per=["session"])])
    for _ in range(2):
        _run(guard, "s", lambda step: ({"q": "same"}, Outcome(result="same")))
    runs = recorded(guard)
    guard.close()
    assert [run.session for run in runs] == ["s", "s"]
    found = list(play_many(runs, load_policy(environ={}).rules))
    assert [one.stop and one.stop.place for one in found] == [5, 1]
    assert found[1].stop is not None
    assert "did again what tripped the one before" in found[1].stop.evidence
    assert ([warn.rule for warn in found[0].warns], found[1].warns) == (["repeat"], ())
    policy = tmp_path / "policy.toml"
    policy.write_text('[[budgets]]\nname = "session"\nlimit = "3 calls"\nper = ["session"]\n[detectors.repeat]\nmode = "off"')
    found = list(play_many(runs, load_policy(policy, environ={}).rules))
    assert [one.stop and one.stop.rule for one in found] == [None, "budget session"]


def test_a_run_that_goes_well_ends_the_probing() -> None:
    """The run after it is judged like any other."""
    guard = Guard(app="shop", store="memory://")
    for result in ("same", "{step}", "same"):
        _run(guard, "s", lambda step, said=result: ({"q": said.format(step=step)}, Outcome(result=said.format(step=step))))
    runs = recorded(guard)
    guard.close()
    found = list(play_many(runs, load_policy(environ={}).rules))
    assert [one.stop and one.stop.place for one in found] == [5, None, 5]


def test_what_the_ledger_charged_holds() -> None:
    """A provider's own price, and whatever else the guard knew then and a recording does not say."""
    guard = Guard(app="shop", store="memory://")
    with guard.session("s"), guard.model_call("gpt-4o-mini", prompt="x") as call:
        call.post(Usage(input_tokens=1000, output_tokens=100), cost_nanos=123_456)
    [recording] = recorded(guard)
    again = parse_run(incident_json(recording, (), guard.fingerprint), "incident")
    guard.close()
    rules = load_policy(environ={}).rules
    assert [one.total_nanos for one in play_many([recording, again], rules)] == [123_456, 123_456]


def test_together_all_runs_fill_the_same_budgets(tmp_path: Path) -> None:
    """In the order of their beginnings; alone each has the budget for itself."""
    policy = tmp_path / "policy.toml"
    policy.write_text('[[budgets]]\nname = "day"\nlimit = "3 calls"\nperiod = "day"')
    rules = load_policy(policy, environ={}).rules
    events = [{"kind": "llm", "model": "gpt-4o", "input_tokens": 1, "output_tokens": 1}] * 2
    starts = ("2026-03-01T23:00:00Z", "2026-03-01T10:00:00Z", "2026-03-02T00:00:00Z")
    runs = [parse_run({"run_id": start, "started_at": start, "events": events}, "x") for start in starts]
    assert [one.stop for one in play_many(runs, rules)] == [None, None, None]
    found = {one.run_id: one.stop for one in play_many(runs, rules, together=True)}
    assert [found[start] is not None for start in starts] == [True, False, False]
