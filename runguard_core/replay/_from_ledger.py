"""The ledger's own runs as recordings: sizes, digests, tokens and charges; content was never kept.

A call that was refused left no line in the book. Where a detector refused it, the event that said so knows its tool and its
signature, and the call is put at the end of its run: playing the run again can refuse it again, or let it pass. A model call
that a budget refused is not known well enough for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from runguard_core.calls import CallKind, Certainty, OutcomeKind
from runguard_core.events import CALL_REFUSED, CALL_STOPPED, RUN_TRIPPED
from runguard_core.ledger import CallRecord, Event
from runguard_core.replay._recording import RecordedEvent, Recording, owned

_STOPS = frozenset({RUN_TRIPPED, CALL_REFUSED, CALL_STOPPED})
_WHO = ("feature", "team", "owner", "user", "release")


def recordings_of(calls: Iterable[CallRecord], events: Iterable[Event] = (), *, place: str = "ledger") -> list[Recording]:
    """The runs of a ledger, those of one session next to each other, by their beginnings.

    Args:
        calls: in the order in which they were admitted. events: of the same runs; they say which of them were stopped.
        place: the ledger's URL.
    """
    runs: dict[tuple[str, str], list[CallRecord]] = {}
    for call in calls:
        if not call.is_paid:
            continue
        who = call.attribution
        run = who.run or call.id
        runs.setdefault((who.session or run, run), []).append(call)
    said = [event for event in events if event.kind in _STOPS]
    stopped = {event.run for event in said}
    known = {call.id for its in runs.values() for call in its}
    refused = {event.run: event for event in said if event.kind == RUN_TRIPPED and event.call_id not in known}
    order = {session: number for number, session in enumerate(dict.fromkeys(session for session, _ in runs))}
    found = [_recording(session, run, its, run in stopped, refused.get(run), place) for (session, run), its in runs.items()]
    return sorted(found, key=lambda recording: order[recording.session or ""])


def _recording(
    session: str, run: str, calls: Sequence[CallRecord], was_stopped: bool, refused: Event | None, place: str
) -> Recording:
    who = calls[0].attribution
    status = "stopped" if was_stopped else "completed" if finished(calls) else None
    return Recording(
        run_id=run,
        events=owned([*(event_of(call, index) for index, call in enumerate(calls)), *_refused(refused, calls)]),
        source="RunGuard ledger",
        outcome={"status": status} if status else {},
        session=session,
        who={key: value for key in _WHO if (value := who.value(key)) is not None},
        started_at=calls[0].started_at,
        place=place,
    )


def _refused(event: Event | None, calls: Sequence[CallRecord]) -> Iterator[RecordedEvent]:
    """The tool call that a detector refused; nothing where the event does not know it."""
    if event is None or not event.facts.get("signature"):
        return
    same = (call.attribution.instance for call in reversed(calls) if call.attribution.agent == event.agent)
    yield RecordedEvent(
        index=len(calls), kind="tool", agent=event.agent, instance=next(same, None), name=str(event.facts.get("tool") or ""),
        args_digest=str(event.facts["signature"]), at=event.at, was_refused=True,
    )  # fmt: skip


def finished(calls: Sequence[CallRecord]) -> bool:
    """Whether a run came to its end by itself: its last call is a model's, completed, and asks for no tool."""
    last = calls[-1]
    settled = last.settlement
    is_answer = last.kind is CallKind.MODEL and settled is not None and settled.outcome is OutcomeKind.COMPLETED
    return is_answer and settled is not None and not settled.tool_names


def event_of(call: CallRecord, index: int) -> RecordedEvent:
    """One call of the book."""
    return _tool(call, index) if call.kind is CallKind.TOOL else _model(call, index)


def _tool(call: CallRecord, index: int) -> RecordedEvent:
    who, settled = call.attribution, call.settlement
    return RecordedEvent(
        index=index, kind="tool", agent=who.agent, instance=who.instance, name=call.name, args_digest=call.signature,
        result_digest=settled.result_hash if settled is not None else None,
        result_chars=settled.result_chars if settled is not None and settled.result_hash is not None else None,
        error=settled.error if settled is not None else None,
        error_status=settled.error_status if settled is not None else None,
        at=call.started_at, duration_seconds=settled.duration_seconds if settled is not None else None,
    )  # fmt: skip


def _model(call: CallRecord, index: int) -> RecordedEvent:
    who, settled = call.attribution, call.settlement
    usage = settled.usage if settled is not None else None
    is_priced = settled is not None and settled.certainty is not Certainty.UNPRICED and settled.cost_nanos is not None
    failed = settled is not None and settled.outcome is OutcomeKind.FAILED
    return RecordedEvent(
        index=index, kind="llm", agent=who.agent, instance=who.instance, provider=call.provider,
        model=(settled.model_answered if settled is not None else None) or call.name,
        input_tokens=usage.input_tokens if usage is not None else None,
        output_tokens=usage.output_tokens if usage is not None else None,
        cached_tokens=usage.cache_read_input_tokens if usage is not None else None,
        cache_write_tokens=usage.cache_creation_input_tokens if usage is not None else None,
        reasoning_tokens=usage.reasoning_output_tokens if usage is not None else None,
        cost_nanos=settled.cost_nanos if settled is not None and is_priced else None, is_charged=is_priced,
        error=(settled.error or "failed") if settled is not None and failed else None,
        error_status=settled.error_status if settled is not None else None,
        text_digest=settled.result_hash if settled is not None else None,
        text_chars=settled.result_chars if settled is not None and settled.result_hash is not None else None,
        parts=call.parts, message_count=sum(part.message_count for part in call.parts) or None,
        at=call.started_at, duration_seconds=settled.duration_seconds if settled is not None else None,
    )  # fmt: skip
