"""The child's side of `runguard run`: guard this process as its environment says."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from runguard_core.budgets import Budget
from runguard_core.errors import StoppedError
from runguard_core.guard import Guard
from runguard_core.policy import load_policy

#: Tag that every call of one `runguard run` carries, whatever session its framework names.
RUN_TAG = "runguard_run"
#: Set in guarded processes: those they start may be other programs' Pythons, without RunGuard.
INSIDE = "RUNGUARD_RUN_INSIDE"


def guard_this_process() -> Guard:
    """Make the guard, hook every framework, and turn an uncaught stop into a message."""
    policy, env = load_policy().in_force(), os.environ
    run = env["RUNGUARD_RUN_ID"]
    defaults = policy.rules.defaults.with_values(session=env["RUNGUARD_RUN_SESSION"], tags={RUN_TAG: run})
    rules = replace(policy.rules, defaults=defaults)
    limit = env.get("RUNGUARD_RUN_BUDGET")
    if limit:
        budget = Budget(limit, name="run --budget", where={RUN_TAG: run})
        rules = replace(rules, budgets=(*rules.budgets, budget))
    guard = policy.deliver_alerts(Guard(rules=rules, store=policy.content.store))
    if guard.store.url.startswith("sqlite:"):
        env["RUNGUARD_STORE"] = guard.store.url  # processes started from here, in whatever directory, share the ledger
    elif policy.content.store:
        env["RUNGUARD_STORE"] = policy.content.store  # with its password, which `url` does not show
    env[INSIDE] = "1"
    report(store=guard.store.url, hooked=list(guard.install()))
    _catch_stops()
    return guard


def report(**facts: Any) -> None:
    """Tell `runguard run` something: one JSON line in its report file, which is gone once it has ended."""
    line = json.dumps(facts) + "\n"
    with contextlib.suppress(OSError), Path(os.environ["RUNGUARD_RUN_REPORT"]).open("a", encoding="utf-8") as file:
        file.write(line)


def _catch_stops() -> None:
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, StoppedError):
            report(stopped=str(error), rule=error.rule)
        else:
            before(kind, error, trace)

    sys.excepthook = hook
