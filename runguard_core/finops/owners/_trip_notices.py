"""Notices of stops: runs that tripped or met a budget, rolled up by day; what a person stopped, until it is reset."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from runguard_core import events as ev
from runguard_core.errors import RETRY_WHEN_SETTLED
from runguard_core.finops._calendar import Window
from runguard_core.finops.owners._cases import in_order
from runguard_core.finops.owners._look import Look, cents
from runguard_core.finops.owners._notice import Notice, Step, Urgency
from runguard_core.finops.owners._recipients import Concerned, Recipient
from runguard_core.ledger import Event

#: Kinds of stops that the breaker makes, and that people make and undo.
TRIP_KINDS = frozenset({ev.RUN_TRIPPED, ev.CALL_REFUSED})
KILL_KINDS = frozenset({ev.KILLED, ev.RESET})
#: The first stop of a day is told, then the tenth, the hundredth, ...
_STEP = 10


def trip_notices(events: Iterable[Event], look: Look) -> Iterator[Notice]:
    """Stops of the breaker: one alert a day for each feature, agent and rule, however many runs it stops.

    Args:
        events: of the kinds `TRIP_KINDS`, from the first instant of the day before `look.since` on.
    """
    if look.ladder.trip.times is None:
        return
    rolls: dict[tuple[Window, str, str | None, str], list[Event]] = defaultdict(list)
    for event in in_order(event for event in events if event.kind in TRIP_KINDS and event.app == look.app):
        if event.facts.get("retry") == RETRY_WHEN_SETTLED:  # calls in flight were in the way: that is no stop
            continue
        day, rule = look.calendar.day(event.at), str(event.facts.get("budget") or event.facts.get("rule") or "a rule")
        rolls[day, event.feature or look.app, event.agent, rule].append(event)
    for (day, feature, agent, rule), found in rolls.items():
        about = look.about(feature, agent)
        for one in look.told(look.ladder.trip, about, found[0].at):
            yield from _rolled(found, day, rule, about, one, look)


def _rolled(found: Sequence[Event], day: Window, rule: str, about: Concerned, one: Recipient, look: Look) -> Iterator[Notice]:
    key = f"stop-{about.feature}-{about.agent or ''}-{rule}-{day.name}"
    name = f"{about.feature}{f', {about.agent}' if about.agent else ''}"
    is_budget = found[0].kind == ev.CALL_REFUSED
    urgency = Urgency.WARNING if is_budget else Urgency.ERROR
    number, count = 0, 1
    while count <= len(found):
        latest = found[count - 1]
        what = f"budget {rule} is used up" if is_budget else f"stopped by rule {rule}"
        times = f", {count} times on {day.name}" if count > 1 else ""
        spent = latest.facts.get("spent_nanos")
        cost = f"\nThe run has spent {cents(int(spent))}." if isinstance(spent, str) and spent.isdigit() else ""
        if look.wants(latest.at):
            yield look.notice(
                one, about, key=key, step=Step.TRIGGER, urgency=urgency, at=latest.at, title=f"{name}: {what}{times}",
                text=f"{latest.message}.{cost}\nWho is stopped now: runguard trips", number=number, session=latest.session,
                facts={"rule": rule, "run": latest.run, "stop_count": count},
            )  # fmt: skip
        number, count = number + 1, count * _STEP
    if look.wants(day.end):
        yield look.notice(
            one, about, key=key, step=Step.RESOLVE, urgency=urgency, at=day.end,
            facts={"rule": rule, "stop_count": len(found)},
            title=f"{name}: the day has ended, {len(found)} stopped by {rule}", text="A new day is a new alert.",
        )  # fmt: skip


def kill_notices(events: Iterable[Event], look: Look) -> Iterator[Notice]:
    """What a person stopped, and that it may run again.

    Args:
        events: of the kinds `KILL_KINDS`; a reset ends the kills of its scope that are among them.
    """
    if look.ladder.trip.times is None:
        return
    killed: dict[str, list[Event]] = defaultdict(list)
    for event in in_order(event for event in events if event.kind in KILL_KINDS and event.app == look.app):
        scope = str(event.facts.get("scope", "app"))
        if event.kind == ev.KILLED:
            killed[scope].append(event)
            way = f"By {event.facts.get('by') or 'somebody'}. To let it run again: runguard reset {scope} --reason ..."
            yield from _kill(event, event.at, event.message, way, scope, Step.TRIGGER, look)
        else:
            by = f"By {event.facts.get('by') or 'somebody'}."
            for kill in killed.pop(scope, []):
                yield from _kill(kill, event.at, event.message, by, scope, Step.RESOLVE, look)
    for scope, kills in killed.items():
        for kill in kills:
            if (until := _until(kill)) is not None:
                yield from _kill(kill, until, f"{scope} may run again", "Its time is over.", scope, Step.RESOLVE, look)


def _until(kill: Event) -> datetime | None:
    """When a kill ends by itself; None for one that waits for a person."""
    after = kill.facts.get("after")
    until = after.get("until") if isinstance(after, Mapping) else None
    try:
        return datetime.fromisoformat(until) if isinstance(until, str) else None
    except ValueError:
        return None


def _kill(kill: Event, at: datetime, title: str, text: str, scope: str, step: Step, look: Look) -> Iterator[Notice]:
    if not look.wants(at):
        return
    kind, _, value = scope.partition(":")
    about = look.about(value if kind == "feature" else None, value if kind == "agent" else None)
    for one in look.told(look.ladder.trip, about, kill.at):
        yield look.notice(
            one, about, key=f"kill-{kill.id}", step=step, urgency=Urgency.ERROR, at=at, title=title, text=text,
            session=value if kind == "session" else None, facts={"scope": scope},
        )  # fmt: skip
