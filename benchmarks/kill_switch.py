"""How soon a kill in one process stops all others on the ledger, and what asking costs before every call.

Per kind of ledger: N processes make calls, about a hundred a second each; one more kills the app. Printed: from the return of
`kill` to the first refusal in each process (p50, max over all rounds, in milliseconds), and the price of one `store.latches()` where
nothing has changed (microseconds). Servers are started from what is installed (`tests/servers`); a kind that cannot be started
is said to be missing. Exit status 1 when a process was not stopped within the bound.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from runguard_core import Guard, StoreError  # noqa: E402  the tests' servers are beside the benchmarks
from runguard_core.stores._watching import EVERY_SECONDS  # noqa: E402

PAUSE_SECONDS = 0.01
#: One round of the watch, one pause between two calls, and room for a machine that is shared.
BOUND_MILLIS = (EVERY_SECONDS + PAUSE_SECONDS) * 1000 + 1000
KINDS = ("sqlite", "redis", "postgresql")


@contextmanager
def ledger(kind: str, folder: Path) -> Iterator[str]:
    """The URL of a server of that kind, or of a place for files."""
    if kind == "sqlite":
        yield f"sqlite:///{folder}/"
        return
    from tests.servers import PostgresServer, ValkeyServer

    server = ValkeyServer() if kind == "redis" else PostgresServer()
    try:
        yield server.url
    finally:
        server.close()


def fresh(kind: str, place: str, name: str) -> str:
    """An empty ledger there."""
    if kind == "sqlite":
        return f"{place}{name}.db"
    return f"{place}?tenant={name}" if kind == "redis" else f"{place}&schema={name}"


def once(url: str, process_count: int) -> list[float]:
    """Milliseconds from the return of a kill to the refusal in each process."""
    command = [sys.executable, "-m", "tests.guard.elsewhere", url, str(PAUSE_SECONDS)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(process_count)]
    for one in running:
        if one.stdout is None or one.stdout.readline() != "ready\n":
            raise SystemExit(f"a process made no call on {url}")
    with Guard(app="fleet", store=url) as guard:
        guard.kill("app", reason="measured")
        since = time.monotonic_ns()
    said = [json.loads(one.communicate(timeout=90)[0]) for one in running]
    return [max(0.0, (stop["at_ns"] - since) / 1e6) for stop in said]


def asking_micros(url: str) -> float:
    """Median microseconds of asking who is stopped when nothing has changed."""
    with Guard(app="fleet", store=url) as guard:
        guard.kill("agent:somebody-else", reason="so that there is something to read")
        guard.store.latches()
        return statistics.median(timeit.repeat(guard.store.latches, number=2000, repeat=9)) / 2000 * 1e6


def measured(kind: str, round_count: int, process_count: int) -> dict[str, Any]:
    """One kind of ledger."""
    try:
        with tempfile.TemporaryDirectory() as folder, ledger(kind, Path(folder)) as place:
            os.environ["RUNGUARD_STATE_DIR"] = folder  # what is remembered of servers that are gone tomorrow
            millis = [at for number in range(round_count) for at in once(fresh(kind, place, f"r{number}"), process_count)]
            asking = asking_micros(fresh(kind, place, "asking"))
    except (StoreError, ImportError, LookupError) as error:
        return {"ledger": kind, "missing": str(error).partition("\n")[0]}
    return {
        "ledger": kind, "refusals": len(millis), "p50_ms": round(statistics.median(millis), 1), "max_ms": round(max(millis), 1),
        "asking_us": round(asking, 2), "in_bound": max(millis) <= BOUND_MILLIS,
    }  # fmt: skip


def main() -> int:
    """Measure and print."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--json", action="store_true")
    words.add_argument("--rounds", type=int, default=10)
    words.add_argument("--processes", type=int, default=4)
    words.add_argument("--ledger", choices=KINDS, action="append", help="only these kinds")
    given = words.parse_args()
    rows = [measured(kind, given.rounds, given.processes) for kind in given.ledger or KINDS]
    machine = {"python": platform.python_version(), "cores": os.cpu_count(), "system": platform.platform()}
    document = {
        "machine": machine,
        "every_seconds": EVERY_SECONDS,
        "bound_ms": BOUND_MILLIS,
        "processes": given.processes,
        "ledgers": rows,
    }
    if given.json:
        print(json.dumps(document, indent=2))
    else:
        print(f"From a kill to the first refusal in {given.processes} other processes, {given.rounds} rounds")
        print(f"{'ledger':12} {'p50':>9} {'max':>9} {'asking':>10}")
        for row in rows:
            figures = (
                f"{row['p50_ms']:6.1f} ms {row['max_ms']:6.1f} ms {row['asking_us']:7.2f} us"
                if "p50_ms" in row
                else row["missing"]
            )
            print(f"{row['ledger']:12} {figures}")
    return 0 if all(row.get("in_bound", True) for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
