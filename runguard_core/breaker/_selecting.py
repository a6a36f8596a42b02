"""Which latches a person means: by feature, agent, rule and time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from runguard_core.attribution import Attribution
from runguard_core.ledger import Latch


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """Which latches; None means any.

    Attributes:
        feature, agent: of the scope itself, or of whoever runs in it.
        rule: what tripped: "repeat", "budget", "kill", ...
        since, until: on when it was set, the first inclusive, the second exclusive (UTC).
    """

    feature: str | None = None
    agent: str | None = None
    rule: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked for."""
        return self == Selector()

    def selects(self, latch: Latch, who: Attribution | None) -> bool:
        """Whether it means this latch.

        Args:
            who: whose run or session it is, None where nobody knows (then no feature and no agent is it).
        """
        return (
            (self.rule is None or latch.rule == self.rule)
            and (self.since is None or latch.since >= self.since)
            and (self.until is None or latch.since < self.until)
            and (self.feature is None or _is(latch, "feature", self.feature, who))
            and (self.agent is None or _is(latch, "agent", self.agent, who))
        )


def _is(latch: Latch, kind: str, name: str, who: Attribution | None) -> bool:
    if latch.scope_kind == kind:
        return latch.scope_id == name
    return who is not None and getattr(who, kind) == name


def chosen(latches: Iterable[Latch], selector: Selector, owner: Callable[[Latch], Attribution | None]) -> list[Latch]:
    """The latches that a selector means, by when they were set, then by scope; `owner` is asked only where it matters."""
    asks = selector.feature is not None or selector.agent is not None
    found = [latch for latch in latches if selector.selects(latch, owner(latch) if asks else None)]
    return sorted(found, key=lambda latch: (latch.since, latch.scope))
