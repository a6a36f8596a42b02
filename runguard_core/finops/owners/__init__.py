"""Who answers for what an agent or a feature costs, and what became of its anomalies."""

from runguard_core.finops.owners._cases import CASE_KINDS, Case, CaseState, acknowledged_event, case_json, cases, resolved_event
from runguard_core.finops.owners._notice import Notice, Step, Urgency
from runguard_core.finops.owners._registry import NOBODY, Contact, Duty, Registry, Team

__all__ = [
    "CASE_KINDS",
    "NOBODY",
    "Case",
    "CaseState",
    "Contact",
    "Duty",
    "Notice",
    "Registry",
    "Step",
    "Team",
    "Urgency",
    "acknowledged_event",
    "case_json",
    "cases",
    "resolved_event",
]
