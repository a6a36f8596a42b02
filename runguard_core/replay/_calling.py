"""From recorded events to what a guard is asked and told: calls, owners, outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from runguard_core.attribution import Attribution
from runguard_core.calls import Call, ModelCall, Outcome, OutcomeKind, PromptPart, ToolCall
from runguard_core.replay._money import UNRECORDED_MODEL
from runguard_core.replay._recording import RecordedEvent, Recording
from runguard_core.replay._texts import arguments_of, is_reported, result_of
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
    """One agent instance in one segment: whether a tool has answered since the last prompt, and the call that failed last."""

    in_loop: bool = False
    failed_call: str | None = None


@dataclass(slots=True)
class Caller:
    """Fills in calls as an adapter would have, in the order of one recording.

    Attributes:
        recording: the run. session, run: their ids in the guard. defaults: attribution where the recording says nothing.
    """

    recording: Recording
    session: str
    run: str
    defaults: Attribution
    _only_agent: str | None = None
    _lanes: dict[Lane, _LaneState] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Calls without an agent belong to the only one that is named."""
        named = {event.agent for event in self.recording.events if event.is_call and event.agent is not None}
        self._only_agent = next(iter(named)) if len(named) == 1 else None

    def run_of(self, event: RecordedEvent) -> str:
        """The guard's run: a segment is a run of its own."""
        return self.run if event.segment is None else f"{self.run}#{event.segment}"

    def who(self, event: RecordedEvent) -> Attribution:
        """The owner of a call; agents, and instances of one, have histories of their own."""
        agent = event.agent or self._only_agent
        instance = None if event.instance is None else f"{agent or ''}/{event.instance}"
        return self.defaults.with_values(
            **self.recording.who, session=self.session, run=self.run_of(event), agent=agent, instance=instance
        )

    def prompt(self, event: RecordedEvent) -> None:
        """A new prompt: a new tool loop begins for every agent of its segment."""
        for (segment, _, _), lane in self._lanes.items():
            if segment == event.segment:
                lane.in_loop = False

    def call(self, event: RecordedEvent, place: int, usage: Usage | None) -> Call:
        """What is about to be called."""
        lane = self._lane(event)
        if event.kind == "tool":
            lane.in_loop = True
            return ToolCall(name=event.name or UNNAMED_TOOL, arguments=arguments_of(event, place))
        return ModelCall(
            model=event.model or UNRECORDED_MODEL,
            provider=event.provider,
            parts=event.parts or _prompt(event, usage),
            max_output_tokens=None if usage is not None else 0,
            after_tool=lane.in_loop,
            retry_of=lane.failed_call,
        )

    def ended(self, event: RecordedEvent, call_id: str) -> None:
        """Remember a failed model call: the next one of its lane repeats it."""
        if event.kind == "llm":
            self._lane(event).failed_call = call_id if event.error is not None else None

    def _lane(self, event: RecordedEvent) -> _LaneState:
        return self._lanes.setdefault((event.segment, event.agent or self._only_agent, event.instance), _LaneState())


def _prompt(event: RecordedEvent, usage: Usage | None) -> tuple[PromptPart, ...]:
    """The prompt's size, taken back from its recorded tokens; nothing where they were not recorded."""
    if usage is None:
        return ()
    messages = event.message_count or 1
    chars = max(0, usage.input_tokens - _REQUEST_TOKENS - _MESSAGE_TOKENS * messages) * _CHARS_PER_TOKEN
    return (PromptPart("prompt", chars, messages),)


def outcome_of(event: RecordedEvent, usage: Usage | None, cost_nanos: int | None, tool_names: tuple[str, ...]) -> Outcome:
    """How a recorded call ended. What was not recorded is not charged: neither tokens nor money."""
    failed = OutcomeKind.FAILED if event.error is not None else OutcomeKind.COMPLETED
    if event.kind == "tool":
        if not is_reported(event):
            return Outcome(kind=OutcomeKind.UNKNOWN)
        chars = event.result_chars or 0
        if event.error is not None:
            return Outcome(kind=failed, error=event.error, error_status=event.error_status, output_chars=chars)
        return Outcome(result=result_of(event), output_chars=chars)
    told = {"error": event.error, "error_status": event.error_status, "tool_names": tool_names}
    if usage is None and cost_nanos is None:
        if event.error is not None:
            return Outcome(kind=failed, billed=False, **told)  # type: ignore[arg-type]  # by name
        return Outcome(usage=NO_USAGE, from_cache=True, tool_names=tool_names)
    return Outcome(kind=failed, usage=usage, cost_nanos=cost_nanos, **told)  # type: ignore[arg-type]  # by name


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
