"""The watch's statistic on the Numenta Anomaly Benchmark, by NAB's own scoring rules: `NAB_DATA=... python benchmarks/nab.py [--json]`.

NAB_DATA names a checkout of github.com/numenta/NAB (MIT; `data`, `labels` and `results` are read, nothing is copied). Its 58
streams are telemetry every five minutes, not spend, and anomalies go both ways; what is measured is what the watch is made
of: median and a robust spread with a floor over a window of the past (`Window`), values of an anomaly kept out of it, and one
alarm an episode (a second one within two days only if half as bad again). The two days were chosen, among ten variants of
window, rest and floor, on every other stream of the sorted list; the score of the streams in between is printed beside.

Scoring, written down from NAB's rules (Lavin and Ahmad, 2015) and checked on its own results of windowedGaussian: within a
labelled window the first alarm counts, by a sigmoid from 1 at its left edge to 0 at its right; an alarm elsewhere costs by
its distance from the window before, at most the weight of a false positive; the first 15 % of a stream (at most 750
values) are not scored; one threshold for all streams, the best; 0 is a detector that never speaks, 100 a perfect one.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path

from runguard_core.anomalies._window import Window

PROFILES = {"standard": (0.11, 1.0), "low false positives": (0.22, 1.0), "low false negatives": (0.11, 2.0)}
WINDOW_COUNT, CLEAR_COUNT, COOL_COUNT, HELD_COUNT = 2000, 50, 576, 288
#: Index of the value, its score, the part it plays (the number of its window, -1 outside), and its weight there.
Point = tuple[float, int, float]


def scaled(position: float) -> float:
    """From about 1 far left of 0 to about -1 far right of it."""
    return -1.0 if position > 3 else 2 / (1 + math.exp(5 * position)) - 1


def points(times: list[str], scores: list[float], windows: list[list[str]], first_window: int) -> list[Point]:
    """Each scored value: its anomaly score, its window (or -1), and what an alarm there is worth."""
    place = {}
    for index, at in enumerate(times):
        place.setdefault(at, index)
    bounds = [(place[a[:19]], place[b[:19]]) for a, b in windows]
    probation, most, found = min(math.floor(0.15 * len(times)), 750), scaled(-1.0), []
    current = -1
    for index, score in enumerate(scores):
        while current + 1 < len(bounds) and bounds[current + 1][0] <= index:
            current += 1
        inside = current >= 0 and index <= bounds[current][1]
        if inside:
            left, right = bounds[current]
            worth = scaled(-(right - index + 1) / (right - left + 1)) / most
        elif current < 0:
            worth = -1.0
        else:
            left, right = bounds[current]
            worth = scaled((index - right) / (right - left))
        if index >= probation:
            found.append((score, first_window + current if inside else -1, worth))
    return found


def best(scored: list[Point], window_count: int, fp_weight: float, fn_weight: float) -> tuple[float, float]:
    """The normalised score at the best threshold, and that threshold."""
    null = -fn_weight * window_count
    parts: dict[int, float] = {}
    total, top, top_at, before = null, null, math.inf, math.inf
    for score, window, worth in sorted(scored, key=lambda point: -point[0]):
        if score != before:
            if total > top:
                top, top_at = total, before
            before = score
        if window < 0:
            total += fp_weight * worth
        else:
            old = parts.get(window, -fn_weight)
            parts[window] = max(old, worth)
            total += parts[window] - old
    if total > top:
        top, top_at = total, before
    return 100 * (top - null) / (window_count - null), top_at


def watch(values: list[float]) -> list[float]:
    """Score of each value: how many robust deviations from the median it lies, 0 while an episode is known."""
    window, found, held, last, worst = Window(WINDOW_COUNT), [], 0, -COOL_COUNT, 0.0
    middle, spread = 0.0, 1.0
    for index, value in enumerate(values):
        if len(window) < CLEAR_COUNT:
            window.add(value)
            found.append(0.0)
            continue
        if index % 10 == 0 or len(window) < 200:
            middle = window.median
            low, high = window.quantile(0.1), window.quantile(0.9)
            spread = max(window.spread(0.0), (middle - low) / 1.2816, 0.02 * abs(middle), (high - low) * 0.1, 1e-9)
        deviation = abs(value - middle) / spread
        is_new = deviation > 1.5 * worst if index - last < COOL_COUNT else deviation > 3
        if is_new:
            last, worst = index, deviation
        found.append(deviation if is_new else 0.0)
        if deviation > 6 and held < HELD_COUNT:
            held += 1  # an incident does not teach the baseline; a level that lasts a day does
            continue
        held = 0 if deviation <= 6 else held
        window.add(value)
    return found


def gaussian(root: Path, name: str) -> list[float]:
    """NAB's own results of its windowedGaussian."""
    folder, file = name.split("/")
    with (root / "results" / "windowedGaussian" / folder / f"windowedGaussian_{file}").open() as rows:
        return [float(row["anomaly_score"]) for row in csv.DictReader(rows)]


def score(root: Path, find: Callable[[str, list[float]], list[float]], first: int = 0, step: int = 1) -> dict[str, float]:
    labels = json.loads((root / "labels" / "combined_windows.json").read_text())
    labels = {name: labels[name] for name in sorted(labels)[first::step]}
    scored: list[Point] = []
    count = 0
    for name, windows in labels.items():
        with (root / "data" / name).open() as file:
            rows = list(csv.DictReader(file))
        values = [float(row["value"]) for row in rows]
        scored += points([row["timestamp"][:19] for row in rows], find(name, values), windows, count)
        count += len(windows)
    return {profile: round(best(scored, count, *weights)[0], 1) for profile, weights in PROFILES.items()}


def measure() -> dict[str, dict[str, float]]:
    """The scores; empty where NAB_DATA names no checkout of NAB."""
    place = os.environ.get("NAB_DATA")
    if not place or not (Path(place) / "labels" / "combined_windows.json").is_file():
        return {}
    root = Path(place)
    return {
        "watch": score(root, lambda _, values: watch(values)),
        "watch, streams it was not chosen on": score(root, lambda _, values: watch(values), 1, 2),
        "windowedGaussian (NAB's own results)": score(root, lambda name, _: gaussian(root, name)),
        "windowedGaussian, the same streams": score(root, lambda name, _: gaussian(root, name), 1, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    as_json = parser.parse_args().json
    rows = measure()
    if not rows:
        print("NAB is not here, nothing is measured: set NAB_DATA to a checkout of github.com/numenta/NAB", file=sys.stderr)
        return
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    for name, row in rows.items():
        print(f"{name:<40}" + "  ".join(f"{profile} {value:5.1f}" for profile, value in row.items()))


if __name__ == "__main__":
    main()
