"""Who answers for what an agent or a feature costs, what became of its anomalies, and who must hear of what."""

from runguard_core.finops.owners._cases import CASE_KINDS, Case, CaseState, acknowledged_event, case_json, cases, resolved_event
from runguard_core.finops.owners._ladder import ROLES, UNOWNED, Ladder, Rung
from runguard_core.finops.owners._notice import Notice, Step, Urgency
from runguard_core.finops.owners._notices import notices
from runguard_core.finops.owners._planned import Planned, released, spend_of
from runguard_core.finops.owners._recipients import Concerned, Recipient, duty_of, recipients
from runguard_core.finops.owners._registry import NOBODY, Contact, Duty, Registry, Team

__all__ = [
    "CASE_KINDS",
    "NOBODY",
    "ROLES",
    "UNOWNED",
    "Case",
    "CaseState",
    "Concerned",
    "Contact",
    "Duty",
    "Ladder",
    "Notice",
    "Planned",
    "Recipient",
    "Registry",
    "Rung",
    "Step",
    "Team",
    "Urgency",
    "acknowledged_event",
    "case_json",
    "cases",
    "duty_of",
    "notices",
    "recipients",
    "released",
    "resolved_event",
    "spend_of",
]
