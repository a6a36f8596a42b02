"""A program that makes one guarded call and kills itself at the step it is told. Run by test_kill.py."""

from __future__ import annotations

import json
import os
import signal
import sys
import urllib.request
from typing import Any

from runguard_core import Guard, Usage
from runguard_core.stores._sqlite_pen import Pen

STEP, STORE, URL = sys.argv[1:4]


def die_at(step: str) -> None:
    """kill -9, if this is the step."""
    if step == STEP:
        os.kill(os.getpid(), signal.SIGKILL)


def dying(write: Any, step: str) -> Any:
    """Die inside the transaction, after the rows were written and before the commit."""

    def written(pen: Pen, *args: Any) -> None:
        write(pen, *args)
        pen.finish()
        die_at(step)

    return written


Pen.enter = dying(Pen.enter, "in_reserve")  # type: ignore[method-assign]  # this is what the program is for
Pen.close = dying(Pen.close, "in_post")  # type: ignore[method-assign]  # as above
guard = Guard(app="killed", store=STORE, max_cost_per_session_usd="1", hold_seconds=60)
with guard.session("s"):
    die_at("before_reserve")
    with guard.model_call("gpt-4o-mini", prompt="x" * 400, max_output_tokens=50) as call:
        die_at("after_reserve")
        body = json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "x" * 400}], "max_tokens": 50})
        request = urllib.request.Request(f"{URL}/chat/completions", body.encode(), {"content-type": "application/json"})
        with urllib.request.urlopen(request) as response:
            die_at("after_send")
            usage = json.load(response)["usage"]
        die_at("after_answer")
        call.post(Usage(input_tokens=usage["prompt_tokens"], output_tokens=usage["completion_tokens"]))
        die_at("after_post")
print("lived")
