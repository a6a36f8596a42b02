"""The ladder: what makes somebody be told, and whom. The defaults are those of the practice that RunGuard follows."""

from __future__ import annotations

from dataclasses import dataclass

OWNER, DEPUTY, LEAD, EXECUTIVE = "owner", "deputy", "lead", "executive"
ROLES = (OWNER, DEPUTY, LEAD, EXECUTIVE)
#: Whom a notice names where nobody owns what it is about and the policy names nobody for it.
UNOWNED = "unowned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One level.

    Attributes:
        times: from so many times what is usual (or budgeted) on somebody is told; 0: always; None: never.
        to: roles, contacts' keys or addresses: exactly these, one person each.
    """

    times: float | None
    to: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """Who hears of what.

    Attributes:
        session: a session against its baseline. feature: any other episode of a feature, against what it was judged by.
        feature_day: a feature's day against a usual whole day. product_week: the app's week, projected, against its budget.
        burst: an agent's 30 minutes against a usual week of its team. trip: runs that were stopped, people's stops.
        week_budget_nanos: the app's budget for a week, nano-USD; None: it has none, and no week is judged.
        unowned: who hears of what nobody owns, "" for nobody in particular.
        min_impact_nanos: days and bursts cost at least so much above the usual.
        min_history_days: of a feature before its days are judged.
    """

    session: Rung = Rung(times=5.0, to=(OWNER,))
    feature: Rung = Rung(times=0.0, to=(OWNER,))
    feature_day: Rung = Rung(times=3.0, to=(LEAD,))
    product_week: Rung = Rung(times=2.0, to=(EXECUTIVE,))
    burst: Rung = Rung(times=1.0, to=(OWNER, LEAD))
    trip: Rung = Rung(times=0.0, to=(OWNER,))
    week_budget_nanos: int | None = None
    unowned: str = ""
    min_impact_nanos: int = 10**9
    min_history_days: int = 14
