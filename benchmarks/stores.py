"""What a reserve and a post cost in each store: over six accounts, alone and with others at the same time, paced and flat out.

Every process opens the store by its URL and makes calls against six budgets: four shared by all (organisation by month and by
day, team by month, feature by day), two of its own (agent, session). Flat out: pairs a second of all processes together until the
last call is *in the store* (closing included), and the time of a pair. Paced: 100 calls a second a process, as agents make them.
Stores take turns, round after round, in one run, so that what else happens on the machine happens to all of them.

`--servers` adds a Valkey and a PostgreSQL, started for this run; `--store NAME=URL` (repeatable) any other; NEW in a URL is replaced.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import sqlite3
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from _servers import fresh, started

from runguard_core.attribution import Attribution
from runguard_core.calls import Certainty, ModelCall, Outcome, PromptPart
from runguard_core.ids import new_id
from runguard_core.ledger import Account, CallDraft, Hold, Reserved, SettlementDraft, Unit
from runguard_core.stores import open_store
from runguard_core.usage import Usage

SHARED = ("org month", "org day", "team month", "feature day")
LIMIT = 10**15
QUOTE, COST = 12_000_000, 9_500_000
WARM_UP = 40


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--store", action="append", default=[], metavar="NAME=URL", help="one more store; repeatable")
    parser.add_argument(
        "--servers", action="store_true", help="a Valkey and a PostgreSQL of our own too, with and without leases"
    )
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--calls", type=int, default=4000, help="flat out: calls of all processes together, with leases")
    parser.add_argument("--plain-calls", type=int, default=1000, help="the same where every call is a transaction")
    parser.add_argument("--paced-seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stores = {
            "sqlite transactions": f"sqlite:///{folder}/plain-NEW.db?leases=off",
            "sqlite leases": f"sqlite:///{folder}/leased-NEW.db",
        }
        os.environ.setdefault("RUNGUARD_STATE_DIR", folder)  # journals of stores on servers
        for name, url in started().items() if given.servers else ():
            stores |= {name: f"{url}&leases=off", f"{name} leases": url}
        stores |= dict(one.split("=", 1) for one in given.store)
        rows = [row for count in given.processes for row in compared(stores, count, given)]
    if given.json:
        print(json.dumps({"machine": machine(), "rows": rows}, indent=1))
        return
    print(json.dumps(machine()))
    print(
        f"{'store':22}{'processes':>10}{'pairs/s':>10}{'p50 us':>9}{'p99 us':>9}{'max ms':>9}{'paced p50':>11}{'p99':>9}{'max ms':>9}"
    )
    for row in rows:
        flat, paced = row["flat_out"], row["paced"]
        print(
            f"{row['store']:22}{row['processes']:>10}{flat['pairs_per_second']:>10}{flat['p50_us']:>9}{flat['p99_us']:>9}"
            f"{flat['max_ms']:>9}{paced['p50_us']:>11}{paced['p99_us']:>9}{paced['max_ms']:>9}"
        )


def machine() -> dict[str, Any]:
    """Where this ran, and how long a write to its disk takes."""
    times = []
    with tempfile.NamedTemporaryFile(dir=".") as file:
        for _ in range(30):
            file.write(b"x" * 4096)
            file.flush()
            begun = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - begun)
    return {
        "python": platform.python_version(), "system": platform.platform(), "cpus": os.cpu_count(),
        "load": os.getloadavg()[0], "sqlite": sqlite3.sqlite_version, "fdatasync_ms": round(statistics.median(times) * 1000, 3),
    }  # fmt: skip


def compared(stores: dict[str, str], processes: int, given: argparse.Namespace) -> list[dict[str, Any]]:
    """Every store with so many processes, in turns."""
    flat: dict[str, list[dict[str, Any]]] = {name: [] for name in stores}
    paced: dict[str, list[dict[str, Any]]] = {name: [] for name in stores}
    for _ in range(given.rounds):
        for name, url in stores.items():
            calls = given.plain_calls if "leases" not in name else given.calls
            flat[name].append(measured(fresh(url), processes, calls // processes, 0.0))
            paced[name].append(measured(fresh(url), processes, int(100 * given.paced_seconds), 0.01))
    return [
        {"store": name, "processes": processes, "flat_out": summed(flat[name]), "paced": summed(paced[name])} for name in stores
    ]


def summed(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Throughput: the median round. Times: of all rounds together."""
    times = sorted(one for made in rounds for one in made["times"])
    asked = sorted(one for made in rounds for one in made["reserves"])
    at = lambda values, share: round(values[min(len(values) - 1, int(len(values) * share))] * 1e6, 1)  # noqa: E731
    return {
        "pairs_per_second": round(statistics.median(made["pairs_per_second"] for made in rounds)),
        "in_memory_pairs_per_second": round(statistics.median(made["in_memory"] for made in rounds)),
        "p50_us": at(times, 0.5), "p99_us": at(times, 0.99), "p999_us": at(times, 0.999), "max_ms": round(times[-1] * 1000, 2),
        "reserve_p50_us": at(asked, 0.5), "reserve_p99_us": at(asked, 0.99), "calls": len(times),
    }  # fmt: skip


def measured(url: str, processes: int, calls: int, pace: float) -> dict[str, Any]:
    """Start workers, let them begin together, gather what they measured."""
    spawn = multiprocessing.get_context("spawn")
    barrier, results = spawn.Barrier(processes), spawn.Queue()
    workers = [spawn.Process(target=work, args=(url, number, calls, pace, barrier, results)) for number in range(processes)]
    for worker in workers:
        worker.start()
    found = [results.get(timeout=300) for _ in workers]
    for worker in workers:
        worker.join()
    spent = max(one["closed"] for one in found) - min(one["begun"] for one in found)
    in_memory = max(one["ended"] for one in found) - min(one["begun"] for one in found)
    store = open_store(url)
    posted = store.balances([SHARED[0]])[SHARED[0]].posted
    store.close()
    assert posted % COST == 0
    return {
        "pairs_per_second": processes * calls / spent, "in_memory": processes * calls / in_memory,
        "times": [pair for one in found for pair in one["pairs"]], "reserves": [pair for one in found for pair in one["reserves"]],
    }  # fmt: skip


def work(url: str, number: int, calls: int, pace: float, barrier: Any, results: Any) -> None:
    """One process: so many calls, flat out or one every `pace` seconds."""
    store = open_store(url)
    names = (*SHARED, f"agent {number}", f"session {new_id()}")
    holds = tuple(Hold(Account(name, Unit.USD, name), QUOTE, LIMIT, LIMIT) for name in names)
    amounts = {hold.account.key: COST for hold in holds}
    who = Attribution(app="bench", feature="f", team="t", agent=f"a{number}", session=names[-1], run=new_id())
    model = ModelCall(model="gpt-4o", provider="openai", parts=(PromptPart("system", 900), PromptPart("user", 200)))
    usage, clock = Usage(input_tokens=300, output_tokens=150), time.perf_counter
    pairs, reserves = [], []

    def once() -> None:
        now = datetime.now(UTC)
        draft = CallDraft(new_id(), model, who, 1, 1, now, QUOTE, quote_is_bound=False)
        outcome = Outcome(usage=usage, model="gpt-4o-2024-11-20", provider_request_id=f"req_{draft.id}")
        begun = clock()
        found = store.reserve(draft, holds, expires_at=now + timedelta(minutes=10), owner="bench")
        asked = clock()
        closing = SettlementDraft(now, outcome, amounts, COST, Certainty.EXACT, usage, 0.5)
        sent = clock()
        store.post(draft.id, closing)
        reserves.append(asked - begun)
        pairs.append(asked - begun + clock() - sent)
        assert isinstance(found, Reserved)

    for _ in range(WARM_UP):
        once()
    pairs.clear()
    reserves.clear()
    barrier.wait()
    begun = due = time.monotonic()
    for _ in range(calls):
        once()
        if pace:
            due += pace
            time.sleep(max(0.0, due - time.monotonic()))
    ended = time.monotonic()
    store.close()
    results.put({"begun": begun, "ended": ended, "closed": time.monotonic(), "pairs": pairs, "reserves": reserves})


if __name__ == "__main__":
    main()
