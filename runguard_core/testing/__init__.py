"""For tests, demos and examples: a local provider that speaks the real wire formats and counts requests."""

from runguard_core.testing._cassette import CassetteProvider, Exchange
from runguard_core.testing._checking import check_kinds
from runguard_core.testing._plugin import CostWatch
from runguard_core.testing._plugin_baselines import write_baselines
from runguard_core.testing._provider import FakeProvider, Script
from runguard_core.testing._reply import Reply, Request, ToolUse

__all__ = [
    "CassetteProvider",
    "CostWatch",
    "Exchange",
    "FakeProvider",
    "Reply",
    "Request",
    "Script",
    "ToolUse",
    "check_kinds",
    "write_baselines",
]
