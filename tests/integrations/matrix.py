"""Every way of calling, times usage, times how the call ends, times what it is part of: generated, so that no cell is forgotten.

A framework's test supplies `Asks`, one question in its own idiom; what is played and what must hold is the same for all.

The forms that an ending takes where the word alone says nothing: a *cancelled* synchronous call is one whose client's timeout
ends it; an *abandoned* whole answer is one nobody waits for, which comes all the same.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterator
from contextvars import copy_context
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import pytest

from runguard_core import CallFilter, Guard, StoppedError, ToolCall, Usage
from runguard_core.testing import FakeProvider, Reply, Request, ToolUse

MODES = ("sync", "async", "stream", "async stream")
USAGE = ("usage", "no usage")
ENDINGS = ("completed", "4xx", "429", "5xx with retry", "cancelled", "abandoned", "cut")
PLACES = ("tool loop", "nested agent", "fallback model")
CELLS = list(itertools.product(MODES, USAGE, ENDINGS, PLACES))
TOOL = {
    "type": "function",
    "function": {
        "name": "lookup",
        "description": "looks up",
        "parameters": {"type": "object", "properties": {"q": {"type": "string"}}},
    },
}
USER = {"role": "user", "content": "what is it?"}
MODELS = ("gpt-4o-mini", "gpt-4o")
TIMEOUT_SECONDS = 0.25


class Asks(Protocol):
    """One question through a framework: returns once the answer is there, or raises what the framework raises."""

    def sync(
        self, url: str, model: str, messages: list[dict[str, Any]], *, seconds: float | None, is_stream: bool, pieces: int
    ) -> None:
        """Synchronously; a stream is read to its end, or `pieces` of it, if that is not 0, and then let go."""

    async def asynchronous(
        self, url: str, model: str, messages: list[dict[str, Any]], *, seconds: float | None, is_stream: bool, pieces: int
    ) -> None:
        """The same, asynchronously."""


@dataclass
class Cell:
    """One cell being played."""

    asks: Asks
    guard: Guard
    provider: FakeProvider
    mode: str
    ending: str
    gate: threading.Event
    loop: asyncio.Runner

    @property
    def is_stream(self) -> bool:
        """Whether answers come in pieces."""
        return "stream" in self.mode

    def ask(self, messages: list[dict[str, Any]], model: str = MODELS[0], *, ending: str = "completed") -> None:
        """One question with an ending, in the cell's mode."""
        pieces = 1 if ending == "abandoned" and self.is_stream else 0
        timeout = TIMEOUT_SECONDS if ending == "cancelled" and "async" not in self.mode else None
        given: dict[str, Any] = {"seconds": timeout, "is_stream": self.is_stream, "pieces": pieces}
        where = (self.provider.openai_url, model, messages)
        if "async" in self.mode:
            self.loop.run(self._asynchronously(self.asks.asynchronous(*where, **given), ending), context=copy_context())
        elif ending == "abandoned" and not self.is_stream:
            self._unwaited(lambda: self.asks.sync(*where, **given))
        else:
            self.asks.sync(*where, **given)

    def _unwaited(self, ask: Callable[[], None]) -> None:
        thread = threading.Thread(target=copy_context().run, args=(ask,))
        seen = self.provider.request_count
        thread.start()
        self.provider.wait_for(seen + 1)
        self.gate.set()
        thread.join(20)

    async def _asynchronously(self, question: Any, ending: str) -> None:
        if ending not in {"cancelled", "abandoned"} or (ending == "abandoned" and self.is_stream):
            await question
        else:
            seen = self.provider.request_count
            task = asyncio.create_task(question)
            await asyncio.to_thread(self.provider.wait_for, seen + 1)
            if ending == "cancelled":
                task.cancel()
            else:
                self.gate.set()
            await task


def reply_of(cell_usage: str, ending: str, gate: threading.Event, *, is_stream: bool) -> Reply:
    """What the provider answers to the question that ends so."""
    facts: dict[str, Any] = {
        "input_tokens": 100,
        "output_tokens": 20,
        "cached_tokens": 40,
        "reasoning_tokens": 5,
        "text": "word " * 12,
    }
    facts["usage"] = cell_usage == "usage"
    if ending in {"4xx", "429", "5xx with retry"}:
        return Reply(status={"4xx": 400, "429": 429, "5xx with retry": 500}[ending])
    if ending == "cut":
        return Reply(cut_after_chunks=2 if is_stream else 0, **facts)
    if ending == "cancelled" or (ending == "abandoned" and not is_stream):
        return Reply(gate=gate, gate_after_chunks=2 if is_stream else 0, **facts)
    return Reply(**facts)


def play(asks: Asks, guard: Guard, mode: str, usage: str, ending: str, place: str) -> None:
    """Play one cell and check it."""
    gate = threading.Event()
    played = reply_of(usage, ending, gate, is_stream="stream" in mode)
    fine = reply_of(usage, "completed", gate, is_stream=False)
    asking = Reply(tool_calls=(ToolUse("lookup", {"q": "x"}),), **{name: getattr(fine, name) for name in _FACTS})
    before = [] if place == "fallback model" else [asking]
    script = iter([*before, played])

    def serve(_: Request) -> Reply:
        return next(script, fine)

    with FakeProvider(serve) as provider, asyncio.Runner() as loop:
        cell = Cell(asks, guard, provider, mode, ending, gate, loop)
        with guard.session(f"{mode} {usage} {ending} {place}", agent="outer"):
            PLAYS[place](cell)
        gate.set()
        guard.flush()
        _check(cell, provider.requests)
        _check_stop(cell)


_FACTS = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "usage")


def ended(cell: Cell, messages: list[dict[str, Any]]) -> bool:
    """Ask the question with the cell's ending; whether an answer came. A 5xx is tried again."""
    for _ in range(2):
        try:
            cell.ask(messages, ending=cell.ending)
        except StoppedError:
            raise
        except (Exception, asyncio.CancelledError):  # noqa: BLE001  whatever the framework makes of it
            if cell.ending != "5xx with retry":
                return False
        else:
            return True
    return False


def _with_result(text: str) -> list[dict[str, Any]]:
    call = {"id": "call_0_0", "type": "function", "function": {"name": "lookup", "arguments": '{"q": "x"}'}}
    return [
        USER,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_0_0", "content": text},
    ]


def _tool_loop(cell: Cell) -> None:
    cell.ask([USER])
    with cell.guard.reserve(ToolCall(name="lookup", arguments={"q": "x"})):
        pass
    ended(cell, _with_result("found"))


def _nested_agent(cell: Cell) -> None:
    cell.ask([USER])
    with cell.guard.reserve(ToolCall(name="lookup", arguments={"q": "x"}), cell.guard.attribution(agent="outer"), by="test"):
        ended(cell, [USER])
    cell.ask(_with_result("found"))


def _fallback_model(cell: Cell) -> None:
    if not ended(cell, [USER]):
        cell.ask([USER], MODELS[1])


PLAYS: dict[str, Callable[[Cell], None]] = {
    "tool loop": _tool_loop, "nested agent": _nested_agent, "fallback model": _fallback_model,
}  # fmt: skip


def _check(cell: Cell, requests: tuple[Request, ...]) -> None:
    """Requests, entries, tokens by class and cost agree."""
    calls = [call for call in cell.guard.store.calls(CallFilter()) if call.kind == "model"]
    assert len(requests) == len(calls), "requests and entries"
    states = sorted(call.state.value for call in calls)
    failed = sum(request.reply.status >= 400 for request in requests)
    assert states == ["posted"] * (len(calls) - failed) + ["voided"] * failed
    exact = [
        c.settlement for c in calls if c.settlement and c.settlement.certainty.value == "exact" and c.state.value == "posted"
    ]
    whole = [r for r in requests if r.reply.status < 400 and r.reply.usage and not _is_broken(cell, r)]
    assert len(exact) == len(whole), "what was reported in full is exact, everything else an estimate"
    for one in exact:
        assert one.usage == Usage(input_tokens=100, output_tokens=20, cache_read_input_tokens=40, reasoning_output_tokens=5)
    rates = {name: cell.guard.rules.prices.rates(name, "openai", datetime.now(UTC)) for name in MODELS}
    charged = sum(one.cost_nanos or 0 for one in exact)
    spoken = Usage(input_tokens=100, output_tokens=20, cache_read_input_tokens=40, reasoning_output_tokens=5)
    assert charged == sum(rates[str(r.body["model"])].charge(spoken) for r in whole)
    assert all(call.cost_nanos > 0 for call in calls if call.state.value == "posted"), "unknown is not free"


def _is_broken(cell: Cell, request: Request) -> bool:
    reply = request.reply
    if reply.cut_after_chunks is not None or (reply.gate is not None and cell.ending == "cancelled"):
        return True
    return cell.ending == "abandoned" and cell.is_stream and reply.tool_calls == () and request.index == _abandoned_at(cell)


def _abandoned_at(cell: Cell) -> int:
    return 0 if cell.provider.requests[0].reply.tool_calls == () else 1


def _check_stop(cell: Cell) -> None:
    """After a stop nothing is sent, and the stop arrives."""
    cell.guard.kill("app", reason="the test says so")
    seen = cell.provider.request_count
    with pytest.raises(StoppedError):
        cell.ask([USER])
    assert cell.provider.request_count == seen


def ids(cells: list[tuple[str, ...]]) -> Iterator[str]:
    """Names of cells."""
    return (" / ".join(cell) for cell in cells)
