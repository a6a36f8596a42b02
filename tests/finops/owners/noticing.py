"""What tests of notices share: some people, an episode, a look."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from runguard_core.anomalies import Episode, Gravity, Kind
from runguard_core.finops import Calendar
from runguard_core.finops.owners import (
    Duty,
    Ladder,
    Notice,
    Registry,
    Step,
    Team,
)
from runguard_core.finops.owners._look import Look

USD = 10**9
MONDAY = datetime(2026, 10, 5, tzinfo=UTC)  # the fifth week is that of November 2
FIFTH = MONDAY + timedelta(weeks=4)
NOW = MONDAY + timedelta(weeks=5)
REGISTRY = Registry(
    default=Duty(owner="boss", team="shop"),
    features={"search": Duty(owner="ana", deputy="ben", runbook="https://example.com/search", team="discovery")},
    teams={
        "shop": Team(name="shop", lead="max", executive="cfo"),
        "discovery": Team(name="discovery", lead="lea", executive="eve"),
    },
)
EPISODE = Episode(
    id="an-1", kind=Kind.SESSION_SPIKE, gravity=Gravity.MAJOR, feature="search", agent="searcher", session="s-1",
    started_at=0.0, opened_at=0.0, seen_at=0.0, expected_nanos=USD, seen_nanos=6 * USD, impact_nanos=5 * USD,
)  # fmt: skip


def look(since: datetime = NOW - timedelta(weeks=1), now: datetime = NOW, **more: object) -> Look:
    """A look with the ladder's defaults."""
    values: dict[str, object] = {"registry": REGISTRY, "ladder": Ladder(), "calendar": Calendar()} | more
    return Look(app="shop", since=since, now=now, **values)  # type: ignore[arg-type]  # whatever the test says


def short(found: Iterable[Notice]) -> list[tuple[str, str, Step, int]]:
    """Who, why, what, which."""
    return [(one.to, one.level, one.step, one.number) for one in found]
