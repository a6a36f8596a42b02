"""How soon spend that stands out is found, and what that saves: `python benchmarks/anomalies.py [--json]`.

Seeded traffic of six features (`runguard_core.testing.make_traffic`) with one incident each whose truth is known: kind,
feature, start, end, dollars beyond the same traffic without it. Thresholds were chosen on seeds 1 to 6; what is reported is
measured on seeds from 101 on. Scale 1 is a company of 200 sessions and $20 a day; --scale 4 one four times as large.

- false alarms: episodes on clean traffic, from the fifth week on, by feature and month of 30 days
- found: incidents during which (or within 12 hours after) an episode of their feature was opened, or announced as worse where
  it was open before. Long incidents are also hit by chance: a rule with 10 false alarms a month "finds" every drift of a month
- hours to detect: from the incident's start to the first of these, by the median of those found
- saved: share of the excess that was spent after the detection, missed incidents included (as if somebody acted at once)

Beside it, on the same traffic: a day above 3 times the mean of all days before; an hour above the exponentially weighted mean
by 3 standard deviations (weights halve in a week); a daily budget of twice the mean of the first four weeks. Each also with the
multiple that keeps it at one false alarm a feature and month on seeds 1 to 3 ("held").

NAB_DATA names a checkout of the Numenta Anomaly Benchmark: --json then holds its scores too (benchmarks/nab.py).
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import nab

from runguard_core.anomalies import SpendWatch, Spent, WatchRules, What
from runguard_core.testing import FEATURES, IncidentKind, TrafficCall, draw_incident, make_traffic

START = datetime(2026, 3, 2, tzinfo=UTC)
WEEKS = 12
FIRST_COUNTED_DAY = 28
GRACE_SECONDS = 12 * 3600.0
#: When an alarm was raised, for which feature, of which kind.
Alarm = tuple[float, str, str]
#: Alarms of this kind say that something known got worse: they can show an incident, but are no false alarm of their own.
WORSE = "worse"
Finder = Callable[[list[Spent]], list[Alarm]]


def stream(calls: Iterable[TrafficCall]) -> tuple[list[Spent], list[int]]:
    """Calls as the watch sees them, in the order in which they were settled, and the part of each that an incident caused."""
    rows = sorted((call.at.timestamp() + call.duration_seconds, number, call) for number, call in enumerate(calls))
    spent = [
        Spent(
            at,
            c.of.feature,
            c.of.agent,
            c.session,
            c.run,
            c.turn,
            c.model,
            c.nanos,
            c.usage.total_tokens if c.usage else 0,
            False,
            str(n),
        )
        for at, n, c in rows
    ]
    return spent, [call.excess_nanos for _, _, call in rows]


def watch(spent: list[Spent]) -> list[Alarm]:
    """Episodes of the watch, with its defaults."""
    return watch_with(WatchRules())(spent)


def watch_with(rules: WatchRules) -> Finder:
    def find(spent: list[Spent]) -> list[Alarm]:
        looking, found = SpendWatch("bench", rules), []
        for one in spent:
            found += [change for change in looking.observe(one) if change.what in {What.OPENED, What.WORSE}]
        return [(c.at_seconds, c.episode.feature, c.episode.kind.value if c.what is What.OPENED else WORSE) for c in found]

    return find


@dataclass
class Sums:
    """A feature's running sum, and what the sums before it were."""

    index: int = -1
    total: float = 0.0
    mean: float = 0.0
    variance: float = 0.0
    past: list[float] = field(default_factory=list)
    said: bool = False


def simple(seconds: int, limit: Callable[[Sums], float], learn: Callable[[Sums], None], name: str) -> Finder:
    """A rule on sums by day or hour: one alarm when the running sum passes the limit, no second one until a sum stays below."""

    def find(spent: list[Spent]) -> list[Alarm]:
        sums: dict[str, Sums] = {}
        found: list[Alarm] = []
        for one in spent:
            mine, index = sums.setdefault(one.feature, Sums()), int(one.at_seconds // seconds)
            if index != mine.index:
                for _ in range(max(0, min(index - mine.index, 24 * 7)) if mine.index >= 0 else 0):
                    mine.said = mine.said and mine.total > limit(mine)
                    learn(mine)
                    mine.past.append(mine.total)
                    mine.total = 0.0
                mine.index = index
            mine.total += one.nanos
            if not mine.said and mine.total > limit(mine):
                mine.said = True
                found.append((one.at_seconds, one.feature, name))
        return found

    return find


def three_times(multiple: float) -> Finder:
    def limit(sums: Sums) -> float:
        return multiple * sums.mean if len(sums.past) >= 14 else math.inf

    def learn(sums: Sums) -> None:
        sums.mean += (sums.total - sums.mean) / (len(sums.past) + 1)

    return simple(86_400, limit, learn, "3x mean")


def ewma(multiple: float) -> Finder:
    weight = 1 - 0.5 ** (1 / (24 * 7))

    def limit(sums: Sums) -> float:
        return sums.mean + multiple * math.sqrt(sums.variance) if len(sums.past) >= 24 * 14 else math.inf

    def learn(sums: Sums) -> None:
        off = sums.total - sums.mean
        sums.mean += weight * off
        sums.variance = (1 - weight) * (sums.variance + weight * off * off)

    return simple(3600, limit, learn, "ewma")


def budget(multiple: float) -> Finder:
    def limit(sums: Sums) -> float:
        return multiple * sums.mean if len(sums.past) >= 28 else math.inf

    def learn(sums: Sums) -> None:
        if len(sums.past) < 28:
            sums.mean += (sums.total - sums.mean) / (len(sums.past) + 1)

    return simple(86_400, limit, learn, "budget")


RULES: dict[str, tuple[Callable[[float], Finder], float]] = {
    "day at 3x the mean": (three_times, 3.0),
    "EWMA of hours, 3 sigma": (ewma, 3.0),
    "daily budget at 2x": (budget, 2.0),
}


def months(seeds: int) -> float:
    return seeds * len(FEATURES) * (WEEKS * 7 - FIRST_COUNTED_DAY) / 30


def false_alarms(find: Finder, clean: list[list[Spent]]) -> tuple[float, Counter[str]]:
    """Alarms by feature and month, and by kind."""
    first = (START + timedelta(days=FIRST_COUNTED_DAY)).timestamp()
    kinds = Counter(kind for spent in clean for at, _, kind in find(spent) if at >= first and kind != WORSE)
    return sum(kinds.values()) / months(len(clean)), kinds


@dataclass
class Case:
    """One incident: its truth and its traffic."""

    kind: IncidentKind
    start: float
    end: float
    excess: list[int]
    spent: list[Spent]


def cases(seeds: Iterable[int], scale: float) -> list[Case]:
    """One incident of each kind a seed, in a feature drawn by chance, in the seventh week."""
    made = []
    for seed in seeds:
        for kind in IncidentKind:
            dice = Random(f"{seed}{kind.value}")
            feature = dice.choice(FEATURES)
            planned = draw_incident(kind, feature.feature, START + timedelta(days=dice.randrange(42, 49)), dice)
            traffic = make_traffic(START, WEEKS * 7, seed=seed, scale=scale, features=[feature], incidents=[planned])
            spent, excess = stream(traffic.calls)
            made.append(Case(kind, planned.started_at.timestamp(), planned.ended_at.timestamp(), excess, spent))
    return made


def judge(find: Finder, all_cases: list[Case]) -> dict[str, dict[str, Any]]:
    """By kind of incident: found, hours, saved; what found it; episodes an incident."""
    rows: dict[str, dict[str, Any]] = {}
    for kind in IncidentKind:
        hours, saved, whole, by, count, opened = [], 0, 0, Counter[str](), 0, 0
        for case in all_cases:
            if case.kind is not kind or not sum(case.excess):
                continue
            count += 1
            whole += sum(case.excess)
            hits = [alarm for alarm in find(case.spent) if case.start <= alarm[0] <= case.end + GRACE_SECONDS]
            opened += sum(hit[2] != WORSE for hit in hits)
            if hits:
                at = hits[0][0]
                by[hits[0][2]] += 1
                hours.append((at - case.start) / 3600)
                saved += sum(nanos for one, nanos in zip(case.spent, case.excess, strict=True) if one.at_seconds > at)
        rows[kind.value] = {
            "count": count, "found": len(hours), "hours_median": round(statistics.median(hours), 2) if hours else None,
            "excess_usd": round(whole / 1e9, 2), "saved_usd": round(saved / 1e9, 2),
            "saved_ratio": round(saved / whole, 3) if whole else None, "episodes": opened, "first_kind": dict(by.most_common()),
        }  # fmt: skip
    return rows


def held(make: Callable[[float], Finder], start: float, fit: list[list[Spent]]) -> float:
    """The smallest multiple, in steps of a quarter, with at most one false alarm a feature and month."""
    multiple = start
    while false_alarms(make(multiple), fit)[0] > 1.0 and multiple < 100:
        multiple *= 1.25
    return multiple


def measure(seeds: range, scale: float, log: Callable[[str], None]) -> dict[str, Any]:
    clean = [stream(make_traffic(START, WEEKS * 7, seed=seed, scale=scale).calls)[0] for seed in seeds]
    fit = [stream(make_traffic(START, WEEKS * 7, seed=seed, scale=scale).calls)[0] for seed in range(1, 4)]
    log(f"scale {scale:g}: clean traffic made, {sum(map(len, clean)):,} calls")
    incidents = cases(seeds, scale)
    finders: dict[str, Finder] = {"watch": watch}
    for name, (make, usual) in RULES.items():
        finders[name] = make(usual)
        multiple = held(make, usual, fit)
        if multiple > usual:
            finders[f"{name}, held ({multiple:.1f})"] = make(multiple)
    rows = {}
    for name, find in finders.items():
        began = time.process_time()
        rate, kinds = false_alarms(find, clean)
        seconds = time.process_time() - began
        rows[name] = {"false_alarms_per_feature_month": round(rate, 2), "false_kinds": dict(kinds.most_common()),
                      "us_per_call": round(seconds * 1e6 / sum(map(len, clean)), 1), "incidents": judge(find, incidents)}  # fmt: skip
        log(f"scale {scale:g}: {name} done")
    return {"scale": scale, "seeds": [seeds[0], seeds[-1]], "feature_months": round(months(len(seeds)), 1), "finders": rows}


def cost() -> dict[str, float]:
    """What the watch adds to the path of a call, and what a call costs it on its own thread; microseconds, medians."""
    from runguard_core import Guard, Usage
    from runguard_core.guard import AnomalyRules

    def calls(guard: Guard, times: int) -> list[float]:
        found = []
        for number in range(times):
            with guard.session(f"s{number % 40}", agent="a"):
                began = time.perf_counter()
                with guard.model_call("gpt-4.1", max_output_tokens=100) as call:
                    call.post(Usage(input_tokens=900, output_tokens=90))
                found.append(time.perf_counter() - began)
        return found

    rounds: dict[str, list[float]] = {"on": [], "off": []}
    for _ in range(5):
        for mode, found in rounds.items():
            rules = AnomalyRules(mode=None if mode == "on" else "off")  # type: ignore[arg-type]  # Mode is a str
            with Guard(app="cost", store="memory://", anomalies=rules) as guard:
                calls(guard, 500)
                found.append(statistics.median(calls(guard, 3000)) * 1e6)
    with Guard(app="cost", store="memory://") as guard:
        settled = guard.reserve(_a_call())
        settled.post(Usage(input_tokens=1))
        lookout, fed = guard._engine.lookout, []
        for _ in range(400):
            began = time.perf_counter()
            for _ in range(200):
                lookout.feed(settled, 0.0)
            fed.append((time.perf_counter() - began) / 200)
            lookout._waiting.clear()
    return {"feed_us": round(statistics.median(fed) * 1e6, 3), "call_with_watch_us": round(min(rounds["on"]), 1),
            "call_without_us": round(min(rounds["off"]), 1)}  # fmt: skip


def _a_call() -> Any:
    from runguard_core import ModelCall

    return ModelCall(model="gpt-4.1", max_output_tokens=10)


def show(result: dict[str, Any]) -> None:
    print(
        f"\nscale {result['scale']:g}: seeds {result['seeds'][0]} to {result['seeds'][1]}, {result['feature_months']} clean feature-months"
    )
    for name, row in result["finders"].items():
        print(
            f"\n  {name}: {row['false_alarms_per_feature_month']} false alarms a feature-month {row['false_kinds']}, {row['us_per_call']} us a call"
        )
        print(f"    {'incident':<18}{'found':>8}{'hours':>8}{'excess':>10}{'saved':>8}  episodes, found first by")
        for kind, one in row["incidents"].items():
            hours = "-" if one["hours_median"] is None else f"{one['hours_median']:.1f}"
            print(f"    {kind:<18}{one['found']:>4}/{one['count']:<3}{hours:>8}{one['excess_usd']:>9.0f}${(one['saved_ratio'] or 0):>7.0%}"
                  f"  {one['episodes']}  {one['first_kind']}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seeds", type=int, default=8, help="how many, from 101 on (default 8)")
    parser.add_argument("--first", type=int, default=101, help="the first seed")
    parser.add_argument("--scale", type=float, action="append", help="times the usual sessions (default 1)")
    parser.add_argument("--cost", action="store_true", help="only what the watch costs a call")
    asked = parser.parse_args()
    if asked.cost:
        print(json.dumps(cost()))
        return
    seeds = range(asked.first, asked.first + asked.seeds)
    results = [measure(seeds, scale, lambda text: print(text, file=sys.stderr)) for scale in asked.scale or (1.0,)]
    if asked.json:
        print(json.dumps({"traffic": results, "nab": nab.measure() or "NAB_DATA names no checkout of NAB"}, indent=1))
        return
    for result in results:
        show(result)


if __name__ == "__main__":
    main()
