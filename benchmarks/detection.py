"""What the loop detectors say of recorded runs with labels or known ends, beside simpler rules.

Every recorded call goes through the same functions and classes as in a guard. Digests of full values decide equality, the
clipped texts that a recording keeps feed likeness and the kind of an answer. Printed, as JSON or as tables:

- per set and framework, against human labels: precision, recall and F1 of `stop` and of `warn` (a stop counts as one), per run and, where
  pairs of calls are labelled, per pair; beside them two equal calls in a row, the same call three times anywhere, a short cycle,
  and the run's length alone (the threshold that gives the best F1 on the very same runs: to be judged against, not had)
- runs that went well and would have been stopped: all of it is false
- calls saved in runs that ended at their limit or repeated half of their calls, beside the ceiling: stopping at the first
  repeated call or result
- five folds by run: thresholds chosen on four, reported on the fifth, beside the defaults
- microseconds of one call through all detectors at call 100, 5,000 and 50,000

RUNGUARD_DATA names the folder of recordings (default ../shared/data); without it only the time is measured.
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
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha1
from itertools import pairwise, product
from pathlib import Path
from typing import Any

from runguard_core.calls import ToolCall
from runguard_core.detectors import (
    Cycle,
    Detector,
    Ending,
    ErrorStreak,
    Fingerprint,
    NearDuplicate,
    Repeat,
    SameResult,
    Severity,
    Stall,
    Step,
    Watch,
    default_detectors,
    read_call,
    read_result,
)

ROOT = Path(__file__).parents[1]
KEY = Fingerprint(b"benchmark")
Run = dict[str, Any]
#: A digest in letters that are no part of an id, so that it is not taken out of a result as one.
LETTERS = str.maketrans("0123456789abcdef", "ghijklmnopqrstuv")
AUTONOMOUS = ("autogpt", "polygpt", "miniagi", "turbo")


@dataclass(slots=True)
class Judged:
    """What was said of one run.

    Attributes:
        call_count: tool calls; stopped_at: index of the call at which the run was stopped, None without a stop.
        stop_rule, warned: by whom; said_at: rules that warned or stopped, by index of the call, were nothing ever stopped.
    """

    call_count: int
    stopped_at: int | None = None
    stop_rule: str = ""
    evidence: str = ""
    warned: list[str] = field(default_factory=list)
    said_at: dict[int, set[str]] = field(default_factory=dict)

    @property
    def saved_count(self) -> int:
        """Calls from the stop on, 0 without one."""
        return 0 if self.stopped_at is None else self.call_count - self.stopped_at


def recordings(name: str) -> list[Run]:
    """The runs of one file."""
    folder = (ROOT / os.environ.get("RUNGUARD_DATA", "../shared/data")).resolve()
    with gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def text_of(event: dict[str, Any], key: str) -> Any:
    """A recorded value; where it is clipped, what is there with its length and the digest of the whole."""
    value, length = event.get(key), event.get(f"{key}_len")
    text = value if isinstance(value, str) else json.dumps(value)
    if value is None or length is None or len(text) >= length:
        return value
    return f"{text} <{length}:{event[f'{key}_sha1'].translate(LETTERS)}>"


def calls_of(run: Run) -> list[tuple[str, str, Step, Any]]:
    """(agent, identity by digest, step, result) of every tool call, in order."""
    found, turns = [], Counter[str]()
    for event in run["events"]:
        agent = event.get("agent") or ""
        if event["kind"] == "llm":
            turns[agent] += 1
        if event["kind"] != "tool":
            continue
        name = event.get("name") or ""
        mark, sketch = read_call(ToolCall(name=name, arguments={"value": text_of(event, "args")}), KEY, sketch=True)
        step = Step(name, mark, sketch, turn=turns[agent])
        found.append((agent, f"{agent}\0{name}\0{event.get('args_sha1')}", step, text_of(event, "result")))
    return found


def judge(run: Run, detectors: Sequence[Detector] | None = None) -> Judged:
    """Play a run to its end; what comes after the first stop counts for labelled pairs only. One history an agent."""
    detectors = default_detectors() if detectors is None else detectors
    calls, watches = calls_of(run), {}
    judged = Judged(len(calls))
    held: set[str] = set()
    for index, (agent, _, step, result) in enumerate(calls):
        watch = watches.setdefault(agent, Watch(detectors))
        said = list(watch.before(step))
        watch.begin(step)
        said += watch.finish(step, Ending() if result is None else read_result(step.tool, result, KEY))
        held, before = {verdict.evidence for verdict in said if verdict.is_held}, held
        for verdict in said:
            if verdict.evidence not in before:  # a stop that was held is no second observation
                judged.said_at.setdefault(index, set()).add(verdict.rule)
            if judged.stopped_at is None and verdict.severity is Severity.STOP:
                judged.stopped_at, judged.stop_rule, judged.evidence = index, verdict.rule, verdict.evidence
            if judged.stopped_at in {None, index}:
                judged.warned.append(verdict.rule)
    return judged


# -- scores ----------------------------------------------------------------------------------------------------------


def score(pairs: Iterable[tuple[bool, bool]]) -> dict[str, float | int]:
    """Precision, recall, F1 (0 to 1) of (said, true) pairs and the counts they come from; precision is 0 where nothing was said."""
    counts = Counter(pairs)
    hit, false, missed = counts[True, True], counts[True, False], counts[False, True]
    precision = hit / (hit + false) if hit else 0.0
    recall = hit / (hit + missed) if hit else 0.0
    f1 = 2 * precision * recall / (precision + recall) if hit else 0.0
    return {
        "precision": round(precision, 3), "recall": round(recall, 3), "f1": round(f1, 3),
        "hits": hit, "false": false, "missed": missed,
    }  # fmt: skip


def identities(run: Run) -> list[tuple[str, Any]]:
    """(call, result) of every tool call, by the digests of the full values."""
    tools = [event for event in run["events"] if event["kind"] == "tool"]
    return [(f"{e.get('agent')}\0{e.get('name')}\0{e.get('args_sha1')}", e.get("result_sha1")) for e in tools]


def twice_in_a_row(calls: list[tuple[str, Any]]) -> bool:
    """Two equal calls in a row."""
    return any(early[0] == late[0] for early, late in pairwise(calls))


def three_anywhere(calls: list[tuple[str, Any]]) -> bool:
    """The same call three times."""
    return any(count >= 3 for count in Counter(call for call, _ in calls).values())


def short_cycle(calls: list[tuple[str, Any]]) -> bool:
    """A round of at most four calls, three times."""
    names = [call for call, _ in calls]
    return any(
        names[at : at + period] == names[at + period : at + 2 * period] == names[at + 2 * period : at + 3 * period]
        for period in range(1, 5)
        for at in range(len(names) - 3 * period + 1)
    )


def first_sign(calls: list[tuple[str, Any]]) -> int | None:
    """Index of the first call that a rule could refuse that fires at once: one made before, or the one after a result seen before."""
    seen: set[Any] = set()
    for index, (call, result) in enumerate(calls):
        if call in seen:
            return index
        if result is not None and result in seen:
            return index + 1
        seen |= {call, result}
    return None


BASELINES: dict[str, Callable[[list[tuple[str, Any]]], bool]] = {
    "two equal calls in a row": twice_in_a_row,
    "same call three times anywhere": three_anywhere,
    "cycle of at most four, three times": short_cycle,
}
Judgement = tuple[Run, Judged]


def by_run(judged: list[Judgement], is_positive: Callable[[Run], bool]) -> dict[str, Any]:
    """Every rule against one label of the run."""
    truth = [is_positive(run) for run, _ in judged]
    found: dict[str, Any] = {"runs": len(judged), "positives": sum(truth)}
    found["stop"] = score((one.stopped_at is not None, true) for (_, one), true in zip(judged, truth, strict=True))
    found["warn"] = score((bool(one.warned), true) for (_, one), true in zip(judged, truth, strict=True))
    for name, rule in BASELINES.items():
        found[name] = score((rule(identities(run)), true) for (run, _), true in zip(judged, truth, strict=True))
    lengths = sorted({one.call_count for _, one in judged})
    alone = ({"at_least_calls": n, **score((one.call_count >= n, true) for (_, one), true in zip(judged, truth, strict=True))}
             for n in lengths)  # fmt: skip
    found["run length alone"] = max(alone, key=lambda row: row["f1"])
    return found


def by_pair(judged: list[Judgement]) -> dict[str, Any]:
    """Warnings and stops against the human label of each pair of calls, the runs played to their end."""
    names = ("warn", "warn, repeat alone", "two equal calls in a row", "same call anywhere before")
    rows: dict[str, list[tuple[bool, bool]]] = {name: [] for name in names}
    for run, one in judged:
        calls, tools = identities(run), [event for event in run["events"] if event["kind"] == "tool"]
        for index, event in enumerate(tools):
            label = event.get("label_action_rel")
            if label is None or index == 0:
                continue
            true = label == "Repetition"
            rows["warn"].append((index in one.said_at, true))
            rows["warn, repeat alone"].append(("repeat" in one.said_at.get(index, ()), true))
            rows["two equal calls in a row"].append((calls[index][0] == calls[index - 1][0], true))
            rows["same call anywhere before"].append((calls[index][0] in {call for call, _ in calls[:index]}, true))
    return {"pairs": len(rows["warn"]), **{name: score(pairs) for name, pairs in rows.items()}}


def spared(judged: list[Judgement], went_well: Callable[[Run], bool]) -> dict[str, Any]:
    """What was said of runs that went well: all of it is false."""
    good = [(run, one) for run, one in judged if went_well(run)]
    return {
        "runs": len(good),
        "stops": sum(one.stopped_at is not None for _, one in good),
        "warns": sum(bool(one.warned) for _, one in good),
        **{name: sum(rule(identities(run)) for run, _ in good) for name, rule in BASELINES.items()},
        "stopped": {run["run_id"]: f"{one.stop_rule}: {one.evidence}" for run, one in good if one.stopped_at is not None},
    }


def saved(judged: list[Judgement]) -> dict[str, Any]:
    """Tool calls from the stop on, beside a stop at the first repeated call or result."""
    ceiling = sum(one.call_count - sign for run, one in judged if (sign := first_sign(identities(run))) is not None)
    calls, kept = sum(one.call_count for _, one in judged), sum(one.saved_count for _, one in judged)
    return {
        "runs": len(judged), "stops": sum(one.stopped_at is not None for _, one in judged), "calls": calls,
        "saved": kept, "ceiling": ceiling, "share of ceiling": round(kept / ceiling, 3) if ceiling else None,
    }  # fmt: skip


def is_repetitive(run: Run) -> bool:
    """Whether at least half of a run's calls repeat an earlier one."""
    names = [call for call, _ in identities(run)]
    return bool(names) and 2 * (len(names) - len(set(names))) >= len(names)


# -- the sets --------------------------------------------------------------------------------------------------------


def has_repetition(run: Run, least: int = 1) -> bool:
    """Whether people saw so many repetitions in it."""
    return bool(run["labels"]["n_repetition"] >= least)


def ended(key: str, value: Any) -> Callable[[Run], bool]:
    """Whether a run ended so."""
    return lambda run: (run.get("outcome") or {}).get(key) == value


def framework(run: Run) -> str:
    """The agent's framework, as the run's id begins."""
    return str(run["run_id"]).partition(":")[0]


def on_recordings() -> dict[str, Any]:
    """All sets."""
    names = (
        "sola_study_labelled",
        "reflexion_hotpotqa_react",
        "tau_retail_agentrx",
        "openhands_multiswe_sample",
        "swesmith_sample",
    )
    sola, hotpot, tau, openhands, swesmith = ([(run, judge(run)) for run in recordings(name)] for name in names)
    found: dict[str, Any] = {"sola, any repetition": by_run(sola, has_repetition)}
    for name in sorted({framework(run) for run, _ in sola}):
        part = [pair for pair in sola if framework(pair[0]) == name]
        found[f"sola, any repetition, {name}"] = by_run(part, has_repetition)
    found["sola, at least 3 repetitions"] = by_run(sola, lambda run: has_repetition(run, 3))
    found["sola, pairs of calls"] = by_pair(sola)
    found["HotpotQA, halted"] = by_run(hotpot, ended("status", "halted"))
    found["went well: HotpotQA, correct"] = spared(hotpot, ended("status", "correct"))
    found["went well: tau retail, reward 1"] = spared(tau, ended("reward", 1.0))
    found["went well: coding, resolved or submitted"] = spared(
        [*sola, *openhands, *swesmith],
        lambda run: "resolved" not in (run.get("outcome") or {}) or run["outcome"]["resolved"] is True,
    )
    found["ended at their limit: HotpotQA, halted"] = saved([pair for pair in hotpot if ended("status", "halted")(pair[0])])
    autonomous = [(run, judge(run)) for name in AUTONOMOUS for run in recordings(f"autogptbench_{name}") if is_repetitive(run)]
    found["half of the calls repeated: autonomous"] = saved(autonomous)
    for name in AUTONOMOUS:
        judged = [(run, judge(run)) for run in recordings(f"autogptbench_{name}")]
        found[f"no labels: {name}"] = {**saved(judged), "warns": sum(bool(one.warned) for _, one in judged)}
    found["one rule alone"] = alone([[run for run, _ in judged] for judged in (sola, hotpot, tau, openhands + swesmith)])
    found["five folds"] = folds([sola, hotpot, tau])
    return found


def alone(sets: list[list[Run]]) -> dict[str, Any]:
    """Every detector by itself, with its defaults; and refusing every second equal call, for comparison."""
    detectors = [(detector.rule, detector) for detector in default_detectors()]
    found = {}
    for name, detector in [*detectors, ("repeat, stop_after = 2", Repeat(stop_after=2))]:
        sola, hotpot, tau, coding = ([(run, judge(run, (detector,))) for run in runs] for runs in sets)
        good = [
            *(pair for pair in hotpot if ended("status", "correct")(pair[0])), *(pair for pair in tau if ended("reward", 1.0)(pair[0])),
            *(pair for pair in sola if ended("resolved", value=True)(pair[0])), *coding,
        ]  # fmt: skip
        truth = [(run, one, has_repetition(run)) for run, one in sola]
        found[name] = {
            "sola, stop": score((one.stopped_at is not None, true) for _, one, true in truth),
            "sola, warn": score((bool(one.warned), true) for _, one, true in truth),
            "went well": len(good), "of these stopped": sum(one.stopped_at is not None for _, one in good),
            "of these warned": sum(bool(one.warned) for _, one in good),
            "share of ceiling, HotpotQA halted": saved([p for p in hotpot if ended("status", "halted")(p[0])])["share of ceiling"],
        }  # fmt: skip
    return found


GRID: dict[str, Sequence[Any]] = {
    "stop_after_failures": (2, 3), "stop_after_anywhere": (5, 6, 7, 8, 9), "likeness_ratio": (0.5, 0.6, 0.7), "near_stop_after": (3, 4),
}  # fmt: skip

DEFAULTS: dict[str, Any] = {
    "stop_after_failures": Repeat().stop_after_failures, "stop_after_anywhere": Repeat().stop_after_anywhere,
    "likeness_ratio": NearDuplicate().likeness_ratio, "near_stop_after": NearDuplicate().stop_after,
}  # fmt: skip


def settings() -> Iterator[tuple[dict[str, Any], tuple[Detector, ...]]]:
    """Every combination of the grid, the most cautious first."""
    for values in product(*(tuple(reversed(choices)) for choices in GRID.values())):
        knobs = dict(zip(GRID, values, strict=True))
        repeat = Repeat(stop_after_failures=knobs["stop_after_failures"], stop_after_anywhere=knobs["stop_after_anywhere"])
        near = NearDuplicate(likeness_ratio=knobs["likeness_ratio"], stop_after=knobs["near_stop_after"])
        yield knobs, (repeat, Cycle(), near, SameResult(), Stall(), ErrorStreak())


def folds(sets: list[list[Judgement]], count: int = 5) -> dict[str, Any]:
    """Thresholds with most hits and no false stop on four folds, judged on the fifth; the defaults on the same fifths."""
    runs = [run for judged in sets for run, _ in judged]
    fold = {run["run_id"]: int(sha1(run["run_id"].encode(), usedforsecurity=False).hexdigest(), 16) % count for run in runs}
    tried = [
        (knobs, {run["run_id"]: judge(run, detectors).stopped_at is not None for run in runs}) for knobs, detectors in settings()
    ]
    default = {run["run_id"]: one.stopped_at is not None for judged in sets for run, one in judged}
    chosen, tested, untouched = [], Counter[str](), Counter[str]()
    for held in range(count):
        seen, fresh = [run for run in runs if fold[run["run_id"]] != held], [run for run in runs if fold[run["run_id"]] == held]
        knobs, stops = max(tried, key=lambda one: (-_tally(seen, one[1])["false"], _tally(seen, one[1])["hits"]))
        chosen.append(knobs)
        tested.update(_tally(fresh, stops))
        untouched.update(_tally(fresh, default))
    near_by = {
        ", ".join(f"{knob} = {value}" for knob, value in knobs.items() if value != DEFAULTS[knob]) or "the defaults": _tally(
            runs, stops
        )
        for knobs, stops in tried
        if sum(value != DEFAULTS[knob] for knob, value in knobs.items()) <= 1
    }
    return {
        "thresholds chosen": chosen, "on the folds held back": dict(tested), "the defaults there": dict(untouched),
        "one threshold changed, all folds": near_by,
    }  # fmt: skip


def _tally(runs: list[Run], stops: dict[str, bool]) -> dict[str, int]:
    """Stops of runs with repetitions or at their limit (hits), of runs without or that went well (false)."""
    found = {"hits": 0, "positives": 0, "false": 0}
    for run in runs:
        ends = run.get("outcome") or {}
        labelled = "n_repetition" in (run.get("labels") or {})
        is_bad = has_repetition(run) if labelled else ends.get("status") == "halted"
        is_good = not is_bad if labelled else ends.get("status") == "correct" or ends.get("reward") == 1.0
        found["positives"] += is_bad
        found["hits"] += is_bad and stops[run["run_id"]]
        found["false"] += is_good and stops[run["run_id"]]
    return found


# -- time ------------------------------------------------------------------------------------------------------------

Call = tuple[str, str, str]


def microseconds(watch: Watch, next_call: Callable[[int], Call], window: int = 200) -> dict[str, float]:
    """Median of before + begin + finish in the calls after each mark; signature and marks are made outside."""
    found, done = {}, 0
    for mark in (100, 5000, 50_000):
        samples = []
        while done < mark + window:
            tool, asked, answer = next_call(done)
            step, ending = Step(tool, asked, asked, turn=done), read_result(tool, answer, KEY)
            start = time.perf_counter_ns()
            watch.before(step)
            watch.begin(step)
            watch.finish(step, ending)
            if done >= mark:
                samples.append(time.perf_counter_ns() - start)
            done += 1
        found[f"call {mark}"] = round(statistics.median(samples) / 1000, 2)
    return found


def overhead() -> dict[str, Any]:
    """Medians: runs without and with repetition (the stops ignored), and making the digests."""
    shapes: dict[str, Callable[[int], Call]] = {
        "new calls": lambda i: ("f", f"s{i}", f"page {i}"),
        "one call, other results": lambda i: ("f", "s", f"page {i}"),
        "other calls, one failure": lambda i: ("f", f"word{i} one two three", "Error: not found"),
        "one call for ever": lambda _: ("f", "s", "a page"),
        "a round of eight for ever": lambda i: ("f", f"s{i % 8}", "a page"),
    }
    found: dict[str, Any] = {name: microseconds(Watch(default_detectors()), made) for name, made in shapes.items()}
    call, text = ToolCall(name="search", arguments={"query": "weather in Paris", "limit": 10}), "word " * 200
    parts: dict[str, Callable[[], Any]] = {
        "signature and sketch": lambda: read_call(call, KEY, sketch=True),
        "marks of a result of 1,000 characters": lambda: read_result("search", text, KEY),
        "marks of a result of 40 characters": lambda: read_result("search", text[:40], KEY),
    }
    for name, part in parts.items():
        samples = []
        for _ in range(2000):
            start = time.perf_counter_ns()
            part()
            samples.append(time.perf_counter_ns() - start)
        found[name] = round(statistics.median(samples) / 1000, 2)
    return found


def shown(name: str, rows: Any, indent: str = "") -> None:
    """One table, or one line; tables within are indented."""
    if not isinstance(rows, dict):
        print(f"{indent}{name:36} {rows}")
    elif "precision" in rows:
        print(f"{indent}{name:36} {SCORE.format(**rows)}")
    else:
        print(f"\n{indent}{name}")
        for row, value in rows.items():
            shown(row, value, indent + "  ")


SCORE = "P {precision:.3f}  R {recall:.3f}  F1 {f1:.3f}   ({hits} hits, {false} false, {missed} missed)"


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
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
        shown(name, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
