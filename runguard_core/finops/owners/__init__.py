"""Who answers for what an agent or a feature costs, what became of its anomalies, and who must hear of what."""

from runguard_core.finops.owners._cases import CASE_KINDS, Case, CaseState, acknowledged_event, case_json, cases, resolved_event
from runguard_core.finops.owners._coverage import DEFAULT_RULES, Coverage, coverage, coverage_json
from runguard_core.finops.owners._ladder import OWNER, ROLES, UNOWNED, Ladder, Rung
from runguard_core.finops.owners._notice import Notice, Step, Urgency
from runguard_core.finops.owners._notices import notices
from runguard_core.finops.owners._planned import Planned, released, spend_of
from runguard_core.finops.owners._recipients import Concerned, Recipient, duty_of, recipients
from runguard_core.finops.owners._registry import NOBODY, Contact, Duty, Registry, Team
from runguard_core.finops.owners._roster import OwnerFrom, Roster, RosterRow, roster, roster_json
from runguard_core.finops.owners._tokens import AgentTokens, agent_tokens, tokens_json

__all__ = [
    "CASE_KINDS",
    "DEFAULT_RULES",
    "NOBODY",
    "OWNER",
    "ROLES",
    "UNOWNED",
    "AgentTokens",
    "Case",
    "CaseState",
    "Concerned",
    "Contact",
    "Coverage",
    "Duty",
    "Ladder",
    "Notice",
    "OwnerFrom",
    "Planned",
    "Recipient",
    "Registry",
    "Roster",
    "RosterRow",
    "Rung",
    "Step",
    "Team",
    "Urgency",
    "acknowledged_event",
    "agent_tokens",
    "case_json",
    "cases",
    "coverage",
    "coverage_json",
    "duty_of",
    "notices",
    "recipients",
    "released",
    "resolved_event",
    "roster",
    "roster_json",
    "spend_of",
    "tokens_json",
]
