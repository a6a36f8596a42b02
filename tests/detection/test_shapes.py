"""Detectors are judged by sessions written by hand: loops are stopped or warned of in time, healthy work goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runguard_core import Guard
from runguard_core.policy import load_policy

from .player import Player, Said
from .recordings import ALL, Run

#: Runs of one session are played in one guard, one after the other.
SESSIONS: dict[str, list[Run]] = {}
for _run in ALL:
    SESSIONS.setdefault(_run.get("session") or _run["run_id"], []).append(_run)
#: Shapes that are not judged right yet, and why.
NOT_YET = {
    "loops-calls/plan-rewritten-for-ever": "acknowledged calls with alike arguments look like a batch of letters",
    "scenarios/t44-a-rule-that-fires-itself": "each answer holds another count, and a changing answer is progress",
}


def misjudged(labels: dict[str, Any], said: list[Said]) -> str | None:
    """What is wrong with what was said of a run; None when it was judged right."""
    stop = next((one for one in said if one.stops), None)
    heard = [one for one in said if one.rule in labels["rules"]]
    if labels["expect"] == "pass":
        wrong = stop or next((one for one in said if not labels.get("warn_ok")), None)
        return f"healthy, but {_words(wrong)}" if wrong else None
    if stop is not None and (labels["not_before"] is None or stop.index < labels["not_before"]):
        return f"stopped too early (not before {labels['not_before']}): {_words(stop)}"
    wanted = [one for one in heard if one.stops or labels["expect"] == "warn"]
    if not wanted:
        return f"no {labels['expect']} by {' or '.join(labels['rules'])}; said: {'; '.join(map(_words, said)) or 'nothing'}"
    if wanted[0].index > labels["by_index"]:
        return f"too late (by {labels['by_index']}): {_words(wanted[0])}"
    return None


def _words(one: Said) -> str:
    return f"{'stop' if one.stops else 'warn'} at {one.index} by {one.rule} ({one.evidence})"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.xfail(reason=NOT_YET[name], strict=True)) if name in NOT_YET else name
        for name in SESSIONS
    ],
)
def test_the_shape_is_judged_as_a_careful_payer_would(name: str, tmp_path: Path) -> None:
    """Under the default policy, or its own."""
    runs, file = SESSIONS[name], tmp_path / "shape.toml"
    file.write_text(runs[0]["labels"].get("policy", ""))
    guards: list[Guard] = []

    def make(**more: Any) -> Guard:
        guards.append(load_policy(file, {}).guard(store="memory://", **more))
        return guards[0]

    player = Player(make, runs[0])
    try:
        wrong = {run["run_id"]: misjudged(run["labels"], player.play(run)) for run in runs}
    finally:
        guards[0].close()
    assert {run: words for run, words in wrong.items() if words} == {}


@pytest.mark.parametrize(
    ("labels", "said", "wrong"),
    [
        ({"expect": "pass"}, [], None),
        ({"expect": "pass"}, [("repeat", 9, False)], "healthy"),
        ({"expect": "pass", "warn_ok": True}, [("repeat", 9, False)], None),
        ({"expect": "pass", "warn_ok": True}, [("repeat", 9, True)], "healthy"),
        ({"expect": "stop", "not_before": 4, "by_index": 8}, [("repeat", 3, False), ("repeat", 8, True)], None),
        ({"expect": "stop", "not_before": 4, "by_index": 8}, [("repeat", 2, True)], "too early"),
        ({"expect": "stop", "not_before": 4, "by_index": 8}, [("repeat", 10, True)], "too late"),
        ({"expect": "stop", "not_before": 4, "by_index": 8}, [("repeat", 5, False)], "no stop"),
        ({"expect": "stop", "not_before": 4, "by_index": 8}, [("cycle", 6, True)], "no stop"),
        ({"expect": "warn", "not_before": None, "by_index": 8}, [("repeat", 2, False)], None),
        ({"expect": "warn", "not_before": None, "by_index": 8}, [("repeat", 2, False), ("repeat", 7, True)], "too early"),
        ({"expect": "warn", "not_before": 6, "by_index": 8}, [("repeat", 7, True)], None),
    ],
)
def test_a_judgement_is_wrong_in_five_ways(labels: dict[str, Any], said: list[tuple[str, int, bool]], wrong: str | None) -> None:
    """Harm to healthy work, too early, too late, not at all, or for another reason."""
    heard = [Said(index, rule, stops=stops, evidence="") for rule, index, stops in said]
    found = misjudged({"rules": ["repeat"], **labels}, heard)
    assert (found is None) if wrong is None else (found is not None and wrong in found)
