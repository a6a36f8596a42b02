"""What is planned is what the breaker holds: session, day, month, of a feature, of all, across agents and programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from runguard_core import RefusedError, load_policy
from runguard_core.calls import ModelCall, Outcome
from runguard_core.guard import Guard
from runguard_core.ledger import Store
from runguard_core.stores import open_store
from runguard_core.usage import Usage

#: Two cents and a half each.
CALL, SPENT = ModelCall(model="gpt-4o", max_output_tokens=10), Outcome(usage=Usage(input_tokens=10_000))
PLAN = '[plan]\ntotal = "1 USD"\n[plan.features.chat]\nusd = "0.10"\n'


def calls_until_refused(guard: Guard, number: int = 50, **who: str) -> tuple[int, str]:
    """How many calls pass, each in a session of its own unless it is named, and which budget said no."""
    for passed in range(number):
        try:
            guard.reserve(CALL, guard.attribution(**{"session": f"s{passed}", **who})).settle(SPENT)
        except RefusedError as stop:
            return passed, stop.budget
    return number, ""


@pytest.mark.parametrize(
    ("budget", "who", "passed"),
    [
        ('limit = "0.05 USD"\nper = ["session"]', {"session": "one"}, 2),
        ('limit = "0.10 USD"\nperiod = "day"', {}, 4),
        ('limit = "0.05 USD"\nper = ["feature"]\nperiod = "day"', {"feature": "chat"}, 2),
        ('limit = "100 % of plan"\nperiod = "month"\nwhere = { feature = "chat" }', {"feature": "chat"}, 4),
        ('limit = "100 % of plan"\nperiod = "month"', {}, 40),
    ],
)
def test_each_budget_stops_hard_where_it_says(tmp_path: Path, budget: str, who: dict[str, str], passed: int) -> None:
    """Reaching the limit is allowed, the call that would pass it is not sent; others are not touched."""
    file = tmp_path / "runguard.toml"
    file.write_text(f'[[budgets]]\nname = "b"\n{budget}\n{PLAN}')
    with load_policy(file, {}).guard(store=open_store("memory://")) as guard:
        assert calls_until_refused(guard, **who) == (passed, "b")
        if who:
            assert calls_until_refused(guard, 1, feature="search") == (1, "")


def test_one_budget_is_shared_by_agents_and_by_programs_of_one_ledger(tmp_path: Path) -> None:
    """Two agents of two programs: together four calls, whoever makes them."""
    store: Store = open_store("memory://")
    for app in ("one", "two"):
        (tmp_path / f"{app}.toml").write_text(
            f'app = "{app}"\n[[budgets]]\nname = "b"\nlimit = "0.10 USD"\nperiod = "month"\nshared = true\n'
        )
    one, two = (load_policy(tmp_path / f"{app}.toml", {}).guard(store=store) for app in ("one", "two"))
    assert calls_until_refused(one, 2, agent="planner") == (2, "")
    assert calls_until_refused(two, 1, agent="writer") == (1, "")
    assert calls_until_refused(two, agent="planner") == (1, "b")
    assert calls_until_refused(one, agent="writer") == (0, "b")
