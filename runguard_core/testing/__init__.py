"""For tests, demos and examples: a local provider that speaks the real wire formats, and seeded traffic with incidents."""

from runguard_core.testing._cassette import CassetteProvider, Exchange
from runguard_core.testing._checking import check_kinds
from runguard_core.testing._plugin import CostWatch
from runguard_core.testing._plugin_baselines import write_baselines
from runguard_core.testing._provider import FakeProvider, Script
from runguard_core.testing._reply import Reply, Request, ToolUse
from runguard_core.testing._traffic import Traffic, TrafficCall, make_traffic
from runguard_core.testing._traffic_features import FEATURES, FeatureTraffic
from runguard_core.testing._traffic_incidents import Incident, IncidentKind, draw_incident
from runguard_core.testing._traffic_loading import Release, ledger_rows, recordings, write_traffic

__all__ = [
    "FEATURES",
    "CassetteProvider",
    "CostWatch",
    "Exchange",
    "FakeProvider",
    "FeatureTraffic",
    "Incident",
    "IncidentKind",
    "Release",
    "Reply",
    "Request",
    "Script",
    "ToolUse",
    "Traffic",
    "TrafficCall",
    "check_kinds",
    "draw_incident",
    "ledger_rows",
    "make_traffic",
    "recordings",
    "write_baselines",
    "write_traffic",
]
