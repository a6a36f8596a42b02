"""`runguard demo --weeks`: what was put in is what is found, with its owner; the same again changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from runguard_core import open_store
from runguard_core.anomalies import Episode, moment
from runguard_core.cli._main import app
from runguard_core.guard import filed_episodes
from runguard_core.ledger import CallFilter, Store
from runguard_core.policy import Policy, load_policy
from runguard_core.testing import IncidentKind

END = "2026-11-22"
GRACE = timedelta(hours=12)
#: What cost less than this is lost among ordinary dear sessions; docs/anomalies.md has the rates.
FINDABLE_NANOS = 3 * 10**9


def run(*args: str, code: int = 0) -> str:
    """A command's output, 100 columns wide."""
    done = CliRunner().invoke(app, list(args), env={"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"})
    assert done.exit_code == code, done.output
    return done.output


@dataclass(frozen=True)
class Demo:
    """A demo in a file."""

    url: str
    truth: list[dict[str, Any]]
    releases: list[dict[str, str]]
    store: Store
    policy: Policy

    def episodes(self) -> list[Episode]:
        """Those that were announced and are not part of another one."""
        return [one.episode for one in filed_episodes(self.store.events()).values() if not one.episode.joined]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Sixteen weeks of a small shop."""
    folder = tmp_path_factory.mktemp("demo")
    url, truth = f"sqlite:///{folder / 'shop.db'}", folder / "truth.json"
    run("demo", "--weeks", "16", "--until", END, "--scale", "0.3", "--store", url, "--truth", str(truth))
    written, store = json.loads(truth.read_text()), open_store(url)
    yield Demo(url, written["incidents"], written["releases"], store, load_policy(folder / "shop.toml", {}))
    store.close()


def matching(incident: dict[str, Any], episodes: list[Episode]) -> list[Episode]:
    """The episodes of its feature that went on during it, or were opened soon after."""
    first = datetime.fromisoformat(incident["started_at"])
    last = datetime.fromisoformat(incident["ended_at"]) + GRACE
    return [
        one
        for one in episodes
        if one.feature == incident["feature"]
        and moment(one.started_at) <= last
        and (one.ended_at is None or moment(one.ended_at) >= first)
    ]


def test_every_kind_of_incident_is_put_in_and_all_that_cost_something_are_found(demo: Demo) -> None:
    """Once each: one episode an incident by the median, three at most (nights interrupt the long ones)."""
    assert {one["kind"] for one in demo.truth} == {kind.value for kind in IncidentKind}
    found = {(one["kind"], one["feature"]): len(matching(one, demo.episodes())) for one in demo.truth}
    missed = [one for one in demo.truth if not found[one["kind"], one["feature"]]]
    assert all(int(one["excess_nanos"]) < FINDABLE_NANOS for one in missed), missed
    assert len(missed) <= 2
    counts = sorted(count for count in found.values() if count)
    assert counts[len(counts) // 2] == 1
    assert counts[-1] <= 3


def test_an_episode_has_the_owner_of_its_feature_and_one_feature_has_none(demo: Demo) -> None:
    """The policy that lies beside the ledger says so, and it is a policy that loads."""
    for incident in demo.truth:
        duty = demo.policy.registry.features[incident["feature"]]
        assert duty.owner == incident["owner"]
    assert {one["feature"] for one in demo.truth if one["owner"] is None} == {"ticket-triage"}
    assert demo.policy.content.store == demo.url


def test_each_episode_is_announced_once(demo: Demo) -> None:
    """Opened once, closed once, in the ledger's own events at the times at which the calls showed it."""
    events = [event for event in demo.store.events() if event.kind.startswith("anomaly_")]
    assert len({event.id for event in events}) == len(events)
    opened = [event.facts["episode"] for event in events if event.kind == "anomaly_opened"]
    assert len(set(opened)) == len(opened) > 8
    assert max(event.at for event in events) <= datetime.fromisoformat(END + "T00:00:00+00:00") + timedelta(days=1)


def test_the_same_again_changes_nothing_and_another_one_is_not_mixed_in(demo: Demo) -> None:
    """The file's calls and events stay what they are."""
    before = demo.store.totals((), CallFilter()), len(demo.store.events())
    assert "there already" in run("demo", "--weeks", "16", "--until", END, "--scale", "0.3", "--store", demo.url)
    assert (demo.store.totals((), CallFilter()), len(demo.store.events())) == before
    said = run("demo", "--weeks", "2", "--store", demo.url, code=2)
    assert "another demo (2026-08-03 to 2026-11-22, seed 1, scale 0.3)" in " ".join(said.split())


def test_a_demo_that_was_interrupted_is_finished(tmp_path: Path) -> None:
    """Half of the calls are there, and the note that it was begun: the next time writes the rest, nothing twice."""
    wanted = ["demo", "--weeks", "1", "--until", END, "--scale", "0.1", "--store"]
    whole, half = f"sqlite:///{tmp_path / 'whole.db'}", f"sqlite:///{tmp_path / 'half.db'}"
    run(*wanted, whole)
    one, other = open_store(whole), open_store(f"{half}?leases=off")
    other.announce([event for event in one.events() if event.id == "demo-begun"])
    for call in one.calls(CallFilter())[:40]:
        other.reserve(call.record(), (), expires_at=call.started_at + timedelta(minutes=10), owner="traffic")
    other.close()
    run(*wanted, half)
    other = open_store(half)
    assert other.totals((), CallFilter()) == one.totals((), CallFilter())
    assert [event.id for event in other.events()] == [event.id for event in one.events()]
    for store in (one, other):
        store.close()


def test_the_traffic_has_releases_untagged_sessions_cached_tokens_and_prompts_by_origin(demo: Demo) -> None:
    """What "blame", "coverage", "cache" and "re-sent tool results" look for."""
    calls = demo.store.calls(CallFilter(limit=12000))
    assert {call.attribution.release for call in calls} <= {one["name"] for one in demo.releases}
    shipped = [one for one in demo.truth if one["kind"] in {"prompt_regression", "model_swap", "context_bloat", "slow_drift"}]
    assert all(one["release"] for one in shipped)
    assert {call.attribution.feature for call in calls if call.attribution.team is None} == {"search", "code-review"}
    models = [call for call in calls if call.settlement is not None and call.settlement.usage is not None]
    assert any(call.settlement.usage.cache_read_input_tokens for call in models if call.settlement and call.settlement.usage)
    origins = {part.origin for call in models for part in call.parts}
    assert {"system", "tools", "user", "assistant", "tool:read_file"} <= origins
    resent = sum(part.chars - part.new_chars for call in models for part in call.parts if part.origin.startswith("tool:"))
    assert resent > 0


def test_loops_that_a_guard_stopped_are_in_it(demo: Demo) -> None:
    """Played through a real guard: two equal lookups, the third refused; the session's calls are there, and nothing after."""
    stops = [event for event in demo.store.events() if event.kind == "run_tripped"]
    assert len(stops) >= 8
    assert {event.facts["rule"] for event in stops} == {"repeat"}
    for event in stops[:3]:
        calls = demo.store.calls(CallFilter(session=event.session))
        assert calls[-1].attribution.feature == event.feature
        assert max(call.started_at for call in calls) <= event.at
    assert demo.store.verify() == ()


def test_no_incidents_on_demand(tmp_path: Path) -> None:
    """A clean shop has none in its truth."""
    truth = tmp_path / "truth.json"
    url = f"sqlite:///{tmp_path / 'clean.db'}"
    run("demo", "--weeks", "5", "--scale", "0.05", "--no-incidents", "--store", url, "--truth", str(truth))
    assert json.loads(truth.read_text())["incidents"] == []
    store = open_store(url)
    assert not [event for event in store.events() if event.kind == "run_tripped"]
    store.close()
