"""Plays recorded runs through a guard as if their calls were made now, and keeps what the guard says of each."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any

from runguard_core import Guard, ModelCall, Outcome, OutcomeKind, PromptPart, ToolCall, TrippedError, Usage
from runguard_core.events import CALL_UNPRICED, WARN
from runguard_core.replay import parse_run
from runguard_core.replay._calling import asked_tools
from tests.guard.clock import FakeClock

Recorded = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """A verdict: of which event, by which rule, in which words; a stop means that the event's call was refused."""

    index: int
    rule: str
    stops: bool
    evidence: str


class Player:
    """Runs of one session, one after the other, up to the first stop of each."""

    def __init__(self, make: Callable[..., Guard], first: Recorded) -> None:
        """A guard whose clock shows the recording's time."""
        self.clock = FakeClock(datetime.fromisoformat(first["events"][0]["ts"]))
        self.guard, self._heard = make(clock=self.clock), 0

    def play(self, run: Recorded) -> list[Said]:
        """What was said of one run, in the order in which it was said."""
        said: list[Said] = []
        self._open, order, failed = list[Any](), count(), dict[Any, str]()
        self._asked = asked_tools(parse_run(run, "session").events)
        with self.guard.session(run.get("session", run["run_id"])) as session:
            for event in (event for event in run["events"] if event["kind"] != "user"):
                owner = {"agent": event["agent"], "instance": event.get("instance")}
                turn = (*owner.values(), event["step"])
                said += self._until(datetime.fromisoformat(event["ts"]))
                try:
                    reserved = session.reserve(call_of(event, run["events"], failed.get(turn)), **owner)
                except TrippedError as stop:
                    said += [*self._warnings(event["i"]), Said(event["i"], stop.rule, stops=True, evidence=stop.verdict)]
                    break
                said += self._warnings(event["i"])
                if event["kind"] == "llm" and "error" in event:
                    failed[turn] = reserved.call_id
                heapq.heappush(self._open, (datetime.fromisoformat(event["end_ts"]), next(order), reserved, event))
            return said + self._until(None)

    def _until(self, now: datetime | None) -> list[Said]:
        """Calls that have ended by then are settled, at their time."""
        said: list[Said] = []
        while self._open and (now is None or self._open[0][0] <= now):
            end, _, reserved, event = heapq.heappop(self._open)
            self._go(end)
            reserved.settle(outcome(self.guard, event, self._asked[event["i"]]))
            said += self._warnings(event["i"])
        self._go(now or self.clock.wall)
        return said

    def _go(self, at: datetime) -> None:
        self.clock.advance(seconds=max((at - self.clock.wall).total_seconds(), 0))

    def _warnings(self, index: int) -> list[Said]:
        events = self.guard.store.events()
        new, self._heard = events[self._heard :], len(events)
        kept = [event for event in new if event.severity == WARN and event.kind != CALL_UNPRICED and "rule" in event.facts]
        return [Said(index, event.facts["rule"], stops=False, evidence=event.message) for event in kept]


def call_of(event: Recorded, events: Sequence[Recorded], retry_of: str | None) -> ModelCall | ToolCall:
    """A tool's call, or a model's with its prompt by origin: after a tool when the agent's last event before it was one."""
    if event["kind"] == "tool":
        return ToolCall(name=event["name"], arguments=event["args"])
    parts = tuple(PromptPart(**part) for part in event["parts"])
    me = event["agent"], event.get("instance")
    own = [one for one in events[: event["i"]] if one["kind"] == "user" or (one["agent"], one.get("instance")) == me]
    done = [one["kind"] for one in own if one["kind"] == "tool" or "error" not in one]
    return ModelCall(model=event["model"], parts=parts, after_tool=done[-1:] == ["tool"], tool_count=8, retry_of=retry_of)


def outcome(guard: Guard, event: Recorded, asked: tuple[str, ...] = ()) -> Outcome:
    """How the recording says it ended; `asked`: the tools that a model's answer asks for."""
    if event["kind"] == "tool":
        if "error" in event:
            return Outcome(kind=OutcomeKind.FAILED, error=event["error"])
        return Outcome(result=event["result"]) if "result" in event else Outcome(kind=OutcomeKind.UNKNOWN)
    if "error" in event:
        return Outcome(kind=OutcomeKind.FAILED, billed=False, error=event["text"], error_status=event["error"])
    sent, made, cached = event["input_tokens"], event["output_tokens"], event["cached_tokens"]
    usage = Usage(input_tokens=sent, output_tokens=made, cache_read_input_tokens=cached)
    told = guard.fingerprint(event["text"]) if event["text"] else None  # an answer that only asks for tools says nothing
    return Outcome(usage=usage, output_chars=event["text_len"], tool_names=asked, output_text_hash=told)
