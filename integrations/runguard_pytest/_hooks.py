"""What pytest calls: a guard for each test that asks for one, its verdict, the baselines of a session."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from runguard_core.testing._plugin import CostWatch

#: Under this key a test's report carries what it used, from a worker to whoever sums up.
_PROPERTY = "runguard"
_MARKER = (
    "runguard(max_usd, max_turns, max_tokens, baseline, tolerance, policy): run the test under a guard and assert what it costs."
)
_WATCH: pytest.StashKey[CostWatch] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """One option, one setting."""
    group = parser.getgroup("runguard")
    group.addoption("--runguard-update", action="store_true", help="write the token baselines of the tests that pass")
    parser.addini("runguard_baselines", "file of the token baselines", default="runguard-baselines.json")


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker; sum up where all reports come together."""
    config.addinivalue_line("markers", _MARKER)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Summary(config), "runguard_summary")


def _baselines(config: pytest.Config) -> Path:
    return config.rootpath / str(config.getini("runguard_baselines"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A guard for tests that are marked or use the fixture."""
    marker = item.get_closest_marker("runguard")
    if marker is None and "runguard" not in getattr(item, "fixturenames", ()):
        return
    from runguard_core import PolicyError, load_policy  # noqa: PLC0415  who does not use it does not wait for it
    from runguard_core.testing import CostWatch  # noqa: PLC0415

    try:
        item.stash[_WATCH] = CostWatch.of_marker(item.nodeid, marker, item.config.rootpath, lambda file: load_policy(file).rules)
    except PolicyError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
def runguard(request: pytest.FixtureRequest) -> CostWatch:
    """The test's guard, what it has used so far, and `replay` for recordings."""
    found: CostWatch = request.node.stash[_WATCH]
    return found


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Run the test under its guard, then hold what it used against what it may."""
    watch = item.stash.get(_WATCH, None)
    if watch is None:
        return (yield)
    ended: str | None = None
    try:
        with watch.watching():
            outcome = yield
    except BaseException as error:
        ended = watch.ended_by(error)
        if ended is None:
            item.add_report_section("call", "RunGuard", watch.summary())
            raise
    if ended is not None:
        pytest.fail(ended, pytrace=False)
    verdict = watch.verdict(_baselines(item.config), updates=item.config.getoption("--runguard-update"))
    item.user_properties.append((_PROPERTY, verdict.properties))
    if verdict.failure is not None:
        pytest.fail(verdict.failure, pytrace=False)
    return outcome


def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Close the guard."""
    watch = item.stash.get(_WATCH, None)
    if watch is not None:
        watch.close()
        del item.stash[_WATCH]


class _Summary:
    """What the measured tests used: written as baselines where that was asked for, told at the end."""

    def __init__(self, config: pytest.Config) -> None:
        """Nothing measured yet."""
        self._config, self._measured = config, dict[str, dict[str, Any]]()
        self._written = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what a passed test used."""
        if report.when == "call" and report.passed:
            for key, found in report.user_properties:
                if key == _PROPERTY and isinstance(found, dict):
                    self._measured[report.nodeid] = found

    def pytest_sessionfinish(self) -> None:
        """Write the baselines."""
        found = {name: row["baseline"] for name, row in self._measured.items() if row["baseline"] is not None}
        if found and self._config.getoption("--runguard-update"):
            from runguard_core.testing import write_baselines  # noqa: PLC0415  only here

            write_baselines(_baselines(self._config), found)
            self._written = len(found)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """A line for what should be known."""
        if self._written:
            terminalreporter.write_line(f"RunGuard: {self._written} baselines written to {_baselines(self._config)}")
        for name, row in self._measured.items():
            for note in row["notes"]:
                terminalreporter.write_line(f"RunGuard: {name} {note}")
