"""What calls must say of themselves: dimensions that the policy requires, the values it allows, what is done about others."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from runguard_core.attribution import DIMENSIONS, UNATTRIBUTED, Attribution


class OnWrong(StrEnum):
    """A call that does not say it, or says something else, is filed (and reported), or refused."""

    FILE = "file"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributionRule:
    """One dimension.

    Attributes:
        dimension: "team", "user", the key of a tag, ...
        allowed: the values; empty: any.
        on_missing: a call without one is filed as unattributed, or refused.
        on_other: a call with a value that is not allowed is filed as it came, or refused.
    """

    dimension: str
    allowed: frozenset[str] = frozenset()
    on_missing: OnWrong = OnWrong.FILE
    on_other: OnWrong = OnWrong.FILE

    def wrong(self, who: Attribution) -> str | None:
        """The sentence that says why a call is refused; None for one that is not."""
        value = who.value(self.dimension)
        name = self.dimension.removeprefix("tag:")
        if value is None or value == UNATTRIBUTED:
            return f"it carries no {name}" if self.on_missing is OnWrong.REFUSE else None
        if self.allowed and value not in self.allowed and self.on_other is OnWrong.REFUSE:
            return f"{name} is {value!r}, allowed {'is' if len(self.allowed) == 1 else 'are'} {', '.join(sorted(self.allowed))}"
        return None

    @property
    def way(self) -> str:
        """How a program says it."""
        name = self.dimension.removeprefix("tag:")
        if self.dimension in DIMENSIONS:
            return f'give it: guard.session(..., {name}="..."), or "runguard_{name}" in the framework\'s metadata'
        return f'give it: guard.session(..., tags={{"{name}": "..."}}), or "runguard_tag_{name}" in the framework\'s metadata'
