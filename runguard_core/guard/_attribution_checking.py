"""Calls that do not say what the policy wants them to say are refused before anything is set aside."""

from __future__ import annotations

from runguard_core import events as ev
from runguard_core.errors import TrippedError
from runguard_core.guard import _refusing as refusing
from runguard_core.guard._candidate import Candidate
from runguard_core.guard._engine import Engine

RULE = "attribution"


def check_attribution(engine: Engine, it: Candidate) -> None:
    """Refuse a call that does not say what it must, where the policy refuses such calls; observed: only say so.

    Nothing is latched: the run goes on as soon as its calls say it.

    Raises:
        TrippedError: naming the dimension and how to give it.
    """
    for rule in engine.rules.attribution:
        wrong = rule.wrong(it.who)
        if wrong is None:
            continue
        sentence = f"a call of {it.who.agent or it.who.feature or it.who.app}: {wrong}; {rule.way}"
        key = f"{RULE}:{rule.dimension}"
        if not it.enforced:
            refusing.say_once(engine, it, ev.WOULD_TRIP, ev.WARN, sentence, key)
            continue
        refusing.say_once(engine, it, ev.CALL_STOPPED, ev.STOP, sentence, key)
        refusing.raise_stop(it, TrippedError(scope="the call", rule=RULE, verdict=wrong, since=it.at, how_to_clear=rule.way))
