"""Episodes of the past: the same watch over calls that are in the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, tzinfo

from runguard_core.anomalies._episodes import Change, Episode, What
from runguard_core.anomalies._rules import Label, WatchRules
from runguard_core.anomalies._spent import spent_of
from runguard_core.anomalies._watch import SpendWatch
from runguard_core.ledger import CallRecord


def look_back(
    app: str,
    calls: Iterable[CallRecord],
    rules: WatchRules,
    zone: tzinfo = UTC,
    labels: Mapping[str, Label] | None = None,
    until_seconds: float | None = None,
) -> list[Change]:
    """Every change that the watch would have announced, in order.

    Args:
        app: whose calls. calls: in any order; those in flight and those that cost nothing are passed over.
        rules, zone, labels: as for `SpendWatch`. until_seconds: the present, to close what is over by now.
    """
    watch, found = SpendWatch(app, rules, zone, labels), list[Change]()
    spent = [one for one in map(spent_of, calls) if one is not None]
    spent.sort(key=lambda one: (one.at_seconds, one.call_id))
    for one in spent:
        found += watch.observe(one)
    if until_seconds is not None:
        found += watch.settle(until_seconds)
    return found


def latest(changes: Iterable[Change]) -> dict[str, Episode]:
    """The last word on each episode, by id; sessions that only joined another's are not among them."""
    found: dict[str, Episode] = {}
    for change in changes:
        if change.what is not What.JOINED:
            found[change.episode.id] = change.episode
    return found
