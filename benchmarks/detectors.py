"""What the default detectors say of recorded runs with labels, beside simpler rules, and what a call through them costs.

Digests of arguments and results are taken from the recordings and go through the same classes as in a guard.

- precision, recall, F1 per run of `stop`, and of `warn` (a stop counts as one); false stops on runs that went well
- beside each: two equal calls in a row, the same call three times anywhere, and the run's length alone (the threshold that
  gives the best F1 on the very same runs: a row to be judged against, not a rule one could have had)
- microseconds of before + begin + finish at call 100, 5,000 and 50,000

Nothing here is tuned: the detectors run with their defaults. RUNGUARD_DATA names the folder of recordings
(default ../shared/data); without it only the time is measured.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from runguard_core.calls import ToolCall
from runguard_core.detectors import (
    Fingerprint,
    Repetition,
    Severity,
    Step,
    ToolRule,
    Watch,
    default_detectors,
    result_mark,
    signature,
)

ROOT = Path(__file__).parents[1]
KEY = Fingerprint(b"benchmark")
Run = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Judged:
    """One run: what was said of it, by whom, and how long it is (tool calls).

    `saved_count`: calls at and after the stop, 0 without one. `rules`: of the stop or of the warnings.
    """

    stop: bool
    warn: bool
    twice_in_a_row: bool
    three_anywhere: bool
    call_count: int
    saved_count: int
    rules: tuple[str, ...]


def recordings(name: str) -> list[Run]:
    """The runs of one file."""
    folder = (ROOT / os.environ.get("RUNGUARD_DATA", "../shared/data")).resolve()
    with gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def judge(run: Run) -> Judged:
    """Play a run up to its first stop; one history an agent, as in a guard."""
    tools = [event for event in run["events"] if event["kind"] == "tool"]
    watches: dict[str, Watch] = {}
    calls: list[tuple[str, str]] = []
    stopped_at, stop_rule, warned = None, "", []
    for index, event in enumerate(tools):
        name, mark = event.get("name") or "", KEY.text(f"{event.get('name')}\0{event.get('args_sha1')}")
        agent = event.get("agent") or ""
        calls.append((agent, mark))
        if stopped_at is not None:
            continue
        watch = watches.setdefault(agent, Watch(default_detectors()))
        step = Step(name, mark)
        before = watch.before(step)
        if before and before[-1].severity is Severity.STOP:
            stopped_at, stop_rule = index, before[-1].rule
            continue
        watch.begin(step)
        after = watch.finish(step, event.get("result_sha1"), None)
        warned += [verdict.rule for verdict in (*before, *after)]
    return Judged(
        stop=stopped_at is not None,
        warn=stopped_at is not None or bool(warned),
        twice_in_a_row=any(early == late for early, late in pairwise(calls)),
        three_anywhere=any(count >= 3 for count in Counter(calls).values()),
        call_count=len(calls),
        saved_count=len(calls) - stopped_at if stopped_at is not None else 0,
        rules=(stop_rule,) if stop_rule else tuple(dict.fromkeys(warned)),
    )


def score(said: Iterable[bool], truth: Iterable[bool]) -> dict[str, float | int]:
    """Precision, recall, F1 (0 to 1) and the counts they come from; precision is 0 where nothing was said."""
    pairs = Counter(zip(said, truth, strict=True))
    hit, false, missed = pairs[True, True], pairs[True, False], pairs[False, True]
    precision = hit / (hit + false) if hit else 0.0
    recall = hit / (hit + missed) if hit else 0.0
    f1 = 2 * precision * recall / (precision + recall) if hit else 0.0
    return {
        "precision": round(precision, 3), "recall": round(recall, 3), "f1": round(f1, 3),
        "hits": hit, "false": false, "missed": missed,
    }  # fmt: skip


def by_length(judged: list[Judged], truth: list[bool]) -> dict[str, float | int]:
    """The best threshold on the number of calls, chosen with the labels in view."""
    lengths = sorted({one.call_count for one in judged})
    scores = ({"at_least_calls": n, **score([one.call_count >= n for one in judged], truth)} for n in lengths)
    return max(scores, key=lambda found: found["f1"])


def labelled(runs: list[Run], judged: list[Judged], is_positive: Callable[[Run], bool]) -> dict[str, Any]:
    """Every rule against one label."""
    truth = [is_positive(run) for run in runs]
    said: dict[str, Callable[[Judged], bool]] = {
        "stop": lambda one: one.stop,
        "warn": lambda one: one.warn,
        "two equal calls in a row": lambda one: one.twice_in_a_row,
        "same call three times anywhere": lambda one: one.three_anywhere,
    }
    rows = {name: score([says(one) for one in judged], truth) for name, says in said.items()}
    return {"runs": len(runs), "positives": sum(truth), **rows, "run length alone": by_length(judged, truth)}


def spared(runs: list[Run], judged: list[Judged], went_well: Callable[[Run], bool]) -> dict[str, Any]:
    """What was said of runs that went well: all of it is false."""
    good = [(run["run_id"], one) for run, one in zip(runs, judged, strict=True) if went_well(run)]
    return {
        "runs": len(good),
        "stops": sum(one.stop for _, one in good),
        "warns": sum(one.warn for _, one in good),
        "same call three times anywhere": sum(one.three_anywhere for _, one in good),
        "stopped": {name: one.rules[0] for name, one in good if one.stop},
    }


def outcome(key: str, value: Any) -> Callable[[Run], bool]:
    """Whether a run ended so."""
    return lambda run: (run["outcome"] or {}).get(key) == value


def on_recordings() -> dict[str, Any]:
    """All sets."""
    names = ("sola_study_labelled", "reflexion_hotpotqa_react", "tau_retail_agentrx")
    (sola, hotpot, tau), found = map(recordings, names), {}
    of_sola, of_hotpot, of_tau = ([judge(run) for run in runs] for runs in (sola, hotpot, tau))
    found["sola, any repetition"] = labelled(sola, of_sola, lambda run: run["labels"]["n_repetition"] >= 1)
    found["sola, at least 3 repetitions"] = labelled(sola, of_sola, lambda run: run["labels"]["n_repetition"] >= 3)
    found["HotpotQA, halted"] = labelled(hotpot, of_hotpot, outcome("status", "halted"))
    found["went well: HotpotQA, correct"] = spared(hotpot, of_hotpot, outcome("status", "correct"))
    found["went well: tau retail, reward 1"] = spared(tau, of_tau, outcome("reward", 1.0))
    found["went well: sola, resolved"] = spared(sola, of_sola, outcome("resolved", value=True))
    for name in ("autogpt", "polygpt", "miniagi", "turbo"):
        judged = [judge(run) for run in recordings(f"autogptbench_{name}")]
        calls = sum(one.call_count for one in judged)
        found[f"no labels: {name}"] = {
            "runs": len(judged), "stops": sum(one.stop for one in judged), "warns": sum(one.warn for one in judged),
            "calls": calls, "calls saved": sum(one.saved_count for one in judged),
        }  # fmt: skip
    return found


def microseconds(watch: Watch, next_call: Callable[[int], tuple[str, str, str]], window: int = 200) -> dict[str, float]:
    """Median of before + begin + finish in the calls after each mark."""
    found, done = {}, 0
    for mark in (100, 5000, 50_000):
        samples = []
        while done < mark + window:
            tool, asked, result = next_call(done)
            start = time.perf_counter_ns()
            step = Step(tool, asked)
            watch.before(step)
            watch.begin(step)
            watch.finish(step, result, None)
            if done >= mark:
                samples.append(time.perf_counter_ns() - start)
            done += 1
        found[f"call {mark}"] = round(statistics.median(samples) / 1000, 2)
    return found


def overhead() -> dict[str, Any]:
    """Medians: runs without and with repetition (the stops ignored), and making the digests."""
    observed = (ToolRule("*", Repetition.OBSERVE),)
    shapes: dict[str, tuple[Watch, Callable[[int], tuple[str, str, str]]]] = {
        "new calls": (Watch(default_detectors()), lambda i: ("f", f"s{i}", f"r{i}")),
        "one call, other results": (Watch(default_detectors()), lambda i: ("f", "s", f"r{i}")),
        "one call for ever, observed": (Watch(default_detectors(), observed), lambda _: ("f", "s", "r")),
        "a round of eight for ever, observed": (Watch(default_detectors(), observed), lambda i: ("f", f"s{i % 8}", "r")),
    }
    call, text, samples = ToolCall(name="search", arguments={"query": "weather in Paris", "limit": 10}), "word " * 200, []
    for _ in range(2000):
        start = time.perf_counter_ns()
        signature(call, KEY)
        result_mark(text, KEY)
        samples.append(time.perf_counter_ns() - start)
    digests = {"signature, and mark of a result of 1,000 characters": round(statistics.median(samples) / 1000, 2)}
    return {**{name: microseconds(watch, step) for name, (watch, step) in shapes.items()}, **digests}


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON document")
    as_json = parser.parse_args().json
    try:
        found = on_recordings()
    except FileNotFoundError as error:
        print(f"{error.filename} is not here: no runs are judged (RUNGUARD_DATA names the folder)", file=sys.stderr)
        found = {}
    result = {"machine": f"{platform.machine()}, Python {platform.python_version()}", "runs": found, "per call, us": overhead()}
    if as_json:
        print(json.dumps(result, indent=1))
        return 0
    for name, rows in [*found.items(), *result["per call, us"].items()]:  # type: ignore[attr-defined]
        print(name if isinstance(rows, dict) else f"{name}: {rows}")
        for row, value in rows.items() if isinstance(rows, dict) else ():
            print(f"  {row:32} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
