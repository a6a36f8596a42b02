"""RunGuard for pytest: `@pytest.mark.runguard(max_usd="0.05", max_turns=6)` and the fixture `runguard`.

pytest imports this module wherever RunGuard is installed, so it imports nothing of RunGuard before a test asks for it, and does
nothing at all in a pytest older than 8.
"""

import pytest

if int(pytest.__version__.partition(".")[0]) >= 8:
    from runguard_pytest._hooks import (
        pytest_addoption,
        pytest_configure,
        pytest_runtest_call,
        pytest_runtest_setup,
        pytest_runtest_teardown,
        runguard,
    )

    __all__ = [
        "pytest_addoption",
        "pytest_configure",
        "pytest_runtest_call",
        "pytest_runtest_setup",
        "pytest_runtest_teardown",
        "runguard",
    ]
