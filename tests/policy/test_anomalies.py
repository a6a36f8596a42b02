"""`[anomalies]` of the policy file."""

from __future__ import annotations

from pathlib import Path

import pytest

from runguard_core.anomalies import Gravity
from runguard_core.budgets import Mode
from runguard_core.errors import PolicyError
from runguard_core.guard import AnomalyRules
from runguard_core.policy import load_policy


def rules_of(tmp_path: Path, text: str) -> AnomalyRules:
    """The rules that a file makes."""
    file = tmp_path / "runguard.toml"
    file.write_text(text)
    return load_policy(file, {}).rules.anomalies


def test_the_defaults_watch_and_stop_nothing(tmp_path: Path) -> None:
    """They are the defaults of the code, too."""
    assert rules_of(tmp_path, "") == AnomalyRules()
    assert AnomalyRules().trip is None


def test_every_key_reaches_the_guard(tmp_path: Path) -> None:
    """Units included."""
    text = """
        session_idle = "30m"
        [anomalies]
        mode = "observe"
        sensitivity = 2
        min_history_sessions = 50
        min_history_days = 21
        min_impact_usd = "2.50"
        trip = "critical"
        trip_feature = true
    """
    found = rules_of(tmp_path, text)
    assert (found.mode, found.trip, found.trip_feature) == (Mode.OBSERVE, Gravity.CRITICAL, True)
    watch = found.watch
    assert (watch.sensitivity, watch.min_history_sessions, watch.min_history_days) == (2, 50, 21)
    assert (watch.min_impact_nanos, watch.idle_seconds) == (2_500_000_000, 1800)
    assert watch.deviations(4) == 2


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('min_impact_usd = "much"', "anomalies.min_impact_usd"), ("sensitivity = 0", "anomalies.sensitivity"),
        ('trip = "always"', "anomalies.trip"), ("min_history = 3", "anomalies.min_history"), ("min_history_days = 1", "anomalies.min_history_days"),
    ],
)  # fmt: skip
def test_mistakes_name_their_key(tmp_path: Path, line: str, key: str) -> None:
    """And what was expected."""
    with pytest.raises(PolicyError) as caught:
        rules_of(tmp_path, f"[anomalies]\n{line}")
    assert caught.value.key == key
