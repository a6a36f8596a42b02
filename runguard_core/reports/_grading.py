"""How good each rule was: what it stopped or would have stopped, and whether those runs then finished.

A *sign* is the first stop, or would-be stop, of one rule in one run. What counts as evidence for or against the rule:

- observed (`would_trip`, `would_refuse`): the run went on. What it spent from the sign on is what enforcing would have
  saved; that it then finished well says the stop would have been wrong.
- enforced (`run_tripped`, `call_refused`): somebody may have overridden it (a reset of its scope, a raised limit). That the
  session then finished well says the stop was wrong.

A run *finished well* when its last model call completed without asking for a tool and no later sign stopped it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from runguard_core.calls import CallKind, OutcomeKind
from runguard_core.errors import RETRY_WHEN_SETTLED
from runguard_core.events import CALL_REFUSED, LIMIT_CHANGED, RESET, RUN_TRIPPED, WOULD_REFUSE, WOULD_TRIP
from runguard_core.ledger import CallRecord, Event

OBSERVED = frozenset({WOULD_TRIP, WOULD_REFUSE})
ENFORCED = frozenset({RUN_TRIPPED, CALL_REFUSED})
#: Fewer cases than this support no proposal.
LEAST_CASES = 5
#: A rule that was wrong in so many of its cases should only be watched.
DEMOTE_FROM_RATIO = 1 / 3
#: An observed rule that was wrong in at most so many may be enforced.
ENFORCE_TO_RATIO = 0.05


@dataclass(frozen=True, slots=True)
class Sign:
    """One rule's first word on one run.

    Attributes:
        rule: the detector's name, or "budget NAME".
        event: what was said.
        is_observed: the run was let go on.
        later_nanos: nano-USD that the run's calls admitted from then on cost.
        overridden_by: the reset or the raised limit that let it go on, None without one.
        finished: whether it ended well afterwards; None when it made no further model call.
    """

    rule: str
    event: Event
    is_observed: bool
    later_nanos: int
    overridden_by: Event | None
    finished: bool | None


@dataclass(slots=True)
class Grade:
    """One rule's record.

    Attributes:
        stop_count: runs it stopped; override_count: of these, overridden; vindicated_count: of these, finished well.
        would_count: runs it would have stopped; finished_count: of these, finished well all the same.
        saved_nanos: what the would-be stops would have saved, nano-USD; wrongly_saved_nanos: the part in runs that finished well.
        signs: the cases, in order.
    """

    rule: str
    stop_count: int = 0
    override_count: int = 0
    vindicated_count: int = 0
    would_count: int = 0
    finished_count: int = 0
    saved_nanos: int = 0
    wrongly_saved_nanos: int = 0
    signs: list[Sign] = field(default_factory=list)

    @property
    def override_ratio(self) -> float | None:
        """Share of its stops that somebody overrode, 0 to 1; None without a stop."""
        return self.override_count / self.stop_count if self.stop_count else None

    @property
    def wrong_ratio(self) -> float | None:
        """Share of its cases that turned out wrong, 0 to 1; None without a case."""
        cases = self.stop_count + self.would_count
        return (self.vindicated_count + self.finished_count) / cases if cases else None

    def add(self, sign: Sign) -> None:
        """One more case."""
        self.signs.append(sign)
        good = sign.finished is True
        if sign.is_observed:
            self.would_count += 1
            self.finished_count += good
            self.saved_nanos += sign.later_nanos
            self.wrongly_saved_nanos += sign.later_nanos if good else 0
        else:
            self.stop_count += 1
            self.override_count += sign.overridden_by is not None
            self.vindicated_count += good and sign.overridden_by is not None

    @property
    def proposal(self) -> str | None:
        """What its record suggests, one sentence with the policy's key; None while there are too few cases or no reason."""
        cases, wrong = self.stop_count + self.would_count, self.wrong_ratio
        if cases < LEAST_CASES or wrong is None:
            return None
        budget = self.rule.removeprefix("budget ") if self.rule.startswith("budget ") else None
        record = (
            f"wrong in {wrong:.0%} of {cases} runs: in {f'[detectors.{self.rule}]' if budget is None else f'budget {budget!r}'}"
        )
        if wrong >= DEMOTE_FROM_RATIO:
            keep = "set" if self.stop_count else "keep"
            return f'{record} {keep} mode = "observe"' + (", or raise its limit" if budget is not None else "")
        if not self.stop_count and wrong <= ENFORCE_TO_RATIO:
            return f'{record} set mode = "enforce"'
        return None


def grade(calls: Iterable[CallRecord], events: Iterable[Event]) -> list[Grade]:
    """Every rule that spoke, most cases first (then by name).

    Args:
        calls: the ledger's calls in order; events: its events in order.
    """
    past = _Past(calls, events)
    found: dict[str, Grade] = {}
    for (_, rule), event in past.signs.items():
        found.setdefault(rule, Grade(rule)).add(past.judged(rule, event))
    return sorted(found.values(), key=lambda g: (-(g.stop_count + g.would_count), g.rule))


class _Past:
    """The ledger's rows by what is asked of them."""

    def __init__(self, calls: Iterable[CallRecord], events: Iterable[Event]) -> None:
        self._by_run: dict[str | None, list[CallRecord]] = {}
        self._by_session: dict[str | None, list[CallRecord]] = {}
        for call in calls:
            self._by_run.setdefault(call.attribution.run, []).append(call)
            self._by_session.setdefault(call.attribution.session, []).append(call)
        self.signs: dict[tuple[str | None, str], Event] = {}
        self._decisions: dict[tuple[str, str], list[Event]] = {}
        self._last_stop: dict[str | None, Event] = {}
        for event in events:
            self._take(event)

    def _take(self, event: Event) -> None:
        if event.kind in OBSERVED | ENFORCED and event.facts.get("retry") != RETRY_WHEN_SETTLED:
            self.signs.setdefault((event.run, _rule(event.facts)), event)
            if event.kind in ENFORCED:
                self._last_stop[event.run] = event
        elif event.kind == LIMIT_CHANGED:
            self._decisions.setdefault(("account", str(event.facts.get("account"))), []).append(event)
        elif event.kind == RESET:
            kind, _, value = str(event.facts.get("scope", "")).partition(":")
            self._decisions.setdefault((kind, value), []).append(event)

    def judged(self, rule: str, event: Event) -> Sign:
        """A sign with what came of it."""
        in_run = self._by_run.get(event.run, [])
        later = sum(call.cost_nanos for call in in_run if call.started_at >= event.at)
        if event.kind in OBSERVED:
            return Sign(rule, event, True, later, None, self._finished(in_run, event.at))
        override = self._override(event)
        finished = self._finished(self._by_session.get(event.session, []), override.at) if override is not None else None
        return Sign(rule, event, False, later, override, finished)

    def _override(self, stop: Event) -> Event | None:
        """The first decision of a person that lifted this stop."""
        account = stop.facts.get("account")
        keys = [("run", stop.run or ""), ("session", stop.session or "")]
        if account is not None:
            keys.append(("account", str(account)))
        made = [one for key in keys for one in self._decisions.get(key, ()) if one.at >= stop.at]
        return min(made, key=lambda one: one.at, default=None)

    def _finished(self, calls: Sequence[CallRecord], since: datetime) -> bool | None:
        """Whether the last model call admitted since then is an answer, and its run was not stopped afterwards."""
        later = [call for call in calls if call.kind is CallKind.MODEL and call.started_at >= since]
        if not later:
            return None
        settled, stop = later[-1].settlement, self._last_stop.get(later[-1].attribution.run)
        answered = settled is not None and settled.outcome is OutcomeKind.COMPLETED and not settled.tool_names
        return answered and (stop is None or stop.at < later[-1].started_at)


def _rule(facts: Mapping[str, object]) -> str:
    return f"budget {facts['budget']}" if facts.get("budget") is not None else str(facts.get("rule", "unknown"))
