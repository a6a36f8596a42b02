"""Actions and wins: a backlog in the ledger, and savings measured before and after."""

from runguard_core.finops.actions._action import Action, ActionState, Size, Step
from runguard_core.finops.actions._backlog import ACTION_KINDS, Standing, actions_of, read_actions, standing
from runguard_core.finops.actions._claim import CLAIM_WEEKS, Claim, claim
from runguard_core.finops.actions._deadlines import check_of, deadline_of
from runguard_core.finops.actions._interval import CONFIDENCE_RATIO
from runguard_core.finops.actions._json import action_json, claim_json, saving_json, win_json
from runguard_core.finops.actions._measuring import costs_of, measure, wins
from runguard_core.finops.actions._saving import Saving, Stratum, Win, saving_of
from runguard_core.finops.actions._spans import MEASURED_DAYS, Spans, spans_of
from runguard_core.finops.actions._writing import changing, dropping, finishing, opening

__all__ = [
    "ACTION_KINDS",
    "CLAIM_WEEKS",
    "CONFIDENCE_RATIO",
    "MEASURED_DAYS",
    "Action",
    "ActionState",
    "Claim",
    "Saving",
    "Size",
    "Spans",
    "Standing",
    "Step",
    "Stratum",
    "Win",
    "action_json",
    "actions_of",
    "changing",
    "check_of",
    "claim",
    "claim_json",
    "costs_of",
    "deadline_of",
    "dropping",
    "finishing",
    "measure",
    "opening",
    "read_actions",
    "saving_json",
    "saving_of",
    "spans_of",
    "standing",
    "win_json",
    "wins",
]
