"""Differences between a bill and the ledger: of which kind, whose, and what they are worth."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from runguard_core.finops.bills._keys import Payer
from runguard_core.finops.bills._lines import TokenClass
from runguard_core.values import value


class DifferenceKind(StrEnum):
    """Why a bill and the ledger differ; docs/finops/bills.md has the rule of each."""

    UNMETERED = "unmetered traffic"
    MISSING_USAGE = "missing usage"
    NOT_BILLED = "not on the bill"
    TOKEN_CLASS = "token class"  # noqa: S105  no password
    PRICE = "price"
    DISCOUNT = "discount or tier"
    DAY_BOUNDARY = "day boundary"
    ROUNDING = "rounding"
    UNIT = "unit mistake"


#: Nothing is wrong: both sides are right, and differ.
EXPLAINED = frozenset({DifferenceKind.DISCOUNT, DifferenceKind.DAY_BOUNDARY, DifferenceKind.ROUNDING})
#: What calls of the ledger can be corrected by; traffic without calls has none to correct.
CORRECTABLE = frozenset({DifferenceKind.TOKEN_CLASS, DifferenceKind.PRICE, DifferenceKind.DISCOUNT, DifferenceKind.MISSING_USAGE})


@value(kw_only=True)
class Difference:
    """One difference: the bill less the ledger.

    Attributes:
        kind, day, payer: what, when (UTC), whose. model: None where the bill does not say.
        tokens: by class. nanos: money, nano-USD; of a difference in tokens at the price list (or the bill's own money).
        next_day_nanos: what of it is on the next day's bill with the opposite sign (day boundary).
        evidence: a sentence. ids: what the bill names that no entry of the policy does.
    """

    kind: DifferenceKind
    day: date
    payer: Payer
    model: str | None = None
    tokens: tuple[tuple[TokenClass, int], ...] = ()
    nanos: int = 0
    next_day_nanos: int = 0
    evidence: str = ""
    ids: tuple[str, ...] = ()

    @property
    def is_explained(self) -> bool:
        """Whether nobody needs to do anything."""
        return self.kind in EXPLAINED

    @property
    def net_nanos(self) -> int:
        """Of the whole period."""
        return self.nanos + self.next_day_nanos
