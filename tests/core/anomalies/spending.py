"""Spend made by hand: sessions and days whose costs a test chooses."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from random import Random

from runguard_core.anomalies import Change, SpendWatch, Spent, WatchRules, What

USD = 10**9
DAY, HOUR = 86_400.0, 3600.0
MONDAY = datetime(2026, 6, 1, tzinfo=UTC).timestamp()


def spent(at: float, nanos: int, session: str = "s", **more: object) -> Spent:
    """One model call of feature "f", agent "a"."""
    values: dict[str, object] = {
        "feature": "f", "agent": "a", "run": f"{session}-r", "turn": 0, "model": "m", "total_tokens": 1000, "is_unpriced": False,
        "call_id": f"{session}-{at}",
    } | more  # fmt: skip
    return Spent(at_seconds=at, nanos=nanos, session=session, **values)  # type: ignore[arg-type]  # whatever the test says


def a_session(at: float, usd: float, session: str, turns: int = 4, **more: object) -> list[Spent]:
    """A session of equal turns, a minute apart."""
    return [spent(at + 60 * turn, round(usd * USD / turns), session, turn=turn + 1, **more) for turn in range(turns)]


def healthy(
    days: int, per_day: int = 30, usd: float = 0.2, seed: int = 1, start: float = MONDAY, spread: float = 0.3, **more: object
) -> list[Spent]:
    """Days of ordinary sessions: log-normal costs, office hours, the same every day."""
    dice, found = Random(seed), []
    for day in range(days):
        for number in range(per_day):
            at = start + day * DAY + 8 * HOUR + number * 10 * HOUR / per_day + dice.uniform(0, 600)
            turns = 2 + int(dice.expovariate(0.6))
            cost = usd * dice.lognormvariate(0, spread) * turns / 4
            found += a_session(at, cost, f"h{start:.0f}-{day}-{number}", min(turns, 20), **more)
    return sorted(found, key=lambda one: one.at_seconds)


def play(calls: Iterable[Spent], rules: WatchRules | None = None, until: float | None = None) -> list[Change]:
    """Everything the watch says of them."""
    watch, found = SpendWatch("app", rules or WatchRules()), []
    for one in sorted(calls, key=lambda one: one.at_seconds):
        found += watch.observe(one)
    return found + (watch.settle(until) if until is not None else [])


def opened(changes: Iterable[Change]) -> list[Change]:
    """The openings."""
    return [change for change in changes if change.what is What.OPENED]
