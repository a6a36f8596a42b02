"""What alerts cost a call: guarded calls with a dead destination, a hanging one and a living one, over the same calls without alerts.

Two guards of one policy run side by side in one process, each on a ledger of its own, in blocks that change places; the ratio is of
the medians of paired blocks. Before every tenth block an agent loops and is stopped: with alerts that is something to say. Another
guard without alerts is measured against the first in the same way: what two equal guards differ by is what cannot be measured.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from runguard_core import Guard, ModelCall, StoppedError, ToolCall, Usage
from runguard_core.policy import load_policy

POLICY = """
app = "shop"
[[budgets]]
name = "day"
limit = "10000 USD"
period = "day"
[features.search]
owner = "ana"
"""
ALERTS = """
[alerts]
default = ["ops"]
[alerts.channels.ops]
kind = "webhook"
url_env = "SINK"
allow_private = true
allow_http = true
timeout_seconds = 5
per_minute = 600
"""
CALLS = 100
EVERY = 10
WARM = 10


class Sink(BaseHTTPRequestHandler):
    """Answers at once, or never."""

    hangs = False
    count = 0
    over = threading.Event()

    def do_POST(self) -> None:
        """Take it."""
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        Sink.count += 1
        if Sink.hangs:
            Sink.over.wait(60)
            return
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Quiet."""


def guard_of(folder: Path, name: str, text: str) -> Guard:
    file = folder / f"{name}.toml"
    file.write_text(text)
    return load_policy(file).guard(store=f"sqlite:///{folder / name}.db")


def block(guard: Guard, number: int) -> tuple[float, float]:
    """Microseconds a call: the median and the mean of a block; before every tenth stands a loop that is stopped."""
    if number % EVERY == 0:
        with guard.session(f"loop-{number}", feature="search", agent=f"agent-{number}"), suppress(StoppedError):
            for _ in range(10):
                guard.reserve(ToolCall(name="find", arguments={"q": "x"})).post(result="nothing")
    samples = []
    with guard.session(f"work-{number}", feature="search", agent="worker"):
        for _ in range(CALLS):
            start = time.perf_counter_ns()
            held = guard.reserve(ModelCall(model="gpt-4o-mini", provider="openai", input_bytes=400, max_output_tokens=50))
            held.post(Usage(input_tokens=100, output_tokens=10))
            samples.append(time.perf_counter_ns() - start)
    return statistics.median(samples) / 1000, statistics.fmean(samples) / 1000


def measured(folder: Path, name: str, url: str, rounds: int) -> dict[str, Any]:
    """Ratio of calls with alerts to those without, and of calls of a second guard without to those of the first."""
    os.environ["SINK"] = url
    Sink.count = 0
    guards = {
        key: guard_of(folder, f"{name}-{key}", POLICY + (ALERTS if key == "alerts" else ""))
        for key in ("plain", "same", "alerts")
    }
    found: dict[str, list[tuple[float, float]]] = {key: [] for key in guards}
    order = list(guards)
    for number in range(rounds + WARM):
        order = order[1:] + order[:1]
        for key in order:
            found[key].append(block(guards[key], number))
    began = time.monotonic()
    guards["alerts"].close()
    closing = time.monotonic() - began
    guards["plain"].close()
    guards["same"].close()
    kept = {key: values[WARM:] for key, values in found.items()}
    result: dict[str, Any] = {"stops": -(-(rounds + WARM) // EVERY), "requests": Sink.count, "close_seconds": closing}
    for key, values in kept.items():
        result[key] = {
            "median_us": statistics.median(one[0] for one in values),
            "mean_us": statistics.fmean(one[1] for one in values),
        }
        for place, word in enumerate(("median", "mean")):
            ratios = [one[place] / other[place] for one, other in zip(values, kept["plain"], strict=True)]
            low, middle, high = statistics.quantiles(ratios, n=4)
            result[key] |= {f"{word}_ratio": middle, f"{word}_ratio_quartiles": [low, high]}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=600)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here = f"http://127.0.0.1:{server.server_address[1]}/hook"
    found = {}
    cases: list[tuple[str, str, Callable[[], None]]] = [
        ("lives", here, lambda: setattr(Sink, "hangs", False)), ("refuses", "http://127.0.0.1:9/hook", lambda: None),
        ("hangs", here, lambda: setattr(Sink, "hangs", True)),
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RUNGUARD_STATE_DIR"] = folder
        for name, url, prepare in cases:
            prepare()
            print(f"{name} ...", file=sys.stderr)
            found[name] = measured(Path(folder), name, url, options.rounds)
        Sink.over.set()
    if options.json:
        print(json.dumps(found, indent=2))
        return
    print(
        "destination  guard    median us  ratio (quartiles)         mean us  ratio (quartiles)         stops  requests  close s"
    )
    for name, one in found.items():
        for key in ("plain", "same", "alerts"):
            its = one[key]
            cells = [
                f"{its[f'{word}_us']:>9.1f}  {its[f'{word}_ratio']:.3f} ({its[f'{word}_ratio_quartiles'][0]:.3f} to {its[f'{word}_ratio_quartiles'][1]:.3f})"
                for word in ("median", "mean")
            ]
            more = f"{one['stops']:>6} {one['requests']:>9} {one['close_seconds']:>8.2f}" if key == "alerts" else ""
            print(f"{name:<12} {key:<7} {cells[0]}  {cells[1]} {more}")


if __name__ == "__main__":
    main()
