"""Who hears of the demo's incidents, how soon, how often; and what a look costs.

    python benchmarks/ladder.py                      # makes the ledger of 16 weeks first
    python benchmarks/ladder.py demo.db truth.json   # made by `runguard demo --weeks 16 --store ... --truth ...`

The notices of every day are asked for once a day, as a process that delivers them would, and once for the whole time: both must be
the same. An incident is heard of when somebody is told of its feature while it lasts, or within two hours after it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from runguard_core import load_policy, open_store
from runguard_core.finops.owners import Notice, Step, notices

_AFTER = timedelta(hours=2)


def main(ledger: str, truth_file: str) -> None:
    """Both ways, then incident by incident."""
    truth = json.loads(Path(truth_file).read_text())
    policy, store = load_policy(Path(ledger).with_suffix(".toml")), open_store(f"sqlite:///{ledger}")
    start, end = (datetime.fromisoformat(truth[key]).replace(tzinfo=UTC) for key in ("start", "end"))

    def asked(since: datetime, now: datetime) -> tuple[Notice, ...]:
        return notices(
            store, truth["app"], policy.registry, policy.ladder, since=since, now=now, calendar=policy.calendar,
            planned=policy.planned,
        )  # fmt: skip

    days = [start + timedelta(days=number) for number in range((end - start).days)]
    began = time.perf_counter()
    daily = {one.id: one for day in days for one in asked(day, day + timedelta(days=1))}
    seconds = (time.perf_counter() - began) / len(days)
    whole = {one.id: one for one in asked(start, end)}
    told = [one for one in whole.values() if one.step is Step.TRIGGER]
    print(
        f"{len(days)} looks of a day give {len(daily)} notices, one look {len(whole)}; different: {len(daily.keys() ^ whole.keys())}"
    )
    print(f"a look takes {seconds:.2f} s by the mean")
    print("told:", dict(sorted(Counter(one.about.split("-")[0] for one in told).items())))
    for incident in truth["incidents"]:
        print(line_of(incident, told))


def line_of(incident: dict[str, Any], told: Sequence[Notice]) -> str:
    """What an incident cost, who heard of it first and after how long, and how many times anybody was told."""
    began, ended = (datetime.fromisoformat(incident[key]) for key in ("started_at", "ended_at"))
    heard = sorted(
        (one for one in told if one.feature == incident["feature"] and began - timedelta(minutes=15) <= one.at <= ended + _AFTER),
        key=lambda one: one.at,
    )
    people = ", ".join(f"{who} {count}x" for who, count in sorted(Counter(f"{one.to} ({one.level})" for one in heard).items()))
    owner = next((one for one in heard if one.to == incident["owner"] or incident["owner"] is None), None)
    after = f"{max(0.0, (owner.at - began).total_seconds()) / 3600:5.1f} h" if owner is not None else "never  "
    return (
        f"| {incident['kind']:17} | {incident['feature']:15} | {float(incident['excess_usd']):7.2f} | "
        f"{(ended - began).total_seconds() / 3600:5.1f} h | {after} | {people} |"
    )


def made() -> tuple[str, str]:
    """The demo's ledger and the truth about it, in a folder that is thrown away by nobody but the system."""
    folder = tempfile.mkdtemp()
    ledger, truth = f"{folder}/demo.db", f"{folder}/truth.json"
    asked = ["--weeks", "16", "--until", "2026-11-22", "--store", f"sqlite:///{ledger}", "--truth", truth]
    subprocess.run([sys.executable, "-m", "runguard_core.cli", "demo", *asked], check=True)
    return ledger, truth


if __name__ == "__main__":
    main(*(sys.argv[1:] or made()))
