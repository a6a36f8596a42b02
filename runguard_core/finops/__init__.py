"""The FinOps practice over ledger rows: calendars, sessions' costs, and below them owners, reviews, statements, plans, bills.

Everything here is a function of rows and of the policy's values; what changes a ledger is an event or an entry.
"""

from runguard_core.finops._calendar import CALENDAR, Calendar, Window
from runguard_core.finops._means import Moments, t_quantile
from runguard_core.finops._session_costs import SessionCost, percentile, session_costs

__all__ = [
    "CALENDAR",
    "Calendar",
    "Moments",
    "SessionCost",
    "Window",
    "percentile",
    "session_costs",
    "t_quantile",
]
