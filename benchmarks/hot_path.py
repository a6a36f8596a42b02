"""Where the microseconds of a guarded call go: stages, the floor, ten threads, memory. In memory, in one process.

The floor is the least Python that does what admission promises and nothing else: a lock, the lookups of an id and of each
account, one check a budget, one append a verb. Its ratio to the guarded call is what attribution, quotes, latches, the kill file,
drafts, learning and events cost.

Every call differs from the one before in prompt and answer, so that nothing is fast because it repeats.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import statistics
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

from runguard_core import Budget, Guard, ModelCall, PromptPart, Session, Usage
from runguard_core.guard import _admitting, _reservation
from runguard_core.prices import Lesson
from runguard_core.stores import MemoryStore

FIVE = [
    Budget("1000000 USD", per=["session"]), Budget("1000000 USD", period="day"), Budget("1000000 USD", per=["feature"], period="month"),
    Budget("900000000 tokens", per=["session"]), Budget("90000000 calls", per=["session"]),
]  # fmt: skip
SETTINGS: dict[str, dict[str, Any]] = {
    "1 budget": {"budgets": FIVE[:1], "detectors": (), "turn_detectors": ()},
    "5 budgets": {"budgets": FIVE, "detectors": (), "turn_detectors": ()},
    "5 budgets and detectors": {"budgets": FIVE},
}


def traffic() -> Iterator[tuple[ModelCall, Usage]]:
    """Calls and what they used, no two neighbours alike; made beforehand, as an adapter's work is not the guard's."""
    made = [
        (
            ModelCall(model="gpt-4o-mini", provider="openai", parts=(PromptPart("user", 300 + 13 * n),), max_output_tokens=500),
            Usage(input_tokens=80 + 3 * n, output_tokens=20 + (37 * n) % 211),
        )
        for n in range(97)
    ]
    return itertools.cycle(made)


class Floor:
    """A lock, lookups, one check a budget, one append a verb: no owner, no price, no clock, no event, no past."""

    def __init__(self, accounts: int) -> None:
        self.lock, self.count = threading.Lock(), itertools.count()
        self.accounts = {f"account {n}": [0, 0, 10**15] for n in range(accounts)}  # posted, pending, limit
        self.calls: dict[int, list[tuple[str, int]]] = {}
        self.lines: list[tuple[Any, ...]] = []

    def reserve(self, amount: int) -> int:
        """All accounts or none."""
        call_id = next(self.count)
        with self.lock:
            if call_id in self.calls:
                raise ValueError(call_id)
            holds = []
            for key, row in self.accounts.items():
                if amount > row[2] - row[0] - row[1]:
                    raise ValueError(key)
                holds.append((key, amount))
            for key, held in holds:
                self.accounts[key][1] += held
            self.calls[call_id] = holds
            self.lines.append(("pending", call_id, holds))
        return call_id

    def post(self, call_id: int, amount: int) -> None:
        """The hold becomes what was spent."""
        with self.lock:
            for key, held in self.calls[call_id]:
                row = self.accounts[key]
                row[1] -= held
                row[0] += amount
            self.lines.append(("post", call_id, amount))


def window_of(session: Session, calls: Iterator[tuple[ModelCall, Usage]], count: int) -> list[int]:
    """Nanoseconds of so many guarded calls, one by one."""
    found, clock = [], time.perf_counter_ns
    for call, usage in itertools.islice(calls, count):
        start = clock()
        session.reserve(call).post(usage)
        found.append(clock() - start)
    return found


def at_marks(settings: dict[str, Any], marks: list[int], window: int = 300, store: str = "memory://") -> dict[str, float]:
    """Median microseconds around each mark (what the fastest tenth stays below, too: other programs disturb), the floor beside it
    in short alternating blocks, and the ratio of the medians.
    """
    result = {}
    with Guard(app="bench", store=store, **settings) as guard, guard.session("bench", agent="bench") as session:
        calls, done, floor = traffic(), 0, Floor(len(settings["budgets"]))
        for mark in marks:
            for call, usage in itertools.islice(calls, max(0, mark - window // 2 - done)):
                session.reserve(call).post(usage)
                done += 1
            guarded: list[int] = []
            least: list[int] = []
            for _ in range(window // 20):
                guarded += window_of(session, calls, 20)
                for _ in range(20):
                    start = time.perf_counter_ns()
                    floor.post(floor.reserve(10), 7)
                    least.append(time.perf_counter_ns() - start)
                done += 20
            result[f"call {mark}"] = statistics.median(guarded) / 1000
            result[f"call {mark}, floor"] = statistics.median(least) / 1000
            result[f"call {mark}, fastest tenth"] = statistics.quantiles(guarded, n=10)[0] / 1000
    result["over the floor"] = result[f"call {marks[-1]}"] / result[f"call {marks[-1]}, floor"]
    return result


#: Stage: where it is looked up, and its name there.
STAGES: dict[str, tuple[Any, str]] = {
    "id": (_admitting, "new_id"),
    "caller: run, lane, mode": (_admitting, "caller_of"),
    "kill file and latches": (_admitting, "_check_latches"),
    "price, quote, turn": (_admitting, "price"),
    "detectors of turns, before": (_admitting, "check_turn"),
    "plan: accounts and limits": (_admitting, "plan_of"),
    "draft of the row": (_admitting, "draft_of"),
    "store: reserve": (MemoryStore, "reserve"),
    "handing out": (_admitting, "_admitted"),
    "detectors of turns, after": (_reservation, "end_turn"),
    "charge": (_reservation, "charge_of"),
    "settlement": (_reservation, "settlement_of"),
    "store: post": (MemoryStore, "post"),
    "learning": (Lesson, "observe"),
}


def timed(owner: Any, name: str, run: Callable[[], None]) -> float:
    """Median nanoseconds of one function while `run` uses it; the cost of asking is taken off."""
    real, found, clock = getattr(owner, name), [], time.perf_counter_ns

    def asked(*args: Any, **kwargs: Any) -> Any:
        start = clock()
        try:
            return real(*args, **kwargs)
        finally:
            found.append(clock() - start)

    setattr(owner, name, asked)
    try:
        run()
    finally:
        setattr(owner, name, real)
    empty = [-(clock() - clock()) for _ in range(1000)]
    return max(0.0, statistics.median(found) - statistics.median(empty)) if found else 0.0


def stages(settings: dict[str, Any], count: int = 600) -> dict[str, float]:
    """Median microseconds of each stage, measured one at a time in the run of whole calls; the rest is glue between them."""
    with Guard(app="bench", store="memory://", **settings) as guard, guard.session("bench", agent="bench") as session:
        calls = traffic()
        window_of(session, calls, 1000)
        whole = statistics.median(window_of(session, calls, count)) / 1000
        found = {
            stage: timed(owner, name, lambda: window_of(session, calls, count) and None) / 1000
            for stage, (owner, name) in STAGES.items()
        }
    return {**found, "clocks, locks and calls between": max(0.0, whole - sum(found.values())), "whole call": whole}


def threads(count: int = 10, seconds: float = 0.4) -> dict[str, float]:
    """Guarded calls a second, five budgets and detectors: one thread and ten with a session each in turns, the best of five."""

    def spend(guard: Guard, name: str, until: float, done: list[int]) -> None:
        calls = traffic()
        with guard.session(name, agent="bench") as session:
            while time.perf_counter() < until:
                done.append(len(window_of(session, calls, 50)))

    def crowd(size: int) -> float:
        with Guard(app="bench", store="memory://", budgets=FIVE) as guard:
            until, done = time.perf_counter() + seconds, []  # type: ignore[var-annotated]
            workers = [threading.Thread(target=spend, args=(guard, f"s{n}", until, done)) for n in range(size)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            assert guard.store.verify() == ()
        return sum(done) / seconds

    rounds = [(crowd(1), crowd(count)) for _ in range(5)]
    one, many = (max(column) for column in zip(*rounds, strict=True))
    return {"1 thread, calls a second": one, f"{count} threads, calls a second": many, "share kept": many / one}


def memory(count: int = 5000) -> dict[str, float]:
    """Bytes a call, five budgets: while it is pending, and once it is settled (calls, holds, lines and all)."""
    with Guard(app="bench", store="memory://", budgets=FIVE) as guard, guard.session("bench", agent="bench") as session:
        window_of(session, traffic(), 1000)
        made = [ModelCall(model="gpt-4o-mini", provider="openai", parts=(PromptPart("user", 1000 + n),)) for n in range(count)]
        gc.collect()
        tracemalloc.start()
        held = [session.reserve(call) for call in made]
        pending = tracemalloc.get_traced_memory()[0]
        for number, one in enumerate(held):
            one.post(Usage(input_tokens=1000 + number, output_tokens=1000 + number))
        held.clear()
        gc.collect()
        settled = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    return {"pending": pending / count, "settled": settled / count}


def measured(marks: list[int]) -> dict[str, Any]:
    """All of it."""
    return {
        "reserve + post, us": {name: at_marks(settings, marks) for name, settings in SETTINGS.items()},
        "stages, us": {name: stages(SETTINGS[name]) for name in ("1 budget", "5 budgets and detectors")},
        "threads": threads(),
        "memory, bytes a call": memory(),
    }


def flat(result: dict[str, Any], name: str = "") -> dict[str, Any]:
    """Tables of figures by their path, at most two levels."""
    figures = {key: value for key, value in result.items() if not isinstance(value, dict)}
    found: dict[str, Any] = {name: figures} if figures else {}
    for key, value in result.items():
        if isinstance(value, dict):
            found |= flat(value, f"{name}: {key}" if name else key)
    return found


def show(result: dict[str, Any]) -> None:
    """Tables for a terminal."""
    for title, figures in result.items():
        print(f"\n{title}")
        whole = figures.get("whole call")
        for label, figure in figures.items():
            bar = "  " + "#" * round(40 * figure / whole) if whole and label != "whole call" else ""
            print(f"  {label:36} {figure:12,.2f}{bar}" if isinstance(figure, (int, float)) else f"  {label:36} {figure}")


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON document")
    as_json = parser.parse_args().json
    result = measured([100, 5000, 50_000])
    if as_json:
        print(json.dumps(result, indent=1))
    else:
        show(flat(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
