"""A recorded run as values: what happened, in order, with what was not recorded left open (None).

The format is one JSON object a line: `{run_id, source, labels, outcome, totals, events: [...]}`; `docs/replay.md` lists the
fields of an event. Everything but `run_id` and `events` may be missing; unknown fields and kinds are left alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from runguard_core.calls import PromptPart


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedEvent:
    """One event; None is what was not recorded.

    Attributes:
        index: the event's own number (`i`), else its place.
        kind: "llm" and "tool" are calls; "user" is a new prompt; others are left alone.
        agent, instance, segment: who made the call: agent and instance keep histories apart, a segment is a run of its own.
        name: of the tool.
        args, result: as recorded, perhaps clipped; has_args, has_result: whether they are there at all.
        args_digest, result_digest: of the full values; args_chars, result_chars: their full sizes.
        is_args_clipped, is_result_clipped: the text is only the value's beginning.
        text, text_digest, text_chars: a model's answer, perhaps clipped; the digest and the size of the whole.
        step: the turn it belongs to, where the recorder counts them.
        error: what went wrong, None when nothing is known to have; error_status: HTTP status.
        model: that answered (or was asked); provider: whose it is.
        input_tokens, output_tokens, cached_tokens, cache_write_tokens, reasoning_tokens: as reported.
        cost_nanos: the recorded price of the call, nano-USD; is_charged: it is what RunGuard's own ledger charged.
        message_count: messages of the prompt; parts: its make-up by origin, where that was measured.
        at: when it began (UTC); is_naive: the stamp carried no time zone and was read as UTC.
        was_refused: a guard refused the call at the time, so it was never made.
        offset_seconds: when it began, counted from the run's begin; duration_seconds: how long it took.
    """

    index: int
    kind: str
    agent: str | None = None
    instance: str | None = None
    segment: str | None = None
    name: str | None = None
    args: Any = None
    has_args: bool = False
    args_digest: str | None = None
    args_chars: int | None = None
    is_args_clipped: bool = False
    result: Any = None
    has_result: bool = False
    result_digest: str | None = None
    result_chars: int | None = None
    is_result_clipped: bool = False
    text: str | None = None
    text_digest: str | None = None
    text_chars: int | None = None
    step: str | None = None
    error: str | None = None
    error_status: int | None = None
    model: str | None = None
    provider: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_nanos: int | None = None
    is_charged: bool = False
    message_count: int | None = None
    parts: tuple[PromptPart, ...] = ()
    at: datetime | None = None
    is_naive: bool = False
    offset_seconds: float | None = None
    duration_seconds: float | None = None
    was_refused: bool = False

    @property
    def is_call(self) -> bool:
        """Whether a guard can refuse it."""
        return self.kind in {"llm", "tool"}

    @property
    def has_tokens(self) -> bool:
        """Whether any token count was recorded."""
        return self.input_tokens is not None or self.output_tokens is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One recorded run.

    Attributes:
        run_id: its id; source: where it comes from.
        events: in the order in which they happened.
        labels, outcome, totals: as recorded; empty when nothing was.
        session: the conversation it belongs to; None makes it one of its own.
        who: further dimensions of attribution (feature, team, user, ...) by name.
        started_at: when it began, where that is known (UTC).
        place: "FILE:LINE", or the ledger.
    """

    run_id: str
    events: tuple[RecordedEvent, ...]
    source: str | None = None
    labels: Mapping[str, Any] = field(default_factory=dict)
    outcome: Mapping[str, Any] = field(default_factory=dict)
    totals: Mapping[str, Any] = field(default_factory=dict)
    session: str | None = None
    who: Mapping[str, str] = field(default_factory=dict)
    started_at: datetime | None = None
    place: str = ""

    @property
    def went_well(self) -> bool | None:
        """Whether its outcome or labels say that it went well; None when they do not say."""
        return judged(self.labels, self.outcome)


def owned(events: Sequence[RecordedEvent]) -> tuple[RecordedEvent, ...]:
    """The events, calls without an agent given to the only one that is named; where several are, they stay nobody's."""
    named = {event.agent for event in events if event.is_call and event.agent is not None}
    if len(named) != 1:
        return tuple(events)
    only = next(iter(named))
    return tuple(replace(event, agent=only) if event.is_call and event.agent is None else event for event in events)


_GOOD_STATUS = frozenset(
    {"correct", "success", "succeeded", "passed", "pass", "resolved", "submitted", "solved", "completed", "ok"}
)
_BAD_STATUS = frozenset({"incorrect", "halted", "failed", "fail", "failure", "error", "timeout", "unresolved", "stopped"})


def judged(labels: Mapping[str, Any], outcome: Mapping[str, Any]) -> bool | None:
    """What labels and outcome say of a run; the labels, which people wrote, come first.

    `labels.healthy`, `labels.expect` ("pass", "warn" or "stop"), `outcome.reward` (1 is well), `outcome.resolved`,
    `outcome.submitted`, `outcome.success`, `outcome.status`.
    """
    if isinstance(labels.get("healthy"), bool):
        return bool(labels["healthy"])
    if labels.get("expect") in {"pass", "warn", "stop"}:
        return bool(labels["expect"] == "pass")
    reward = outcome.get("reward")
    if isinstance(reward, (int, float)) and not isinstance(reward, bool):
        return bool(reward >= 1)
    for key in ("resolved", "success", "submitted"):
        if isinstance(outcome.get(key), bool):
            return bool(outcome[key])
    status = str(outcome.get("status") or "").lower()
    return True if status in _GOOD_STATUS else False if status in _BAD_STATUS else None
