"""The state of the breaker and of raised limits, as the book keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class LatchState(StrEnum):
    """OPEN stops its scope; HALF_OPEN makes the next run a probe; FORCED_OPEN is a person's kill switch."""

    OPEN = "open"
    HALF_OPEN = "half_open"
    FORCED_OPEN = "forced_open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Latch:
    """Why a scope is stopped.

    Attributes:
        scope_kind: "run", "session", "agent", "feature" or "app".
        scope_id: which one (a session's is its id, a run's its id, the app's its name).
        state: OPEN, HALF_OPEN or FORCED_OPEN.
        rule: "repeat", "cycle", "budget", "kill", ...
        reason: the evidence, one sentence.
        since: when it was set (UTC).
        until: when it ends by itself, None for never.
        account_key: the account of a refusal: raising its limit clears the latch; None otherwise.
        marks: signatures that a probe must not show again.
        session: the session of a run's latch.
        by: who set it: a person's name, or "runguard".
    """

    scope_kind: str
    scope_id: str
    state: LatchState
    rule: str
    reason: str
    since: datetime
    until: datetime | None = None
    account_key: str | None = None
    marks: tuple[str, ...] = ()
    session: str | None = None
    by: str = "runguard"

    @property
    def scope(self) -> tuple[str, str]:
        """Kind and id; one latch a scope."""
        return (self.scope_kind, self.scope_id)

    def outranks(self, other: Latch) -> bool:
        """Whether it stays where `other` would take its place: until it ends, what a person has stopped only a person changes."""
        has_ended = self.until is not None and other.since >= self.until
        return self.state is LatchState.FORCED_OPEN and other.state is not LatchState.FORCED_OPEN and not has_ended


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitOverride:
    """A limit that a person raised or lowered for one account.

    Attributes:
        account_key: which account.
        limit: the new limit, in the unit's smallest part.
        by, reason: who and why.
        since: when (UTC); until: when the policy's limit holds again, None for never.
    """

    account_key: str
    limit: int
    by: str
    reason: str
    since: datetime
    until: datetime | None = None
