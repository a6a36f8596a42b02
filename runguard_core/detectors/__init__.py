"""Detectors: what an agent's tool calls say about a run that does not get on."""

from runguard_core.detectors._canonical import canonical
from runguard_core.detectors._error_streak import ErrorStreak
from runguard_core.detectors._history import MAX_PERIOD, MAX_STEPS, History, Step
from runguard_core.detectors._repeat import Cycle, Repeat
from runguard_core.detectors._signature import (
    DEFAULT_VOLATILE_KEYS,
    Fingerprint,
    error_mark,
    is_empty,
    result_mark,
    signature,
)
from runguard_core.detectors._verdict import Severity, Verdict
from runguard_core.detectors._watch import Detector, Repetition, ToolRule, Watch, default_detectors

__all__ = [
    "DEFAULT_VOLATILE_KEYS",
    "MAX_PERIOD",
    "MAX_STEPS",
    "Cycle",
    "Detector",
    "ErrorStreak",
    "Fingerprint",
    "History",
    "Repeat",
    "Repetition",
    "Severity",
    "Step",
    "ToolRule",
    "Verdict",
    "Watch",
    "canonical",
    "default_detectors",
    "error_mark",
    "is_empty",
    "result_mark",
    "signature",
]
