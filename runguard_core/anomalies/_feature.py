"""One feature: its hours, its days, its level of cost per session; and its one open episode."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace

from runguard_core.anomalies._drift import Drift
from runguard_core.anomalies._episodes import Announced, Change, Episode, What, episode_id
from runguard_core.anomalies._pace import Days, Hours
from runguard_core.anomalies._rules import Kind, WatchRules, gravity_of
from runguard_core.anomalies._sentences import sentence
from runguard_core.anomalies._sessions import Running, Sign
from runguard_core.anomalies._spent import DAY_SECONDS, HOUR_SECONDS, Calendar, Point
from runguard_core.anomalies._window import Window
from runguard_core.money import format_usd

_MAX_AGENTS = 200
TAIL = 0.995
#: While one of these goes on in a feature, a session that stands out belongs to it; not so while its level drifts for weeks.
_SUDDEN = frozenset({Kind.SESSION_SPIKE, Kind.SPEND_RATE, Kind.DAILY_THRESHOLD})
#: A day that stands out is followed by one that has to prove itself: until then its episode is not over.
_DAY_PATIENCE = 1.5


class FeatureWatch:
    """Judges what no session's own episode has claimed, so that a dollar above the expected belongs to one episode only.

    While the feature has an open episode whatever else stands out in it joins that one.
    """

    def __init__(
        self, app: str, feature: str, rules: WatchRules, calendar: Calendar, dearest: Callable[[str], Running | None]
    ) -> None:
        """Nothing seen yet; `dearest` finds the running session of a feature that has cost most."""
        self._dearest = dearest
        self.app, self.feature, self._rules, self._calendar = app, feature, rules, calendar
        self.hours, self.days = Hours(rules), Days(rules)
        self._costs = Window(300)
        self.drifts: dict[str, Drift] = {}
        self.announced: Announced | None = None
        self.last_seconds = 0.0
        self._seen: dict[Kind, float] = {}
        self._gathered: deque[Running] = deque(maxlen=rules.gather_count)
        self._sessions_nanos = self._session_count = 0
        self._cost_count = 0
        self._opened: tuple[int, int] = (0, 0)

    # -- what comes in --------------------------------------------------------------------------------------------

    def observe(self, point: Point, at_seconds: float, nanos: int) -> list[Change]:
        """Add a cost that no session's episode has claimed."""
        self.last_seconds = max(self.last_seconds, at_seconds)
        changes: list[Change] = []
        factor = self._rules.factor(self.feature, at_seconds)
        hour_out = self.hours.add(point, nanos, factor)
        if hour_out or Kind.SPEND_RATE in self._seen:
            nanos = min(nanos, max(0, round(self.hours.expected) - self.hours.sum_nanos + nanos))
        if hour_out:
            start = point.hour_index * float(HOUR_SECONDS)
            if Kind.SPEND_RATE not in self._seen:
                self.hours.excess_nanos = 0
            if Kind.SPEND_RATE in self._seen or self._is_material(self.hours.above_nanos):
                if Kind.SPEND_RATE not in self._seen:
                    self.days.take_back(self.hours.above_nanos)
                changes += self._flag(Sign(Kind.SPEND_RATE, round(self.hours.expected), self.hours.sum_nanos), at_seconds, start)
        if self.days.add(point, nanos, factor):
            if Kind.DAILY_THRESHOLD not in self._seen:
                self.days.excess_nanos = 0
            if Kind.DAILY_THRESHOLD in self._seen or self._is_material(self.days.above_nanos):
                start = self._calendar.start_of_day(point.day_index)
                sign = Sign(Kind.DAILY_THRESHOLD, round(self.days.expected), self.days.sum_nanos)
                changes += self._flag(sign, at_seconds, start)
        return changes

    def session_ended(self, one: Running, at_seconds: float) -> list[Change]:
        """A session that did not stand out has finished: does the level of its kind?"""
        self._costs.add(float(one.nanos))
        self._cost_count += 1
        if self._cost_count % 20 == 0:
            tail = self._costs.quantile(TAIL)
            self.hours.slots.tail_nanos = tail
            whole = 0.15 * self.days.slots[-1].usual
            for slots in self.days.slots:
                slots.tail_nanos = max(tail, whole)
        drift = self.drifts.get(one.agent)
        if drift is None:
            if len(self.drifts) >= _MAX_AGENTS:
                return []
            drift = self.drifts[one.agent] = Drift(self._rules)
        if not drift.add(at_seconds, one.nanos) or not self._is_material(drift.excess_nanos):
            return []
        sign = Sign(Kind.SLOW_DRIFT, drift.expected_nanos, drift.seen_nanos)
        return self._flag(sign, at_seconds, drift.since_seconds, agent=one.agent)

    def session_stands_out(self, one: Running, sign: Sign, excess_nanos: int, at_seconds: float) -> list[Change] | None:
        """A session has begun to stand out: None when that is an episode of its own, else what it does to the feature's."""
        self.hours.take_back(excess_nanos)
        self.days.take_back(excess_nanos)
        if self.is_sudden:
            return self._gather(one, sign, at_seconds, one.first_seconds)
        self._gathered.append(one)
        since = at_seconds - self._rules.gather_seconds
        recent = [other for other in self._gathered if other.last_seconds >= since]
        if len(recent) < self._rules.gather_count:
            return None
        going_on = [other for other in recent if other.announced is not None]  # what is over has its own, closed episode
        self._sessions_nanos = sum(max(0, other.nanos - other.expected_nanos) for other in going_on)
        self._session_count = len(going_on)
        changes = self._gather(one, sign, at_seconds, min(other.first_seconds for other in recent))
        assert self.announced is not None
        for other in going_on:
            assert other.announced is not None
            outcome = "one of several sessions of the feature that stand out"
            changes.append(other.announced.close(at_seconds, outcome, joined=self.announced.episode.id))
            other.announced = None
        self._gathered.clear()
        return changes

    def _gather(self, one: Running, sign: Sign, at_seconds: float, start: float) -> list[Change]:
        self._session_count += 1
        self._sessions_nanos += max(0, one.nanos - one.expected_nanos)
        return self._flag(sign._replace(kind=Kind.SESSION_SPIKE), at_seconds, start, agent=one.agent)

    def claim(self, nanos: int, at_seconds: float) -> list[Change]:
        """A session that stands out, gathered into this feature's episode, goes on spending."""
        self._sessions_nanos += nanos
        if Kind.SESSION_SPIKE not in self._seen or self.announced is None:
            return []
        self._seen[Kind.SESSION_SPIKE] = at_seconds
        return self._refresh(self.announced, at_seconds)

    # -- the episode ----------------------------------------------------------------------------------------------

    @property
    def is_sudden(self) -> bool:
        """Whether the feature as a whole stands out now; its sessions are no example of normal ones then."""
        return bool(self._seen.keys() & _SUDDEN)

    @property
    def impact_nanos(self) -> int:
        """Spent above the expected since the episode began, each dollar once."""
        rate = self.hours.excess_nanos + self.hours.above_nanos if Kind.SPEND_RATE in self._seen else 0
        day = 0
        if Kind.DAILY_THRESHOLD in self._seen:
            day = self.days.excess_nanos + (self.days.above_nanos if self.days.is_out else 0)
        drift = 0
        if Kind.SLOW_DRIFT in self._seen:
            drift = max((one.excess_nanos for one in self.drifts.values() if one.is_out), default=0)
        return max(rate + day + self._sessions_nanos, drift)

    def _is_material(self, nanos: int) -> bool:
        return nanos >= self._rules.min_impact_nanos

    def _flag(self, sign: Sign, at_seconds: float, start: float, agent: str = "") -> list[Change]:
        """Something stands out: open the episode, or let it join the open one."""
        first = sign.kind not in self._seen
        self._seen[sign.kind] = at_seconds
        if self.announced is not None:
            return self._refresh(self.announced, at_seconds, sign if first else None)
        usual = self.days.usual_nanos
        impact = self.impact_nanos
        ratio = sign.seen_nanos / sign.expected_nanos if sign.expected_nanos else 0.0
        gravity = gravity_of(ratio, impact / usual if usual else 0.0)
        made = Episode(
            id=self._new_id(start), kind=sign.kind, gravity=gravity, feature=self.feature, agent=agent, started_at=start,
            opened_at=at_seconds, seen_at=at_seconds, expected_nanos=sign.expected_nanos, seen_nanos=sign.seen_nanos,
            impact_nanos=impact, session_count=self._session_count,
        )  # fmt: skip
        self.announced = Announced(replace(made, evidence=sentence(made, sign.turn) + self._culprit(sign)))
        return [Change(What.OPENED, self.announced.episode, at_seconds)]

    def _culprit(self, sign: Sign) -> str:
        """The session that has cost most, where it alone explains most of what is too much."""
        one = self._dearest(self.feature) if sign.kind in {Kind.SPEND_RATE, Kind.DAILY_THRESHOLD} else None
        if one is None or 2 * one.nanos < sign.seen_nanos - sign.expected_nanos:
            return ""
        return f"; session {one.session} alone has cost {format_usd(one.nanos)}"

    def _new_id(self, start: float) -> str:
        """By the local day on which it began; a second one of that day is numbered."""
        day = self._calendar.point(start).day_index
        number = self._opened[1] + 1 if self._opened[0] == day else 1
        self._opened = (day, number)
        return episode_id(self.app, "feature", self.feature, day, number)

    def _refresh(self, announced: Announced, at_seconds: float, sign: Sign | None = None) -> list[Change]:
        episode = announced.episode
        impact, usual = max(self.impact_nanos, episode.impact_nanos), self.days.usual_nanos
        values: dict[str, object] = {
            "seen_at": max(at_seconds, episode.seen_at), "impact_nanos": impact, "session_count": self._session_count,
        }  # fmt: skip
        paces: dict[Kind, Hours | Days] = {Kind.SPEND_RATE: self.hours, Kind.DAILY_THRESHOLD: self.days}
        pace = paces.get(episode.kind)
        if pace is not None and pace.sum_nanos - pace.expected > episode.seen_nanos - episode.expected_nanos:  # the worst so far
            values |= {"seen_nanos": pace.sum_nanos, "expected_nanos": round(pace.expected)}
        if sign is not None and sign.kind is not episode.kind and sign.kind not in episode.also:
            values["also"] = (*episode.also, sign.kind)
        after = replace(episode, **values)  # type: ignore[arg-type]  # fields of Episode
        gravity = gravity_of(after.ratio, impact / usual if usual else 0.0)
        if gravity.rank > episode.gravity.rank:
            values["gravity"] = gravity
        return announced.update(at_seconds, **values)

    def settle(self, at_seconds: float) -> list[Change]:
        """Close the episode when nothing has stood out for long enough, or when it has become the normal."""
        announced = self.announced
        if announced is None:
            return []
        for kind, seen in tuple(self._seen.items()):
            if kind is Kind.SLOW_DRIFT and any(one.is_out for one in self.drifts.values()):
                continue
            patience = self._rules.quiet_seconds * (_DAY_PATIENCE if kind is Kind.DAILY_THRESHOLD else 1.0)
            if at_seconds - seen >= patience:
                self._quiet(kind)
        if not self._seen:
            self.announced = None
            return [announced.close(at_seconds, "back to normal")]
        if at_seconds - announced.episode.started_at >= self._rules.adopt_days * DAY_SECONDS:
            self.adopt()
            self.announced = None
            return [announced.close(at_seconds, f"normal from now on: it has lasted {self._rules.adopt_days} days")]
        return []

    def _quiet(self, kind: Kind) -> None:
        del self._seen[kind]
        if kind is Kind.SESSION_SPIKE:
            self._sessions_nanos = self._session_count = 0

    def release(self) -> None:
        """What stood out was normal: it joins the baselines."""
        self.hours.release()
        self.days.release()
        for drift in self.drifts.values():
            drift.adopt()

    def adopt(self) -> None:
        """What stands out now is normal from now on."""
        self.release()
        self._seen.clear()
        self._sessions_nanos = self._session_count = 0
