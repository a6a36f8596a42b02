"""`notices`: what people must hear of a ledger since the last look. The only place here that reads one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from runguard_core.finops._calendar import Calendar
from runguard_core.finops.owners._cases import CASE_KINDS
from runguard_core.finops.owners._episode_notices import episode_notices
from runguard_core.finops.owners._ladder import Ladder
from runguard_core.finops.owners._look import Look
from runguard_core.finops.owners._notice import Notice, Step
from runguard_core.finops.owners._planned import Planned
from runguard_core.finops.owners._quarters import USUAL_WEEKS, concerned, read_spend
from runguard_core.finops.owners._registry import Registry
from runguard_core.finops.owners._spend_notices import spend_notices
from runguard_core.finops.owners._trip_notices import KILL_KINDS, TRIP_KINDS, kill_notices, trip_notices
from runguard_core.ledger import EventFilter, Store

#: What is posted late (a long call, another host's events) is still found by the next look.
OVERLAP = timedelta(hours=1)
#: Longer than an episode lasts before it is the normal.
_STORY = timedelta(days=45)

#: At one instant a beginning comes before its end.
_ORDER = {step: number for number, step in enumerate(Step)}


def notices(
    store: Store, app: str, registry: Registry, ladder: Ladder, *, since: datetime, now: datetime,
    calendar: Calendar, planned: Sequence[Planned] = (),
) -> tuple[Notice, ...]:  # fmt: skip
    """Notices of everything that happened in [since - an hour, now], by time.

    The same ledger gives the same notices: whoever delivers them claims each by its id, and may ask again for any span.

    Args:
        store: read only. app: whose. registry, ladder, calendar, planned: the policy's. since: the last look.
    """
    start = since - OVERLAP
    first_week = calendar.before(calendar.before(calendar.week(start), "week"), "week", USUAL_WEEKS)
    day_before = calendar.before(calendar.day(start), "day")
    spend = read_spend(store, app, calendar, first_week.first_day, day_before.start, now)
    look = Look(
        app=app, registry=registry, ladder=ladder, calendar=calendar, since=start, now=now, planned=tuple(planned),
        known=concerned(spend),
    )  # fmt: skip
    stories = store.events(EventFilter(app=app, kinds=CASE_KINDS | KILL_KINDS, since=start - _STORY))
    trips = store.events(EventFilter(app=app, kinds=TRIP_KINDS, since=day_before.start))
    found = [
        *episode_notices(stories, look), *spend_notices(spend, look), *trip_notices(trips, look), *kill_notices(stories, look),
    ]  # fmt: skip
    return tuple(sorted({one.id: one for one in found}.values(), key=lambda one: (one.at, _ORDER[one.step], one.id)))
