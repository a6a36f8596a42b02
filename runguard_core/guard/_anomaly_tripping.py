"""Which episodes stop something: a session's stops its run, a feature's the feature if the policy says so."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from runguard_core import breaker
from runguard_core import events as ev
from runguard_core.anomalies import Change, Episode, What
from runguard_core.attribution import Attribution
from runguard_core.budgets import Mode
from runguard_core.detectors import Severity, Verdict
from runguard_core.ledger import Event, Latch, LatchState

if TYPE_CHECKING:
    from runguard_core.guard._engine import Engine

RULE = "anomaly"


def trips(engine: Engine, change: Change) -> bool:
    """Whether the policy lets this change stop anything."""
    rules, episode = engine.rules.anomalies, change.episode
    if rules.trip is None or change.what is What.CLOSED or episode.gravity.rank < rules.trip.rank:
        return False
    return bool(episode.session and episode.run) or (rules.trip_feature and not episode.session and not episode.model)


def trip_for(engine: Engine, episode: Episode, at: datetime) -> None:
    """Latch the run of the session that stands out (its next call is refused), or the feature; observed: only say so."""
    who = Attribution(app=engine.rules.defaults.app, feature=episode.feature).with_values(
        agent=episode.agent or None, session=episode.session or None, run=episode.run or None
    )
    mode = engine.rules.anomalies.mode or engine.rules.mode_of(who.agent)
    if mode is Mode.OBSERVE:
        engine.announce([_event(ev.WOULD_TRIP, ev.WARN, episode, who, at)])
    elif mode is Mode.ENFORCE:
        if episode.session and (state := engine.runs.known(episode.run)) is not None:
            state.tripped = True
        engine.latch(_latches(engine, episode, who, at), [_event(ev.RUN_TRIPPED, ev.STOP, episode, who, at)])


def _event(kind: str, severity: str, episode: Episode, who: Attribution, at: datetime) -> Event:
    return ev.event(kind, severity, episode.evidence, who, at, rule=RULE, episode=episode.id, anomaly=episode.kind.value,
                    spent_nanos=str(episode.seen_nanos))  # fmt: skip


def _latches(engine: Engine, episode: Episode, who: Attribution, at: datetime) -> list[Latch]:
    if episode.session:
        return breaker.trip(Verdict(rule=RULE, severity=Severity.STOP, evidence=episode.evidence), who, at)
    until = at + timedelta(seconds=engine.rules.anomalies.trip_seconds)
    return [
        Latch(scope_kind="feature", scope_id=episode.feature, state=LatchState.OPEN, rule=RULE, reason=episode.evidence,
              since=at, until=until)
    ]  # fmt: skip
