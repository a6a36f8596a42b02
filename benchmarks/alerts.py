"""What alerts cost a call: guarded calls with a dead destination, a hanging one and a living one, over the same calls without alerts.

Two guards of one policy run side by side in one process, each on a ledger of its own, in blocks that change places; the ratio is of
the medians of paired blocks. Every block has an agent that loops and is stopped: with alerts each stop is something to say.
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
    """Microseconds a call: the median and the mean of a block; a loop that is stopped stands before it."""
    with guard.session(f"loop-{number}", feature="search", agent=f"agent-{number}"):
        try:
            for _ in range(10):
                guard.reserve(ToolCall(name="find", arguments={"q": "x"})).post(result="nothing")
        except StoppedError:
            pass
    samples = []
    with guard.session(f"work-{number}", feature="search", agent="worker"):
        for _ in range(CALLS):
            start = time.perf_counter_ns()
            held = guard.reserve(ModelCall(model="gpt-4o-mini", provider="openai", input_bytes=400, max_output_tokens=50))
            held.post(Usage(input_tokens=100, output_tokens=10))
            samples.append(time.perf_counter_ns() - start)
    return statistics.median(samples) / 1000, statistics.fmean(samples) / 1000


def measured(folder: Path, name: str, url: str, rounds: int) -> dict[str, Any]:
    """Ratio of calls with alerts to those without."""
    os.environ["SINK"] = url
    Sink.count = 0
    plain, alerting = guard_of(folder, f"{name}-plain", POLICY), guard_of(folder, f"{name}-alerts", POLICY + ALERTS)
    found: dict[str, list[tuple[float, float]]] = {"plain": [], "alerts": []}
    pair: list[tuple[str, Guard]] = [("plain", plain), ("alerts", alerting)]
    for number in range(rounds + 3):
        for key, guard in pair if number % 2 else reversed(pair):
            found[key].append(block(guard, number))
    began = time.monotonic()
    alerting.close()
    closing = time.monotonic() - began
    plain.close()
    kept = {key: values[3:] for key, values in found.items()}
    medians = [a[0] / b[0] for a, b in zip(kept["alerts"], kept["plain"], strict=True)]
    means = [a[1] / b[1] for a, b in zip(kept["alerts"], kept["plain"], strict=True)]
    return {
        "plain_us": statistics.median(one[0] for one in kept["plain"]), "alerts_us": statistics.median(one[0] for one in kept["alerts"]),
        "ratio_of_medians": statistics.median(medians), "ratio_of_means": statistics.median(means),
        "ratio_quartiles": [statistics.quantiles(medians, n=4)[0], statistics.quantiles(medians, n=4)[2]],
        "stops": rounds + 3, "requests": Sink.count, "close_seconds": closing,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=60)
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
    print("destination  without us  with us  ratio of medians (quartiles)  of means  stops  requests  close s")
    for name, one in found.items():
        low, high = one["ratio_quartiles"]
        print(
            f"{name:<11} {one['plain_us']:>10.1f} {one['alerts_us']:>8.1f} {one['ratio_of_medians']:>10.3f} ({low:.3f} to {high:.3f})"
            f" {one['ratio_of_means']:>14.3f} {one['stops']:>6} {one['requests']:>9} {one['close_seconds']:>8.2f}"
        )


if __name__ == "__main__":
    main()
