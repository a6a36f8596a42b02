"""`Caller`: whose call it is, as far as it does not change from one call to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runguard_core.attribution import DIMENSIONS, UNATTRIBUTED, Attribution
from runguard_core.budgets import Mode, Part, Plan

if TYPE_CHECKING:
    from runguard_core.guard._engine import Engine
    from runguard_core.guard._runs import Lane, RunState


@dataclass(slots=True, eq=False)
class Caller:
    """Worked out at the first call of an owner and kept with its lane, so that the next call finds it ready.

    Attributes:
        asked: the attribution that was given; who: the same, placed in a run and completed as the policy requires.
        mode: enforce or observe.
        state: the run; lane: the agent instance's history in it.
        is_alone: the call belongs to no run and is one of its own.
        part: of the budgets, where the run is a sub-agent's; None for others.
        plan: what budgets ask, once a call has asked for it.
        owner, runbook: who answers for it and what is to be done, for whoever is stopped.
    """

    asked: Attribution
    who: Attribution
    mode: Mode
    state: RunState
    lane: Lane
    is_alone: bool
    part: Part | None = None
    plan: Plan | None = None
    owner: str | None = None
    runbook: str | None = None


def caller_of(engine: Engine, who: Attribution, call_id: str) -> Caller | None:
    """The caller that this attribution stands for. None when its mode is OFF.

    Without a run the call is one; a run without a session is its own.
    """
    run = who.run
    if run is not None:
        lane = engine.runs.known_lane(run, who.instance or who.agent)
        last = lane.caller if lane is not None else None
        if last is not None and (last.asked is who or last.asked == who):
            return last
    return _made(engine, who, call_id)


def _made(engine: Engine, who: Attribution, call_id: str) -> Caller | None:
    mode = engine.rules.mode_of(who.agent)
    if mode is Mode.OFF:
        return None
    if who.run is None:
        who = who.with_values(run=call_id)
        state, lane = engine.runs.place(who)
        return _answered(engine, Caller(who, _completed(engine, who), mode, state, lane, is_alone=True))
    state, lane = engine.runs.place(who)
    placed = who if who.session is not None else who.with_values(session=who.run)
    part = engine.parts.of(who.run)
    made = Caller(who, _completed(engine, placed), mode, state, lane, is_alone=False, part=part)
    lane.caller = _answered(engine, made)
    return made


def _answered(engine: Engine, made: Caller) -> Caller:
    if engine.rules.owners or engine.rules.runbooks:
        made.owner, made.runbook = engine.rules.answering(made.who)
    return made


def _completed(engine: Engine, who: Attribution) -> Attribution:
    """With the agent's owner, a user who is not named, and what the policy requires."""
    if who.owner is None and who.agent is not None and engine.rules.agent_owners:
        who = who.with_values(owner=engine.rules.agent_owners.get(who.agent))
    if engine.rules.hash_users and who.user is not None:
        who = who.with_values(user=engine.kept_user(who.user))
    return _filed(engine, who) if engine.rules.require else who


def _filed(engine: Engine, who: Attribution) -> Attribution:
    """Attribution that the policy requires and the call lacks is filed as such, so that reports can show its share."""
    missing = [key for key in engine.rules.require if who.value(key) is None]
    fields = {key: UNATTRIBUTED for key in missing if key in DIMENSIONS}
    tags = {key.removeprefix("tag:"): UNATTRIBUTED for key in missing if key not in DIMENSIONS}
    return who.with_values(**fields, tags=tags) if missing else who
