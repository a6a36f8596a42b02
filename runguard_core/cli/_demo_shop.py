"""The shop of `runguard demo --weeks`: who calls, what goes wrong when, what is released, and its policy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

from runguard_core.testing import FEATURES, FeatureTraffic, Incident, IncidentKind, Release, draw_incident

SHOP = "demo-shop"
#: Days before the end on which something goes wrong, what, and where. The watch needs weeks of history before each.
_PLAN = (
    (89, IncidentKind.TRAFFIC_BURST, "support-chat"),
    (82, IncidentKind.RETRY_STORM, "code-review"),
    (75, IncidentKind.SLOW_DRIFT, "search"),
    (54, IncidentKind.CONTEXT_BLOAT, "code-review"),
    (40, IncidentKind.RETRY_STORM, "sales-assistant"),
    (33, IncidentKind.TOOL_LOOP, "support-chat"),
    (26, IncidentKind.PROMPT_REGRESSION, "support-chat"),
    (19, IncidentKind.MODEL_SWAP, "ticket-triage"),
    (12, IncidentKind.LEAKED_KEY, "search"),
    (6, IncidentKind.MODEL_SWAP, "sales-assistant"),
    (5, IncidentKind.TOOL_LOOP, "report-writer"),
)
#: Incidents that came with a version of the program and went with the next one.
_SHIPPED = frozenset(
    {IncidentKind.CONTEXT_BLOAT, IncidentKind.MODEL_SWAP, IncidentKind.PROMPT_REGRESSION, IncidentKind.SLOW_DRIFT}
)
#: Nothing can stand out before so many days.
_LEARNING = timedelta(days=21)
_BETWEEN_RELEASES = timedelta(days=14)
_UNTAGGED = {"search": 0.08, "code-review": 0.05}
_PROJECT = {"openai": "proj_", "anthropic": "wrkspc_"}


def shop_features() -> tuple[FeatureTraffic, ...]:
    """The six features of generated traffic, each with a project of its own; some sessions carry no team."""
    return tuple([
        replace(one, account=account_of(one), untagged_ratio=_UNTAGGED.get(one.feature, 0.0)) for one in FEATURES
    ])  # fmt: skip


def account_of(feature: FeatureTraffic) -> str:
    """The provider's project (OpenAI) or workspace (Anthropic) of a feature."""
    return _PROJECT[feature.provider] + feature.feature.replace("-", "_")


def shop_incidents(start: datetime, end: datetime, seed: int) -> list[Incident]:
    """Every kind of incident, those of the first three weeks left out."""
    made = []
    for place, (days, kind, feature) in enumerate(_PLAN):
        day = end - timedelta(days=days)
        if day >= start + _LEARNING:
            made.append(draw_incident(kind, feature, day, Random(f"{seed}:{place}")))  # noqa: S311  traffic, no secrets
    return [one for one in made if one.started_at < end]


def shop_releases(start: datetime, end: datetime, incidents: Iterable[Incident]) -> list[Release]:
    """A version every second week, one with each incident that was shipped, one that takes it back."""
    times = {start}
    at = start + timedelta(days=1, hours=10)
    while at < end:
        times.add(at)
        at += _BETWEEN_RELEASES
    for one in incidents:
        if one.kind in _SHIPPED:
            times |= {one.started_at, one.ended_at}
    return [Release(f"v1.{number}", at) for number, at in enumerate(sorted(time for time in times if time < end))]


def release_of(incident: Incident, releases: Sequence[Release]) -> str | None:
    """The version that brought an incident; None when it had another cause."""
    return next((one.name for one in releases if incident.kind in _SHIPPED and one.at == incident.started_at), None)


def shop_policy(url: str, scale: float) -> str:
    """The policy file: owners (one feature has none), teams, a plan, budgets that only watch, whose projects are whose."""
    text = _POLICY.replace("SHOP", SHOP).replace("URL", url)
    for name, usd in _MONTHLY_USD.items():
        text = text.replace(f"USD:{name}", f"{usd * scale:.2f} USD")
    plan = "".join(f'\n[plan.features.{one.feature}]\nusd = "{_MONTHLY_USD[one.feature] * scale:.2f} USD"\n' for one in FEATURES)
    keys = "".join(
        f'\n[billing.keys.{one.feature}]\nprovider = "{one.provider}"\nids = ["{one.account}"]\nfeature = "{one.feature}"\n'
        for one in shop_features()
    )
    return text + plan + keys


#: What a month of each feature may cost at scale 1.
_MONTHLY_USD = {
    "support-chat": 75, "code-review": 260, "search": 60, "report-writer": 250, "ticket-triage": 55, "sales-assistant": 130,
    "plan": 1200, "month": 900, "day": 30,
}  # fmt: skip

_POLICY = """\
# The shop of `runguard demo --weeks`. Everything only watches: change a mode to "enforce" to stop calls.
app = "SHOP"
store = "URL"
mode = "observe"
require = ["team"]                     # some sessions of the demo carry none

[plan]                                 # of a month; 30 % is kept for tails
total = "USD:plan"

[[budgets]]
name = "month"
limit = "USD:month"
period = "month"
thresholds = [0.7, 0.85]

[[budgets]]
name = "day"
limit = "USD:day"
period = "day"

[[budgets]]
name = "session"
limit = "3 USD"
per = ["session"]

[[budgets]]
name = "support-chat"
limit = "USD:support-chat"
where = { feature = "support-chat" }
period = "month"

[[budgets]]
name = "code-review"
limit = "USD:code-review"
where = { feature = "code-review" }
period = "month"

[[budgets]]
name = "search"
limit = "USD:search"
where = { feature = "search" }
period = "month"

[[budgets]]
name = "report-writer"
limit = "USD:report-writer"
where = { feature = "report-writer" }
period = "month"

[[budgets]]
name = "ticket-triage"
limit = "USD:ticket-triage"
where = { feature = "ticket-triage" }
period = "month"

[[budgets]]
name = "sales-assistant"
limit = "USD:sales-assistant"
where = { feature = "sales-assistant" }
period = "month"

[contacts."ana@example.com"]
name = "Ana"

[contacts."ben@example.com"]
name = "Ben"

[contacts."cleo@example.com"]
name = "Cleo"

[contacts."dan@example.com"]
name = "Dan"

[contacts."eva@example.com"]
name = "Eva"

[contacts."lea@example.com"]
name = "Lea (engineering)"

[contacts."cfo@example.com"]
name = "Kim (finance)"

[features.support-chat]
owner = "ana@example.com"
deputy = "ben@example.com"
team = "care"
runbook = "https://wiki.example.com/runbooks/support-chat"
production = true

[features.code-review]
owner = "ben@example.com"
deputy = "ana@example.com"
team = "platform"
runbook = "https://wiki.example.com/runbooks/code-review"
production = true

[features.search]
owner = "cleo@example.com"
deputy = "dan@example.com"
team = "discovery"
runbook = "https://wiki.example.com/runbooks/search"
production = true

[features.report-writer]
owner = "dan@example.com"
deputy = "eva@example.com"
team = "insights"
runbook = "https://wiki.example.com/runbooks/report-writer"
production = true

[features.sales-assistant]
owner = "eva@example.com"
team = "growth"

# ticket-triage is owned by nobody: `runguard owners --check` says so.
[features.ticket-triage]
team = "care"
production = true

[teams.care]
lead = "lea@example.com"
executive = "cfo@example.com"

[teams.platform]
lead = "lea@example.com"
executive = "cfo@example.com"

[teams.discovery]
lead = "lea@example.com"
executive = "cfo@example.com"

[teams.insights]
lead = "lea@example.com"
executive = "cfo@example.com"

[teams.growth]
lead = "lea@example.com"
executive = "cfo@example.com"
"""
