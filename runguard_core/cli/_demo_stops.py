"""Sessions of the demo that a guard stopped: they are played through a real one, in memory, at the times of the demo."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from random import Random

from runguard_core.attribution import Attribution
from runguard_core.calls import CallKind, ModelCall, Outcome, ToolCall
from runguard_core.cli._demo_shop import SHOP
from runguard_core.errors import StoppedError
from runguard_core.events import LOOP_WARNING, RUN_TRIPPED
from runguard_core.guard import Guard
from runguard_core.ids import encode_id
from runguard_core.ledger import CallFilter, CallRecord, CallState, Event, EventFilter, Settlement
from runguard_core.testing import FeatureTraffic, Release
from runguard_core.usage import Usage

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_A_WEEK = 2.5
_KINDS = frozenset({LOOP_WARNING, RUN_TRIPPED})
_OFFICE_HOURS = (9, 17)
_TURNS = 12


class _HandClock:
    """A clock that is set by hand, forward only."""

    def __init__(self, start: datetime) -> None:
        self._start = self.at = start

    def now(self) -> datetime:
        """The instant it was set to."""
        return self.at

    def monotonic(self) -> float:
        """Seconds since its start."""
        return (self.at - self._start).total_seconds()


def stopped_sessions(
    start: datetime, end: datetime, seed: int, features: Sequence[FeatureTraffic], releases: Sequence[Release], scale: float
) -> tuple[list[tuple[CallRecord, Settlement]], list[Event]]:
    """Calls and events of sessions that asked a tool the same again and again, until the guard refused the next call.

    The same arguments give the same ids, so that writing them twice changes nothing.
    """
    dice = Random(f"{seed}:stops")  # noqa: S311  traffic, no secrets
    weeks = (end - start) / timedelta(weeks=1)
    times = sorted(_office_time(start, end, dice) for _ in range(max(1, round(weeks * _A_WEEK * min(1.0, scale)))))
    clock = _HandClock(start)
    with Guard(app=SHOP, store="memory://", clock=clock) as guard:
        for number, at in enumerate(times):
            of = dice.choice(features)
            release = next((one.name for one in reversed(releases) if one.at <= at), None)
            who = Attribution(
                app=SHOP, feature=of.feature, team=of.team, owner=of.owner or None, agent=of.agent,
                user=f"u-{dice.randrange(of.users)}", session=f"{of.feature}-stopped-{number}",
                run=f"{of.feature}-stopped-{number}-r1", release=release,
            )  # fmt: skip
            clock.at = max(at, clock.at + timedelta(seconds=1))
            with suppress(StoppedError):
                _play(guard, clock, of, who, dice)
        calls, events = guard.store.calls(CallFilter(app=SHOP)), guard.store.events(EventFilter(kinds=_KINDS))
    return _renamed(calls, events)


def _office_time(start: datetime, end: datetime, dice: Random) -> datetime:
    day = start + timedelta(days=dice.randrange(max(1, (end - start).days)))
    if day.weekday() >= 5:
        day -= timedelta(days=2)
    return max(day, start) + timedelta(hours=dice.uniform(*_OFFICE_HOURS))


def _play(guard: Guard, clock: _HandClock, of: FeatureTraffic, who: Attribution, dice: Random) -> None:
    """A question, some lookups that help, and then one that is asked again and again; ends when the guard refuses it."""
    history, helped = of.prompt.draw(dice), dice.randint(1, 4)
    for turn in range(_TURNS):
        answer = of.answer.draw(dice)
        held = guard.reserve(ModelCall(model=of.model, provider=of.provider, after_tool=turn > 0, tool_count=1), who)
        clock.at += timedelta(seconds=dice.uniform(1, 6))
        held.settle(
            Outcome(usage=Usage(input_tokens=of.system_tokens + history, output_tokens=answer), output_chars=4 * answer,
                    tool_names=(of.tool,))
        )  # fmt: skip
        asked = min(turn, helped)
        held = guard.reserve(ToolCall(name=of.tool, arguments={"q": asked}), who)
        clock.at += timedelta(seconds=1)
        found = of.tool_tokens if asked < helped else 40
        held.settle(Outcome(result=f"{who.session} {asked}", output_chars=4 * found))
        history += answer + found


def _renamed(calls: Sequence[CallRecord], events: Sequence[Event]) -> tuple[list[tuple[CallRecord, Settlement]], list[Event]]:
    """Under ids of what they are, without the accounts of the guard that played them."""
    ids = {call.id: _id(call, number) for number, call in enumerate(calls)}
    rows = [
        (
            replace(
                call,
                id=ids[call.id],
                quote_nanos=call.cost_nanos,
                signature=_signature(call),
                state=CallState.PENDING,
                settlement=None,
            ),
            replace(call.settlement, amounts={}),
        )
        for call in calls
        if call.settlement is not None
    ]
    said = [
        replace(event, id=f"demo-stop-{number}", call_id=ids.get(event.call_id or ""), facts=dict(event.facts) | _facts(event))
        for number, event in enumerate(events)
    ]
    return rows, said


def _facts(event: Event) -> dict[str, str]:
    """Digests are keyed by a key that lives no longer than its guard."""
    return {"signature": _digest(event.session)} if "signature" in event.facts else {}


def _signature(call: CallRecord) -> str | None:
    return None if call.kind is CallKind.MODEL else _digest(call.attribution.session)


def _digest(text: str | None) -> str:
    return blake2b((text or "").encode(), digest_size=16).hexdigest()


def _id(call: CallRecord, number: int) -> str:
    millis = (call.started_at - _EPOCH) // timedelta(milliseconds=1)
    mark = blake2b(f"{call.attribution.session}\0{number}".encode(), digest_size=10).digest()
    return encode_id(millis << 80 | int.from_bytes(mark, "big"))
