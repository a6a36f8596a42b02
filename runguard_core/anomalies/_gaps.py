"""Meter gaps: tokens that cost nothing, of a model that is not known to be free."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

from runguard_core.anomalies._episodes import Announced, Change, Episode, What, episode_id
from runguard_core.anomalies._rules import Kind, WatchRules, gravity_of
from runguard_core.anomalies._sentences import sentence
from runguard_core.anomalies._spent import DAY_SECONDS, Spent

_MAX_MODELS = 2_000
#: Tokens after which a feature's usual price a token is known.
_MIN_TOKENS = 10_000


class _Model:
    """One model within one feature: tokens since the last priced call that cost nothing."""

    __slots__ = ("announced", "call_count", "free_tokens", "last_seconds", "since_seconds", "was_priced")

    def __init__(self) -> None:
        self.announced: Announced | None = None
        self.was_priced = False
        self.free_tokens = self.call_count = 0
        self.since_seconds = self.last_seconds = 0.0


class Gaps:
    """A model is watched when it has no price, or when it once had one. A model that the policy prices at zero is free.

    What is missing is estimated at the feature's own price a token, so it needs priced calls of that feature beside it.
    """

    def __init__(self, app: str, rules: WatchRules) -> None:
        """Nothing seen yet."""
        self._app, self._rules = app, rules
        self._models: OrderedDict[tuple[str, str], _Model] = OrderedDict()
        self._priced: OrderedDict[str, list[int]] = OrderedDict()

    def observe(self, spent: Spent) -> list[Change]:
        """One model call."""
        if not spent.model or spent.total_tokens <= 0:
            return []
        key = (spent.feature, spent.model)
        one = self._models.get(key)
        if one is None:
            one = self._models[key] = _Model()
            while len(self._models) > _MAX_MODELS:
                self._models.popitem(last=False)
        else:
            self._models.move_to_end(key)
        one.last_seconds = max(one.last_seconds, spent.at_seconds)
        if spent.nanos > 0:
            return self._priced_call(one, spent)
        if not spent.is_unpriced and not one.was_priced:
            return []
        return self._free_call(one, spent)

    def _priced_call(self, one: _Model, spent: Spent) -> list[Change]:
        one.was_priced, one.free_tokens = True, 0
        sums = self._priced.get(spent.feature)
        if sums is None:
            sums = self._priced[spent.feature] = [0, 0]
            while len(self._priced) > _MAX_MODELS:
                self._priced.popitem(last=False)
        else:
            self._priced.move_to_end(spent.feature)
        sums[0] += spent.nanos
        sums[1] += spent.total_tokens
        if sums[1] > 10**9:  # an old price fades
            sums[0] //= 2
            sums[1] //= 2
        if one.announced is None:
            return []
        closed = one.announced.close(spent.at_seconds, "the model's calls are priced again")
        one.announced = None
        return [closed]

    def _free_call(self, one: _Model, spent: Spent) -> list[Change]:
        if one.free_tokens == 0:
            one.since_seconds = spent.at_seconds
        one.free_tokens += spent.total_tokens
        nanos, tokens = self._priced.get(spent.feature, (0, 0))
        missing = nanos * one.free_tokens // tokens if tokens >= _MIN_TOKENS else 0
        if one.announced is not None:
            return one.announced.update(spent.at_seconds, seen_at=one.last_seconds, seen_nanos=missing, impact_nanos=missing)
        if missing < self._rules.min_impact_nanos:
            return []
        made = Episode(
            id=episode_id(self._app, "gap", spent.feature, spent.model, int(one.since_seconds)), kind=Kind.METER_GAP,
            gravity=gravity_of(0.0, 0.25), feature=spent.feature, agent=spent.agent, model=spent.model,
            started_at=one.since_seconds, opened_at=spent.at_seconds, seen_at=spent.at_seconds,
            expected_nanos=0, seen_nanos=missing, impact_nanos=missing,
        )  # fmt: skip
        one.announced = Announced(replace(made, evidence=sentence(made)))
        return [Change(What.OPENED, one.announced.episode, spent.at_seconds)]

    def open_episodes(self) -> list[Episode]:
        """Gaps that are going on."""
        return [one.announced.episode for one in self._models.values() if one.announced is not None]

    def settle(self, at_seconds: float) -> list[Change]:
        """Close the gaps of models that nobody calls any more."""
        changes = []
        for one in self._models.values():
            if one.announced is not None and at_seconds - one.last_seconds >= DAY_SECONDS:
                changes.append(one.announced.close(at_seconds, "the model is not called any more"))
                one.announced, one.free_tokens = None, 0
        return changes
