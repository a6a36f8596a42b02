"""The dead tail: what a run went on spending after it had learned the last new thing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from runguard_core.calls import CallKind
from runguard_core.detectors import Fingerprint, result_mark
from runguard_core.ledger import CallRecord
from runguard_core.replay._calling import asked_tools
from runguard_core.replay._recording import RecordedEvent
from runguard_core.replay._texts import is_reported, result_of

_KEY = Fingerprint(b"dead tail")


@dataclass(frozen=True, slots=True)
class Beat:
    """One call of a run, or a new prompt, as far as the dead tail is concerned.

    Attributes:
        kind: "model", "tool" or "prompt".
        lane: the agent instance that made the call.
        nanos: what it cost, nano-USD; None when nobody can say.
        mark: of a tool's result, volatile parts left out; None for a failure.
        is_reported: whether anybody said what came of it.
        asks_tools: of a model call: its answer asks for tools, so it is no last word.
    """

    kind: str
    lane: str | None = None
    nanos: int | None = 0
    mark: str | None = None
    is_reported: bool = True
    asks_tools: bool = False


def dead_tail_nanos(beats: Sequence[Beat]) -> int | None:
    """Nano-USD that a run spent on calls begun after its last new tool result, its answers excepted.

    - A tool's result is *new* when no earlier tool call of the run ended with an equal one (time stamps and ids aside).
      A failure is no result. A result that nobody reported counts as new: what is unknown is not called dead.
    - The tail begins after the last call with a new result; where tools were called and none ever brought one, after the
      first of those calls. A run without tool calls has no tail: 0.
    - An *answer* is a model call that asks for no tool, and that its agent instance follows up with no further call before
      the next prompt or the end.

    None when the cost of a call in the tail is not known.
    """
    start = _tail_start(beats)
    answers = _answers(beats)
    tail = [beat.nanos for place, beat in enumerate(beats) if place >= start and place not in answers and beat.kind != "prompt"]
    return None if None in tail else sum(nanos for nanos in tail if nanos is not None)


def _tail_start(beats: Sequence[Beat]) -> int:
    seen: set[str] = set()
    last, first_tool = None, None
    for place, beat in enumerate(beats):
        if beat.kind != "tool":
            continue
        first_tool = place if first_tool is None else first_tool
        if not beat.is_reported or (beat.mark is not None and beat.mark not in seen):
            last = place
        if beat.mark is not None:
            seen.add(beat.mark)
    found = last if last is not None else first_tool
    return len(beats) if found is None else found + 1


def _answers(beats: Sequence[Beat]) -> set[int]:
    """Places of the last call of each lane before a prompt or the end, where it is a model's."""
    found: set[int] = set()
    latest: dict[str | None, int] = {}
    for place, beat in enumerate((*beats, Beat("prompt"))):
        if beat.kind != "prompt":
            latest[beat.lane] = place
            continue
        found |= {last for last in latest.values() if beats[last].kind == "model" and not beats[last].asks_tools}
        latest.clear()
    return found


def beats_of_calls(calls: Iterable[CallRecord]) -> list[Beat]:
    """One run of the ledger, in the order in which its calls began."""
    found = []
    for call in calls:
        if not call.is_paid:
            continue
        settled, lane = call.settlement, call.attribution.instance or call.attribution.agent
        cost = call.cost_nanos if settled is None or settled.cost_nanos is not None else None
        if call.kind is CallKind.MODEL:
            found.append(Beat("model", lane, cost, asks_tools=settled is not None and bool(settled.tool_names)))
            continue
        failed = settled is not None and settled.error is not None
        mark = settled.result_hash if settled is not None and not failed else None
        found.append(Beat("tool", lane, cost, mark, is_reported=failed or mark is not None))
    return found


def beats_of_events(events: Sequence[RecordedEvent], costs: Sequence[int | None]) -> list[Beat]:
    """One recording; `costs` are the events' own, nano-USD."""
    found: list[Beat] = []
    asked = asked_tools(events)
    for place, (event, cost) in enumerate(zip(events, costs, strict=True)):
        lane = f"{event.segment}/{event.agent}/{event.instance}"
        if event.kind == "llm":
            known = 0 if cost is None and event.error is not None else cost
            found.append(Beat("model", lane, known, asks_tools=bool(asked[place])))
        elif event.kind == "user":
            found.append(Beat("prompt"))
        elif event.kind == "tool" and not event.was_refused:
            told = is_reported(event)
            mark = result_mark(result_of(event), _KEY) if told and event.error is None else None
            found.append(Beat("tool", lane, cost, mark, is_reported=told))
    return found
