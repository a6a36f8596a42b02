"""How often equal calls are tolerated, by what was answered: one table for repeats and rounds."""

from __future__ import annotations

from collections.abc import Iterable

from runguard_core.detectors._answer import Answer

#: Rounds tolerated, as a multiple of the rule's number. "ok" and "nothing" are what a batch of equal actions gets; "not yet"
#: asks to be asked again. An answer of which only a digest is left may have been any of them.
_FACTORS: dict[Answer | None, int] = {Answer.DONE: 2, Answer.EMPTY: 2, Answer.WAITING: 4, None: 2}


def patience(rounds: int, answers: Iterable[Answer | None]) -> int:
    """Rounds tolerated: a round is as urgent as its most telling answer, unless one of them says "not yet".

    After a failure that may pass by itself one more is tolerated: two time-outs and a success are a good run.
    """
    found = set(answers)
    if Answer.WAITING in found:
        return rounds * _FACTORS[Answer.WAITING]
    factor = min((_FACTORS.get(answer, 1) for answer in found), default=1)
    return rounds * factor + (Answer.BUSY in found)
