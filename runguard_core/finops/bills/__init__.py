"""What providers bill beside what the ledger says."""

from runguard_core.finops.bills._amounts import Amount, BillError, Unit
from runguard_core.finops.bills._books import DIMENSIONS, BookRow, Books, payer_of, rows_of_calls, rows_of_totals
from runguard_core.finops.bills._correcting import corrections
from runguard_core.finops.bills._findings import CORRECTABLE, EXPLAINED, Difference, DifferenceKind
from runguard_core.finops.bills._focus import focus_bill
from runguard_core.finops.bills._grouping import family
from runguard_core.finops.bills._json import reconciliation_json
from runguard_core.finops.bills._keys import ANYONE, BilledKey, KeyRing, Payer
from runguard_core.finops.bills._lines import Bill, BillLine, TokenClass, Tokens
from runguard_core.finops.bills._reading import read_report
from runguard_core.finops.bills._reconciling import Reconciliation, reconcile
from runguard_core.finops.bills._valuing import Valuer

__all__ = [
    "ANYONE",
    "CORRECTABLE",
    "DIMENSIONS",
    "EXPLAINED",
    "Amount",
    "Bill",
    "BillError",
    "BillLine",
    "BilledKey",
    "BookRow",
    "Books",
    "Difference",
    "DifferenceKind",
    "KeyRing",
    "Payer",
    "Reconciliation",
    "TokenClass",
    "Tokens",
    "Unit",
    "Valuer",
    "corrections",
    "family",
    "focus_bill",
    "payer_of",
    "read_report",
    "reconcile",
    "reconciliation_json",
    "rows_of_calls",
    "rows_of_totals",
]
