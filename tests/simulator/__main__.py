"""Any number of worlds: `python -m tests.simulator --seeds 10000 --start 500`, or `--bugs` for the planted ones."""

from __future__ import annotations

import argparse
import time

from tests.simulator.bugs import BUGS
from tests.simulator.judge import BrokenPromiseError
from tests.simulator.kinds import KINDS
from tests.simulator.planting import planted
from tests.simulator.running import first_broken, run_seed


def main() -> int:
    """How many promises were broken, as an exit code of 0 or 1."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulator", description="Simulates processes on one ledger, with faults."
    )
    parser.add_argument("--seeds", type=int, default=500, help="how many worlds (default: 500)")
    parser.add_argument("--start", type=int, default=0, help="the first one's seed (default: 0)")
    parser.add_argument("--steps", type=int, default=120, help="steps of each (default: 120)")
    parser.add_argument("--store", choices=sorted(KINDS), default="leased", help="what the processes have (default: leased)")
    parser.add_argument("--bugs", action="store_true", help="put each planted bug in and say when it is found")
    asked = parser.parse_args()
    return _plant() if asked.bugs else _simulate(asked)


def _simulate(asked: argparse.Namespace) -> int:
    began, broken = time.perf_counter(), 0
    steps = calls = deaths = cuts = 0
    for seed in range(asked.start, asked.start + asked.seeds):
        try:
            seen = run_seed(seed, asked.steps, KINDS[asked.store])
        except BrokenPromiseError as error:
            broken += 1
            print(error, end="\n\n")
            continue
        steps, calls, deaths, cuts = steps + seen.steps, calls + seen.calls, deaths + seen.deaths, cuts + seen.cuts
        if (seed + 1) % 100 == 0:
            print(
                f"{seed + 1 - asked.start} of {asked.seeds} worlds, {broken} broken, {time.perf_counter() - began:.0f} s",
                flush=True,
            )
    print(
        f"{asked.seeds} worlds, {steps} steps, {calls} calls, {deaths} processes killed, {cuts} power cuts in "
        f"{time.perf_counter() - began:.0f} s: {broken} broken"
    )
    return 1 if broken else 0


def _plant() -> int:
    missed = 0
    for bug in BUGS:
        if bug.seeds is None:
            print(f"  -     {bug.name}: {bug.breaks}")
            continue
        began = time.perf_counter()
        with planted(bug):
            broken = first_broken(range(bug.start, bug.start + bug.seeds))
        missed += broken is None
        found = "MISSED" if broken is None else str(broken).partition(": ")[2].partition("\n")[0][:120]
        where = "" if broken is None else f"{str(broken).partition(',')[0]}, "
        print(
            f"{'MISSED' if broken is None else 'found '}  {bug.name} ({where}{time.perf_counter() - began:.1f} s): {found}",
            flush=True,
        )
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
