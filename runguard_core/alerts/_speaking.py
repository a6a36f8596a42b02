"""What is said: by the practice's ladder, and of budgets' thresholds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from runguard_core import events as ev
from runguard_core.alerts._routing import Source
from runguard_core.finops import Calendar
from runguard_core.finops.owners import (
    CASE_KINDS,
    OWNER,
    UNOWNED,
    Concerned,
    Ladder,
    Notice,
    Planned,
    Registry,
    Step,
    Urgency,
    notices,
    recipients,
)
from runguard_core.ledger import Event, EventFilter, Store

#: What is posted late is still found by the next look.
_OVERLAP = timedelta(hours=1)


def ladder_source(registry: Registry, ladder: Ladder, calendar: Calendar, planned: Sequence[Planned] = ()) -> Source:
    """Stops, kills, episodes, dear days and weeks, to whom `[escalation]` names."""

    def said(store: Store, app: str, since: datetime, now: datetime) -> Iterable[Notice]:
        return notices(store, app, registry, ladder, since=since, now=now, calendar=calendar, planned=planned)

    return Source(kinds=CASE_KINDS | {ev.RUN_TRIPPED, ev.CALL_REFUSED, ev.KILLED, ev.RESET}, notices=said)


def threshold_source(registry: Registry) -> Source:
    """A budget has passed one of its `thresholds`: the owner hears of it, once an hour for each budget, feature and threshold."""

    def said(store: Store, app: str, since: datetime, now: datetime) -> Iterable[Notice]:
        asked = EventFilter(app=app, kinds={ev.BUDGET_THRESHOLD}, since=since - _OVERLAP, until=now + _OVERLAP)
        found: dict[str, Notice] = {}
        for event in store.events(asked):
            notice = _notice(event, registry)
            found.setdefault(notice.id, notice)  # of those that are one, the first is said
        return found.values()

    return Source(kinds=frozenset({ev.BUDGET_THRESHOLD}), notices=said)


def _notice(event: Event, registry: Registry) -> Notice:
    budget, share = str(event.facts.get("budget", "?")), str(event.facts.get("share", "?"))
    about = Concerned(feature=event.feature, agent=event.agent)
    (told,) = recipients([OWNER], about, registry, event.at.date(), "")
    hint = "More within the hour are not sent one by one: runguard budget"
    return Notice(
        about=f"budget-{event.feature}-{budget}-{share}-{event.at:%Y-%m-%dT%H}", to=told.to, level=told.level, step=Step.REPORT,
        urgency=Urgency.WARNING, at=event.at, title=f"{event.feature or event.app}: budget {budget} has passed {_percent(share)}",
        text=f"{event.message}\n{hint}" + ("\nNobody owns it." if told.to == UNOWNED else ""), app=event.app,
        feature=event.feature, agent=event.agent, session=event.session,
        facts={key: value for key, value in event.facts.items() if key in {"budget", "share", "unit"}},
    )  # fmt: skip


def _percent(share: str) -> str:
    try:
        return f"{float(share):.0%}"
    except ValueError:
        return share
