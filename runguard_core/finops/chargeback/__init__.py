"""Showback and chargeback: statements of a closed period that add up to the ledger."""

from runguard_core.finops.chargeback._advice import advice, read_saving
from runguard_core.finops.chargeback._allocating import statements_of
from runguard_core.finops.chargeback._closing import Closing, closing_event, closings_of, read_closings, scopes_of
from runguard_core.finops.chargeback._correcting import differences, with_corrections
from runguard_core.finops.chargeback._json import closing_json, limit_json, period_json, statement_json
from runguard_core.finops.chargeback._limits import TeamLimit, Watching, team_budget, team_limit
from runguard_core.finops.chargeback._pages import CSV_COLUMNS, basis_of, csv_of, limit_sentences, markdown_of, title_of
from runguard_core.finops.chargeback._period import PeriodStatements, period_statements, reasons_to_wait
from runguard_core.finops.chargeback._rows import SpendRow, read_rows
from runguard_core.finops.chargeback._rules import ChargeMode, ChargingRules, Method, ResidualRule, Shared, rules_json, rules_of
from runguard_core.finops.chargeback._splitting import ratios
from runguard_core.finops.chargeback._statement import (
    UNATTRIBUTED_PARTY,
    Basis,
    Line,
    LineKind,
    Party,
    PartyKind,
    Statement,
)

__all__ = [
    "CSV_COLUMNS",
    "UNATTRIBUTED_PARTY",
    "Basis",
    "ChargeMode",
    "ChargingRules",
    "Closing",
    "Line",
    "LineKind",
    "Method",
    "Party",
    "PartyKind",
    "PeriodStatements",
    "ResidualRule",
    "Shared",
    "SpendRow",
    "Statement",
    "TeamLimit",
    "Watching",
    "advice",
    "basis_of",
    "closing_event",
    "closing_json",
    "closings_of",
    "csv_of",
    "differences",
    "limit_json",
    "limit_sentences",
    "markdown_of",
    "period_json",
    "period_statements",
    "ratios",
    "read_closings",
    "read_rows",
    "read_saving",
    "reasons_to_wait",
    "rules_json",
    "rules_of",
    "scopes_of",
    "statement_json",
    "statements_of",
    "team_budget",
    "team_limit",
    "title_of",
    "with_corrections",
]
