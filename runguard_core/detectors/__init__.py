"""Detectors: what an agent's tool calls and its prompts say about a run that does not get on."""

from runguard_core.detectors._answer import Answer, read_answer
from runguard_core.detectors._canonical import canonical
from runguard_core.detectors._cycle import Cycle
from runguard_core.detectors._delegation import Delegation
from runguard_core.detectors._error_streak import ErrorStreak
from runguard_core.detectors._history import MAX_KNOWN, MAX_PERIOD, MAX_STEPS, History
from runguard_core.detectors._likeness import likeness
from runguard_core.detectors._near_duplicate import NearDuplicate
from runguard_core.detectors._repeat import Repeat
from runguard_core.detectors._same_result import SameResult
from runguard_core.detectors._signature import (
    DEFAULT_VOLATILE_KEYS,
    Fingerprint,
    error_mark,
    read_call,
    read_error,
    read_result,
    recalled,
    result_mark,
    signature,
)
from runguard_core.detectors._stall import Stall
from runguard_core.detectors._step import Ending, Step
from runguard_core.detectors._turn import PromptPrices, Turn
from runguard_core.detectors._turn_detector import TurnDetector
from runguard_core.detectors._turn_growth import ContextGrowth
from runguard_core.detectors._turn_history import TurnHistory
from runguard_core.detectors._turn_overflow import Overflow
from runguard_core.detectors._turn_refusals import RateLimit
from runguard_core.detectors._turn_run import RunTurns
from runguard_core.detectors._turn_same_answer import SameAnswer
from runguard_core.detectors._turn_truncation import Truncation
from runguard_core.detectors._turn_watch import TurnWatch, default_turn_detectors
from runguard_core.detectors._verdict import Severity, Verdict
from runguard_core.detectors._watch import Detector, Repetition, ToolRule, Watch, default_detectors

__all__ = [
    "DEFAULT_VOLATILE_KEYS",
    "MAX_KNOWN",
    "MAX_PERIOD",
    "MAX_STEPS",
    "Answer",
    "ContextGrowth",
    "Cycle",
    "Delegation",
    "Detector",
    "Ending",
    "ErrorStreak",
    "Fingerprint",
    "History",
    "NearDuplicate",
    "Overflow",
    "PromptPrices",
    "RateLimit",
    "Repeat",
    "Repetition",
    "RunTurns",
    "SameAnswer",
    "SameResult",
    "Severity",
    "Stall",
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
    "likeness",
    "read_answer",
    "read_call",
    "read_error",
    "read_result",
    "recalled",
    "result_mark",
    "signature",
]
