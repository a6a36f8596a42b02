"""Why spend changed, and who changed what."""

from runguard_core.finops.why._change import Change, Why, why
from runguard_core.finops.why._measured import Measured, ModelUse, measured
from runguard_core.finops.why._splitting import FACTORS, Factor, split_change, whole_parts
from runguard_core.finops.why._windows import last_two, named_window

__all__ = [
    "FACTORS",
    "Change",
    "Factor",
    "Measured",
    "ModelUse",
    "Why",
    "last_two",
    "measured",
    "named_window",
    "split_change",
    "whole_parts",
    "why",
]
