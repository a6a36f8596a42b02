"""A web application under guard, as gunicorn loads it: the guard is made before the workers are forked. Run by test_prefork.py."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from runguard_core import Guard, StoppedError
from tests.faults.opening import opened
from tests.guard.spending import CENT, ONE

guard = Guard(app="served", store=opened(os.environ["STORE"]), prices=CENT, daily_budget_usd=os.environ["CAP_USD"])
for _ in range(3):  # connections, threads and a slice of the budget are there when the fork comes
    with guard.session("preload"), guard.model_call("cent", max_output_tokens=1) as first:
        first.post(ONE)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """One call of one cent: 200 when it passed, 402 when it was refused; the body is the worker's id."""
    try:
        with guard.session(environ["PATH_INFO"]), guard.model_call("cent", max_output_tokens=1) as call:
            call.post(ONE)
        status = "200 OK"
    except StoppedError:
        status = "402 Payment Required"
    start_response(status, [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
