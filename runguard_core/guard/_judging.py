"""Detectors and probes: what a verdict about a tool call leads to."""

from __future__ import annotations

from runguard_core import breaker
from runguard_core import events as ev
from runguard_core.budgets import Mode
from runguard_core.calls import ToolCall
from runguard_core.detectors import Severity, Verdict, signature
from runguard_core.guard import _refusing as refusing
from runguard_core.guard._candidate import Candidate
from runguard_core.guard._engine import Engine


def check_loops(engine: Engine, it: Candidate, call: ToolCall) -> None:
    """Judge a tool call by the history of its agent instance, and as a probe by what tripped before."""
    it.signature = signature(call, engine.fingerprint)
    verdict = it.lane.watch.before(call.name, it.signature)
    if verdict is not None:
        act_on(engine, it, verdict)
    if it.state.is_probe:
        check_probe(engine, it, (it.signature,))


def check_probe(engine: Engine, it: Candidate, marks: tuple[str, ...]) -> None:
    """A probe that shows a mark of what tripped its predecessor is stopped at once."""
    latch = breaker.probe(engine.store.latches(), it.who)
    if latch is None or not breaker.shows(latch, marks):
        return
    evidence = f"the next run of the session did again what tripped the one before: {latch.reason}"
    act_on(engine, it, Verdict(rule=latch.rule, severity=Severity.STOP, evidence=evidence, marks=latch.marks))


def act_on(engine: Engine, it: Candidate, verdict: Verdict) -> None:
    """Announce a warning; stop the run for a stop verdict, unless it is only observed."""
    rule_mode = engine.rules.detector_modes.get(verdict.rule, it.mode) if engine.rules.detector_modes else it.mode
    if rule_mode is Mode.OFF:
        return
    if verdict.severity is not Severity.STOP:
        refusing.say_once(engine, it, ev.LOOP_WARNING, ev.WARN, verdict.evidence, verdict.rule)
    elif rule_mode is Mode.OBSERVE or not it.enforced:
        refusing.say_once(engine, it, ev.WOULD_TRIP, ev.WARN, verdict.evidence, verdict.rule)
    else:
        refusing.trip(engine, it, verdict)
