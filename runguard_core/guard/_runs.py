"""What a guard remembers of the runs in progress: turns, tool loops, histories. Bounded; the ledger has the rest."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from runguard_core.attribution import Attribution
from runguard_core.calls import Call, ModelCall, RunSummary, ToolUse
from runguard_core.detectors import Detector, RunTurns, ToolRule, TurnDetector, TurnWatch, Watch

if TYPE_CHECKING:
    from runguard_core.guard._callers import Caller

_making = threading.Lock()
_MAX_RUNS = 4096
_MAX_TOOL_USES = 100
#: Warnings kept until the agent is told.
_MAX_WARNINGS = 4


@dataclass(slots=True)
class Lane:
    """One agent instance within a run: its turns and its history. Parallel sub-agents have one each.

    `turns` is None where no detector of model calls is on.
    `is_recalled`: whether the ledger has been asked for calls that were made before this process saw the run.
    `caller` is who called here last, as admission worked it out: the next call is mostly the same one's.
    """

    _new_watch: Callable[[], Watch]
    turns: TurnWatch | None = None
    turn_count: int = 0
    loop_count: int = 0
    is_recalled: bool = False
    caller: Caller | None = None
    _watch: Watch | None = None

    @property
    def watch(self) -> Watch:
        """The history of tool calls, made for the first one."""
        if self._watch is None:
            with _making:
                self._watch = self._watch or self._new_watch()
        return self._watch


@dataclass(slots=True)
class RunState:
    """One run. Guarded by `lock`, except for reads of single numbers."""

    run: str
    session: str
    lock: threading.Lock = field(default_factory=threading.Lock)
    lanes: dict[str | None, Lane] = field(default_factory=dict)
    turns: RunTurns = field(default_factory=RunTurns)
    spent_nanos: int = 0
    turn_count: int = 0
    call_count: int = 0
    tool_uses: deque[ToolUse] = field(default_factory=partial(deque, maxlen=_MAX_TOOL_USES))
    announced: set[str] = field(default_factory=set)
    advice: list[tuple[str, str]] = field(default_factory=list)
    is_probe: bool = False
    tripped: bool = False
    landed: bool = False

    def count_model(self, call: ModelCall, lane: Lane, nanos: int, *, is_turn: bool) -> tuple[int, int]:
        """A model call is about to be reserved (under `lock`): the numbers of its turn and of its tool loop.

        A retry or an embedding stays in its turn. `uncount` and `undo_turn` take it back.
        """
        self.call_count += 1
        self.spent_nanos += nanos
        if is_turn or (lane.turn_count == 0 and call.retry_of is not None):
            lane.turn_count += 1
            self.turn_count += 1
            if not call.after_tool or lane.loop_count == 0:
                lane.loop_count += 1
        return lane.turn_count, lane.loop_count

    def uncount(self, call: Call, nanos: int) -> None:
        """The call was not admitted (under `lock`)."""
        self.spent_nanos -= nanos
        if isinstance(call, ModelCall):
            self.call_count -= 1

    def undo_turn(self, lane: Lane, turn: int) -> None:
        """A call that was not admitted makes no turn (unless a later one has been counted already)."""
        if lane.turn_count == turn:
            lane.turn_count -= 1
            self.turn_count -= 1

    def remember(self, rule: str, sentence: str) -> None:
        """A warning for the run's next note to the agent; the oldest ones give way."""
        with self.lock:
            self.advice = [*self.advice, (rule, sentence)][-_MAX_WARNINGS:]

    def summary(self) -> RunSummary:
        """What the run has to show for itself."""
        return RunSummary(
            session=self.session,
            run=self.run,
            spent_nanos=self.spent_nanos,
            turn_count=self.turn_count,
            call_count=self.call_count,
            tool_calls=tuple(self.tool_uses),
        )


class Runs:
    """The runs in progress by id; the oldest idle ones are forgotten beyond a bound."""

    def __init__(
        self, detectors: tuple[Detector, ...], tool_rules: tuple[ToolRule, ...], turn_detectors: tuple[TurnDetector, ...] = ()
    ) -> None:
        """Keep what new histories are watched by."""
        self._watch = lambda: Watch(detectors, tool_rules)
        self._turns = TurnWatch(turn_detectors, RunTurns()) if turn_detectors else None
        self._lock = threading.Lock()
        self._states: OrderedDict[str, RunState] = OrderedDict()

    def place(self, who: Attribution) -> tuple[RunState, Lane]:
        """The run of a call and the history of the agent instance that makes it; both made on first sight."""
        state = self._states.get(who.run or who.session or who.app) or self._begin(who)
        key = who.instance or who.agent
        found = state.lanes.get(key)
        if found is None:
            with state.lock:
                found = state.lanes.setdefault(key, self._new_lane(state))
        return state, found

    def _new_lane(self, state: RunState) -> Lane:
        return Lane(self._watch, None if self._turns is None else self._turns.for_run(state.turns))

    def _begin(self, who: Attribution) -> RunState:
        run = who.run or who.session or who.app
        with self._lock:
            found = self._states.get(run)
            if found is None:
                found = self._states[run] = RunState(run, who.session or run)
                while len(self._states) > _MAX_RUNS:
                    self._states.popitem(last=False)
            return found

    def known_lane(self, run: str, agent: str | None) -> Lane | None:
        """The history of an agent instance in a run in progress; None before its first call."""
        state = self._states.get(run)
        return state.lanes.get(agent) if state is not None else None

    def known(self, run: str) -> RunState | None:
        """A run in progress, None when unknown or forgotten."""
        return self._states.get(run)

    def forget(self, run: str) -> RunState | None:
        """The run is over."""
        with self._lock:
            state = self._states.pop(run, None)
        if state is not None:
            for lane in tuple(state.lanes.values()):
                lane.caller = None  # which holds the lane: nothing is left for the collector
        return state
