"""`SpendWatch`: calls in, changes of episodes out. Pure, incremental, one call at a time, bounded memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, tzinfo

from runguard_core.anomalies._episodes import Announced, Change, Episode, What, episode_id
from runguard_core.anomalies._feature import FeatureWatch
from runguard_core.anomalies._gaps import Gaps
from runguard_core.anomalies._rules import Kind, Label, WatchRules, gravity_of
from runguard_core.anomalies._sentences import sentence
from runguard_core.anomalies._sessions import Running, Sessions, Sign
from runguard_core.anomalies._spent import Calendar, Spent

_MAX_FEATURES = 1_000


class SpendWatch:
    """Watches one app's spend.

    Time is that of the calls: handing them over one by one or in batches makes no difference. Calls may arrive a few minutes
    out of order; what is older than the running hour of its feature counts for its session only.
    """

    def __init__(self, app: str, rules: WatchRules, zone: tzinfo = UTC, labels: Mapping[str, Label] | None = None) -> None:
        """Nothing seen yet; `labels` is what people have said of episodes, by their ids."""
        self.app, self._rules = app, rules
        self._calendar = Calendar(zone)
        self._sessions = Sessions(rules)
        self._features: OrderedDict[str, FeatureWatch] = OrderedDict()
        self._gaps = Gaps(app, rules)
        self._labels = dict(labels or {})
        self._settled_at = 0.0

    # -- what comes in --------------------------------------------------------------------------------------------

    def observe(self, spent: Spent) -> list[Change]:
        """One settled call."""
        at = spent.at_seconds
        changes = self._finish(at)
        feature = self._feature(spent.feature)
        one, sign = self._sessions.observe(spent)
        was_out = one.is_out
        if sign is not None and not was_out:
            changes += self._stands_out(feature, one, sign, at)
        if was_out:
            changes += self._goes_on(feature, one, spent)
        share = 0 if one.is_out else spent.nanos
        changes += feature.observe(self._calendar.point(at), at, share)
        if spent.nanos == 0 or spent.model:
            changes += self._gaps.observe(spent)
        return self._said(changes)

    def settle(self, at_seconds: float) -> list[Change]:
        """Nothing was spent, time has passed: finish idle sessions, close what is over."""
        return self._said(self._finish(at_seconds))

    def label(self, episode_id: str, label: Label) -> None:
        """A person has judged an episode."""
        self._labels[episode_id] = label
        if label is Label.FALSE:
            for feature in self._features.values():
                self._release(feature, episode_id)

    def open_episodes(self) -> list[Episode]:
        """Everything that is going on, by start."""
        found = [f.announced.episode for f in self._features.values() if f.announced is not None]
        found += [one.announced.episode for one in self._sessions.all_running() if one.announced is not None]
        found += self._gaps.open_episodes()
        return sorted(found, key=lambda episode: (episode.started_at, episode.id))

    # -- sessions -------------------------------------------------------------------------------------------------

    def _stands_out(self, feature: FeatureWatch, one: Running, sign: Sign, at: float) -> list[Change]:
        excess = sign.seen_nanos - sign.expected_nanos
        if excess < self._rules.min_impact_nanos:
            return []
        one.is_out, one.expected_nanos = True, self._sessions.expected_nanos(one)
        made = self._session_episode(feature, one, sign, at)
        joined = feature.session_stands_out(one, sign, excess, at)
        if joined is not None:  # it is one of several: the feature speaks for it
            return [*joined, Change(What.JOINED, made, at)]
        one.announced = Announced(made)
        return [Change(What.OPENED, made, at)]

    def _session_episode(self, feature: FeatureWatch, one: Running, sign: Sign, at: float) -> Episode:
        usual, excess = feature.days.usual_nanos, sign.seen_nanos - sign.expected_nanos
        made = Episode(
            id=episode_id(self.app, "session", one.feature, one.session, int(one.first_seconds)), kind=sign.kind,
            gravity=gravity_of(sign.seen_nanos / max(sign.expected_nanos, 1), excess / usual if usual else 0.0),
            feature=one.feature, agent=one.agent, session=one.session, run=one.run, started_at=one.first_seconds, opened_at=at,
            seen_at=at, expected_nanos=sign.expected_nanos, seen_nanos=sign.seen_nanos, impact_nanos=excess, session_count=1,
        )  # fmt: skip
        return replace(made, evidence=sentence(made, sign.turn))

    def _goes_on(self, feature: FeatureWatch, one: Running, spent: Spent) -> list[Change]:
        """A session that stands out spends more; at the end of it the expected is what a whole session costs."""
        if one.announced is None:
            return feature.claim(spent.nanos, spent.at_seconds)
        episode = one.announced.episode
        impact = max(episode.impact_nanos, one.nanos - max(one.expected_nanos, episode.expected_nanos))
        usual = feature.days.usual_nanos
        gravity = gravity_of(one.nanos / max(one.expected_nanos, episode.expected_nanos, 1), impact / usual if usual else 0.0)
        if gravity.rank < episode.gravity.rank:
            gravity = episode.gravity
        also = episode.also
        if episode.kind is Kind.MID_SESSION and not also and self._sessions.is_spike(one):
            also = (Kind.SESSION_SPIKE,)
        return one.announced.update(
            spent.at_seconds, run=one.run, seen_at=spent.at_seconds, seen_nanos=one.nanos, impact_nanos=impact, gravity=gravity,
            also=also,
        )  # fmt: skip

    def _finish(self, at: float) -> list[Change]:
        """File sessions that are over; once a minute look for episodes that are."""
        changes: list[Change] = []
        for one in self._sessions.finish_idle(at):
            feature = self._feature(one.feature)
            if one.announced is not None:
                episode = one.announced.episode
                announced, one.announced = one.announced, None
                expected = max(one.expected_nanos, episode.expected_nanos)
                impact = max(0, one.nanos - expected)
                changes.append(announced.close(at, "the session is over", ended_at=one.last_seconds, impact_nanos=impact,
                                                   expected_nanos=expected, seen_nanos=one.nanos))  # fmt: skip
            is_suspect = one.is_out or feature.is_sudden
            self._sessions.file(one, withhold=is_suspect)
            if not is_suspect and self._rules.factor(one.feature, one.last_seconds) == 1.0:
                changes += feature.session_ended(one, one.last_seconds)
        if at - self._settled_at >= 60.0:
            self._settled_at = at
            changes += self._gaps.settle(at)
            for feature in self._features.values():
                changes += self._settle_feature(feature, at)
        return changes

    # -- features -------------------------------------------------------------------------------------------------

    def _feature(self, name: str) -> FeatureWatch:
        found = self._features.get(name)
        if found is None:
            found = self._features[name] = FeatureWatch(self.app, name, self._rules, self._calendar, self._sessions.dearest)
            while len(self._features) > _MAX_FEATURES:
                self._features.popitem(last=False)
        else:
            self._features.move_to_end(name)  # names without end push out what nobody uses, not what has a history
        return found

    def _settle_feature(self, feature: FeatureWatch, at: float) -> list[Change]:
        changes = feature.settle(at)
        for change in changes:
            is_normal = change.episode.outcome.startswith("normal") or self._labels.get(change.episode.id) is Label.FALSE
            if is_normal:
                feature.release()
                self._sessions.release(feature.feature)
        return changes

    def _release(self, feature: FeatureWatch, episode_id: str) -> None:
        if feature.announced is not None and feature.announced.episode.id == episode_id:
            feature.release()
            self._sessions.release(feature.feature)

    def _said(self, changes: list[Change]) -> list[Change]:
        """Episodes that a person has called planned or false are not spoken of again."""
        if not self._labels or not changes:
            return changes
        return [change for change in changes if change.episode.id not in self._labels]
