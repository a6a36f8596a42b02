"""Eight processes race one cap to exhaustion while they are killed (`kill -9`) again and again: what is lost, what is left over?

Each worker notes what a call costs in memory that outlives it *before* the call is posted: that is the truth. Afterwards a fresh
process opens the store, recovers the dead, and the book is compared:

- overspend: posted above the cap (must be 0; quotes are bounds here),
- under-count: truth above posted (must be 0),
- usable: how much of the cap was posted when everybody was refused (at least 99.9 %),
- nothing pending, nothing leased, and `verify` agrees.

Exit status 1 when one of these fails, or when fewer than `--kills` processes could be killed before the cap was used up.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from _racing import CAP, HOLD_TIME, truth_of
from _servers import fresh, started

from runguard_core.ledger import CallFilter, CallState
from runguard_core.stores import open_store

NANOS = 10**9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--store", action="append", default=[], metavar="NAME=URL", help="one more store to race on; repeatable")
    parser.add_argument("--servers", action="store_true", help="race on a Valkey and a PostgreSQL of our own too")
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--cap-usd", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("RUNGUARD_STATE_DIR", folder)  # journals of stores on servers
        stores = {"sqlite": f"sqlite:///{folder}/ledger.db"} | (started() if given.servers else {})
        stores |= dict(one.split("=", 1) for one in given.store)
        rows = [raced(name, fresh(url), Path(folder), given) for name, url in stores.items()]
    if given.json:
        print(json.dumps({"machine": machine(), "races": rows}, indent=1))
    else:
        for row in rows:
            print(" · ".join(f"{key} {value}" for key, value in row.items()))
    sys.exit(0 if all(row["passed"] for row in rows) else 1)


def machine() -> dict[str, Any]:
    """Where this ran."""
    return {"python": platform.python_version(), "system": platform.platform(), "cpus": os.cpu_count()}


def raced(name: str, url: str, folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """One store's race."""
    started, limit = time.monotonic(), given.cap_usd * NANOS
    kills, truths = _race(url, folder, limit, given)
    seconds = time.monotonic() - started
    store = open_store(url)
    assumed = store.expire(datetime.now(UTC) + 2 * HOLD_TIME)  # also what was killed while its calls were still plain
    balance = store.balances([CAP.key])[CAP.key]
    pending = len(store.calls(CallFilter(state=CallState.PENDING)))
    left = [row.account.title for row in store.accounts() if row.balance.leased or row.balance.pending]
    wrong = store.verify()
    store.close()
    truth = sum(one[0] for one in truths)
    row = {
        "store": name,
        "kills": kills,
        "calls_sent": sum(one[1] for one in truths),
        "calls_per_second": round(sum(one[1] for one in truths) / seconds),
        "cap_usd": given.cap_usd,
        "overspend_usd": max(0, balance.posted - limit) / NANOS,
        "under_count_usd": max(0, truth - balance.posted) / NANOS,
        "assumed_usd": balance.assumed / NANOS,
        "assumed_at_the_end_count": len(assumed),
        "usable_percent": round(100 * balance.posted / limit, 4),
        "pending_calls": pending,
        "accounts_with_rests": left,
        "discrepancies": [str(one) for one in wrong[:3]],
    }
    row["passed"] = (
        kills >= given.kills and not row["overspend_usd"] and not row["under_count_usd"] and row["usable_percent"] >= 99.9
        and not pending and not left and not wrong
    )  # fmt: skip
    return row


def _race(url: str, folder: Path, limit: int, given: argparse.Namespace) -> tuple[int, list[tuple[int, int, int]]]:
    """Start workers, kill one after the other in mid-race and put a new one in its place, until all that live are refused."""
    chance, made, kills = random.Random(given.seed), 0, 0
    truths: list[Path] = []
    workers: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        nonlocal made
        made += 1
        truth = folder / f"truth-{os.getpid()}-{len(truths)}"
        truth.write_bytes(bytes(4096))
        truths.append(truth)
        script = Path(__file__).with_name("_racing.py")
        workers.append(subprocess.Popen([sys.executable, str(script), url, str(truth), str(limit), str(made)]))

    for _ in range(given.processes):
        start()
    while any(worker.poll() is None for worker in workers):
        time.sleep(0.03 + 0.1 * chance.random())
        racing = [(at, one) for at, one in enumerate(workers) if one.poll() is None and truth_of(truths[at])[1] > 0]
        if kills < given.kills and racing:
            victim = chance.choice(racing)[1]
            victim.send_signal(signal.SIGKILL)
            victim.wait()
            kills += victim.returncode == -signal.SIGKILL
            start()
    failed = [worker.returncode for worker in workers if worker.returncode not in {0, -signal.SIGKILL}]
    if failed:
        raise SystemExit(f"workers ended with {failed}")
    return kills, [truth_of(truth) for truth in truths]


if __name__ == "__main__":
    main()
