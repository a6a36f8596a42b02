"""Fits the token sizes of the traffic generator: `python benchmarks/token_sizes.py [--json]`.

For each column of the public trace (Azure LLM inference, 2023: code and conversation; prompt and answer) a mixture of two
log-normals, fitted by expectation maximisation on the logarithms (200 steps, started at the quartiles), cut off at the
largest value seen. What is printed is what `runguard_core/testing/_traffic_sizes.py` holds: six numbers a column, no data.
Beside each fit: quantiles of the data and of the fit, and the largest distance between the two distributions
(Kolmogorov-Smirnov). RUNGUARD_DATA names the folder with `azure_llm_2023` (default ../shared/data).
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import math
import os
import sys
from bisect import bisect_left
from pathlib import Path

ROOT = Path(__file__).parents[1]
FLOOR = 0.05
SHARES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


def normal(x: float, middle: float, spread: float) -> float:
    return math.exp(-0.5 * ((x - middle) / spread) ** 2) / spread


def fit(values: list[int]) -> dict[str, float]:
    """Expectation maximisation; log-normals of (share, log median, log spread) each."""
    logs = sorted(math.log(max(v, 1)) for v in values)
    count = len(logs)
    parts = [[0.5, logs[count // 4], 0.7], [0.5, logs[3 * count // 4], 0.7]]
    for _ in range(200):
        sums = [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
        for x in logs:
            weights = [share * normal(x, middle, spread) for share, middle, spread in parts]
            whole = sum(weights) or 1e-300
            for one, weight in zip(sums, weights, strict=True):
                part = weight / whole
                one[0] += part
                one[1] += part * x
                one[2] += part * x * x
        for one, (weight, first, second) in zip(parts, sums, strict=True):
            middle = first / weight
            one[:] = [weight / count, middle, max(math.sqrt(max(second / weight - middle * middle, 0)), FLOOR)]
    (share, middle, spread), (_, other_middle, other_spread) = parts
    return {
        "share": share,
        "middle": middle,
        "spread": spread,
        "other_middle": other_middle,
        "other_spread": other_spread,
        "most": max(values),
    }


def below(found: dict[str, float], tokens: float) -> float:
    """Share of the fit at or below so many tokens."""
    if tokens >= found["most"]:
        return 1.0
    x = math.log(max(tokens, 1))
    one, other = ((x - found[m]) / (found[s] * math.sqrt(2)) for m, s in (("middle", "spread"), ("other_middle", "other_spread")))
    return found["share"] * 0.5 * (1 + math.erf(one)) + (1 - found["share"]) * 0.5 * (1 + math.erf(other))


def quantile(found: dict[str, float], share: float) -> int:
    low, high = 0.0, found["most"]
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if below(found, middle) < share else (low, middle)
    return round(high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    as_json = parser.parse_args().json
    folder = (ROOT / os.environ.get("RUNGUARD_DATA", "../shared/data")).resolve() / "azure_llm_2023"
    if not folder.is_dir():
        print(f"{folder} is not here, nothing is fitted: RUNGUARD_DATA names the folder of azure_llm_2023", file=sys.stderr)
        return
    rows = {}
    for name in ("code", "conv"):
        with gzip.open(folder / f"{name}.csv.gz", "rt", encoding="utf-8") as file:
            table = list(csv.DictReader(file))
        for column, short in (("ContextTokens", "prompt"), ("GeneratedTokens", "answer")):
            values = sorted(int(row[column]) for row in table)
            found = fit(values)
            step = [abs(below(found, v) - bisect_left(values, v + 1) / len(values)) for v in sorted(set(values))]
            rows[f"{name} {short}"] = {
                "fit": {key: round(value, 3) for key, value in found.items()},
                "data": {str(s): values[int(s * len(values))] for s in SHARES},
                "fitted": {str(s): quantile(found, s) for s in SHARES},
                "distance": round(max(step), 3),
                "count": len(values),
            }
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    for name, row in rows.items():
        print(f"{name}: {row['fit']}  distance {row['distance']} (n {row['count']})")
        print("   data  ", row["data"], "\n   fitted", row["fitted"])


if __name__ == "__main__":
    main()
