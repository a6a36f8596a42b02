"""A program on a shared ledger that makes calls until one is stopped, and says when that was. Run by tests and a benchmark.

Usage: elsewhere.py STORE PAUSE_SECONDS. Prints "ready" after its first call, then one line of JSON: `at_ns` (the machine's monotonic
clock), `calls`, `rule`, `text`. Ends by itself after a minute.
"""

from __future__ import annotations

import json
import sys
import time

from runguard_core import Guard, ModelCall, StoppedError
from tests.guard.spending import CENT, ONE

STORE, PAUSE = sys.argv[1], float(sys.argv[2])

guard = Guard(app="fleet", store=STORE, max_cost_per_session_usd="1000", prices=CENT)
who = guard.attribution(session="s-42", run="r-1", agent="planner", feature="search")
calls, ends = 0, time.monotonic() + 60
while time.monotonic() < ends:
    try:
        guard.reserve(ModelCall(model="cent", max_output_tokens=1), who).post(ONE)
    except StoppedError as stop:
        print(json.dumps({"at_ns": time.monotonic_ns(), "calls": calls, "rule": stop.rule, "text": str(stop)}), flush=True)
        break
    calls += 1
    if calls == 1:
        print("ready", flush=True)
    time.sleep(PAUSE)
guard.close()
