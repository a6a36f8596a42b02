"""The shape of `runguard.toml`, as pydantic models: what may stand where."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from runguard_core.policy._alerts import AlertsTable
from runguard_core.policy._attribution import AttributionTable
from runguard_core.policy._billing import BillingTable
from runguard_core.policy._calendar import CalendarTable
from runguard_core.policy._charging import ChargebackTable
from runguard_core.policy._detectors import DetectorsTable
from runguard_core.policy._escalation import EscalationTable, PlannedTable
from runguard_core.policy._keeping import PrivacyTable, RetentionTable
from runguard_core.policy._people import AgentTable, ContactTable, FeatureTable, TeamTable
from runguard_core.policy._plan import PlanTable
from runguard_core.policy._table import Amount, ModeName, Table


class BudgetTable(Table):
    """`[[budgets]]`: a limit on a scope for a period."""

    name: str = Field(description="for messages; spend is kept under what is limited")
    limit: Amount = Field(
        description='"0.50 USD", "200k tokens", "40 turns", "30 calls", "12 tool calls", "10m"; "20 % of BUDGET", '
        '"100 % of plan"; "3 % of METRIC", "0.06 USD per METRIC" (with a fallback)'
    )
    fallback: Amount | None = Field(default=None, description="the limit while the metric that it follows is not known")
    per: list[str] = Field(default=[], description="dimensions that split it: session, feature, user, agent, a tag, ...")
    where: dict[str, str] = Field(default={}, description="dimension = value pairs that a call must match")
    period: str = Field(default="lifetime", description="turn, run, session, hour, day, week, month or lifetime")
    mode: ModeName | None = None
    thresholds: list[float] = Field(default=[], description="shares of the limit that are announced, 0 to 1")
    landing: Amount | None = Field(default=None, description='kept for one last, tool-less answer: "2 %" or an amount')
    shared: bool = Field(default=False, description="counts all apps of the ledger together")
    locked: bool = Field(default=False, description="files that extend this one may only lower the limit, and loosen no mode")


class AnomaliesTable(Table):
    """`[anomalies]`: spend that stands out."""

    mode: ModeName | None = Field(default=None, description="observe announces only; off does nothing; else as `mode`")
    sensitivity: float = Field(default=1.0, gt=0, le=10, description="1 is as measured; 2 asks for half the distance from normal")
    min_history_sessions: int = Field(default=30, ge=10, description="finished sessions before one can stand out")
    min_history_days: int = Field(default=14, ge=7, description="days of a feature before its hours and days can stand out")
    min_impact_usd: Amount = Field(default="1", description="an episode costs at least so much above the expected")
    trip: Literal["none", "minor", "major", "critical"] = Field(
        default="none", description="from this severity on an episode of a session stops the session's run"
    )
    trip_feature: bool = Field(default=False, description="an episode of a whole feature stops the feature, for an hour")


class ToolTable(Table):
    """`[tools.NAME]`; the name may hold * and ?."""

    repetition: Literal["loop", "poll", "observe", "exempt"] = "loop"
    price_usd: Amount | None = Field(default=None, description="price of one call")


class PriceTable(Table):
    """`[prices."MODEL"]`."""

    same_as: str | None = Field(default=None, description='"MODEL" or "PROVIDER:MODEL" of the price list')
    input_usd_per_mtok: Amount | None = None
    output_usd_per_mtok: Amount | None = None
    cache_read_usd_per_mtok: Amount | None = None
    cache_write_usd_per_mtok: Amount | None = None
    cache_write_1h_usd_per_mtok: Amount | None = None
    reasoning_usd_per_mtok: Amount | None = None
    per_request_usd: Amount | None = Field(default=None, description="added once a call: images, speech, transcription, rerank")


class AssumedPrice(Table):
    """`unpriced = { assume_usd_per_mtok = { input = "3", output = "15" } }`."""

    input: Amount
    output: Amount


class Assume(Table):
    """The price of models that have none."""

    assume_usd_per_mtok: AssumedPrice


class Degraded(Table):
    """`on_store_error = { degraded_usd = "1" }`: admit up to so much per process."""

    degraded_usd: Amount


class PolicyFile(Table):
    """The whole file."""

    app: str = Field(default="default", description="the program; one default ledger per app")
    feature: str | None = None
    team: str | None = None
    owner: str | None = None
    release: str | None = None
    mode: ModeName = "enforce"
    store: str | None = Field(default=None, description='"memory://", "sqlite:///FILE"; default: the user\'s state directory')
    timezone: str = "UTC"
    quote: Literal["expected", "bound"] = "expected"
    cap_output: bool = False
    unpriced: Literal["deny", "flag"] | Assume = "deny"
    session_idle: str = Field(default="1h", description="a session without calls for so long counts as finished in reports")
    require: list[str] = Field(
        default=[], description="dimensions that reports count on: a call without one is filed as unattributed, not refused"
    )
    attribution: dict[str, AttributionTable] = Field(
        default={}, description="values that a dimension may have, and whether other calls are refused"
    )
    on_store_error: Literal["refuse", "admit"] | Degraded = "refuse"
    budgets: list[BudgetTable] = Field(default=[])
    detectors: DetectorsTable = DetectorsTable()
    anomalies: AnomaliesTable = AnomaliesTable()
    tools: dict[str, ToolTable] = Field(default={})
    agents: dict[str, AgentTable] = Field(default={})
    prices: dict[str, PriceTable] = Field(default={})
    calendar: CalendarTable = CalendarTable()
    contacts: dict[str, ContactTable] = Field(default={})
    features: dict[str, FeatureTable] = Field(default={})
    teams: dict[str, TeamTable] = Field(default={})
    escalation: EscalationTable = EscalationTable()
    planned: list[PlannedTable] = Field(default=[])
    alerts: AlertsTable = AlertsTable()
    plan: PlanTable = PlanTable()
    chargeback: ChargebackTable = ChargebackTable()
    billing: BillingTable = BillingTable()
    retention: RetentionTable = RetentionTable()
    privacy: PrivacyTable = PrivacyTable()


def policy_schema() -> dict[str, Any]:
    """JSON schema of the policy file, `extends` and `[env.NAME]` included."""
    schema = PolicyFile.model_json_schema()
    schema["title"] = "runguard.toml"
    schema["properties"] |= {
        "extends": {"type": "string", "description": "a file this one is laid over, relative to it"},
        "env": {"type": "object", "description": "[env.NAME]: laid over the rest when RUNGUARD_ENV is NAME"},
    }
    return schema
