"""Detectors and probes: what a verdict about a tool call leads to."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from runguard_core import breaker
from runguard_core import events as ev
from runguard_core.budgets import Mode
from runguard_core.calls import Outcome, OutcomeKind, ToolCall, ToolUse
from runguard_core.detectors import Answer, Ending, Severity, Step, Verdict, read_call, read_error, read_result
from runguard_core.guard import _refusing as refusing
from runguard_core.guard._candidate import Candidate
from runguard_core.guard._engine import Engine
from runguard_core.guard._recalling import recall

_log = logging.getLogger("runguard")
_TELLING = frozenset({Answer.TOLD, Answer.FAILED, Answer.BUSY})
#: A tool without arguments, as models and frameworks write it: its calls are equal, there is nothing volatile about them.
_NONE: tuple[object, ...] = ({}, "", "{}", "null")


def check_loops(engine: Engine, it: Candidate, call: ToolCall) -> None:
    """Judge a tool call by the history of its agent instance, and as a probe by what tripped before."""
    lane = it.lane
    watch = lane.watch
    if not lane.is_recalled:
        lane.is_recalled = True
        if not it.caller.is_alone:
            recall(engine, watch, it.who)
    mark, sketch = read_call(call, engine.fingerprint, sketch=watch.reads_sketch)
    step = it.step = Step(
        call.name, mark, sketch, turn=lane.turn_count, loop=lane.loop_count,
        is_prompted=lane.turn_count > lane.loop_count,  # else no prompt ever ended with a tool's result: they look all alike
        is_vague=sketch == "{}" and call.arguments not in _NONE,
    )  # fmt: skip
    for verdict in watch.before(step):
        act_on(engine, it, verdict)
    if it.state.is_probe:
        check_probe(engine, it, (mark,))


def end_step(engine: Engine, it: Candidate, call: ToolCall, outcome: Outcome) -> Outcome:
    """A tool call has ended: judge it, and keep of its result only digest and size.

    A stop latches the run, so that its next call of any kind is refused; this one is over, nothing is raised. An unknown
    outcome without a result is no result: nobody reported one.
    """
    ending = _ending(engine, call, outcome)
    chars = outcome.output_chars or (len(outcome.result) if isinstance(outcome.result, str) else 0)
    use = ToolUse(name=call.name, signature=it.signature or "", result_hash=ending.result, result_chars=chars)
    with it.state.lock:
        it.state.tool_uses.append(use)
    if it.step is not None:
        _act_after(engine, it, it.lane.watch.finish(it.step, ending), ending)
    return replace(outcome, output_text_hash=ending.result, output_chars=chars, result=None)


def _ending(engine: Engine, call: ToolCall, outcome: Outcome) -> Ending:
    if outcome.error:
        return read_error(call.name, outcome.error, engine.fingerprint)
    if outcome.kind is OutcomeKind.UNKNOWN and outcome.result is None:
        return Ending()
    return read_result(call.name, outcome.result, engine.fingerprint)


def _act_after(engine: Engine, it: Candidate, said: Sequence[Verdict], ending: Ending) -> None:
    if not said and not it.state.is_probe:
        return
    try:
        for verdict in said:
            act_on(engine, it, verdict)
        if it.state.is_probe:
            check_probe(engine, it, _signs_of(ending))
    except Exception as stop:  # noqa: BLE001  a stop is latched now, and what else went wrong must not keep the call from being posted
        _log.info("RunGuard: %s", stop)


def _signs_of(ending: Ending) -> tuple[str, ...]:
    """The marks that a verdict may have put down to this ending. "ok", "nothing" and a mere number say nothing by themselves."""
    signs = (ending.error, ending.failure, ending.result if ending.answer in _TELLING else None)
    return tuple(sign for sign in signs if sign is not None)


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
    if verdict.severity is Severity.STOP and rule_mode is not Mode.OBSERVE and it.enforced:
        refusing.trip(engine, it, verdict)
    kind = ev.WOULD_TRIP if verdict.severity is Severity.STOP else ev.LOOP_WARNING
    is_news = refusing.say_once(
        engine, it, kind, ev.WARN, verdict.evidence, verdict.rule, topic=verdict.topic, call_id=it.call_id,
        **refusing.facts_of(verdict),
    )  # fmt: skip
    if is_news and engine.rules.advise:
        it.state.remember(verdict.rule, verdict.evidence)
