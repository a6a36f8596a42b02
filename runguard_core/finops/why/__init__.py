"""Why spend changed, and who changed what."""

from runguard_core.finops.why._audit import DECISIONS, Decision, decisions, differing, kinds_of
from runguard_core.finops.why._blame import Blamed, PartChange, Release, Verdict, culprit, release_of
from runguard_core.finops.why._change import Change, Why, why
from runguard_core.finops.why._intervals import LEAST_SESSIONS, Interval, difference
from runguard_core.finops.why._keeping import forget, prune
from runguard_core.finops.why._measured import Measured, ModelUse, measured
from runguard_core.finops.why._splitting import FACTORS, Factor, split_change
from runguard_core.finops.why._windows import last_two, named_window

__all__ = [
    "DECISIONS",
    "FACTORS",
    "LEAST_SESSIONS",
    "Blamed",
    "Change",
    "Decision",
    "Factor",
    "Interval",
    "Measured",
    "ModelUse",
    "PartChange",
    "Release",
    "Verdict",
    "Why",
    "culprit",
    "decisions",
    "difference",
    "differing",
    "forget",
    "kinds_of",
    "last_two",
    "measured",
    "named_window",
    "prune",
    "release_of",
    "split_change",
    "why",
]
