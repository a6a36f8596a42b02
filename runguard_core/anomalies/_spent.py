"""One settled call as the watch sees it: when, whose, how much."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

from runguard_core.attribution import Attribution, feature_of
from runguard_core.calls import CallKind, Certainty
from runguard_core.ledger import CallRecord, CallState, Settlement

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_QUARTER_SECONDS = 900
HOUR_SECONDS = 3600
DAY_SECONDS = 86_400


class Spent(NamedTuple):
    """What one call cost.

    Attributes:
        at_seconds: when it was known, seconds since 1970 UTC.
        feature, agent, session, run: whose; "" where nobody said.
        turn: number of the turn within the run, 0 where unknown; a retry has that of the call it repeats.
        model: that answered; "" for tools.
        nanos: cost in nano-USD, 0 when unpriced.
        total_tokens: prompt and answer.
        is_unpriced: the model has no price.
        call_id: in the ledger.
    """

    at_seconds: float
    feature: str
    agent: str
    session: str
    run: str
    turn: int
    model: str
    nanos: int
    total_tokens: int
    is_unpriced: bool
    call_id: str


def spent_of(call: CallRecord) -> Spent | None:
    """A call of the ledger as the watch sees it; None while it is pending, when nothing was billed, and for what is no call."""
    settled = call.settlement
    if settled is None or not call.is_paid or settled.from_cache or call.state is CallState.VOIDED:
        return None
    return spent_by(call.attribution, call.id, call.name, settled, is_model=call.kind is CallKind.MODEL)


def spent_by(who: Attribution, call_id: str, name: str, settled: Settlement, *, is_model: bool) -> Spent:
    """A call that was posted, from its parts: `name` is the model asked for, or the tool."""
    usage = settled.usage
    return Spent(
        (settled.at - EPOCH).total_seconds(),
        feature_of(who),
        who.agent or "",
        who.session or who.run or call_id,
        who.run or "",
        who.turn or 0,
        (settled.model_answered or name) if is_model else "",
        settled.cost_nanos or 0,
        usage.total_tokens if usage is not None and is_model else 0,
        settled.certainty is Certainty.UNPRICED,
        call_id,
    )


def moment(at_seconds: float) -> datetime:
    """Seconds since 1970 as an instant (UTC)."""
    return EPOCH + timedelta(seconds=at_seconds)


class Point(NamedTuple):
    """Where an instant lies on the calendar of the policy's time zone.

    Attributes:
        hour_index: hours since 1970; day_index: days of the local calendar since year 1.
        hour: local hour, 0 to 23; is_weekend: Saturday or Sunday.
    """

    hour_index: int
    day_index: int
    hour: int
    is_weekend: bool


class Calendar:
    """Instants to points; remembers the latest quarter of an hour (no zone's offset is finer)."""

    __slots__ = ("_point", "_quarter", "zone")

    def __init__(self, zone: tzinfo) -> None:
        """For one time zone."""
        self.zone = zone
        self._quarter, self._point = -1, Point(0, 0, 0, False)

    def point(self, at_seconds: float) -> Point:
        """The point of an instant."""
        quarter = int(at_seconds // _QUARTER_SECONDS)
        if quarter != self._quarter:
            local = moment(at_seconds).astimezone(self.zone)
            self._point = Point(int(at_seconds // HOUR_SECONDS), local.toordinal(), local.hour, local.weekday() >= 5)
            self._quarter = quarter
        return self._point

    def start_of_day(self, day_index: int) -> float:
        """The first instant of a local day, seconds since 1970."""
        local = datetime.fromordinal(day_index).replace(tzinfo=self.zone, fold=0)
        return (local - EPOCH).total_seconds()
