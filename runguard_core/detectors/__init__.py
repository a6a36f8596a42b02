"""Detectors: what an agent's tool calls and its prompts say about a run that does not get on."""

from runguard_core.detectors._canonical import canonical
from runguard_core.detectors._delegation import Delegation
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
from runguard_core.detectors._turn import PromptPrices, Turn
from runguard_core.detectors._turn_detector import TurnDetector
from runguard_core.detectors._turn_growth import ContextGrowth
from runguard_core.detectors._turn_history import TurnHistory
from runguard_core.detectors._turn_overflow import Overflow
from runguard_core.detectors._turn_refusals import RateLimit
from runguard_core.detectors._turn_run import RunTurns
from runguard_core.detectors._turn_truncation import Truncation
from runguard_core.detectors._turn_watch import TurnWatch, default_turn_detectors
from runguard_core.detectors._verdict import Severity, Verdict
from runguard_core.detectors._watch import Detector, Repetition, ToolRule, Watch, default_detectors

__all__ = [
    "DEFAULT_VOLATILE_KEYS",
    "MAX_PERIOD",
    "MAX_STEPS",
    "ContextGrowth",
    "Cycle",
    "Delegation",
    "Detector",
    "ErrorStreak",
    "Fingerprint",
    "History",
    "Overflow",
    "PromptPrices",
    "RateLimit",
    "Repeat",
    "Repetition",
    "RunTurns",
    "Severity",
    "Step",
    "ToolRule",
    "Truncation",
    "Turn",
    "TurnDetector",
    "TurnHistory",
    "TurnWatch",
    "Verdict",
    "Watch",
    "canonical",
    "default_detectors",
    "default_turn_detectors",
    "error_mark",
    "is_empty",
    "result_mark",
    "signature",
]
