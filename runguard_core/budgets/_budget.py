"""`Budget`: a limit on a scope for a period."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from runguard_core.attribution import Attribution, clean
from runguard_core.budgets._limits import Limit, parse_limit, parse_share
from runguard_core.budgets._periods import Period
from runguard_core.errors import PolicyError


class Mode(StrEnum):
    """ENFORCE refuses; OBSERVE counts, and announces what it would have stopped; OFF does nothing."""

    ENFORCE = "enforce"
    OBSERVE = "observe"
    OFF = "off"


@dataclass(frozen=True, slots=True, init=False)
class Budget:
    """A limit on everything that `where` selects, separately for each value of `per`, in each `period`.

    Attributes:
        name: for messages; spend is kept under the account, so renaming loses nothing.
        limit: amount and unit.
        per: dimensions that split it, for example ("session",) or ("feature", "user").
        where: (dimension, value) pairs that a call must match.
        period: turn, run, session, hour, day, week, month or lifetime.
        mode: ENFORCE, OBSERVE or OFF; None follows the guard.
        thresholds: shares of the limit (0 to 1) that are announced when first passed.
        landing_amount: kept back for one last, tool-less call, in the unit's smallest part.
        is_shared: counts all apps of the ledger together.
    """

    name: str
    limit: Limit
    per: tuple[str, ...]
    where: tuple[tuple[str, str], ...]
    period: Period
    mode: Mode | None
    thresholds: tuple[Decimal, ...]
    landing_amount: int
    is_shared: bool

    def __init__(
        self,
        limit: object,
        *,
        name: str | None = None,
        per: str | Iterable[str] = (),
        where: Mapping[str, str] | None = None,
        period: str | Period = Period.LIFETIME,
        mode: str | Mode | None = None,
        thresholds: Iterable[float | str | Decimal] = (),
        landing: object = None,
        shared: bool = False,
    ) -> None:
        """Check and keep.

        Args:
            limit: "0.50 USD", "200k tokens", "40 turns", "30 calls", "10m"; a bare number is USD.
            landing: "2 %" or an amount in the same unit.
            name, per, where, period, mode, thresholds, shared: see the class.

        Raises:
            PolicyError: naming the key and what was expected.
        """
        found = parse_limit(limit)
        span = _choice(Period, period, "period")
        split = (per,) if isinstance(per, str) else tuple(per)
        chosen = tuple(sorted((clean(key), clean(value)) for key, value in (where or {}).items()))
        values: dict[str, Any] = {
            "limit": found,
            "per": tuple(dict.fromkeys((*map(clean, split), *span.splits_by))),
            "where": chosen,
            "period": span,
            "mode": None if mode is None else _choice(Mode, mode, "mode"),
            "thresholds": tuple(sorted(_threshold(value) for value in thresholds)),
            "landing_amount": 0 if landing is None else parse_share(landing, found, key="landing"),
            "is_shared": shared,
        }
        values["name"] = name or _default_name(values["per"], chosen, span)
        for key, value in values.items():
            object.__setattr__(self, key, value)

    def applies(self, who: Attribution) -> bool:
        """Whether `where` selects the call."""
        return all(who.value(key) == value for key, value in self.where)

    def split(self, who: Attribution) -> tuple[str | None, ...] | None:
        """The call's values of `per`; None when it has no run or session to be counted under.

        A call without a team, user or tag is counted under "no value" rather than not at all.
        """
        values = tuple([who.value(key) for key in self.per])
        if None in values and any(v is None and k in _NEEDED for k, v in zip(self.per, values, strict=True)):
            return None
        return values


_NEEDED = frozenset({"session", "run", "turn"})


def _default_name(per: tuple[str, ...], where: tuple[tuple[str, str], ...], period: Period) -> str:
    words = [value for _, value in where] + list(per)
    if period.is_calendar or not words:
        words.append(period.value)
    return "-".join(words)


def _choice(kind: type[Any], value: object, key: str) -> Any:
    try:
        return kind(value)
    except ValueError:
        choices = ", ".join(member.value for member in kind)
        raise PolicyError(key=key, expected=f"expected one of {choices}, got {value!r:.80}") from None


def _threshold(value: object) -> Decimal:
    try:
        share = Decimal(str(value))
    except ArithmeticError:
        share = Decimal(-1)
    if not share.is_finite() or not 0 < share <= 1:
        raise PolicyError(key="thresholds", expected=f"expected shares above 0 and up to 1, got {value!r:.80}")
    return share
