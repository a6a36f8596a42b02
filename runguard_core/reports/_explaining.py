"""Where a session's dollars went: its turns and tool loops, and which part of the prompts cost what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from runguard_core.budgets import show_amount
from runguard_core.calls import CallKind, PromptPart
from runguard_core.events import CHILD_OPENED
from runguard_core.ledger import CallRecord, Event, Unit
from runguard_core.replay import beats_of_calls, dead_tail_nanos
from runguard_core.reports._spending import Spend, total

#: Events that say why something was stopped or would have been.
STOPS = frozenset({"call_refused", "run_tripped", "call_stopped", "would_refuse", "would_trip", "killed"})


@dataclass(slots=True)
class Turn:
    """One round: a model call (with its retries) and the tool calls it asked for."""

    number: int
    loop: int
    agent: str | None
    instance: str | None
    models: list[CallRecord] = field(default_factory=list)
    tools: list[CallRecord] = field(default_factory=list)

    @property
    def nanos(self) -> int:
        """Charged so far, nano-USD."""
        return sum(call.cost_nanos for call in (*self.models, *self.tools))


@dataclass(slots=True)
class RunExplained:
    """One run of the session, its turns in order.

    Attributes:
        child: name of the sub-agent whose run it is, and parent: the run it was opened in; None for the session's own runs.
        limit: the sub-agent's part as text, None when nobody said.
        children: the runs of sub-agents that were opened in it; their spend is their own.
    """

    id: str
    turns: list[Turn] = field(default_factory=list)
    calls: list[CallRecord] = field(default_factory=list)
    child: str | None = None
    parent: str | None = None
    limit: str | None = None
    children: list[RunExplained] = field(default_factory=list)

    @property
    def below_nanos(self) -> int:
        """Charged so far to its sub-agents and theirs, nano-USD."""
        return sum(run.nanos + run.below_nanos for run in self.children)

    @property
    def nanos(self) -> int:
        """Charged so far, nano-USD."""
        return sum(turn.nanos for turn in self.turns)

    @property
    def dead_tail_nanos(self) -> int | None:
        """Spent after its last new tool result, nano-USD; see `runguard_core.replay.dead_tail_nanos`."""
        return dead_tail_nanos(beats_of_calls(self.calls))

    def loops(self) -> list[tuple[str | None, int, int, int]]:
        """(agent, loop, turns, nano-USD) of every tool loop, in order."""
        sums: dict[tuple[str | None, str | None, int], list[int]] = {}
        for turn in self.turns:
            row = sums.setdefault((turn.agent, turn.instance, turn.loop), [0, 0])
            row[0] += 1
            row[1] += turn.nanos
        return [(agent, loop, count, nanos) for (agent, _, loop), (count, nanos) in sums.items()]


@dataclass(slots=True)
class OriginCost:
    """What one origin of prompt text cost, nano-USD: when first sent, and sent again in later turns."""

    origin: str
    first_nanos: int = 0
    again_nanos: int = 0
    again_count: int = 0

    @property
    def nanos(self) -> int:
        """Both together."""
        return self.first_nanos + self.again_nanos


@dataclass(slots=True)
class Explained:
    """A session, explained."""

    session: str
    spend: Spend
    runs: list[RunExplained]
    origins: list[OriginCost]
    output_nanos: int
    stops: list[Event]

    @property
    def dead_tail_nanos(self) -> int:
        """Of all its runs, as far as known."""
        return sum(run.dead_tail_nanos or 0 for run in self.runs)


def explain(session: str, calls: Sequence[CallRecord], events: Iterable[Event]) -> Explained:
    """Turns, tool loops, and the cost of the prompts' parts.

    The price of a call is split between its prompt and its answer by tokens weighted one to four (what most price lists
    charge), and the prompt's share over its parts by characters. The parts add up to the session's cost exactly.
    """
    runs, events = dict[str, RunExplained](), tuple(events)
    turns: dict[tuple[str, str | None, int], Turn] = {}
    for call in calls:
        who = call.attribution
        run = runs.setdefault(who.run or "", RunExplained(who.run or ""))
        if not call.is_paid:
            _hang(runs, run, call)
            continue
        key = (run.id, who.instance or who.agent, who.turn or 0)
        turn = turns.get(key)
        if turn is None:
            turn = turns[key] = Turn(who.turn or 0, who.loop or 0, who.agent, who.instance)
            run.turns.append(turn)
        run.calls.append(call)
        (turn.models if call.kind is CallKind.MODEL else turn.tools).append(call)
    for event in events:
        if event.kind == CHILD_OPENED and event.call_id in runs:
            runs[event.call_id].limit = show_amount(int(event.facts["limit"]), Unit(event.facts["unit"]))
    origins, output = _origins(calls)
    stops = [event for event in events if event.kind in STOPS]
    return Explained(session, total(calls, session), list(runs.values()), origins, output, stops)


def _hang(runs: dict[str, RunExplained], parent: RunExplained, part: CallRecord) -> None:
    """A sub-agent's run, which is named by its part, under the run in which it was opened."""
    run = runs.setdefault(part.id, RunExplained(part.id))
    run.child, run.parent = part.name, parent.id
    parent.children.append(run)


_ANSWER_WEIGHT = 4


def _origins(calls: Sequence[CallRecord]) -> tuple[list[OriginCost], int]:
    sums: dict[str, OriginCost] = {}
    seen: dict[tuple[str | None, str | None, str], int] = {}
    output_nanos = 0
    for call in calls:
        if call.kind is not CallKind.MODEL or not call.cost_nanos:
            output_nanos += call.cost_nanos
            continue
        prompt = _prompt_share(call)
        output_nanos += call.cost_nanos - prompt
        lane = (call.attribution.run, call.attribution.instance)
        for part, share in _shares(call, prompt):
            row = sums.setdefault(part.origin, OriginCost(part.origin))
            before = min(seen.get((*lane, part.origin), 0), part.chars)
            again = share * before // part.chars if part.chars else 0
            row.first_nanos += share - again
            row.again_nanos += again
            row.again_count += bool(again)
            seen[(*lane, part.origin)] = part.chars
    return sorted(sums.values(), key=lambda row: -row.nanos), output_nanos


#: Where a prompt's cost is filed that nobody measured, and what is no prompt.
UNMEASURED, ANSWER, TOOLS = "prompt (not measured)", "answer", "tool charges"


def part_costs(call: CallRecord) -> dict[str, int]:
    """What each origin of a call's prompt cost, and its answer: nano-USD, by the rule of `explain`, adding up to its cost."""
    if call.kind is not CallKind.MODEL:
        return {TOOLS: call.cost_nanos}
    prompt = _prompt_share(call)
    found = {ANSWER: call.cost_nanos - prompt}
    for origin, nanos in [(part.origin, nanos) for part, nanos in _shares(call, prompt)] or [(UNMEASURED, prompt)]:
        found[origin] = found.get(origin, 0) + nanos
    return found


def _prompt_share(call: CallRecord) -> int:
    usage = call.settlement.usage if call.settlement is not None else None
    if usage is None or not usage.total_tokens:
        return call.cost_nanos
    weight = usage.input_tokens + _ANSWER_WEIGHT * usage.output_tokens
    return call.cost_nanos * usage.input_tokens // weight


def _shares(call: CallRecord, nanos: int) -> list[tuple[PromptPart, int]]:
    """A call's prompt cost over its parts by size; the last one takes what rounding leaves."""
    chars = sum(part.chars for part in call.parts)
    found: list[tuple[PromptPart, int]] = []
    left = nanos
    for index, part in enumerate(call.parts):
        last = index == len(call.parts) - 1
        share = left if last else nanos * part.chars // chars if chars else 0
        left -= share
        found.append((part, share))
    return found
