"""From recorded events to what a guard is asked and told: calls, owners, outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from runguard_core.attribution import Attribution
from runguard_core.calls import Call, ModelCall, Outcome, OutcomeKind, PromptPart, ToolCall
from runguard_core.guard import Guard
from runguard_core.replay._money import UNRECORDED_MODEL
from runguard_core.replay._recording import RecordedEvent, Recording
from runguard_core.replay._texts import answer_of, arguments_of, is_reported, result_of
from runguard_core.usage import NO_USAGE, Usage

#: A tool whose name was not recorded.
UNNAMED_TOOL = "(unnamed)"
#: Characters that a recorded prompt token stands for when the call is quoted: the guard's own first guess, turned round.
_CHARS_PER_TOKEN = 4
#: Tokens that frame a request and a message, which the quote adds by itself.
_REQUEST_TOKENS, _MESSAGE_TOKENS = 3, 4

Lane = tuple[str | None, str | None, str | None]


@dataclass(slots=True)
class _LaneState:
    """One agent instance in one segment: whether a tool's result is the last thing it has seen, and the call that failed last.

    `said_chars`, `said_count`: answers since its prompts only grow, which they are taken to hold; `tokens`: of the latest one.
    """

    after_tool: bool = False
    said_chars: int = 0
    said_count: int = 0
    tokens: int = 0
    failed_call: str | None = None
    failed_step: str | None = None


class Caller:
    """Fills in calls as an adapter would have, in the order of one recording."""

    def __init__(self, recording: Recording, session: str, run: str, guard: Guard) -> None:
        """Take up a recording.

        Args:
            recording: the run. session, run: their ids in the guard. guard: for defaults of attribution, and its digests.
        """
        self.session, self.run, self._recording = session, run, recording
        self._defaults, self._fingerprint = guard.rules.defaults, guard.fingerprint
        self._tool_count = len({event.name for event in recording.events if event.kind == "tool"})
        self._asked = asked_tools(recording.events)
        self._lanes: dict[Lane, _LaneState] = {}
        self._users: dict[str | None, PromptPart] = {}

    def run_of(self, event: RecordedEvent) -> str:
        """The guard's run: a segment is a run of its own."""
        return self.run if event.segment is None else f"{self.run}#{event.segment}"

    def who(self, event: RecordedEvent) -> Attribution:
        """The owner of a call; agents, and instances of one, have histories of their own."""
        agent = event.agent
        instance = None if event.instance is None else f"{agent or ''}/{event.instance}"
        return self._defaults.with_values(
            **self._recording.who, session=self.session, run=self.run_of(event), agent=agent, instance=instance
        )

    def prompt(self, event: RecordedEvent) -> None:
        """A new prompt: a new tool loop begins for every agent of its segment, whose prompts hold its text from now on."""
        before = self._users.get(event.segment, PromptPart("user", 0, 0))
        chars = event.text_chars if event.text_chars is not None else len(event.text or "")
        self._users[event.segment] = PromptPart("user", before.chars + chars, before.message_count + 1)
        for (segment, _, _), lane in self._lanes.items():
            if segment == event.segment:
                lane.after_tool = False

    def call(self, event: RecordedEvent, place: int, usage: Usage | None) -> Call:
        """What is about to be called."""
        lane = self._lane(event)
        if event.kind == "tool":
            lane.after_tool = True
            return ToolCall(name=event.name or UNNAMED_TOOL, arguments=arguments_of(event, place))
        return ModelCall(
            model=event.model or UNRECORDED_MODEL,
            provider=event.provider,
            parts=event.parts or tuple(self._prompt(event, usage, lane)),
            max_output_tokens=None if usage is not None else 0,
            after_tool=lane.after_tool,
            tool_count=self._tool_count,
            retry_of=lane.failed_call if lane.failed_step == event.step else None,
        )

    def passed(self, event: RecordedEvent, call_id: str) -> None:
        """A call was let pass: a failed model call is repeated by the next one of its lane in the same step."""
        if event.kind == "llm":
            lane, failed = self._lane(event), event.error is not None
            lane.failed_call, lane.failed_step = (call_id, event.step) if failed else (None, None)
            lane.after_tool = lane.after_tool and failed
            text = None if failed else event.text
            lane.said_chars += event.text_chars if event.text_chars is not None and not failed else len(text or "")
            lane.said_count += not failed

    def outcome(self, event: RecordedEvent, place: int, usage: Usage | None, cost_nanos: int | None) -> Outcome:
        """How it ended. What was not recorded is not charged: neither tokens nor money."""
        if event.kind == "tool":
            return _tool_outcome(event)
        text = answer_of(event)
        told: dict[str, Any] = {"tool_names": self._asked[place], "output_text_hash": text and self._fingerprint(text)}
        if event.error is not None:
            told |= {"kind": OutcomeKind.FAILED, "error": event.error, "error_status": event.error_status}
        if usage is None and cost_nanos is None:
            return Outcome(billed=False, **told) if event.error is not None else Outcome(usage=NO_USAGE, from_cache=True, **told)
        chars = event.text_chars or 0 if usage is not None else 0
        return Outcome(usage=usage, cost_nanos=cost_nanos, output_chars=chars, **told)

    def _prompt(self, event: RecordedEvent, usage: Usage | None, lane: _LaneState) -> Iterator[PromptPart]:
        """What is known of a prompt: the user's messages, the answers, and the size of the rest, from the recorded tokens."""
        user = self._users.get(event.segment)
        if usage is None:
            yield from (user,) if user is not None else ()
            return
        messages = event.message_count or 1 + (user.message_count if user is not None else 0)
        chars = max(0, usage.input_tokens - _REQUEST_TOKENS - _MESSAGE_TOKENS * messages) * _CHARS_PER_TOKEN
        if user is not None:
            user = PromptPart("user", min(user.chars, chars), min(user.message_count, messages))
            yield user
            chars, messages = chars - user.chars, messages - user.message_count
        if usage.input_tokens <= lane.tokens:  # another prompt, not the one before with more in it
            lane.said_chars = lane.said_count = 0
        lane.tokens = usage.input_tokens
        if 0 < lane.said_chars <= chars:
            yield PromptPart("assistant", lane.said_chars, min(lane.said_count, messages))
            chars, messages = chars - lane.said_chars, messages - min(lane.said_count, messages)
        yield PromptPart("prompt", chars, messages)

    def _lane(self, event: RecordedEvent) -> _LaneState:
        return self._lanes.setdefault((event.segment, event.agent, event.instance), _LaneState())


def _tool_outcome(event: RecordedEvent) -> Outcome:
    """A tool's result or failure; where neither was recorded, nobody knows."""
    chars = event.result_chars or 0
    if event.error is not None:
        return Outcome(kind=OutcomeKind.FAILED, error=event.error, error_status=event.error_status, output_chars=chars)
    if not is_reported(event):
        return Outcome(kind=OutcomeKind.UNKNOWN)
    return Outcome(result=result_of(event), output_chars=chars)


def asked_tools(events: Sequence[RecordedEvent]) -> list[tuple[str, ...]]:
    """For every event the tools that its lane runs before its next model call; empty for what is no model call."""
    waiting: dict[Lane, list[str]] = {}
    found: list[tuple[str, ...]] = [()] * len(events)
    for place in range(len(events) - 1, -1, -1):
        event = events[place]
        lane = (event.segment, event.agent, event.instance)
        if event.kind == "tool":
            waiting.setdefault(lane, []).append(event.name or UNNAMED_TOOL)
        elif event.kind == "llm":
            found[place] = tuple(reversed(waiting.pop(lane, [])))
    return found
