"""What every adapter needs to hook into a framework: when it is imported, whose its calls are, how they end, how a stop gets out.

Neutral: no framework is named here. An adapter translates between its framework and these.
"""

from runguard_core.hooking._calls import OpenCall, OpenCalls, StopSignal
from runguard_core.hooking._importing import Hook, on_import
from runguard_core.hooking._safely import safely
from runguard_core.hooking._tree import CallNode, CallTree
from runguard_core.hooking._wrapping import Wraps, inside

__all__ = ["CallNode", "CallTree", "Hook", "OpenCall", "OpenCalls", "StopSignal", "Wraps", "inside", "on_import", "safely"]
