"""Contacts, teams, features and agents of a policy file become one registry."""

from __future__ import annotations

from pathlib import Path

import pytest

from runguard_core.errors import PolicyError
from runguard_core.policy import load_policy

FILE = """
app = "shop"
owner = "boss@example.com"
team = "care"
timezone = "Europe/Berlin"
[calendar]
sprint_start = 2026-11-16
year_starts_in = 4
[contacts.ana]
name = "Ana Ng"
channels = ["slack-care"]
[alerts.channels.slack-care]
kind = "slack"
url_env = "SLACK"
[features.search]
owner = "ana"
deputy = "ben@example.com"
team = "discovery"
runbook = "https://example.com/runbooks/search"
production = true
[teams.discovery]
lead = "cy@example.com"
executive = "dora@example.com"
[agents.planner]
owner = "eve@example.com"
mode = "observe"
"""


def test_who_answers_is_read_from_the_nearest_table(tmp_path: Path) -> None:
    """The agent's, then the feature's, then the team's, then the whole app's."""
    file = tmp_path / "runguard.toml"
    file.write_text(FILE)
    registry = load_policy(file, {}).registry
    duty = registry.duty("search", "planner")
    assert (duty.owner, duty.deputy, duty.lead, duty.executive) == (
        "eve@example.com", "ben@example.com", "cy@example.com", "dora@example.com",
    )  # fmt: skip
    assert (duty.team, duty.is_production, duty.runbook) == ("discovery", True, "https://example.com/runbooks/search")
    other = registry.duty("chat")
    assert (other.owner, other.team, other.lead, other.deputy) == ("boss@example.com", "care", None, None)
    assert registry.duty("chat", team="discovery").lead == "cy@example.com"
    assert (registry.contact("ana").title, registry.contact("ben@example.com").title) == ("Ana Ng", "ben@example.com")


def test_the_calendar_is_in_the_policys_time_zone(tmp_path: Path) -> None:
    """Sprints and fiscal years as the file says."""
    file = tmp_path / "runguard.toml"
    file.write_text(FILE)
    calendar = load_policy(file, {}).calendar
    assert (str(calendar.zone), calendar.sprint_start.isoformat(), calendar.year_starts_in) == ("Europe/Berlin", "2026-11-16", 4)


def test_a_misspelt_duty_is_named(tmp_path: Path) -> None:
    """By file and key."""
    file = tmp_path / "runguard.toml"
    file.write_text(FILE.replace("deputy", "deputee"))
    with pytest.raises(PolicyError, match=r"features\.search\.deputee"):
        load_policy(file, {})
