"""RunGuard: meters what LLM agents spend and refuses the next call of a run that breaks a budget or loops."""

from typing import TYPE_CHECKING

from runguard_core.anomalies import WatchRules
from runguard_core.attribution import Attribution, read_attribution
from runguard_core.budgets import Budget, Mode, Period
from runguard_core.calls import ModelCall, Outcome, OutcomeKind, PromptPart, RunSummary, ToolCall, ToolUse
from runguard_core.clock import Clock, SystemClock
from runguard_core.detectors import Detector, History, Severity, Step, Turn, TurnDetector, TurnHistory, Verdict
from runguard_core.errors import (
    LedgerError,
    PolicyError,
    PriceError,
    RefusedError,
    RunguardError,
    StoppedError,
    StoreError,
    TrippedError,
    UnknownModelError,
)
from runguard_core.guard import AnomalyRules, BudgetExceeded, Child, Guard, Reservation, Session, current_session
from runguard_core.hooking import CallNode, CallTree, Hook, OpenCall, OpenCalls, StopSignal, Wraps, inside, on_import, safely
from runguard_core.ledger import CallFilter, CallRecord, Event, EventFilter, Store
from runguard_core.stores import open_store
from runguard_core.usage import Usage
from runguard_core.wire import Messages, Prompt, read_answer, read_chunks, read_error, read_prompt, read_size, read_usage

if TYPE_CHECKING:
    from runguard_core.policy import load_policy

__all__ = [
    "AnomalyRules",
    "Attribution",
    "Budget",
    "BudgetExceeded",
    "CallFilter",
    "CallNode",
    "CallRecord",
    "CallTree",
    "Child",
    "Clock",
    "Detector",
    "Event",
    "EventFilter",
    "Guard",
    "History",
    "Hook",
    "LedgerError",
    "Messages",
    "Mode",
    "ModelCall",
    "OpenCall",
    "OpenCalls",
    "Outcome",
    "OutcomeKind",
    "Period",
    "PolicyError",
    "PriceError",
    "Prompt",
    "PromptPart",
    "RefusedError",
    "Reservation",
    "RunSummary",
    "RunguardError",
    "Session",
    "Severity",
    "Step",
    "StopSignal",
    "StoppedError",
    "Store",
    "StoreError",
    "SystemClock",
    "ToolCall",
    "ToolUse",
    "TrippedError",
    "Turn",
    "TurnDetector",
    "TurnHistory",
    "UnknownModelError",
    "Usage",
    "Verdict",
    "WatchRules",
    "Wraps",
    "current_session",
    "inside",
    "load_policy",
    "on_import",
    "open_store",
    "read_answer",
    "read_attribution",
    "read_chunks",
    "read_error",
    "read_prompt",
    "read_size",
    "read_usage",
    "safely",
]


def __getattr__(name: str) -> object:
    """`load_policy` is imported on first use, so that the front door pulls no third-party package."""
    if name == "load_policy":
        from runguard_core.policy import load_policy  # noqa: PLC0415

        return load_policy
    raise AttributeError(name)
