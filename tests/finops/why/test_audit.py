"""Who did what: every event that says who decided is in the audit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runguard_core import events as ev
from runguard_core.attribution import Attribution
from runguard_core.finops.why import DECISIONS, decisions, differing, kinds_of
from runguard_core.ledger import Event

T0 = datetime(2026, 11, 24, 12, tzinfo=UTC)


def said(kind: str, at: datetime = T0, **facts: Any) -> Event:
    """An event."""
    return ev.event(kind, ev.NOTICE, "m", Attribution(app="shop"), at, **facts)


@pytest.mark.parametrize(
    ("event", "word", "about", "reason", "after"),
    [
        (said(ev.RESET, scope="app:shop", by="ann", reason="r", before={"rule": "kill"}, after=None), "reset", "app:shop", "r", None),
        (said(ev.ANOMALY_LABELLED, episode="e1", by="ann", label="planned", reason="r"), "label", "e1", "r", {"label": "planned"}),
        (said(ev.ANOMALY_RESOLVED, episode="e1", by="ann", cause="a bug"), "resolve", "e1", "a bug", None),
        (said(ev.ACTION_CHANGED, action="a1", by="ann", what="later", reason="r"), "action", "a1", "r", {"what": "later"}),
        (said(ev.PERIOD_CLOSED, period="2026-10", scope=None, by="ann", reason="r", nanos="5"), "close", "2026-10", "r", {"nanos": "5"}),
        (said(ev.POLICY_CHANGED, scope="p", by="ann", reason="f", before=None, after={"mode": "off"}), "policy", "p", "f", {"mode": "off"}),
    ],
)  # fmt: skip
def test_a_decision_says_what_it_is_about_and_why(event: Event, word: str, about: str, reason: str, after: Any) -> None:
    """Whatever its event calls it."""
    (one,) = decisions([event])
    assert (one.word, one.by, one.about, one.reason, one.after) == (word, "ann", about, reason, after)


def test_what_is_no_decision_is_left_out_and_the_order_is_that_of_time() -> None:
    """Events of other ledgers arrive late."""
    late = said(ev.KILLED, T0 - timedelta(hours=1), by="bob")
    found = decisions([said(ev.RESET, by="ann"), said(ev.CALL_REFUSED), late])
    assert [one.by for one in found] == ["bob", "ann"]
    assert [one.by for one in decisions([late, said(ev.RESET, by="ann")], "ann")] == ["ann"]


def test_only_what_changed_is_shown() -> None:
    """A key that came or went has nothing on one side."""
    (one,) = decisions([said(ev.POLICY_CHANGED, before={"a": 1, "b": 2}, after={"a": 1, "c": 3})])
    assert differing(one) == (("b", 2, None), ("c", None, 3))


def test_metrics_are_listed_only_when_they_are_asked_for() -> None:
    """A file of them is thousands of rows."""
    assert ev.METRIC_IMPORTED not in kinds_of(())
    assert kinds_of(("metric",)) == (ev.METRIC_IMPORTED,)
    assert set(kinds_of(tuple(DECISIONS))) == {kind for kinds in DECISIONS.values() for kind in kinds}
