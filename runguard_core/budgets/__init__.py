"""Budgets: limits as people write them, the windows they count in, and the holds a call must place."""

from runguard_core.budgets._admission import Asked, BudgetBook, account_of, effective_limit
from runguard_core.budgets._budget import Budget, Mode
from runguard_core.budgets._forgetting import without_user
from runguard_core.budgets._limits import Limit, in_units, parse_limit, parse_share, show_amount
from runguard_core.budgets._part import Part, part_account, part_key, series_of
from runguard_core.budgets._periods import Period, Window, window
from runguard_core.budgets._plan import Claim, Plan

__all__ = [
    "Asked",
    "Budget",
    "BudgetBook",
    "Claim",
    "Limit",
    "Mode",
    "Part",
    "Period",
    "Plan",
    "Window",
    "account_of",
    "effective_limit",
    "in_units",
    "parse_limit",
    "parse_share",
    "part_account",
    "part_key",
    "series_of",
    "show_amount",
    "window",
    "without_user",
]
