"""Writes a hand-made session down in the format of a recorded one: digests, sizes, tokens and time stamps follow from the texts."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from typing import Any

#: Texts up to so many characters are kept whole; of longer ones the head, as in recordings of others.
WHOLE_CHARS, HEAD_CHARS = 1500, 240
START = datetime(2026, 11, 2, 9, tzinfo=UTC)
_WORDS = (
    "account region order ledger margin supplier index schema quarter invoice policy release cluster shard latency token "
    "batch customer contract renewal forecast variance segment retention pipeline summary figure table appendix risk audit "
    "control metric baseline warehouse delivery return refund stock price currency rate approval owner team queue worker"
).split()


def digest(value: Any) -> str:
    """First 12 digits of the SHA-1 of a text, or of any other value's JSON with sorted keys."""
    return sha1((value if isinstance(value, str) else json.dumps(value, sort_keys=True)).encode()).hexdigest()[:12]


def size(value: Any) -> int:
    """Characters of what `digest` reads."""
    return len(value if isinstance(value, str) else json.dumps(value, sort_keys=True))


def prose(seed: object, chars: int) -> str:
    """A document that says nothing, the same for the same seed."""
    dice = random.Random(str(seed))
    words: list[str] = []
    length = 0
    while length <= chars:
        words.append(dice.choice(_WORDS))
        length += len(words[-1]) + 1
    return " ".join(words)[:chars]


@dataclass(frozen=True)
class Did:
    """A tool call: without result and error nobody reported how it ended."""

    name: str
    args: Any
    result: Any = None
    error: str | None = None
    seconds: float = 0.4


@dataclass
class Transcript:
    """What one agent's next prompt holds: characters and messages by origin."""

    parts: dict[str, list[int]] = field(default_factory=dict)
    last_input_tokens: int = 0

    def add(self, origin: str, chars: int, messages: int = 1) -> None:
        """Another message."""
        had = self.parts.setdefault(origin, [0, 0])
        had[0] += chars
        had[1] += messages

    @property
    def tokens(self) -> int:
        """Four characters a token, four tokens of framing a message."""
        return sum(chars // 4 + 4 * messages for chars, messages in self.parts.values())


class Session:
    """One run in the making. An agent of which several instances run is named "agent#instance"."""

    def __init__(self, model: str, agent: str, system: int, start: datetime) -> None:
        """The agent, what it runs on, and the size of its system prompt with the tools' schemas, in characters."""
        self.model, self.agent, self.system_chars, self.at = model, agent, system, start
        self.events: list[dict[str, Any]] = []
        self.marks: dict[str, int] = {}
        self.turn_count, self._in_turn = 0, False
        self._transcripts: dict[str, Transcript] = {}

    # -- marks ------------------------------------------------------------------------------------------------------

    @property
    def here(self) -> int:
        """Index of the next event."""
        return len(self.events)

    def mark(self, name: str, *, model: bool = False) -> None:
        """Name the next turn's first tool call (with `model` its model call) "not_before" or "by_index"."""
        self.marks[name] = self.here + (0 if model else 1)

    # -- events -----------------------------------------------------------------------------------------------------

    def transcript(self, agent: str | None = None) -> Transcript:
        """What that agent's next prompt holds."""
        agent = agent or self.agent
        found = self._transcripts.get(agent)
        if found is None:
            found = self._transcripts[agent] = Transcript()
            found.add("system", self.system_chars)
        return found

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.at += timedelta(seconds=seconds)

    def user(self, text: str, agent: str | None = None) -> None:
        """A person, or whoever stands in for one, says something."""
        self.transcript(agent).add("user", len(text))
        self._write("user", "user", text=text)

    def turn(self, text: str, *calls: Did, agent: str | None = None, model: str | None = None, together: bool = False) -> None:
        """The model answers and asks for tools, which run one after the other or all at once."""
        agent, script = agent or self.agent, self.transcript(agent)
        if not self._in_turn:
            self.turn_count += 1
        self._in_turn = False
        out = 12 + size(text) // 4 + sum(18 + size(call.args) // 4 for call in calls)
        asked = script.tokens
        cached = script.last_input_tokens // 128 * 128 if 1024 <= script.last_input_tokens <= asked else 0
        script.last_input_tokens = asked
        seconds = round(0.7 + out * 0.014, 3)
        event = self._write(
            "llm", agent, model=model or self.model, **_kept("text", text), input_tokens=asked, output_tokens=out,
            cached_tokens=cached, parts=_copied(script), step=self.turn_count,
        )  # fmt: skip
        self.wait(seconds)
        event["end_ts"] = stamp(self.at)
        script.add("assistant", size(text) + sum(size(call.args) + 40 for call in calls))
        if together:
            self._at_once(calls, agent, script)
        else:
            for call in calls:
                self.tool(call, agent, script)
                self.wait(call.seconds + 0.05)

    def refused(self, status: int, body: str, *, agent: str | None = None, model: str | None = None, seconds: float = 0.3) -> None:
        """The provider answers a model call with an error; the next attempt belongs to the same turn."""
        agent = agent or self.agent
        if not self._in_turn:
            self.turn_count += 1
        self._in_turn = True
        event = self._write(
            "llm", agent, model=model or self.model, error=status, **_kept("text", body),
            parts=_copied(self.transcript(agent)), step=self.turn_count,
        )  # fmt: skip
        self.wait(seconds)
        event["end_ts"] = stamp(self.at)

    def given_up(self) -> None:
        """The turn is over although no attempt succeeded."""
        self._in_turn = False

    def tool(self, call: Did, agent: str, script: Transcript) -> None:
        """A tool runs."""
        facts = {"args_sha1": digest(call.args), "args_len": size(call.args), "args": call.args}
        if call.error is not None:
            facts["error"] = call.error
        elif call.result is not None:
            facts |= _kept("result", call.result)
        event = self._write("tool", agent, name=call.name, **facts, step=self.turn_count)
        event["end_ts"] = stamp(self.at + timedelta(seconds=call.seconds))
        answer = call.error if call.error is not None else call.result
        script.add(f"tool:{call.name}", size(answer) if answer is not None else 0)

    def _at_once(self, calls: tuple[Did, ...], agent: str, script: Transcript) -> None:
        for call in calls:
            self.tool(call, agent, script)
            self.wait(0.005)
        self.wait(max(call.seconds for call in calls))

    def _write(self, kind: str, agent: str, **facts: Any) -> dict[str, Any]:
        name, _, instance = agent.partition("#")
        owner = {"agent": name, "instance": instance} if instance else {"agent": name}
        event = {"i": self.here, "kind": kind, **owner, **facts, "ts": stamp(self.at)}
        self.events.append(event)
        if kind == "user":
            self.wait(1)
        return event


def stamp(at: datetime) -> str:
    """As recordings write it: UTC, milliseconds."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _copied(script: Transcript) -> list[dict[str, Any]]:
    return [{"origin": origin, "chars": chars, "message_count": count} for origin, (chars, count) in script.parts.items() if count]


def _kept(name: str, value: Any) -> dict[str, Any]:
    shown = value
    if size(value) > WHOLE_CHARS:
        shown = (value if isinstance(value, str) else json.dumps(value, sort_keys=True))[:HEAD_CHARS] + "…"
    return {name: shown, f"{name}_sha1": digest(value), f"{name}_len": size(value)}


Shape = Callable[[Session], None]


@dataclass(frozen=True)
class Labelled:
    """A shape with what a careful engineer who pays the bill expects of it."""

    name: str
    write: Shape
    setting: dict[str, Any]
    labels: dict[str, Any]
    session: str | None


@dataclass
class Family:
    """Shapes that go into one file; `loop`, `healthy` are decorators."""

    name: str
    shapes: list[Labelled] = field(default_factory=list)

    def loop(self, why: str, rules: str, *, expect: str = "stop", scenario: int | None = None, **setting: Any) -> Callable[[Shape], Shape]:
        """A loop: must be stopped (or, with expect="warn", at least warned of) by the rules named, separated by spaces."""
        return self._take({"expect": expect, "rules": rules.split(), "scenario": scenario, "why": why}, setting)

    def healthy(self, why: str, *, warn_ok: bool = False, scenario: int | None = None, **setting: Any) -> Callable[[Shape], Shape]:
        """Work that only looks like a loop."""
        labels = {"expect": "pass", "rules": [], "scenario": scenario, "why": why}
        return self._take(labels | ({"warn_ok": True} if warn_ok else {}), setting)

    def _take(self, labels: dict[str, Any], setting: dict[str, Any]) -> Callable[[Shape], Shape]:
        policy, session = setting.pop("policy", None), setting.pop("session", None)

        def take(write: Shape) -> Shape:
            name = setting.pop("name", write.__name__)
            full = labels | ({"policy": policy} if policy else {})
            self.shapes.append(Labelled(f"{self.name}/{name.replace('_', '-')}", write, setting, full, session))
            return write

        return take


def recording(shape: Labelled, day: int) -> dict[str, Any]:
    """One line of the file."""
    start = START + timedelta(days=day, minutes=7 * day)
    setting = {"model": "gpt-4o", "agent": "assistant", "system": 3200, "start": start} | shape.setting
    session = Session(**setting)
    shape.write(session)
    labels = dict(shape.labels)
    loops = labels["expect"] != "pass"
    for key in ("not_before", "by_index"):
        labels[key] = session.marks.get(key)
    run = {"run_id": shape.name, "source": "written by hand", **({"session": shape.session} if shape.session else {})}
    return {**run, "labels": labels, "outcome": {"status": "halted" if loops else "completed"}, "events": session.events}
