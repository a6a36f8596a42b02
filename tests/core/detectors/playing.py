"""Shapes of tool calls, played through a watch as a guard would."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from runguard_core.calls import ToolCall
from runguard_core.detectors import (
    Answer,
    Detector,
    Ending,
    Fingerprint,
    History,
    Severity,
    Step,
    ToolRule,
    Verdict,
    Watch,
    default_detectors,
    read_call,
    read_error,
    read_result,
)

KEY = Fingerprint(b"k")
#: (tool, arguments, result); a result may be an exception, None is not reported.
Shape = Iterable[tuple[str, Any, Any]]


@dataclass
class Played:
    """What was said: the index of the first stop and its verdict, and the warnings before it with theirs."""

    index: int | None = None
    stop: Verdict | None = None
    warned: list[tuple[int, Verdict]] = field(default_factory=list)

    @property
    def rules(self) -> list[str]:
        """Rules that warned."""
        return [verdict.rule for _, verdict in self.warned]


def play(
    shape: Shape, rules: tuple[ToolRule, ...] = (), by: tuple[Detector, ...] | None = None, *, in_turns_of: int = 1
) -> Played:
    """Up to the first stop. So many calls are asked for by one answer of the model; 0: nobody knows of turns."""
    watch, played = Watch(default_detectors() if by is None else by, rules), Played()
    for index, (tool, arguments, result) in enumerate(shape):
        turn = index // in_turns_of + 1 if in_turns_of else 0
        for verdict in one_call(watch, tool, arguments, result, turn):
            if verdict.severity is Severity.STOP:
                played.index, played.stop = index, verdict
                return played
            played.warned.append((index, verdict))
    return played


def one_call(watch: Watch, tool: str, arguments: Any, result: Any, turn: int = 0) -> Iterable[Verdict]:
    """A call from before to after; one that is refused is not made."""
    mark, sketch = read_call(ToolCall(name=tool, arguments=arguments), KEY, sketch=watch.reads_sketch)
    step = Step(tool, mark, sketch, turn=turn, is_vague=sketch == "{}" and bool(arguments))
    said = list(watch.before(step))
    if said and said[-1].severity is Severity.STOP:
        return said
    watch.begin(step)
    return [*said, *watch.finish(step, ending_of(tool, result))]


def ending_of(tool: str, result: Any) -> Ending:
    """Of a result or an exception; None is none."""
    if result is None:
        return Ending()
    return read_error(tool, str(result), KEY) if isinstance(result, Exception) else read_result(tool, result, KEY)


def told(mark: str | None) -> Ending:
    """An answer that tells something, by its mark."""
    return Ending(result=mark, answer=Answer.TOLD)


def done(history: History, tool: str, mark: str) -> Step:
    """A step that begins and ends at once."""
    step = Step(tool, tool)
    history.begin(step)
    history.finish(step, told(mark))
    return step
