"""A statement: what one party of a period has to bear, line by line."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class PartyKind(StrEnum):
    """A team; what no team is named for; a shared thing that nobody is charged for."""

    TEAM = "team"
    UNATTRIBUTED = "unattributed"
    OVERHEAD = "overhead"


@dataclass(frozen=True, slots=True, order=True)
class Party:
    """Who bears a statement: teams by name, overhead by what is shared; unattributed has no name."""

    kind: PartyKind
    name: str = ""

    @property
    def title(self) -> str:
        """For readers."""
        return {PartyKind.TEAM: self.name, PartyKind.OVERHEAD: f"overhead: {self.name}"}.get(self.kind, "unattributed")

    @property
    def place(self) -> tuple[int, str]:
        """Teams by name first, then what is unattributed, then overhead."""
        return (list(PartyKind).index(self.kind), self.name)


UNATTRIBUTED_PARTY = Party(PartyKind.UNATTRIBUTED)


class LineKind(StrEnum):
    """What a line is.

    DIRECT: a feature's spend. SHARED: a part of a shared thing. RESIDUAL: a part of what nobody is named for, negative where it
    is taken from the unattributed. CORRECTION: what a closed period should have said.
    """

    DIRECT = "direct"
    SHARED = "shared"
    RESIDUAL = "residual"
    CORRECTION = "correction"


@dataclass(frozen=True, slots=True)
class Basis:
    """By what a part was cut: the unit, the party's quantity of it, its ratio (all parts' ratios sum to exactly 1)."""

    unit: str
    quantity: int
    ratio: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line.

    Attributes:
        kind: see there. name: the feature, the shared thing, or the corrected period; "" for the residual.
        nanos: nano-USD, may be negative. unsure_nanos: of it estimated or assumed.
        call_count, token_count, unpriced_count: of direct lines.
        basis: of lines that are parts, None for others.
    """

    kind: LineKind
    name: str
    nanos: int
    unsure_nanos: int = 0
    call_count: int = 0
    token_count: int = 0
    unpriced_count: int = 0
    basis: Basis | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """What a party bears."""

    party: Party
    lines: tuple[Line, ...]

    @property
    def nanos(self) -> int:
        """All of it, nano-USD."""
        return sum(line.nanos for line in self.lines)

    @property
    def own_nanos(self) -> int:
        """Without corrections of other periods."""
        return self.nanos - self.nanos_of(LineKind.CORRECTION)

    def nanos_of(self, kind: LineKind) -> int:
        """Its lines of a kind."""
        return sum(line.nanos for line in self.lines if line.kind is kind)

    @property
    def features(self) -> tuple[str, ...]:
        """Whose direct lines it has."""
        return tuple(line.name for line in self.lines if line.kind is LineKind.DIRECT)
