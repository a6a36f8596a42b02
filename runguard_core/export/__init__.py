"""Rows of the ledger for warehouses: tables by day with a watermark, and a bill in the FOCUS format."""

from runguard_core.export._call_tables import CALLS, TOOL_CALLS
from runguard_core.export._event_table import EVENTS
from runguard_core.export._exporting import Exported, export_table
from runguard_core.export._focus import FocusExported, export_focus, month_of
from runguard_core.export._focus_bill import Basis, BillLine, Pricing, bill_lines
from runguard_core.export._focus_columns import FOCUS_COLUMNS
from runguard_core.export._formats import Format
from runguard_core.export._session_table import SESSIONS
from runguard_core.export._sources import LedgerCalls, LedgerEvents, LedgerSessions, Mark, Source, Span, day_of
from runguard_core.export._table import Column, Kind, Row, Table
from runguard_core.export._token_classes import TokenClass, class_counts
from runguard_core.export._watermark import SCHEMA_NAME, STATE_NAME

__all__ = [
    "CALLS",
    "EVENTS",
    "FOCUS_COLUMNS",
    "SCHEMA_NAME",
    "SESSIONS",
    "STATE_NAME",
    "TOOL_CALLS",
    "Basis",
    "BillLine",
    "Column",
    "Exported",
    "FocusExported",
    "Format",
    "Kind",
    "LedgerCalls",
    "LedgerEvents",
    "LedgerSessions",
    "Mark",
    "Pricing",
    "Row",
    "Source",
    "Span",
    "Table",
    "TokenClass",
    "bill_lines",
    "class_counts",
    "day_of",
    "export_focus",
    "export_table",
    "month_of",
]
