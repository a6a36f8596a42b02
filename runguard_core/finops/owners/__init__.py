"""Who answers for what an agent or a feature costs."""

from runguard_core.finops.owners._notice import Notice, Step, Urgency
from runguard_core.finops.owners._registry import NOBODY, Contact, Duty, Registry, Team

__all__ = ["NOBODY", "Contact", "Duty", "Notice", "Registry", "Step", "Team", "Urgency"]
