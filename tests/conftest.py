"""What every test shares: no real state directory, no tracing, nothing left pending."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from runguard_core import CallFilter, Guard
from runguard_core.ledger import CallState
from tests.servers.fixtures import postgres_server, postgres_url, started_servers, valkey_server, valkey_url  # noqa: F401

os.environ["LANGSMITH_TRACING"] = "false"
os.environ["COLUMNS"] = "100"  # read when the command line is imported; the workers of pytest-xdist say 80
_CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
# the same examples every time, so that a red run is about the change; `explore` looks for new ones
settings.register_profile("default", deadline=None, max_examples=60, derandomize=True, suppress_health_check=_CHECKS)
settings.register_profile("explore", deadline=None, max_examples=2000, suppress_health_check=_CHECKS)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's ledgers or policy."""
    for name in list(os.environ):
        if name.startswith("RUNGUARD_") and name != "RUNGUARD_DATA":
            monkeypatch.delenv(name)
    monkeypatch.setenv("RUNGUARD_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def make_guard() -> Iterator[Callable[..., Guard]]:
    """Guards on a ledger in memory, closed at the end."""
    made: list[Guard] = []

    def make(**settings: object) -> Guard:
        settings.setdefault("app", "test")
        settings.setdefault("store", "memory://")
        guard = Guard(**settings)  # type: ignore[arg-type]  # whatever the test says
        made.append(guard)
        return guard

    yield make
    for guard in made:
        guard.close()
        assert guard.store.calls(CallFilter(state=CallState.PENDING)) == (), "a call was left pending"
        assert guard.store.verify() == ()


@pytest.fixture
def swept() -> None:
    """Garbage of earlier tests dies here, not in the middle of a call: of a warning that a dying socket raises pytest keeps the
    trace, and with it every frame of the call and the stream that is in one of them.
    """
    gc.collect()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Recorded data of others: RUNGUARD_DATA, or ../shared/data beside the checkout."""
    root = Path(__file__).parents[1]  # a relative path is meant from here: every test runs in a directory of its own
    place = (root / os.environ.get("RUNGUARD_DATA", "../shared/data")).resolve()
    if not place.is_dir():
        pytest.skip(f"{place} is not here (RUNGUARD_DATA): recorded data of others are not compared, our own recordings are")
    return place
