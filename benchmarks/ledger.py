"""Ten million calls in a ledger: how fast they are written, how many bytes each takes, how long `runguard report` and reviews take.

Calls come as a process with leases hands them over: reserve and settle verbs in the order in which they happened, in batches, one
transaction each (`load`, the path on which leases are settled, without a limit being asked). Twenty calls a session,
model and tool calls in turn, two budgets (session and feature-day), prompts of four parts, ids of providers, keyed digests:
what a guard writes. Making the verbs is not counted, writing them is. Afterwards the report is asked for as a program of its
own, and every sum in it is compared with what the generator knows. `--verify` recomputes the whole book as well.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from _servers import fresh, started
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from runguard_core.attribution import Attribution
from runguard_core.calls import Certainty, ModelCall, Outcome, PromptPart
from runguard_core.ids import encode_id
from runguard_core.ledger import Account, CallDraft, CallFilter, Hold, LeaseVerb, ReserveVerb, SettlementDraft, SettleVerb, Unit
from runguard_core.stores import SqliteStore
from runguard_core.stores.postgres import PostgresLeases
from runguard_core.usage import Usage

START = datetime(2026, 10, 1, tzinfo=UTC)
DAYS = 30
CALLS_A_SESSION = 20
BATCH_SESSIONS = 250
FEATURES = ("search", "support", "summaries", "onboarding", "reports")
MODELS = ("gpt-4o-2024-08-06", "gpt-4o-mini-2024-07-18", "claude-sonnet-4-5-20250929")
TOOLS = ("web_search", "read_file", "query_orders", "send_mail")
TEAMS = ("discovery", "care", "care", "growth", "finance")


class Traffic:
    """Seeded sessions, and the sums they must add up to."""

    def __init__(self, calls: int) -> None:
        """So many calls, spread over DAYS."""
        self._dice = random.Random(7)
        self.session_count = -(-calls // CALLS_A_SESSION)
        self.call_count = self.session_count * CALLS_A_SESSION
        self._step = timedelta(days=DAYS) / self.session_count
        self.truth: dict[str, dict[str, list[int]]] = {
            by: defaultdict(lambda: [0, 0, 0]) for by in ("feature", "model", "tool", "day")
        }
        self._days: dict[tuple[str, str], Account] = {}
        self._next = 0

    def batches(self) -> Iterator[list[LeaseVerb]]:
        """Verbs of neighbouring sessions, interleaved as they happen."""
        for first in range(0, self.session_count, BATCH_SESSIONS):
            sessions = [self._session(number) for number in range(first, min(first + BATCH_SESSIONS, self.session_count))]
            yield [verb for turn in zip(*sessions, strict=True) for pair in turn for verb in pair]

    def _session(self, number: int) -> list[tuple[ReserveVerb, SettleVerb]]:
        dice, at = self._dice, START + number * self._step
        feature = FEATURES[number % len(FEATURES)]
        who = Attribution(
            app="product", feature=feature, team=TEAMS[number % len(TEAMS)], agent="planner", user=f"u-{number % 20_000}",
            session=f"s-{number:07d}", run=encode_id(dice.getrandbits(128)), release="1.4.2",
        )  # fmt: skip
        day = f"{at:%Y-%m-%d}"
        shared = self._days.get((feature, day))
        if shared is None:
            key = json.dumps(["product", [], [["feature", feature]], "USD", "day", f"{day}T00:00:00+00:00", "UTC"])
            shared = self._days[feature, day] = Account(key, Unit.USD, f"feature {feature}, {day}")
        own = json.dumps(["product", [], [["session", who.session]], "USD", "session", "", ""], separators=(",", ":"))
        accounts = (Account(own, Unit.USD, f"session {who.session}"), shared)
        model = MODELS[number % len(MODELS)]
        return [self._call(who, accounts, at + timedelta(seconds=7 * turn), model, turn) for turn in range(CALLS_A_SESSION)]

    def _call(
        self, who: Attribution, accounts: tuple[Account, ...], at: datetime, model: str, turn: int
    ) -> tuple[ReserveVerb, SettleVerb]:
        dice, is_tool = self._dice, turn % 2
        self._next += 1
        call_id = encode_id(int(at.timestamp() * 1000) << 80 | self._next << 16 | dice.getrandbits(16))
        seconds = dice.random() * 5
        call: ModelCall | str
        if is_tool:
            call, quote, cost, usage = TOOLS[turn % len(TOOLS)], 0, 0, None
            outcome = Outcome(
                output_text_hash=f"{dice.getrandbits(128):032x}", output_chars=dice.randrange(200, 9_000), attempt_count=1
            )
        else:
            tokens, answer = 800 + 350 * turn + dice.randrange(200), dice.randrange(20, 600)
            usage = Usage(input_tokens=tokens, output_tokens=answer, cache_read_input_tokens=tokens // 2)
            quote, cost = 2_500 * tokens + 10_000_000, 1_875 * tokens + 10_000 * answer
            parts = (
                PromptPart("system", 2_400, 1, 0), PromptPart("tools", 3_100, 1, 0), PromptPart("user", 310 + turn, 1, 0),
                PromptPart(f"tool:{TOOLS[1]}", 900 * turn + 1, turn + 1, 900),
            )  # fmt: skip
            call = ModelCall(model=model[:-11], provider="openai", parts=parts, max_output_tokens=1000)
            asks = TOOLS[(turn + 1) % len(TOOLS)]
            outcome = Outcome(
                usage=usage, model=model, provider_request_id=f"chatcmpl-{dice.getrandbits(140):029x}"[:38], attempt_count=1,
                tool_names=(asks,), output_chars=answer * 4,
            )  # fmt: skip
        draft = CallDraft(
            id=call_id, call=call, who=who, turn=turn // 2 + 1, loop=1, started_at=at, quote_nanos=quote, quote_is_bound=False,
            signature=f"{dice.getrandbits(128):032x}" if is_tool else None, policy_hash="3f1c9a7be2d04458",
        )  # fmt: skip
        ended = at + timedelta(seconds=seconds)
        amounts = {account.key: cost for account in accounts}
        settlement = SettlementDraft(ended, outcome, amounts, cost, Certainty.EXACT, usage, seconds)
        self._count(who.feature or "", "" if is_tool else model, str(call) if is_tool else "", f"{at:%Y-%m-%d}", cost)
        holds = tuple([Hold(account, quote, 10**12, 10**12) for account in accounts])
        return ReserveVerb(draft, holds, ended + timedelta(minutes=10)), SettleVerb(call_id, settlement)

    def _count(self, feature: str, model: str, tool: str, day: str, cost: int) -> None:
        for by, key in (("feature", feature), ("model", model), ("tool", tool), ("day", day)):
            if key:
                sums = self.truth[by][key]
                sums[0] += not tool
                sums[1] += bool(tool)
                sums[2] += cost


def write(store: Any, traffic: Traffic, tell: Any) -> dict[str, float]:
    """Write everything; seconds on the clock and of the processor, without making the verbs."""
    wall = cpu = worst = 0.0
    done = 0
    for verbs in traffic.batches():
        begun, used = time.perf_counter(), time.process_time()
        store.load(verbs, "benchmark")
        spent = time.perf_counter() - begun
        wall, cpu, worst = wall + spent, cpu + time.process_time() - used, max(worst, spent)
        done += len(verbs) // 2
        tell(done)
    return {"seconds": wall, "cpu_seconds": cpu, "worst_batch_seconds": worst}


def timed_report(url: str, times: int = 5) -> tuple[dict[str, Any], dict[str, float]]:
    """`runguard report --json` as a program of its own: what it says, and the best and worst time of some runs."""
    command = [sys.executable, "-m", "runguard_core.cli", "report", "--store", url, "--json"]
    found, said = [], ""
    for _ in range(times):
        begun = time.perf_counter()
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found.append(time.perf_counter() - begun)
    begun = time.perf_counter()
    subprocess.run([*command[:3], "--version"], check=True, capture_output=True)
    return json.loads(said), {"best": min(found), "worst": max(found), "of_which_starting_python": time.perf_counter() - begun}


#: Of the practice, what reads a week, a fortnight, a quarter or a month of such a ledger.
PRACTICE = (
    "review weekly --at 2026-10-20", "review sprint --at 2026-10-20", "review quarter --at 2026-10-20",
    "chargeback show --period 2026-10", "why --from 2026-W41 --to 2026-W42",
)  # fmt: skip


def timed_practice(url: str) -> dict[str, dict[str, float]]:
    """Each command as a program of its own: seconds on the clock, and of the processor."""
    found = {}
    for words in PRACTICE:
        command = [sys.executable, "-m", "runguard_core.cli", *words.split(), "--store", url, "--app", "product", "--json"]
        begun, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        subprocess.run(command, check=True, capture_output=True)
        spent = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - used
        found[words] = {"seconds": round(time.perf_counter() - begun, 2), "cpu_seconds": round(spent, 2)}
    return found


def differences(report: dict[str, Any], truth: dict[str, dict[str, list[int]]]) -> list[str]:
    """Where a report does not say what was generated."""
    wrong = []
    for by, sums in truth.items():
        said = {row["key"]: [row["call_count"], row["tool_count"], int(row["nanos"])] for row in report["by"][by]}
        if said != dict(sums):
            wrong.append(by)
    return wrong


class Book(Protocol):
    """A ledger that is written to and weighed."""

    url: str
    store: Any

    def sizes(self) -> dict[str, int]:
        """Bytes of every table and index, all that was written being where it will stay."""
        ...


class SqliteBook:
    """A file."""

    def __init__(self, folder: Path) -> None:
        """A new one."""
        self._path = folder / "ledger.db"
        self.store = SqliteStore(str(self._path))
        self.url = self.store.url

    def sizes(self) -> dict[str, int]:
        """By the pages of each, or the file as a whole where SQLite was built without `dbstat`."""
        db = self.store._connections.get()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        try:
            found = dict(db.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name").fetchall())
        except sqlite3.OperationalError:
            found = {}
        return {**found, "the rest of the file": self._path.stat().st_size - sum(found.values())}


class PostgresBook:
    """A schema on a server of its own, with its files on this disk and synced."""

    def __init__(self) -> None:
        """A new one."""
        self.url = fresh(started()["postgresql"])
        self.store = PostgresLeases(self.url)

    def sizes(self) -> dict[str, int]:
        """By what the server says of each."""
        sql = (
            "SELECT c.relname, pg_relation_size(c.oid) FROM pg_class c WHERE c.relkind IN ('r', 'i', 't') "
            "AND c.relnamespace = current_schema()::regnamespace"
        )
        return dict(self.store._connections.run(lambda link: [(row[0], row[1]) for row in link.execute(sql).fetchall()]))


def measure(book: Book, calls: int, *, verify: bool) -> dict[str, Any]:
    """One ledger from its first call to its report."""
    traffic, store = Traffic(calls), book.store
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as shown:
        task = shown.add_task("calls written", total=traffic.call_count)
        written = write(store, traffic, lambda done: shown.update(task, completed=done))
    begun = time.perf_counter()
    sizes = book.sizes()
    checkpoint, size = time.perf_counter() - begun, sum(sizes.values())
    largest = dict(sorted(sizes.items(), key=lambda one: -one[1])[:6])
    report, reported = timed_report(book.url)
    practised = timed_practice(book.url)
    begun = time.perf_counter()
    sessions = store.sessions(CallFilter(limit=20))
    listed = time.perf_counter() - begun
    wrong = differences(report, traffic.truth)
    found: dict[str, Any] = {
        "calls": traffic.call_count, "sessions": traffic.session_count,
        "calls_per_second": round(traffic.call_count / written["seconds"]),
        "calls_per_cpu_second": round(traffic.call_count / written["cpu_seconds"]),
        "write_seconds": round(written["seconds"], 1), "checkpoint_seconds": round(checkpoint, 1),
        "worst_batch_seconds": round(written["worst_batch_seconds"], 2), "calls_a_batch": BATCH_SESSIONS * CALLS_A_SESSION,
        "bytes_per_call": round(size / traffic.call_count, 1), "bytes_per_call_by_table": {name: round(bytes_ / traffic.call_count, 1) for name, bytes_ in largest.items()},
        "report_seconds": {name: round(seconds, 2) for name, seconds in reported.items()},
        "practice": practised, "latest_sessions_seconds": round(listed, 3), "latest_sessions": len(sessions),
        "sums_that_differ_from_the_truth": wrong,
    }  # fmt: skip
    if verify:
        begun = time.perf_counter()
        found["discrepancies"] = [str(one) for one in store.verify()]
        found["verify_seconds"] = round(time.perf_counter() - begun, 1)
    store.close()
    return found


def main() -> int:
    """Print the figures; exit status 1 when a sum is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=10_000_000, help="how many (rounded up to whole sessions)")
    parser.add_argument("--store", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--folder", type=Path, help="where the ledger is made, and removed; the system's folder for such files")
    parser.add_argument("--verify", action="store_true", help="recompute the whole book too (minutes for ten million calls)")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder, prefix="runguard-ledger-") as folder:
        book = SqliteBook(Path(folder)) if asked.store == "sqlite" else PostgresBook()
        found = measure(book, asked.calls, verify=asked.verify)
    machine = {
        "cpus": os.cpu_count(),
        "load": os.getloadavg()[0],
        "system": platform.platform(),
        "python": platform.python_version(),
    }
    found = {"store": asked.store, "path": f"{type(book.store).__name__}.load", **found, "machine": machine}
    found["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    if asked.json:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            print(f"{name:34} {value}")
    return 1 if found["sums_that_differ_from_the_truth"] or found.get("discrepancies") else 0


if __name__ == "__main__":
    sys.exit(main())
