"""Detectors of the model's side: a model call as a turn, judged before it is sent and when it has ended."""

from __future__ import annotations

import logging
from dataclasses import replace

from runguard_core.calls import ModelCall, Outcome
from runguard_core.detectors import Turn
from runguard_core.guard._candidate import Candidate
from runguard_core.guard._engine import Engine
from runguard_core.guard._judging import act_on
from runguard_core.guard._quoting import Priced
from runguard_core.guard._rules import QuoteMode
from runguard_core.prices import framing_tokens

_log = logging.getLogger("runguard")


def check_turn(engine: Engine, it: Candidate, priced: Priced) -> None:
    """Judge a model call by what its agent instance and its run have sent; a stop raises before it is sent."""
    call, watch = it.call, it.lane.turns
    if watch is None or not isinstance(call, ModelCall):
        return
    turn = it.turn_seen = turn_of(engine, it, call, priced)
    handoffs = watch.history.run.handoffs
    with it.state.lock:
        if handoffs is not None and handoffs.changes_to(turn.agent):
            handoffs.see(it.state.tool_uses, turn.agent or "")
        said = watch.before(turn)
    for verdict in said:
        act_on(engine, it, verdict)


def begin(it: Candidate) -> None:
    """The call was admitted: it is part of its history now."""
    lane, turn = it.lane, it.turn_seen
    if turn is not None and lane.turns is not None:
        with it.state.lock:
            lane.turns.begin(turn)
    elif it.step is not None:
        lane.watch.begin(it.step)


def end_turn(engine: Engine, it: Candidate, outcome: Outcome) -> Outcome:
    """The call has ended: judge it, and keep of its text only a digest, where a detector compares answers.

    A stop latches the run; this call is over, nothing is raised.
    """
    turn, watch, text = it.turn_seen, it.lane.turns, outcome.output_text
    if text is not None:
        mark = outcome.output_text_hash
        if mark is None and text and watch is not None and watch.reads_answers:
            mark = engine.fingerprint.text(text)
        outcome = replace(outcome, output_text_hash=mark, output_text=None)
    if turn is None or watch is None or turn.is_ended or not turn.order:
        return outcome
    turn.text_chars = len(text or "")
    with it.state.lock:
        said = watch.finish(turn, outcome)
    if not said:
        return outcome
    try:
        for verdict in said:
            act_on(engine, it, verdict)
    except Exception as stop:  # noqa: BLE001  a stop is latched now, and what else went wrong must not keep the call from being posted
        _log.info("RunGuard: %s", stop)
    return outcome


def turn_of(engine: Engine, it: Candidate, call: ModelCall, priced: Priced) -> Turn:
    """The call as detectors see it. A bound quote is no projection: then the prompt is estimated as for an expected one."""
    quote = priced.quote
    tokens, answer, choices = quote.input_tokens, quote.output_tokens, call.choice_count
    if choices > 1:
        answer //= choices
    if engine.rules.quote is QuoteMode.BOUND:
        chars, message_count = call.prompt_size
        tokens = int(chars * priced.lesson.inputs.tokens_per_char) + framing_tokens(message_count)
        answer = priced.lesson.output_tokens
    return Turn(call, it.caller.who.agent, it.at, tokens, answer, priced.rates)
