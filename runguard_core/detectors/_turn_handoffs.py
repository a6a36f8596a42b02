"""Who handed over to whom in a run, and whether anything new came of it. Read from changes of the agent between model calls.

A *visit* is what one agent does until another one takes over. It is *bare* when it only handed over (a tool whose name
says so), or answered word for word what the run had heard before, and no tool gave a result that the run had not seen.
What cannot be told (an answer without a digest, a failure, agents at work at the same time, a user's new message)
counts as new: weak evidence ends a count, it never adds to one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Reversible
from functools import lru_cache
from itertools import takewhile

from runguard_core.calls import ToolUse
from runguard_core.detectors._turn import Turn

_MAX_AGENTS = 256
_MAX_MARKS = 2048
#: Agents of the latest visits, for the evidence.
_TRAIL = 32
#: How the name of a tool begins that hands over; it may also be the next agent's, or end with "to" that agent.
_HANDING_OVER = ("transfer", "handoff", "hand_off", "handover", "hand_over", "delegate", "assign", "route_to", "switch_to")


class Handoffs:
    """Visits of agents, one after the other.

    Attributes:
        agent: whose visit it is; trail: agents of the latest visits in a row that were bare, oldest first.
        bare_count: how many visits in a row, up to the one before, were bare.
    """

    __slots__ = (
        "_answers",
        "_asked",
        "_handed",
        "_is_new",
        "_latest_use",
        "_repeated",
        "_results",
        "_users",
        "agent",
        "bare_count",
        "trail",
    )

    def __init__(self, latest: Turn) -> None:
        """The first agent's visit, of which only the latest turn is known; it counts as new."""
        self.agent = latest.agent or ""
        self.bare_count = 0
        self.trail: deque[str] = deque(maxlen=_TRAIL)
        self._is_new, self._handed, self._repeated = True, False, False
        self._asked: tuple[str, ...] = ()
        self._users: dict[str, tuple[int, int]] = {self.agent: (latest.user_chars, latest.user_count)}
        self._answers: set[str] = set()
        self._results: set[str] = set()
        self._latest_use: ToolUse | None = None

    def changes_to(self, agent: str | None) -> bool:
        """Whether a call of this agent would end another one's visit."""
        return agent is not None and agent != self.agent

    def bare_visits(self, next_agent: str) -> int:
        """How many visits in a row are bare, the one that would end now included."""
        return self.bare_count + 1 if self._is_bare(next_agent) else 0

    def rounds(self, visit_count: int) -> tuple[int, list[str]]:
        """How often so many bare visits went all the way round, and the agents of these visits, oldest first."""
        names = [*self.trail, self.agent][-visit_count:]
        return visit_count // len(set(names)), names

    def _is_bare(self, next_agent: str) -> bool:
        if self._is_new:
            return False
        if self._handed or self._repeated:
            return True
        for name in self._asked:  # noqa: SIM110  asked at every change of agents: a loop costs half of `any`
            if hands_over(name, next_agent):
                return True
        return False

    def see(self, uses: Reversible[ToolUse], next_agent: str) -> None:
        """Tools that have ended, oldest first; those of the visit that is about to end count. Handing over is no result."""
        fresh = list(takewhile(lambda use: use is not self._latest_use, reversed(uses)))
        self._latest_use = fresh[0] if fresh else self._latest_use
        for use in fresh:
            if hands_over(use.name, next_agent):
                self._handed = True
                continue
            mark = f"{use.name}\0{use.result_hash or use.signature}"
            if mark not in self._results:
                if len(self._results) >= _MAX_MARKS:
                    self._results.clear()
                self._results.add(mark)
                self._is_new = True

    def begin(self, turn: Turn, *, is_alone: bool) -> None:
        """A call is sent; by another agent than before, it ends that one's visit."""
        agent = turn.agent or ""
        if agent != self.agent:
            self._change(agent)
        user = (turn.user_chars, turn.user_count)
        known = self._users.get(agent)
        if not is_alone or (known is not None and known != user):
            self._is_new = True
        if known != user:
            if len(self._users) >= _MAX_AGENTS:
                self._users.clear()
            self._users[agent] = user

    def _change(self, agent: str) -> None:
        if self._is_bare(agent):
            self.bare_count += 1
            self.trail.append(self.agent)
        else:
            self.bare_count = 0
            self.trail.clear()
        self.agent, self._is_new, self._handed, self._repeated, self._asked = agent, False, False, False, ()

    def finish(self, turn: Turn) -> None:
        """An answer came. Were it another agent's than the visit's, the two would be at work together, and the visit new."""
        if turn.tool_names:
            self._asked = turn.tool_names
        elif turn.answer_mark is not None and turn.answer_mark in self._answers:
            self._repeated = True
        else:
            self._is_new = True
            if turn.answer_mark is not None:
                if len(self._answers) >= _MAX_MARKS:
                    self._answers.clear()
                self._answers.add(turn.answer_mark)


@lru_cache(maxsize=1024)
def hands_over(tool: str, next_agent: str) -> bool:
    """Whether a tool's name says that it hands over to another agent."""
    name, agent = _plain(tool), _plain(next_agent)
    return name.startswith(_HANDING_OVER) or name == agent or name.endswith(f"to_{agent}")


def _plain(name: str) -> str:
    return name.lower().replace("-", "_").replace(" ", "_")
