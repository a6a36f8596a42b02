"""What a guarded call costs in time: medians, paired and interleaved in one run on one machine.

- reserve + post with one budget, with five, and with five and every detector, at call 100, 5,000 and 50,000 (memory; SQLite beside
  it), over the floor; stages, ten threads, bytes a call: `hot_path.py`, which also runs alone
- a model call through its six detectors (made a turn, judged, begun, ended, judged) at call 100, 5,000 and 50,000: of one agent with
  small prompts, with large ones of a model with a price cliff, of two agents that answer in turns, and of one that answers without any
  tool; the first and the last also without the rule of equal answers, and what an answer's digest costs
- one tool call through all its detectors at call 100, 5,000 and 50,000, and the memory of one agent instance
- sizing a prompt of 10 and of 1,000 messages, first and again (sizes are remembered per message)
- LangChain: no handler, a no-op inline handler, RunGuard's; the ratio to the no-op
- LiteLLM: no logger, one that does nothing, RunGuard's; LlamaIndex: nothing, its own token counter, RunGuard
- `import runguard_core` over a bare interpreter, beside the standard library modules it needs
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import hot_path
from hot_path import FIVE
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage

from runguard_core import Guard, Messages, ModelCall, Outcome, PromptPart, ToolCall, Turn, Usage
from runguard_core.detectors import Fingerprint, RunTurns, TurnWatch, default_turn_detectors
from runguard_core.prices import PriceBook, PriceOverride
from runguard_langchain import RunGuardCallbackHandler
from runguard_langchain._translate import as_mapping


def tool_calls(marks: list[int], window: int = 100) -> dict[str, float]:
    """Median microseconds of a guarded tool call with every detector on, five budgets, around each mark; memory."""
    found = {}
    with Guard(app="tools", store="memory://", budgets=FIVE) as guard, guard.session("bench", agent="bench") as session:
        done = 0
        for mark in marks:
            samples = []
            while done < mark + window:
                start = time.perf_counter_ns()
                session.reserve(ToolCall(name="search", arguments={"q": done})).post()
                samples.append(time.perf_counter_ns() - start)
                done += 1
            found[f"call {mark}"] = statistics.median(samples[-window:]) / 1000
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
    """Reserve + post in memory (with stages, threads and bytes a call) and in SQLite."""
    from runguard_core.stores import MemoryStore, SqliteStore

    marks = [100, 5000, 50_000]
    sqlite = {
        name: hot_path.at_marks(settings, [100, 2000], store=f"sqlite:///{folder / name.replace(' ', '-')}.db")
        for name, settings in hot_path.SETTINGS.items()
    }
    return {
        "store alone, 1 hold": {"memory": store_alone(MemoryStore()), "sqlite": store_alone(SqliteStore(str(folder / "s.db")))},
        "memory": hot_path.measured(marks), "memory, tool calls": tool_calls([100, 2000]), "sqlite": sqlite,
    }  # fmt: skip


def turns() -> dict[str, float]:
    """Median microseconds of the model side's detectors, without the guard around them; the stopwatch itself is in it."""
    at, answer = datetime.now(UTC), Outcome(usage=Usage(input_tokens=100, output_tokens=50), tool_names=("search",))
    cheap = PriceBook().rates("gpt-4o-mini", "openai", at)
    cliff = dataclasses.replace(cheap, context_window_tokens=10**9, tiers=((10**8, cheap.base),))
    every = default_turn_detectors()
    fewer = tuple(one for one in every if one.rule != "same_answer")
    shapes = {
        "one agent": (3000, cheap, ("a",), every),
        "large prompts": (300_000, cliff, ("a",), every),
        "two agents": (3000, cheap, ("a", "b"), every),
        "one agent, without same_answer": (3000, cheap, ("a",), fewer),
        "talk": (0, cheap, ("a",), every),
        "talk, without same_answer": (0, cheap, ("a",), fewer),
    }
    found = {}
    for name, (chars, prices, agents, by) in shapes.items():
        run = RunTurns()
        watches = {agent: TurnWatch(by, run) for agent in agents}
        samples = []
        for index in range(50_000):
            agent = agents[index % len(agents)]
            parts = (
                PromptPart("system", 2000), PromptPart("user", 400), PromptPart("assistant", 90, 1 + index),
                PromptPart("tool:search", chars, 1 + index), PromptPart("tools", 3000, 4),
            )  # fmt: skip
            if not chars:
                parts = (parts[0], parts[1], PromptPart("assistant", 90 * index, index), parts[4])
                answer = dataclasses.replace(answer, tool_names=(), output_chars=90, output_text_hash=f"{index:032}")
            call = ModelCall(model="gpt-4o-mini", parts=parts, tool_count=4, after_tool=chars > 0)
            start = time.perf_counter_ns()
            turn = Turn(call, agent, at, chars // 4, 600, prices)
            watches[agent].before(turn)
            watches[agent].begin(turn)
            watches[agent].finish(turn, answer)
            samples.append(time.perf_counter_ns() - start)
        for mark in (100, 5000, 50_000):
            found[f"{name}, call {mark}"] = statistics.median(samples[mark - 100 : mark]) / 1000
    key = Fingerprint(b"key of the benchmark")
    for size in (100, 1000, 10_000):
        settled = dataclasses.replace(answer, output_text="x" * size)
        found[f"digest of an answer of {size} characters, and dropping it"] = best(lambda: _digested(settled, key))  # noqa: B023  at once
    return found


def _digested(settled: Outcome, key: Fingerprint) -> Outcome:
    """What the guard does with a text."""
    return dataclasses.replace(settled, output_text_hash=key.text(settled.output_text or ""), output_text=None)


def best(do: Callable[[], object], count: int = 2000) -> float:
    """Microseconds, the best of seven rows."""
    return min(timeit.repeat(do, number=count, repeat=7)) / count * 1e6


def detectors() -> dict[str, Any]:
    """Median microseconds of one tool call through all its detectors (before, begin, finish), and kilobytes kept at their bound."""
    import tracemalloc

    from runguard_core.detectors import Step, Watch, default_detectors, read_call, read_result

    key, found = Fingerprint(b"bench"), {}
    results = {"new calls": lambda i: f"page {i} of a long report", "one call, other results": lambda i: f"page {i} of a long report",
               "one call for ever, only observed": lambda _: "the very same page of a report"}  # fmt: skip
    for shape, result in results.items():
        watch, done = Watch(default_detectors()), 0
        for mark in (100, 5000, 50_000):
            samples = []
            while done < mark + 200:
                call = ToolCall(name="search", arguments={"q": done if shape == "new calls" else 0})
                signature, sketch = read_call(call, key, sketch=True)
                step, ending = Step("search", signature, sketch, turn=done), read_result("search", result(done), key)
                start = time.perf_counter_ns()
                watch.before(step)
                watch.begin(step)
                watch.finish(step, ending)
                samples.append(time.perf_counter_ns() - start)
                done += 1
            found[f"{shape}, call {mark}"] = round(statistics.median(samples[-200:]) / 1000, 2)
    tracemalloc.start()
    watch = Watch(default_detectors())
    for index in range(5000):
        call = ToolCall(name=f"tool {index}", arguments={"q": "word " * 300, "n": index})
        signature, sketch = read_call(call, key, sketch=True)
        step = Step(call.name, signature, sketch)
        watch.before(step)
        watch.begin(step)
        watch.finish(step, read_result(call.name, f"result {index}", key))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {**found, "kilobytes of one agent instance after 5,000 calls, all different": round(kept / 1000)}


def sizing() -> dict[str, float]:
    """Median microseconds of measuring a prompt."""
    found = {}
    for count in (10, 1000):
        messages = [HumanMessage("word " * 50) for _ in range(count)]
        first, again = [], []
        for _ in range(20):
            sizes = Messages(as_mapping)
            start = time.perf_counter_ns()
            for message in messages:
                sizes.measure(message, {})
            middle = time.perf_counter_ns()
            for message in messages:
                sizes.measure(message, {})
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


def in_blocks(call: Any, settings: dict[str, tuple[Any, Any]], rounds: int = 30, block: int = 40) -> dict[str, float]:
    """Median microseconds of a call under each setting (enter, leave), in short interleaved blocks."""
    samples: dict[str, list[int]] = {name: [] for name in settings}
    for _ in range(rounds):
        for name, (enter, leave) in settings.items():
            held = enter()
            for _ in range(block):
                start = time.perf_counter_ns()
                call()
                samples[name].append(time.perf_counter_ns() - start)
            leave(held)
    return {name: statistics.median(values) / 1000 for name, values in samples.items()}


def litellm_calls() -> dict[str, float]:
    """Median microseconds of `litellm.completion` with a mock answer: bare, with a logger that does nothing, with RunGuard's."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm
    from litellm.integrations.custom_logger import CustomLogger

    import runguard_litellm

    guard = Guard(app="ll", store="memory://", budgets=FIVE)
    request = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}], "mock_response": "ok"}

    def reset(_: Any) -> None:
        litellm.logging_callback_manager._reset_all_callbacks()

    def logger() -> None:
        litellm.callbacks = [CustomLogger()]

    found = in_blocks(
        lambda: litellm.completion(litellm_session_id="bench", **request),
        {
            "none": (lambda: None, reset), "no-op": (logger, reset),
            "runguard": (lambda: runguard_litellm.install(guard), lambda held: (runguard_litellm.uninstall(), reset(held))),
        },
    )  # fmt: skip
    guard.close()
    return {**found, "runguard over no-op": found["runguard"] / found["no-op"]}


def llama_index_calls() -> dict[str, float]:
    """Median microseconds of `MockLLM.complete`: bare, with LlamaIndex's own token counter, with RunGuard."""
    from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
    from llama_index.core.instrumentation.dispatcher import instrument_tags
    from llama_index.core.llms import MockLLM

    import runguard_llama_index

    same = PriceBook({"MockLLM": PriceOverride(same_as="gpt-4o-mini")})
    guard = Guard(app="li", store="memory://", budgets=FIVE, prices=same)
    model = MockLLM(max_tokens=5)

    def counter() -> None:
        model.callback_manager = CallbackManager([TokenCountingHandler(tokenizer=str.split)])

    def bare(_: Any = None) -> None:
        model.callback_manager = CallbackManager()

    with instrument_tags({"runguard_session": "bench"}):
        found = in_blocks(
            lambda: model.complete("hi"),
            {
                "none": (bare, bare), "token counter": (counter, bare),
                "runguard": (lambda: runguard_llama_index.install(guard), lambda _: runguard_llama_index.uninstall()),
            },
        )  # fmt: skip
    guard.close()
    return {**found, "runguard over token counter": found["runguard"] / found["token counter"]}


def processor_seconds() -> float:
    """What finished children have used: a busy machine makes them wait, not work."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def importing() -> dict[str, Any]:
    """Median milliseconds of processor time of a whole interpreter, bare, with the standard modules we need, and with the core."""
    needed = (
        "dataclasses, enum, json, sqlite3, threading, asyncio, decimal, re, hmac, hashlib, importlib.metadata, zoneinfo, tomllib"
    )
    programs = {"bare": "pass", "stdlib it needs": f"import {needed}", "runguard_core": "import runguard_core"}
    samples: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(15):
        for name, program in programs.items():
            before = processor_seconds()
            subprocess.run([sys.executable, "-I", "-c", program], check=True)
            samples[name].append((processor_seconds() - before) * 1000)
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
            "reserve + post, us": guards(Path(folder)), "turns, us": turns(), "tool-call detectors, us": detectors(),
            "sizing, us": sizing(), "langchain invoke, us": langchain(),
            "litellm completion, us": litellm_calls(), "llamaindex complete, us": llama_index_calls(), "import, ms": importing(),
        }  # fmt: skip
    if as_json:
        print(json.dumps(result, indent=1))
    else:
        hot_path.show(hot_path.flat(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
