"""Prompts written down by hand, and what the detectors of the model's side say of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from runguard_core.calls import ModelCall, Outcome, OutcomeKind, PromptPart, ToolUse
from runguard_core.detectors import RunTurns, Severity, Turn, TurnDetector, TurnWatch, Verdict, default_turn_detectors
from runguard_core.prices import Rates, flat_rates
from runguard_core.usage import Usage

START = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
#: Characters a token stands for in these plays.
CHARS = 4
ASKED = Outcome(tool_names=("search",))


@dataclass(frozen=True)
class Prompt:
    """One call: tokens by origin, how many messages an origin has (one where it is not said), and how it ends."""

    parts: dict[str, int]
    messages: dict[str, int] = field(default_factory=dict)
    agent: str | None = "a"
    model: str = "m"
    after_tool: bool = True
    tools: bool = True
    is_turn: bool = True
    media: bool = False
    seconds: float = 10.0
    outcome: Outcome = ASKED
    counted: int | None = -1  # what the provider counts; -1: what was sent, None: it says nothing
    uses: tuple[ToolUse, ...] = ()  # tools that end after it


class Play:
    """A run of several agents, one watch each."""

    def __init__(self, by: Iterable[TurnDetector] | None = None, window: int | None = None, tier: int | None = None) -> None:
        self.run, self.by = RunTurns(), tuple(by or default_turn_detectors())
        self.watches: dict[str | None, TurnWatch] = {}
        self.said: list[Verdict] = []
        self.sent, self.at = 0, START
        self.prices = prices(window, tier)
        self.uses: list[ToolUse] = []

    def turn(self, prompt: Prompt) -> Turn:
        """The call as a candidate."""
        parts = tuple(PromptPart(o, n * CHARS, prompt.messages.get(o, 1)) for o, n in prompt.parts.items())
        self.at += timedelta(seconds=prompt.seconds)
        tokens = sum(prompt.parts.values())
        call = ModelCall(
            model=prompt.model, parts=parts, tool_count=int(prompt.tools), after_tool=prompt.after_tool,
            media_count=int(prompt.media), retry_of=None if prompt.is_turn else "the call before",
        )  # fmt: skip
        return Turn(call, prompt.agent, self.at, tokens, 600, self.prices)

    def send(self, prompt: Prompt, instance: str | None = None) -> Turn | None:
        """One call from admission to end; None when it was stopped before it was sent."""
        watch = self.watches.setdefault(instance or prompt.agent, TurnWatch(self.by, self.run))
        turn = self.turn(prompt)
        if self.run.handoffs is not None and self.run.handoffs.changes_to(turn.agent):
            self.run.handoffs.see(self.uses, turn.agent or "")
        found = watch.before(turn)
        self.said += found
        if any(verdict.severity is Severity.STOP for verdict in found):
            return None
        watch.begin(turn)
        self.sent += 1
        self.said += watch.finish(turn, ended(prompt))
        self.uses += prompt.uses
        return turn

    def all(self, prompts: Iterable[Prompt]) -> Play:
        """Calls up to the first stop."""
        for prompt in prompts:
            if self.send(prompt) is None:
                break
        return self

    @property
    def stop(self) -> Verdict | None:
        """The stop, if there was one."""
        return next((verdict for verdict in self.said if verdict.severity is Severity.STOP), None)

    @property
    def warned(self) -> list[str]:
        """Rules that warned, with their topics."""
        return [v.rule + (f":{v.topic}" if v.topic else "") for v in self.said if v.severity is Severity.WARN]


def ended(prompt: Prompt) -> Outcome:
    """The outcome with the provider's count."""
    tokens = sum(prompt.parts.values()) if prompt.counted == -1 else prompt.counted
    if tokens is None or prompt.outcome.kind is not OutcomeKind.COMPLETED:
        return prompt.outcome
    return replace(prompt.outcome, usage=Usage(input_tokens=tokens, output_tokens=50))


def refused(status: int = 429, **more: Any) -> Outcome:
    """An answer that is none."""
    return Outcome(kind=OutcomeKind.FAILED, error="RateLimitError: slow down", error_status=status, **more)


def prices(window: int | None, tier: int | None) -> Rates:
    """One dollar a million tokens, twice that above the tier."""
    plain, dear = flat_rates({"input": 10**9}, model_id="m"), flat_rates({"input": 2 * 10**9}, model_id="m")
    return replace(plain, context_window_tokens=window, tiers=((tier, dear.base),) if tier else ())


def loop(sizes: Iterable[int], **more: Any) -> list[Prompt]:
    """A tool loop: a system prompt, a question, and results of `search` that bring the prompt to these sizes in tokens."""
    made = []
    for index, size in enumerate(sizes):
        parts = {"system": 500, "user": 100, "assistant": 50 * index, "tool:search": max(0, size - 600 - 50 * index)}
        made.append(Prompt(parts, {"assistant": index, "tool:search": index}, after_tool=index > 0, **more))
    return made
