"""An action: what somebody has promised to do about a cost, until when, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum


class Size(StrEnum):
    """How much work it is: small is due at the end of the next sprint, large at the end of the next quarter."""

    SMALL = "small"
    LARGE = "large"


class ActionState(StrEnum):
    """Where an action stands; what is done or dropped stays so."""

    OPEN = "open"
    DONE = "done"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Step:
    """One line of an action's history: when, by whom, what ("owner ana -> ben"), and why ("" where nobody said)."""

    at: datetime
    by: str
    what: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A line of the backlog.

    Attributes:
        id: "ac-" and twelve hexadecimal digits. app, title: of what, and what is to be done.
        feature, agent: what it is about, and where its savings are measured; None means all.
        owner: the one person who has promised it. size, deadline: the last local date on which it is in time.
        check_on: the local date of the mid-point check, None where there is none; checked_at: when that was made.
        state, ended_at: since when it is done or dropped. shipped_at: from when on it took effect, None unless done.
        credit: to whom the saving goes, None unless done.
        steps: everything that was written about it, the oldest first.
    """

    id: str
    app: str
    title: str
    feature: str | None
    agent: str | None
    owner: str
    size: Size
    deadline: date
    check_on: date | None
    opened_at: datetime
    opened_by: str
    checked_at: datetime | None = None
    state: ActionState = ActionState.OPEN
    ended_at: datetime | None = None
    shipped_at: datetime | None = None
    credit: str | None = None
    steps: tuple[Step, ...] = ()

    @property
    def is_open(self) -> bool:
        """Neither done nor dropped."""
        return self.state is ActionState.OPEN

    @property
    def subject(self) -> str:
        """What it is about: the agent, the feature, else the app."""
        return " of ".join(part for part in (self.agent, self.feature) if part) or self.app

    def is_overdue(self, today: date) -> bool:
        """Whether it is open and its deadline has passed."""
        return self.is_open and today > self.deadline

    def check_is_due(self, today: date) -> bool:
        """Whether its mid-point has come and nobody has checked it."""
        return self.is_open and self.checked_at is None and self.check_on is not None and today >= self.check_on

    def shares_scope_with(self, other: Action) -> bool:
        """Whether a call can belong to both, so that their savings cannot be told apart at one time."""
        return self.app == other.app and all(
            None in pair or pair[0] == pair[1] for pair in ((self.feature, other.feature), (self.agent, other.agent))
        )
