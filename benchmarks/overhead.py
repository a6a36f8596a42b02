"""What a guarded call costs in time: medians, paired and interleaved in one run on one machine.

- reserve + post with one budget, and with five budgets and every detector, at call 100, 5,000 and 50,000; memory and SQLite
- sizing a prompt of 10 and of 1,000 messages, first and again (sizes are remembered per message)
- LangChain: no handler, a no-op inline handler, RunGuard's; the ratio to the no-op
- `import runguard_core` over a bare interpreter, beside the standard library modules it needs
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage

from runguard_core import Budget, Guard, ModelCall, PromptPart, ToolCall, Usage
from runguard_core.prices import PriceBook, PriceOverride
from runguard_langchain import RunGuardCallbackHandler
from runguard_langchain._translate import Sizes

CALL = ModelCall(model="gpt-4o-mini", provider="openai", parts=(PromptPart("user", 400),), max_output_tokens=500)
USAGE = Usage(input_tokens=100, output_tokens=50)
FIVE = [
    Budget("1000000 USD", per=["session"]), Budget("1000000 USD", period="day"), Budget("1000000 USD", per=["feature"], period="month"),
    Budget("900000000 tokens", per=["session"]), Budget("90000000 calls", per=["session"]),
]  # fmt: skip


def reserve_and_post(guard: Guard, marks: list[int], window: int, *, tools: bool) -> dict[str, float]:
    """Median microseconds of a model call (and, with detectors, of a tool call beside it) around each mark."""
    found = {}
    with guard.session("bench", agent="bench") as session:
        done = 0
        for mark in marks:
            while done < mark - window:
                session.reserve(CALL).post(USAGE)
                done += 1
            samples, tool_samples = [], []
            for index in range(window):
                start = time.perf_counter_ns()
                session.reserve(CALL).post(USAGE)
                middle = time.perf_counter_ns()
                if tools:
                    session.reserve(ToolCall(name="search", arguments={"q": index})).post()
                    tool_samples.append(time.perf_counter_ns() - middle)
                samples.append(middle - start)
                done += 1
            found[f"model call {mark}"] = statistics.median(samples) / 1000
            if tools:
                found[f"tool call {mark}"] = statistics.median(tool_samples) / 1000
    return found


def store_alone(store: Any) -> float:
    """Median microseconds of the store's own reserve and post with one hold."""
    from datetime import timedelta

    from runguard_core.ids import new_id
    from runguard_core.ledger import Hold
    from runguard_core.testing._ledger_values import DAY, LATER, a_call, a_settlement

    samples, call = [], a_call()
    import dataclasses

    for _ in range(2000):
        one = dataclasses.replace(call, id=new_id())
        settlement, hold = a_settlement(5), [Hold(DAY, 10, 10**15, 10**15)]
        start = time.perf_counter_ns()
        store.reserve(one, hold, expires_at=LATER + timedelta(days=1), owner="bench")
        store.post(one.id, settlement)
        samples.append(time.perf_counter_ns() - start)
    return statistics.median(samples) / 1000


def guards(folder: Path) -> dict[str, Any]:
    """Reserve + post in memory and in SQLite."""
    from runguard_core.stores import MemoryStore, SqliteStore

    marks = [100, 5000, 50_000]
    memory = [{"store": "memory://"}, {"store": f"sqlite:///{folder / 'l.db'}"}]
    result: dict[str, Any] = {
        "store alone, 1 hold": {"memory": store_alone(MemoryStore()), "sqlite": store_alone(SqliteStore(str(folder / "s.db")))}
    }
    for settings in memory:
        kind = settings["store"].partition(":")[0]
        some = marks if kind == "memory" else [100, 2000]
        one = Guard(app="one", budgets=FIVE[:1], detectors=(), **settings)
        result[f"{kind}, 1 budget"] = reserve_and_post(one, some, 100, tools=False)
        one.close()
        five = Guard(app="five", budgets=FIVE, **settings)
        result[f"{kind}, 5 budgets and detectors"] = reserve_and_post(five, some, 100, tools=True)
        five.close()
    return result


def sizing() -> dict[str, float]:
    """Median microseconds of measuring a prompt."""
    found = {}
    for count in (10, 1000):
        messages = [HumanMessage("word " * 50) for _ in range(count)]
        first, again = [], []
        for _ in range(20):
            sizes = Sizes()
            start = time.perf_counter_ns()
            for message in messages:
                sizes.of(message)
            middle = time.perf_counter_ns()
            for message in messages:
                sizes.of(message)
            first.append(middle - start)
            again.append(time.perf_counter_ns() - middle)
        found[f"{count} messages, first"] = statistics.median(first) / 1000
        found[f"{count} messages, again"] = statistics.median(again) / 1000
    return found


class NoOp(BaseCallbackHandler):
    """The floor: an inline handler that does nothing."""

    raise_error = True
    run_inline = True

    def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        """Nothing."""


def langchain() -> dict[str, float]:
    """Median microseconds of `invoke` on a fake model, and ratios, interleaved."""
    same = PriceBook({"unknown": PriceOverride(same_as="gpt-4o-mini")})
    guard = Guard(app="lc", store="memory://", budgets=FIVE, prices=same)
    answer = AIMessage("ok", usage_metadata={"input_tokens": 8, "output_tokens": 5, "total_tokens": 13})
    metadata = {"runguard_session": "bench"}  # one conversation, as budgets per session are meant
    configs: dict[str, Any] = {
        "none": {"metadata": metadata},
        "no-op": {"metadata": metadata, "callbacks": [NoOp()]},
        "runguard": {"metadata": metadata, "callbacks": [RunGuardCallbackHandler(guard)]},
    }
    samples: dict[str, list[int]] = {name: [] for name in configs}
    for _ in range(1500):
        for name, config in configs.items():
            model = GenericFakeChatModel(messages=iter([answer]))
            start = time.perf_counter_ns()
            model.invoke("hi", config=config)
            samples[name].append(time.perf_counter_ns() - start)
    medians = {name: statistics.median(values) / 1000 for name, values in samples.items()}
    medians["runguard over no-op"] = medians["runguard"] / medians["no-op"]
    guard.close()
    return medians


def importing() -> dict[str, Any]:
    """Median milliseconds of a whole interpreter, bare, with the standard modules we need, and with the core."""
    needed = (
        "dataclasses, enum, json, sqlite3, threading, asyncio, decimal, re, hmac, hashlib, importlib.metadata, zoneinfo, tomllib"
    )
    programs = {"bare": "pass", "stdlib it needs": f"import {needed}", "runguard_core": "import runguard_core"}
    samples: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(15):
        for name, program in programs.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-I", "-c", program], check=True)
            samples[name].append((time.perf_counter() - start) * 1000)
    third = "import sys, runguard_core; print([m for m in sys.modules if 'site-packages' in (getattr(sys.modules[m], '__file__', '') or '')])"
    out = subprocess.run([sys.executable, "-I", "-c", third], check=True, capture_output=True, text=True).stdout
    modules = [name for name in json.loads(out.replace("'", '"')) if not name.startswith(("runguard", "_runguard", "__editable"))]
    return {**{name: statistics.median(values) for name, values in samples.items()}, "third_party_modules": modules}


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON document")
    as_json = parser.parse_args().json
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        result = {
            "machine": f"{platform.machine()}, Python {platform.python_version()}",
            "reserve + post, us": guards(Path(folder)), "sizing, us": sizing(), "langchain invoke, us": langchain(),
            "import, ms": importing(),
        }  # fmt: skip
    print(json.dumps(result, indent=1) if as_json else "\n".join(f"{k}: {json.dumps(v, indent=1)}" for k, v in result.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
