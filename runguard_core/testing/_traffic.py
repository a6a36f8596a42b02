"""Seeded traffic of a product over weeks, with incidents whose truth is known.

The traffic of a feature's day depends on (seed, feature, day) only: with and without incidents it is the same traffic, so an
incident's excess is what it really cost. Prices are those of the price list on that day.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import NamedTuple

from runguard_core.calls import PromptPart
from runguard_core.prices import PriceBook, Rates
from runguard_core.testing._traffic_features import FEATURES, FeatureTraffic
from runguard_core.testing._traffic_incidents import Incident, IncidentKind
from runguard_core.testing._traffic_prompts import PromptMakeup
from runguard_core.usage import Usage

_MAX_CONTEXT_TOKENS = 110_000
_KEPT_TOKENS = 24_000
_STRANGER = "u-unknown"


#: Whose a call is: feature, user, session, run, turn, tool loop.
Spot = tuple[FeatureTraffic, str, str, str, int, int]


class TrafficCall(NamedTuple):
    """One call of the generated traffic.

    Attributes:
        at: when it was sent (UTC); duration_seconds: until its answer.
        of: the feature; agent, user, session, run: who; turn, loop: within the run.
        tool: name of the tool, "" for a model call; model: the model called, "" for a tool.
        usage: tokens, None for a tool; nanos: cost in nano-USD; excess_nanos: the part that an incident caused.
        error: "" or what went wrong (the attempt was billed all the same).
        result_chars: size of an answer or of a tool's result. argument: what the tool was asked, as a number.
        parts: what the prompt was made of; () for a tool.
    """

    at: datetime
    duration_seconds: float
    of: FeatureTraffic
    user: str
    session: str
    run: str
    turn: int
    loop: int
    tool: str
    model: str
    usage: Usage | None
    nanos: int
    excess_nanos: int
    error: str
    result_chars: int
    argument: int
    parts: tuple[PromptPart, ...] = ()


@dataclass(slots=True)
class Traffic:
    """What was made: the calls in the order in which they were sent, and the incidents with their excess."""

    calls: list[TrafficCall]
    incidents: list[Incident]


def make_traffic(
    start: datetime,
    days: int,
    *,
    seed: int = 1,
    scale: float = 1.0,
    features: Sequence[FeatureTraffic] = FEATURES,
    incidents: Iterable[Incident] = (),
    prices: PriceBook | None = None,
) -> Traffic:
    """Make the traffic of some days.

    Args:
        start: midnight of the first day (UTC). days: how many.
        seed: the same seed, the same traffic. scale: times the usual number of sessions.
        features: who calls. incidents: what goes wrong, where and when. prices: the list, else the installed one.
    """
    planned = list(incidents)
    maker = _Maker(seed, scale, planned, prices or PriceBook())
    calls: list[TrafficCall] = []
    for feature in features:
        for day in range(days):
            calls += maker.day(feature, start, day)
    calls.sort(key=lambda call: (call.at, call.session, call.turn, call.tool))
    known = [replace(one, excess_nanos=nanos) for one, nanos in zip(planned, maker.excess, strict=True)]
    return Traffic(calls, known)


class _Maker:
    """The dice and the prices."""

    def __init__(self, seed: int, scale: float, incidents: list[Incident], prices: PriceBook) -> None:
        self._seed, self._scale, self._incidents, self._prices = seed, scale, incidents, prices
        self._rates: dict[tuple[str, str], Rates] = {}
        self.excess = [0] * len(incidents)

    def day(self, of: FeatureTraffic, start: datetime, day: int) -> Iterator[TrafficCall]:
        """All sessions of a feature that start on a day, and what incidents add to it."""
        midnight = start + timedelta(days=day)
        dice = Random(f"{self._seed}:{of.feature}:{day}")  # noqa: S311  traffic, no secrets
        ratio = of.weekend_ratio if midnight.weekday() >= 5 else 1.0
        level = of.sessions_per_day * self._scale * ratio * (1 + of.growth_per_week) ** (day / 7) * math.exp(dice.gauss(0, 0.1))
        number = count()
        for _ in range(_poisson(level, dice)):
            at = midnight + timedelta(hours=dice.choices(range(24), of.hours)[0], seconds=dice.uniform(0, 3600))
            yield from self._session(of, at, f"{of.feature}-{day}-{next(number)}", dice, None)
        for place, incident in enumerate(self._incidents):
            if incident.feature == of.feature:
                extra = Random(f"{self._seed}:{of.feature}:{day}:{place}")  # noqa: S311  as above
                yield from self._extra(of, midnight, day, place, extra)

    def _extra(self, of: FeatureTraffic, midnight: datetime, day: int, place: int, dice: Random) -> Iterator[TrafficCall]:
        """Sessions that exist only because of an incident."""
        incident, sessions = self._incidents[place], 0.0
        for hour in range(24):
            at = midnight + timedelta(hours=hour)
            share = _overlap(at, incident)
            if not share:
                continue
            if incident.kind is IncidentKind.TRAFFIC_BURST:
                ratio = of.weekend_ratio if midnight.weekday() >= 5 else 1.0
                sessions = 9 * of.sessions_per_day * self._scale * ratio * of.hours[hour] / sum(of.hours)
            elif incident.kind is IncidentKind.LEAKED_KEY:
                sessions = max(4.0, of.sessions_per_day * self._scale / 6)
            elif incident.kind is IncidentKind.TOOL_LOOP and incident.started_at.replace(minute=0, second=0) == at:
                yield from self._loop(of, place, f"{of.feature}-{day}-loop", dice)
                continue
            else:
                continue
            for number in range(_poisson(sessions * share, dice)):
                begun = max(at, incident.started_at) + timedelta(seconds=dice.uniform(0, 3600 * share))
                name = f"{of.feature}-{day}-{incident.kind.value}-{hour}-{number}"
                yield from self._session(of, begun, name, dice, place)

    def _session(self, of: FeatureTraffic, at: datetime, name: str, dice: Random, extra: int | None) -> Iterator[TrafficCall]:
        """One conversation: questions (runs), each answered in a few turns with tools between."""
        stranger = extra is not None and self._incidents[extra].kind is IncidentKind.LEAKED_KEY
        user = _STRANGER if stranger else f"u-{int(of.users * dice.random() ** 2)}"
        left = 1 + int(dice.expovariate(1 / max(of.turns - 1, 0.2)) * math.exp(dice.gauss(0, 0.3)))
        left = min(left * 3 if stranger else left, 80)
        history, run_number, turn_in_session, makeup = 0, 0, 0, PromptMakeup(of)
        while left > 0:
            run_number += 1
            turns = min(left, 1 + int(dice.expovariate(1 / 2.5)))
            left -= turns
            asked = of.prompt.draw(dice)
            history += asked
            makeup.begin_run()
            makeup.add("user", asked)
            for turn in range(1, turns + 1):
                turn_in_session += 1
                history = min(history, _KEPT_TOKENS)  # older turns are dropped
                makeup.keep(_KEPT_TOKENS)
                answer = of.answer.draw(dice) * (3 if stranger else 1)
                cached = dice.random() < 0.4 and turn_in_session > 1
                seconds = 0.8 + answer / 60 * math.exp(dice.gauss(0, 0.3))
                spot = (of, user, name, f"{name}-r{run_number}", turn, run_number)
                made = list(self._model_call(spot, at, seconds, history, answer, cached, turn_in_session, extra, makeup))
                yield from made
                at = made[-1].at + timedelta(seconds=made[-1].duration_seconds)
                history += answer
                makeup.add("assistant", answer)
                if turn < turns:
                    found = round(of.tool_tokens * math.exp(dice.gauss(0, 0.6)))
                    took = dice.uniform(0.1, 2.0)
                    yield _tool(spot, at, took, found, dice.randrange(10**9))
                    at += timedelta(seconds=took)
                    history += found
                    makeup.add("tool", found)
            at += timedelta(seconds=dice.uniform(5, 240))

    def _model_call(
        self, spot: Spot, at: datetime, seconds: float, history: int, answer: int,
        cached: bool, turn_in_session: int, extra: int | None, makeup: PromptMakeup,
    ) -> Iterator[TrafficCall]:  # fmt: skip
        """A model call, as it is made under whatever incident goes on: perhaps longer, dearer, or several times."""
        of = spot[0]
        usual = _usage(of.system_tokens + history, answer, of.system_tokens if cached else 0)
        plain = self._rate(of, of.model, at).charge(usual, None)
        model, usage, tries, cause = of.model, usual, 1, extra
        if extra is None:
            for place, incident in enumerate(self._incidents):
                if incident.feature == of.feature and incident.covers(at):
                    model, usage, tries, cause = _changed(incident, of, at, usual, turn_in_session, place, self._seed, spot[2])
        for number in range(tries):
            nanos = self._rate(of, model, at).charge(usage, None)
            excess = 0
            if cause is not None:
                excess = nanos if extra is not None or number < tries - 1 else max(0, nanos - plain)
                self.excess[cause] += excess
            error = "" if number == tries - 1 else "APITimeoutError: no answer within 60 seconds"
            parts = makeup.parts(usage.input_tokens, None if cause is None else self._incidents[cause].kind)
            yield TrafficCall(at, seconds, *spot, "", model, usage, nanos, excess, error, 4 * usage.output_tokens, 0, parts)
            at += timedelta(seconds=seconds + 2)

    def _loop(self, of: FeatureTraffic, place: int, name: str, dice: Random) -> Iterator[TrafficCall]:
        """One session that goes round and round until its incident ends."""
        incident = self._incidents[place]
        at, history, turn = incident.started_at, of.prompt.draw(dice), 0
        spot, makeup = (of, "u-7", name, f"{name}-r1"), PromptMakeup(of)
        makeup.add("user", history)
        while at < incident.ended_at:
            turn += 1
            answer, seconds = of.answer.draw(dice), dice.uniform(3, 12)
            usage = _usage(min(of.system_tokens + history, _MAX_CONTEXT_TOKENS), answer, 0)
            nanos = self._rate(of, of.model, at).charge(usage, None)
            self.excess[place] += nanos
            parts = makeup.parts(usage.input_tokens, incident.kind)
            yield TrafficCall(at, seconds, *spot, turn, 1, "", of.model, usage, nanos, nanos, "", 4 * answer, 0, parts)
            at += timedelta(seconds=seconds)
            yield _tool((*spot, turn, 1), at, 1.0, of.tool_tokens, 1)
            at += timedelta(seconds=1)
            history += answer + of.tool_tokens
            makeup.add("assistant", answer)
            makeup.add("tool", of.tool_tokens)
            makeup.keep(_MAX_CONTEXT_TOKENS - of.system_tokens)

    def _rate(self, of: FeatureTraffic, model: str, at: datetime) -> Rates:
        key = (model, f"{at:%Y-%m}")
        found = self._rates.get(key)
        if found is None:
            found = self._rates[key] = self._prices.rates(model, of.provider, at)
        return found


def _changed(
    incident: Incident, of: FeatureTraffic, at: datetime, usual: Usage, turn: int, place: int, seed: int, session: str
) -> tuple[str, Usage, int, int | None]:
    """Model, usage, number of tries, and the incident to blame, for an ordinary call while an incident goes on."""
    kind = incident.kind
    if kind is IncidentKind.MODEL_SWAP:
        return of.dear_model, usual, 1, place
    if kind is IncidentKind.RETRY_STORM:
        return of.model, usual, Random(f"{seed}:{session}:{turn}").randint(3, 8), place  # noqa: S311  as above
    if kind is IncidentKind.CONTEXT_BLOAT:
        return of.model, _usage(min(usual.input_tokens + 9000 * turn, _MAX_CONTEXT_TOKENS), usual.output_tokens, 0), 1, place
    ratio = {IncidentKind.PROMPT_REGRESSION: 2.0, IncidentKind.SLOW_DRIFT: 1.03 ** incident.days_in(at)}.get(kind)
    if ratio is None:
        return of.model, usual, 1, None
    longer = _usage(round(usual.input_tokens * ratio), round(usual.output_tokens * ratio), usual.cache_read_input_tokens)
    return of.model, longer, 1, place


def _usage(input_tokens: int, output_tokens: int, cached_tokens: int) -> Usage:
    return Usage(input_tokens=input_tokens, output_tokens=output_tokens, cache_read_input_tokens=min(cached_tokens, input_tokens))


def _tool(spot: Spot, at: datetime, seconds: float, tokens: int, ask: int) -> TrafficCall:
    return TrafficCall(at, seconds, *spot, spot[0].tool, "", None, 0, 0, "", 4 * tokens, ask)


def _overlap(hour: datetime, incident: Incident) -> float:
    """The part of an hour in which an incident goes on, 0 to 1."""
    first, last = max(hour, incident.started_at), min(hour + timedelta(hours=1), incident.ended_at)
    return max(0.0, (last - first) / timedelta(hours=1))


def _poisson(mean: float, dice: Random) -> int:
    """A Poisson number (Knuth below 30, normal above)."""
    if mean > 30:
        return max(0, round(dice.gauss(mean, math.sqrt(mean))))
    limit, product, number = math.exp(-mean), dice.random(), 0
    while product > limit:
        product *= dice.random()
        number += 1
    return number
