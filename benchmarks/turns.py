"""What the detectors of model calls say of recorded runs, healthy and broken on purpose.

- recorded: runs with tokens of every call, through a real guard (`runguard_core.replay`)
- rebuilt: runs whose prompts were not recorded, but every text and result of which the size is known: each prompt is the
  whole history up to the call, as agents send it, behind a system prompt of 4,000 characters, four characters a token
- broken: the longest rebuilt runs with a fault put in: a window that slides (with the system prompt, and without it), answers 429
  from some call on, a memory that keeps everything twice, a window of 8,192 tokens; and how many calls passed before it was said
- own: the sessions written by hand (`cassettes/sessions`), the only set that is there without RUNGUARD_DATA

Only the five rules of model calls are on. A rate is a share of runs; a run counts once per rule. Defaults throughout; nothing is tuned here,
but the defaults were chosen with all of these sets in view, so the rates on healthy runs are not out of sample.
RUNGUARD_DATA names the folder of recordings (default ../shared/data).
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from runguard_core import load_policy
from runguard_core.guard import Rules
from runguard_core.replay import Played, parse_run, play_many

ROOT = Path(__file__).parents[1]
DATA = (ROOT / os.environ.get("RUNGUARD_DATA", "../shared/data")).resolve()
RULES = ("overflow", "context_growth", "truncation", "rate_limit", "delegation", "same_answer")
RECORDED = (
    "openhands_multiswe_sample", "aider_chat_history", "cassette_runs", "langfuse_framework_traces", "claude_code_ssl_capture",
)  # fmt: skip
REBUILT = (
    "sola_study_labelled", "tau_retail_agentrx", "reflexion_hotpotqa_react", "swesmith_sample", "openhands_multiswe_sample",
    "autogptbench_autogpt", "autogptbench_polygpt", "autogptbench_miniagi",
)  # fmt: skip
#: Calls of a model that must be left for a fault to show; a prompt has been sent so often before a window slides.
_ENOUGH, _SEEN = 12, 5
SYSTEM_CHARS, CHARS_PER_TOKEN = 4000, 4
WINDOW_TOKENS = 8192
Run = dict[str, Any]
Parts = list[dict[str, Any]]


def recordings(name: str) -> Iterator[Run]:
    """The runs of one file."""
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def went_well(run: Run) -> bool | None:
    """Whether the run's outcome is known to be good; None where nobody says."""
    outcome = run.get("outcome")
    if not isinstance(outcome, dict):
        return None
    if "reward" in outcome:
        return outcome["reward"] == 1.0
    if "resolved" in outcome:
        return outcome["resolved"]
    if "status" in outcome:
        return outcome["status"] == "correct"
    return outcome.get("submitted")


def rebuilt(run: Run) -> Run:
    """The run with every prompt as the whole history before it; tokens are left to the guard's estimate."""
    sums: dict[str, list[int]] = {"system": [SYSTEM_CHARS, 1]}
    events = []
    for event in run["events"]:
        kind, found = event["kind"], dict(event)
        if kind == "llm":
            parts = [{"origin": o, "chars": c, "message_count": n} for o, (c, n) in sums.items()]
            found |= {
                "parts": parts,
                "input_tokens": tokens_of(parts),
                "output_tokens": max(1, (event.get("text_len") or 4) // 4),
            }
            add(sums, "assistant", event.get("text_len") or 0)
        elif kind == "tool":
            add(sums, "assistant", event.get("args_len") or 0, messages=0)
            add(sums, f"tool:{event.get('name')}", event.get("result_len") or 0)
        elif kind == "user":
            add(sums, "user", len(event.get("text") or ""))
        events.append(found)
    return {**run, "events": events}


def add(sums: dict[str, list[int]], origin: str, chars: int, messages: int = 1) -> None:
    """One message more."""
    row = sums.setdefault(origin, [0, 0])
    row[0], row[1] = row[0] + chars, row[1] + messages


def tokens_of(parts: Parts) -> int:
    """What a provider would count."""
    return sum(part["chars"] for part in parts) // CHARS_PER_TOKEN + 4 * sum(part["message_count"] for part in parts)


# -- faults -----------------------------------------------------------------------------------------------------------


def sliding(run: Run, *, keep_system: bool) -> tuple[Run, int | None]:
    """From the first prompt that would not fit into 8,192 tokens on, the oldest messages are dropped; which call that is."""
    calls = [event for event in run["events"] if event["kind"] == "llm"]
    over = [event for event in calls if event["input_tokens"] > WINDOW_TOKENS]
    for event in over:
        event["parts"] = slid(event["parts"], keep_system=keep_system)
        event["input_tokens"] = tokens_of(event["parts"])
    return run, over[0]["i"] if over and len(calls) - len(over) >= _SEEN else None


def slid(parts: Parts, *, keep_system: bool) -> Parts:
    """Shares of a prompt that fit: whole messages of average size, from every origin alike but the system prompt and the question."""
    kept = [part for part in parts if part["origin"] == "system" and keep_system]
    rest = [part for part in parts if part["origin"] not in {"system", "user"} and part["message_count"]]
    share = max(0.0, (WINDOW_TOKENS - tokens_of(kept)) / max(1, tokens_of(rest)))
    counts = [max(1, int(part["message_count"] * share)) for part in rest]
    return kept + [
        {"origin": p["origin"], "message_count": n, "chars": p["chars"] * n // p["message_count"]}
        for p, n in zip(rest, counts, strict=True)
    ]


def refused(run: Run) -> tuple[Run, int | None]:
    """From the sixth call of a model on, every call is answered 429."""
    calls = [event for event in run["events"] if event["kind"] == "llm"][5:]
    for event in calls:
        event["error"] = 429
        event.pop("output_tokens", None)
    return run, calls[0]["i"] if len(calls) > _ENOUGH else None


def doubling(run: Run) -> tuple[Run, int | None]:
    """From the third call of a model on, the prompt holds twice what it held before."""
    calls = [event for event in run["events"] if event["kind"] == "llm"]
    for before, event in pairwise(calls[1:]):
        more = 2 * sum(part["chars"] for part in before["parts"])
        event["parts"] = [*event["parts"], {"origin": "assistant", "chars": more, "message_count": 1}]
        event["input_tokens"] = tokens_of(event["parts"])
    return run, calls[2]["i"] if len(calls) > _ENOUGH else None


def too_long(run: Run) -> tuple[Run, int | None]:
    """The model is one whose window of 8,192 tokens is listed; the first call that does not fit."""
    first = None
    for event in run["events"]:
        if event["kind"] == "llm":
            event |= {"model": "gpt-4", "provider": "openai"}
            first = event["i"] if first is None and event["input_tokens"] > WINDOW_TOKENS else first
    return run, first


FAULTS: dict[str, tuple[str, Callable[[Run], tuple[Run, int | None]]]] = {
    "window slides, system prompt too": ("truncation", lambda run: sliding(run, keep_system=False)),
    "window slides, system prompt kept": ("truncation", lambda run: sliding(run, keep_system=True)),
    "429 from the sixth call on": ("rate_limit", refused),
    "memory kept twice": ("context_growth", doubling),
    "8,192 tokens listed": ("overflow", too_long),
}


# -- judging ----------------------------------------------------------------------------------------------------------


def rules() -> Rules:
    """The default policy with the rules of model calls alone."""
    return replace(load_policy(None, {}).rules, detectors=())


def played(runs: Iterable[Run]) -> Iterator[tuple[Run, Played]]:
    """Each run by itself under a guard of its own."""
    known = list(runs)
    yield from zip(known, play_many([parse_run({**run, "session": None}, run["run_id"]) for run in known], rules()), strict=True)


def shape(run: Run) -> tuple[int, bool]:
    """The longest row of prompts that each grew by a quarter more than the one before, ending at 16,000 tokens or more; and whether
    the run is large by size alone: 50,000 tokens and four times its first prompt.
    """
    sizes = [event["input_tokens"] for event in run["events"] if event["kind"] == "llm" and event.get("input_tokens")]
    longest = row = before = 0
    for early, late in pairwise(sizes):
        row = row + 1 if before > 0 and late - early >= max(500, 1.25 * before) else 0
        longest, before = max(longest, row if late >= 16_000 else 0), max(0, late - early)
    return longest, bool(sizes) and max(sizes) >= max(50_000, 4 * sizes[0])


def rates(pairs: Iterable[tuple[Run, Played]]) -> dict[str, Any]:
    """Runs, calls, and by rule how many runs were stopped and warned; the same for those that went well."""
    found: dict[str, Any] = {
        "runs": 0,
        "model_calls": 0,
        "stopped": Counter(),
        "warned": Counter(),
        "well": 0,
        "well_stopped": 0,
        "well_warned": 0,
        "from_16k": 0,
        "longest_surge": 0,
        "large": 0,
        "well_large": 0,
    }
    for run, result in pairs:
        stop = result.stop.rule if result.stop is not None and result.stop.rule in RULES else None
        warned = {warn.rule for warn in result.warns} & set(RULES)
        found["runs"] += 1
        found["model_calls"] += sum(event["kind"] == "llm" for event in run["events"])
        found["stopped"][stop] += stop is not None
        found["warned"].update(warned)
        surge, large = shape(run)
        found["longest_surge"] = max(found["longest_surge"], surge)
        found["from_16k"] += any((event.get("input_tokens") or 0) >= 16_000 for event in run["events"])
        found["large"] += large
        found["well_large"] += large and bool(went_well(run))
        if went_well(run):
            found["well"] += 1
            found["well_stopped"] += stop is not None
            found["well_warned"] += bool(warned)
    return {**found, "stopped": {k: v for k, v in found["stopped"].items() if k and v}, "warned": dict(found["warned"])}


def broken(name: str, rule: str, fault: Callable[[Run], tuple[Run, int | None]], runs: list[Run]) -> dict[str, Any]:
    """Of runs in which the fault shows: how many were warned and stopped, and after how many calls of a model."""
    made = [fault(json.loads(json.dumps(run))) for run in runs]
    shown = [(run, first) for run, first in made if first is not None]
    warned, stopped, waits, early = 0, 0, [], 0
    for (run, result), (_, first) in zip(played(run for run, _ in shown), shown, strict=True):
        assert first is not None
        stop = result.stop.index if result.stop is not None and result.stop.rule == rule else None
        said = [warn.index for warn in result.warns if warn.rule == rule]
        warned += bool(said) or stop is not None
        stopped += stop is not None
        early += stop is not None and stop < first
        if stop is not None:
            waits.append(sum(event["kind"] == "llm" and first <= event["i"] < stop for event in run["events"]))
    return {
        "fault": name, "rule": rule, "runs": len(shown), "warned_or_stopped": warned, "stopped": stopped, "stopped_before_it": early,
        "median_calls_sent_with_it": statistics.median(waits) if waits else None,
    }  # fmt: skip


def own() -> dict[str, Any]:
    """The sessions written by hand, file by file."""
    found = {}
    for name in ("healthy", "loops", "scenarios"):
        lines = (ROOT / "cassettes" / "sessions" / f"{name}.jsonl").read_text("utf-8").splitlines()
        found[name] = rates(played(json.loads(line) for line in lines))
    return found


def measured() -> dict[str, Any]:
    """Everything that can be measured here."""
    result: dict[str, Any] = {"own": own()}
    if not DATA.is_dir():
        return {**result, "note": f"{DATA} is not here (RUNGUARD_DATA): only our own sessions are measured"}
    result["recorded"] = {name: rates(played(recordings(name))) for name in RECORDED}
    whole = {name: [rebuilt(run) for run in recordings(name)] for name in REBUILT}
    result["rebuilt"] = {name: rates(played(runs)) for name, runs in whole.items()}
    longest = sorted((run for runs in whole.values() for run in runs), key=lambda run: -len(run["events"]))[:150]
    result["broken"] = [broken(name, rule, fault, longest) for name, (rule, fault) in FAULTS.items()]
    return result


def show(result: dict[str, Any]) -> None:
    """As a table."""
    print(f"{'set':<42}{'runs':>6}{'calls':>7}  {'went well: stopped/warned/all':<32}{'surge':>6}{'large':>7}  stopped | warned")
    for kind in ("own", "recorded", "rebuilt"):
        for name, row in result.get(kind, {}).items():
            well = f"{row['well_stopped']}/{row['well_warned']}/{row['well']}"
            print(
                f"{kind + ' ' + name:<42}{row['runs']:>6}{row['model_calls']:>7}  {well:<32}{row['longest_surge']:>6}{row['large']:>7}  {row['stopped'] or '-'} | {row['warned'] or '-'}"
            )
    for row in result.get("broken", ()):
        print(f"{row['fault']:<36} {row['rule']:<15} runs {row['runs']:>3}, said {row['warned_or_stopped']:>3}, stopped {row['stopped']:>3}"
              f" (before it {row['stopped_before_it']}), calls sent with it: median {row['median_calls_sent_with_it']}")  # fmt: skip
    print(result.get("note", ""))


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON document")
    as_json = parser.parse_args().json
    result = measured()
    if as_json:
        print(json.dumps(result, indent=1))
    else:
        show(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
