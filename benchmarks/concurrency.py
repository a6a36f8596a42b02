"""Fifty attempts at once against a cap of ten calls, over real HTTP, in every way a program may make them.

Per cell: requests that reached the server, what the server would bill, what the ledger says, share of the cap used, and
how much of it was used or held at the first refusal. The server draws the length of its answers; the guard does not
know it beforehand. `bound` cells must send floor(cap / quote) requests and stay within the cap; `expected` cells may pass
it by what calls in flight cost above their quotes (stated). Every cell: the ledger equals the server. Exit status 1
when a cell fails; a cell that sends nothing fails.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import logging
import multiprocessing
import os
import random
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from runguard_core import Budget, CallFilter, Guard, ModelCall, Outcome, PromptPart, StoppedError, Usage
from runguard_core import events as ev
from runguard_core.prices import PriceBook, PriceOverride, quote_bound, quote_expected
from runguard_core.testing import FakeProvider, Reply, Request
from runguard_langchain import RunGuardCallbackHandler, guard_model

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # LiteLLM would ask the network for prices
ATTEMPTS, CAP_CALLS = 50, 10
MODEL = "bench-model"
#: A model that LlamaIndex believes can call tools; priced the same.
TOOL_MODEL = "gpt-4o-mini"
#: One dollar per thousand tokens of the kind that costs.
RATE = 10**9 * 10**3
PROMPT = "word " * 800
MAX_TOKENS = 400


@dataclass(frozen=True)
class Cell:
    """One way of calling, one kind of quote, with or without max_tokens, cost in the prompt or in the output."""

    way: str
    quote: str
    max_tokens: bool
    cost_in: str


def prices(cost_in: str) -> PriceBook:
    """All the cost on one side."""
    table = {"input": RATE if cost_in == "prompt" else 0, "output": RATE if cost_in == "output" else 0}
    return PriceBook({name: PriceOverride(nanos_per_mtok=table) for name in (MODEL, f"openai/{TOOL_MODEL}", f"openai/{MODEL}")})


def drawn(seed: int, delay_seconds: float) -> Callable[[Request], Reply]:
    """Answers of 40 to 400 tokens, prompts near a quarter of their characters: unseen by the guard."""
    dice, lock = random.Random(seed), threading.Lock()

    def reply(_: Request) -> Reply:
        with lock:
            length, prompt = dice.randint(40, 400), dice.randint(900, 1050)
        return Reply(text="x" * 40, output_tokens=length, input_tokens=prompt, delay_seconds=delay_seconds)

    return reply


def a_call(cell: Cell) -> ModelCall:
    """What plain callers reserve."""
    return ModelCall(
        model=MODEL, parts=(PromptPart("user", len(PROMPT)),), input_bytes=len(PROMPT),
        max_output_tokens=MAX_TOKENS if cell.max_tokens else None, can_cap_output=not cell.max_tokens,
    )  # fmt: skip


def quote_of(cell: Cell, guard: Guard) -> int:
    """What one call sets aside before anything is learned, in nano-USD."""
    learned = guard._engine.learned
    rates = guard.rules.prices.rates(MODEL, None, guard._engine.clock.now())
    if cell.quote == "bound":
        return quote_bound(a_call(cell), rates, learned.lesson("", MODEL).output_tokens).nanos or 0
    return quote_expected(a_call(cell), rates, learned.lesson("", MODEL)).nanos or 0


def body_of(limit: int | None) -> dict[str, Any]:
    """A chat request."""
    found: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": PROMPT}]}
    return found | ({"max_tokens": limit} if limit else {})


def usage_of(answer: dict[str, Any]) -> Usage:
    """What the answer reports."""
    return Usage(input_tokens=answer["usage"]["prompt_tokens"], output_tokens=answer["usage"]["completion_tokens"])


def plain(guard: Guard, cell: Cell, url: str) -> bool:
    """One attempt without a framework."""
    try:
        held = guard.reserve(a_call(cell))
    except StoppedError:
        return False
    limit = MAX_TOKENS if cell.max_tokens else held.max_output_tokens
    answer = httpx.post(f"{url}/chat/completions", json=body_of(limit), timeout=60).json()
    held.settle(Outcome(usage=usage_of(answer)))
    return True


def chat(guard: Guard, cell: Cell, url: str) -> Any:
    """A real ChatOpenAI under guard."""
    from langchain_openai import ChatOpenAI

    limit = {"max_tokens": MAX_TOKENS} if cell.max_tokens else {}
    model = ChatOpenAI(model=MODEL, base_url=url, api_key="test", max_retries=0, **limit)  # type: ignore[arg-type]
    return guard_model(model, guard) if cell.quote == "bound" and not cell.max_tokens else model


def in_threads(attempt: Callable[[], bool], *, copied: bool = False) -> None:
    """All at once."""
    barrier = threading.Barrier(ATTEMPTS)

    def one() -> bool:
        barrier.wait()
        return attempt()

    with ThreadPoolExecutor(ATTEMPTS) as pool:
        futures = [pool.submit(copy_context().run, one) if copied else pool.submit(one) for _ in range(ATTEMPTS)]
        for future in futures:
            future.result()


#: Answers take long enough for all attempts to be made before the first call settles and frees what it did not use; frameworks
#: that start slowly, on a machine with other work, need the most.
DELAY_SECONDS = {"threads": 0.5, "copied context": 0.5, "asyncio": 0.5}
_SLOW_START_SECONDS = 2.0


def run_threads(guard: Guard, cell: Cell, url: str) -> None:
    """Plain threads."""
    in_threads(lambda: plain(guard, cell, url))


def run_copied(guard: Guard, cell: Cell, url: str) -> None:
    """Threads with copied context, inside a session."""
    with guard.session("bench"):
        in_threads(lambda: plain(guard, cell, url), copied=True)


def run_asyncio(guard: Guard, cell: Cell, url: str) -> None:
    """Tasks of one loop."""

    async def attempt(client: httpx.AsyncClient) -> None:
        try:
            held = guard.reserve(a_call(cell))
        except StoppedError:
            return
        limit = MAX_TOKENS if cell.max_tokens else held.max_output_tokens
        answer = (await client.post(f"{url}/chat/completions", json=body_of(limit))).json()
        held.settle(Outcome(usage=usage_of(answer)))

    async def everyone() -> None:
        async with httpx.AsyncClient(timeout=60) as client:
            await asyncio.gather(*(attempt(client) for _ in range(ATTEMPTS)))

    asyncio.run(everyone())


def passes(call: Callable[[], Any]) -> bool:
    """Whether a call was let through."""
    try:
        call()
    except StoppedError:
        return False
    return True


def gather(make: Callable[[], Any]) -> None:
    """All attempts as tasks of one loop."""

    async def everyone() -> None:
        await asyncio.gather(*(make() for _ in range(ATTEMPTS)), return_exceptions=True)

    asyncio.run(everyone())


@contextmanager
def hooked(adapter: str, guard: Guard) -> Iterator[None]:
    """The guard installed by one adapter, for a while."""
    module = importlib.import_module(adapter)
    module.install(guard)
    try:
        yield
    finally:
        module.uninstall()


def run_langchain(guard: Guard, cell: Cell, url: str) -> None:
    """LangChain `invoke` in threads."""
    model, handler = chat(guard, cell, url), RunGuardCallbackHandler(guard)
    in_threads(lambda: passes(lambda: model.invoke(PROMPT, config={"callbacks": [handler]})))


def run_langchain_async(guard: Guard, cell: Cell, url: str) -> None:
    """LangChain `ainvoke`, gathered."""
    model, handler = chat(guard, cell, url), RunGuardCallbackHandler(guard)
    gather(lambda: model.ainvoke(PROMPT, config={"callbacks": [handler]}))


def litellm_request(cell: Cell, url: str) -> dict[str, Any]:
    """Arguments of LiteLLM's calls."""
    limit = {"max_tokens": MAX_TOKENS} if cell.max_tokens else {}
    given = {"model": f"openai/{MODEL}", "api_base": url, "api_key": "test", "max_retries": 0, **limit}
    return {**given, "messages": [{"role": "user", "content": PROMPT}]}


def run_litellm(guard: Guard, cell: Cell, url: str) -> None:
    """LiteLLM `completion` in threads."""
    import litellm

    with hooked("runguard_litellm", guard):
        in_threads(lambda: passes(lambda: litellm.completion(**litellm_request(cell, url))))


def run_litellm_async(guard: Guard, cell: Cell, url: str) -> None:
    """LiteLLM `acompletion`, gathered."""
    import litellm

    with hooked("runguard_litellm", guard):
        gather(lambda: litellm.acompletion(**litellm_request(cell, url)))


def run_litellm_router(guard: Guard, cell: Cell, url: str) -> None:
    """LiteLLM `Router`, with retries and a fallback, gathered."""
    import litellm

    given = litellm_request(cell, url)
    messages = given.pop("messages")
    models = [{"model_name": name, "litellm_params": given} for name in ("chat", "other")]
    router = litellm.Router(models, num_retries=2, fallbacks=[{"chat": ["other"]}])  # type: ignore[arg-type]
    with hooked("runguard_litellm", guard):
        gather(lambda: router.acompletion(model="chat", messages=messages))


def llama_model(cell: Cell, url: str, model: str = MODEL) -> Any:
    """LlamaIndex's model over LiteLLM, whose own adapter is not installed."""
    from llama_index.llms.litellm import LiteLLM

    limit = {"max_tokens": MAX_TOKENS} if cell.max_tokens else {}
    return LiteLLM(model=f"openai/{model}", api_base=url, api_key="test", max_retries=0, **limit)


def run_llama_index(guard: Guard, cell: Cell, url: str) -> None:
    """LlamaIndex `chat` in threads."""
    from llama_index.core.llms import ChatMessage

    model = llama_model(cell, url)
    with hooked("runguard_llama_index", guard):
        in_threads(lambda: passes(lambda: model.chat([ChatMessage(PROMPT)])))


def run_llama_index_async(guard: Guard, cell: Cell, url: str) -> None:
    """LlamaIndex `achat`, gathered."""
    from llama_index.core.llms import ChatMessage

    model = llama_model(cell, url)
    with hooked("runguard_llama_index", guard):
        gather(lambda: model.achat([ChatMessage(PROMPT)]))


def run_function_agent(guard: Guard, cell: Cell, url: str) -> None:
    """LlamaIndex `FunctionAgent`, which streams, gathered."""
    from llama_index.core.agent.workflow import FunctionAgent

    model = llama_model(cell, url, TOOL_MODEL)

    async def attempt() -> Any:
        return await FunctionAgent(tools=[], llm=model, name="bench").run(PROMPT)

    with hooked("runguard_llama_index", guard):
        gather(attempt)


def _process(cell: Cell, url: str, store: str, limit: str, start: Any, share: int) -> None:
    guard = Guard(app="bench", store=store, budgets=[Budget(limit)], prices=prices(cell.cost_in), quote=cell.quote)
    start.wait()
    with ThreadPoolExecutor(share) as pool:
        list(pool.map(lambda _: plain(guard, cell, url), range(share)))
    guard.close()


def run_processes(guard: Guard, cell: Cell, url: str) -> None:
    """Eight processes on one SQLite file."""
    spawn = multiprocessing.get_context("spawn")
    start = spawn.Barrier(8)
    limit = str(guard.rules.budgets[0].limit)
    shares = [ATTEMPTS // 8 + (i < ATTEMPTS % 8) for i in range(8)]
    workers = [spawn.Process(target=_process, args=(cell, url, guard.store.url, limit, start, n)) for n in shares]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


WAYS = {
    "threads": run_threads, "copied context": run_copied, "asyncio": run_asyncio, "langchain invoke": run_langchain,
    "langchain ainvoke": run_langchain_async, "litellm threads": run_litellm, "litellm async": run_litellm_async,
    "litellm router": run_litellm_router, "llamaindex threads": run_llama_index, "llamaindex async": run_llama_index_async,
    "function agent": run_function_agent, "8 processes": run_processes,
}  # fmt: skip


def measure(cell: Cell, folder: Path, seed: int) -> dict[str, Any]:
    """Run one cell."""
    with FakeProvider(drawn(seed, DELAY_SECONDS.get(cell.way, _SLOW_START_SECONDS))) as provider:
        store = f"sqlite:///{folder / f'{seed}.db'}" if cell.way == "8 processes" else "memory://"
        book = prices(cell.cost_in)
        scout = Guard(app="bench", store="memory://", prices=book, quote=cell.quote)
        cap = CAP_CALLS * quote_of(cell, scout)
        guard = Guard(app="bench", store=store, budgets=[Budget(f"{cap / 10**9:.9f} USD")], prices=book, quote=cell.quote)
        WAYS[cell.way](guard, cell, provider.openai_url)
        guard.flush()
        rates = book.rates(MODEL, None, guard._engine.clock.now())
        served = provider.requests
        billed = sum(rates.charge(Usage(input_tokens=r.input_tokens, output_tokens=r.output_tokens)) for r in served)
        calls = guard.store.calls(CallFilter())
        ledger = sum(call.cost_nanos for call in calls)
        refusals = [e for e in guard.store.events() if e.kind == ev.CALL_REFUSED]
        first = refusals[0].facts if refusals else None
        used_first = (float(first["posted"]) + float(first["pending"])) * 10**9 / cap if first else 1.0
        quotes = sum(call.quote_nanos or 0 for call in calls)
        overrun = sum(max(0, call.cost_nanos - (call.quote_nanos or 0)) for call in calls)
        clean = guard.store.verify() == ()
        guard.close()
    result = {
        "way": cell.way, "quote": cell.quote, "max_tokens": cell.max_tokens, "cost_in": cell.cost_in, "sent": len(served),
        "cap_usd": cap / 1e9, "server_usd": billed / 1e9, "ledger_usd": ledger / 1e9, "share_of_cap": round(billed / cap, 3),
        "used_or_held_at_first_refusal": round(used_first, 3), "overrun_usd": round(overrun / 1e9, 9),
        "quoted_usd": quotes / 1e9,
    }  # fmt: skip
    result["ok"] = verdict(cell, result, cap=cap, billed=billed, ledger=ledger, clean=clean, overrun=overrun)
    return result


def verdict(cell: Cell, row: dict[str, Any], *, cap: int, billed: int, ledger: int, clean: bool, overrun: int) -> bool:
    """What must hold in a cell."""
    equal = billed == ledger and clean and row["sent"] > 0
    if cell.quote == "bound":
        return equal and billed <= cap and row["sent"] == CAP_CALLS and overrun == 0
    return equal and billed <= cap + overrun and row["used_or_held_at_first_refusal"] >= 0.9


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--ways", nargs="*", default=list(WAYS), help="only these")
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    cells = [
        Cell(way, quote, limited, cost)
        for way in args.ways
        for quote in ("bound", "expected")
        for limited in (True, False)
        for cost in ("prompt", "output")
    ]
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(cell, Path(folder), seed) for seed, cell in enumerate(cells)]
    if args.json:
        print(json.dumps({"attempts": ATTEMPTS, "cap_calls": CAP_CALLS, "cells": rows}, indent=1))
    else:
        for row in rows:
            print("ok  " if row["ok"] else "FAIL", {key: value for key, value in row.items() if key != "ok"})
    return 0 if all(row["ok"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
