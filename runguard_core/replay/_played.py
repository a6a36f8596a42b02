"""What playing one recording under one policy came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runguard_core.money import usd_text


@dataclass(frozen=True, slots=True)
class Stop:
    """The first call that would have been refused; or the last one, where it tripped the run and none came after it.

    Attributes:
        index: number of the event; rule: "repeat", ..., or "budget NAME"; evidence: one sentence.
        place: how many events were let pass.
    """

    index: int
    rule: str
    evidence: str
    place: int


@dataclass(frozen=True, slots=True)
class Warn:
    """Something that was announced, and by which rule.

    Attributes:
        index: number of the event; rule: as in `Stop`; evidence: one sentence.
        is_observed: a rule that only watches would have refused this call.
    """

    index: int
    rule: str
    evidence: str
    is_observed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """A sum over events.

    Attributes:
        call_count: model and tool calls; turn_count: model calls that did not fail.
        tokens: of model calls, as far as recorded; nanos: nano-USD, as far as known.
        untold_count: model calls of which neither a price nor a cost is known; tokenless_count: without tokens.
    """

    call_count: int = 0
    turn_count: int = 0
    tokens: int = 0
    nanos: int = 0
    untold_count: int = 0
    tokenless_count: int = 0

    def __add__(self, other: Tally) -> Tally:
        """Field by field."""
        return Tally(
            call_count=self.call_count + other.call_count,
            turn_count=self.turn_count + other.turn_count,
            tokens=self.tokens + other.tokens,
            nanos=self.nanos + other.nanos,
            untold_count=self.untold_count + other.untold_count,
            tokenless_count=self.tokenless_count + other.tokenless_count,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One recording under one policy.

    Attributes:
        run_id: of the recording; event_count: its events.
        stop: where the policy would have stopped it, None where it would not.
        warns: what would have been announced before, in order.
        whole: of the whole recording; saved: of what would not have been sent.
        stated_nanos: the run's cost as the recording states it in sum, where no call of it says anything; else None.
        went_well: whether its outcome or labels say so; None when they do not say.
        dead_tail_nanos: spent after the last new tool result, the answers excepted; None where that cannot be told.
    """

    run_id: str
    event_count: int
    stop: Stop | None
    warns: tuple[Warn, ...]
    whole: Tally
    saved: Tally
    stated_nanos: int | None = None
    went_well: bool | None = None
    dead_tail_nanos: int | None = None

    @property
    def total_nanos(self) -> int:
        """What the run cost, nano-USD, as far as known."""
        return self.whole.nanos if self.stated_nanos is None else self.stated_nanos


def played_json(played: Played) -> dict[str, Any]:
    """The line of `runguard replay --json`; amounts are strings of USD."""
    stop, observed = played.stop, [warn for warn in played.warns if warn.is_observed]
    return {
        "run_id": played.run_id,
        "events": played.event_count,
        "stop": None if stop is None else {"index": stop.index, "rule": stop.rule, "evidence": stop.evidence},
        "warns": [{"index": warn.index, "rule": warn.rule} for warn in played.warns],
        "usd_total": usd_text(played.total_nanos),
        "usd_saved": usd_text(played.saved.nanos),
        "healthy": played.went_well,
        "calls": played.whole.call_count,
        "calls_saved": played.saved.call_count,
        "tokens_total": played.whole.tokens,
        "tokens_saved": played.saved.tokens,
        "calls_of_unknown_cost": played.whole.untold_count,
        "calls_without_tokens": played.whole.tokenless_count,
        "usd_dead_tail": None if played.dead_tail_nanos is None else usd_text(played.dead_tail_nanos),
        "observed": [{"index": warn.index, "rule": warn.rule, "evidence": warn.evidence} for warn in observed],
    }
