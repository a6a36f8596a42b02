"""Recordings as rows of a ledger: calls whose tokens or cost were recorded, at their own times, under ids of their content."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

from runguard_core.attribution import Attribution
from runguard_core.calls import CallKind, Certainty, OutcomeKind
from runguard_core.ids import encode_id
from runguard_core.ledger import CallRecord, Settlement
from runguard_core.prices import PriceBook
from runguard_core.replay._calling import UNNAMED_TOOL, asked_tools
from runguard_core.replay._money import UNRECORDED_MODEL, Counting, RecordedPrices, cost_of, counting_of, usage_of
from runguard_core.replay._recording import RecordedEvent, Recording
from runguard_core.replay._timeline import Moment, moments
from runguard_core.usage import Usage

#: Why a model call is left out.
NO_COUNTS = "no token counts"
WAS_REFUSED = "refused at the time, never sent"
UNSOUND = "token counts that cannot be"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Between two recordings without times, so that they do not lie on each other.
_BETWEEN = timedelta(minutes=1)
#: The longest name of a recorded error that is kept.
_ERROR_CHARS = 300


@dataclass(frozen=True, slots=True)
class Rows:
    """A recording as rows.

    Attributes:
        rows: each call and how it ended, in order; none when no model call of the recording can be taken.
        left_out: why model calls are not among them, one word for each.
        has_own_times: whether the recording says when it was; else it begins where it was put.
        end: when its last event ended (UTC).
    """

    rows: tuple[tuple[CallRecord, Settlement], ...]
    left_out: tuple[str, ...]
    has_own_times: bool
    end: datetime

    @property
    def next_begin(self) -> datetime:
        """Where a recording without times may follow."""
        return self.end + _BETWEEN


class Importer:
    """Turns recordings into rows of one ledger.

    Prices are those of the list (or the policy) at the time of each call: the cost of tokens, else what was recorded as the
    cost (estimated), else the call is unpriced.
    """

    def __init__(self, who: Attribution, prices: PriceBook) -> None:
        """Take up a ledger.

        Args:
            who: the app; other dimensions hold where a recording says nothing. prices: the policy's.
        """
        self._who, self._prices = who, RecordedPrices(prices)

    def rows_of(self, recording: Recording, begin: datetime) -> Rows:
        """One recording. `begin` (UTC) is where it starts if it carries no times."""
        whens = moments(recording, begin)
        has_times = recording.started_at is not None or any(event.at is not None for event in recording.events)
        counting, asked = counting_of(recording.events), asked_tools(recording.events)
        places = _Places(recording)
        rows: list[tuple[CallRecord, Settlement]] = []
        left_out: list[str] = []
        for place, event in enumerate(recording.events):
            who = places.who(self._who, event)
            if event.kind == "tool" and not event.was_refused:
                rows.append(self._tool(recording, place, who, whens[place], has_times=has_times))
            elif event.kind == "llm":
                usage, why = _usage(event, counting)
                if why is None:
                    row = self._model(recording, place, who, whens[place], usage, has_times=has_times)
                    rows.append((row[0], replace(row[1], tool_names=asked[place])))
                else:
                    left_out.append(why)
        if not any(call.kind is CallKind.MODEL for call, _ in rows):
            rows.clear()
        return Rows(tuple(rows), tuple(left_out), has_times, whens[-1].end if whens else begin)

    def _model(
        self, recording: Recording, place: int, who: Attribution, when: Moment, usage: Usage | None, *, has_times: bool
    ) -> tuple[CallRecord, Settlement]:
        event = recording.events[place]
        nanos = cost_of(event, usage, self._prices, when.start)
        is_listed = event.is_charged or (usage is not None and self._is_listed(event, when.start))
        certainty = Certainty.UNPRICED if nanos is None else Certainty.EXACT if is_listed else Certainty.ESTIMATED
        record = CallRecord(
            id=self._id(recording, place, when.start if has_times else _EPOCH), kind=CallKind.MODEL,
            name=event.model or UNRECORDED_MODEL, attribution=who, started_at=when.start, provider=event.provider,
            parts=event.parts,
        )  # fmt: skip
        note = "cost as recorded" if certainty is Certainty.ESTIMATED else None
        return record, _settlement(event, when, cost_nanos=nanos, certainty=certainty, usage=usage, note=note)

    def _is_listed(self, event: RecordedEvent, at: datetime) -> bool:
        return event.model is not None and self._prices.known(event.model, event.provider, at) is not None

    def _tool(
        self, recording: Recording, place: int, who: Attribution, when: Moment, *, has_times: bool
    ) -> tuple[CallRecord, Settlement]:
        event = recording.events[place]
        record = CallRecord(
            id=self._id(recording, place, when.start if has_times else _EPOCH), kind=CallKind.TOOL,
            name=event.name or UNNAMED_TOOL, attribution=who, started_at=when.start, signature=event.args_digest,
        )  # fmt: skip
        return record, _settlement(event, when)

    def _id(self, recording: Recording, place: int, at: datetime) -> str:
        """Made of what was recorded, so that the same recording is the same rows: a second import changes nothing."""
        event = recording.events[place]
        said = (
            self._who.app, recording.run_id, recording.source, place, event.kind, event.segment, event.agent, event.instance,
            event.name, event.model, event.input_tokens, event.output_tokens, event.cached_tokens, event.cache_write_tokens,
            event.reasoning_tokens, event.cost_nanos, event.args_digest, event.result_digest, event.text_digest, event.at,
        )  # fmt: skip
        mark = int.from_bytes(blake2b(repr(said).encode("utf-8", "replace"), digest_size=10).digest(), "big")
        return encode_id(max(0, (at - _EPOCH) // timedelta(milliseconds=1)) << 80 | mark)


class _Places:
    """Whose each event of a recording is, and in which turn and tool loop."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._turns: dict[str, int] = {}
        self._loops: dict[str, int] = {}

    def who(self, default: Attribution, event: RecordedEvent) -> Attribution:
        """A prompt begins a tool loop, a model call that did not fail a turn; a segment is a run of its own."""
        recording = self._recording
        run = recording.run_id if event.segment is None else f"{recording.run_id}#{event.segment}"
        if event.kind == "user":
            self._loops[run] = self._loops.get(run, 0) + 1
        if event.kind == "llm" and event.error is None:
            self._turns[run] = self._turns.get(run, 0) + 1
        who = default.with_values(**recording.who, session=recording.session or recording.run_id, run=run, agent=event.agent)
        return who.with_values(
            instance=event.instance, turn=max(1, self._turns.get(run, 1)), loop=max(1, self._loops.get(run, 1))
        )


def _usage(event: RecordedEvent, counting: Counting) -> tuple[Usage | None, str | None]:
    """The tokens of a model call, or why it cannot be taken; one that has a cost and no tokens can."""
    if event.was_refused:
        return None, WAS_REFUSED
    usage = usage_of(event, counting)
    if usage is None and event.cost_nanos is None:
        return None, NO_COUNTS
    return usage, UNSOUND if usage is not None and not usage.is_sound else None


def _settlement(
    event: RecordedEvent, when: Moment, *, cost_nanos: int | None = 0, certainty: Certainty = Certainty.EXACT,
    usage: Usage | None = None, note: str | None = None,
) -> Settlement:  # fmt: skip
    is_tool = event.kind == "tool"
    return Settlement(
        at=when.end, outcome=OutcomeKind.COMPLETED if event.error is None else OutcomeKind.FAILED, cost_nanos=cost_nanos,
        certainty=certainty, usage=usage, duration_seconds=event.duration_seconds, note=note,
        error=None if event.error is None else event.error[:_ERROR_CHARS], error_status=event.error_status,
        result_hash=event.result_digest if is_tool else event.text_digest,
        result_chars=(event.result_chars if is_tool else event.text_chars) or 0,
    )  # fmt: skip
