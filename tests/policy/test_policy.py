"""The policy file: read, layered, checked; every mistake named by file and key."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runguard_core import PolicyError, load_policy
from runguard_core.budgets import Mode, Period
from runguard_core.detectors import NearDuplicate, Repeat, Repetition, SameResult, default_detectors
from runguard_core.policy import STARTER, notes, policy_schema

FULL = """
app = "ai-search"
team = "discovery"
unpriced = { assume_usd_per_mtok = { input = "3", output = "15" } }
on_store_error = { degraded_usd = "1" }
require = ["team"]
[[budgets]]
name = "session"
limit = "0.50 USD"
per = ["session"]
locked = true
[[budgets]]
name = "feature-day"
limit = "200 USD"
per = ["feature"]
period = "day"
mode = "observe"
thresholds = [0.7, 0.85]
landing = "2 %"
[detectors.repeat]
stop_after = 4
mode = "observe"
[tools.get_status]
repetition = "poll"
price_usd = "0.01"
[agents.planner]
owner = "search-oncall@example.com"
mode = "observe"
[prices."my-deployment"]
same_as = "gpt-4o-mini"
[env.prod]
mode = "observe"
"""


def write(folder: Path, text: str, name: str = "runguard.toml") -> Path:
    """A policy file."""
    path = folder / name
    path.write_text(text)
    return path


def test_the_whole_file_becomes_rules(tmp_path: Path) -> None:
    """Every section of the documentation."""
    policy = load_policy(write(tmp_path, FULL), {})
    rules = policy.rules
    assert (rules.defaults.app, rules.defaults.team, rules.policy_hash) == ("ai-search", "discovery", policy.hash)
    session, day = rules.budgets
    assert (session.per, day.period, day.mode, day.landing_amount) == (("session",), Period.DAY, Mode.OBSERVE, 4 * 10**9)
    assert rules.tool_rules[0].repetition is Repetition.POLL
    assert rules.tool_prices_nanos == {"get_status": 10**7}
    assert (rules.agent_modes, rules.agent_owners) == ({"planner": Mode.OBSERVE}, {"planner": "search-oncall@example.com"})
    assert rules.detector_modes == {"repeat": Mode.OBSERVE}
    assert rules.assumed_rates is not None
    assert rules.degraded_limit_nanos == 10**9
    guard = policy.guard(store="memory://")
    with guard.session("s"), guard.model_call("my-deployment", prompt="x") as call:
        call.void()
    guard.close()


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    """And ./runguard.toml is found, and RUNGUARD_POLICY before it."""
    assert load_policy(None, {}).file is None
    write(tmp_path, 'app = "here"')
    assert load_policy(None, {}).content.app == "here"
    other = write(tmp_path, 'app = "named"', "other.toml")
    assert load_policy(None, {"RUNGUARD_POLICY": str(other)}).content.app == "named"


def test_environments_and_variables_are_laid_over(tmp_path: Path) -> None:
    """[env.NAME], then RUNGUARD_*; the hash follows."""
    path = write(tmp_path, FULL)
    plain, prod = load_policy(path, {}), load_policy(path, {"RUNGUARD_ENV": "prod"})
    assert (plain.content.mode, prod.content.mode) == ("enforce", "observe")
    assert plain.hash != prod.hash
    assert load_policy(path, {"RUNGUARD_ENV": "prod", "RUNGUARD_MODE": "off"}).content.mode == "off"
    with pytest.raises(PolicyError, match=r"env\.test.*known: prod"):
        load_policy(path, {"RUNGUARD_ENV": "test"})


def test_files_extend_each_other_and_a_locked_budget_only_shrinks(tmp_path: Path) -> None:
    """Budgets merge by name."""
    write(tmp_path, FULL, "base.toml")
    top = 'extends = "base.toml"\n[[budgets]]\nname = "session"\nlimit = "{}"\n'
    policy = load_policy(write(tmp_path, top.format("0.10 USD")), {})
    assert [str(b.limit) for b in policy.rules.budgets] == ["0.10 USD", "200.00 USD"]
    with pytest.raises(PolicyError, match=r"budgets\.session\.limit.*locked") as caught:
        load_policy(write(tmp_path, top.format("9 USD")), {})
    assert caught.value.file.endswith("runguard.toml")
    with pytest.raises(PolicyError, match="locked"):
        load_policy(write(tmp_path, top.format("0.10 USD") + 'mode = "off"'), {})


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        ("budgts = 1", "budgts", "did you mean 'budgets'"),
        ("app =", "(file)", "not TOML"),
        ("app = 5", "app", "expected text"),
        ('mode = "x"', "mode", "enforce"),
        ('[[budgets]]\nname = "x"', "budgets.0.limit", "expected a value"),
        ('[[budgets]]\nname = "x"\nlimit = "5 bananas"', "budgets.0.limit", "0.50 USD"),
        ('[[budgets]]\nname = "x"\nlimit = "5 USD"\nperiod = "year"', "budgets.0.period", "month"),
        ('[[budgets]]\nname = "x"\nlimit = "5 USD"\nper_day = 1', "budgets.0.per_day", "unknown key"),
        ("[detectors.repeat]\nstop_aftr = 3", "detectors.repeat.stop_aftr", "did you mean 'stop_after'"),
        ("[detectors.repeat]\nstop_after = 1", "detectors.repeat.stop_after", "greater than or equal to 2"),
        ('[tools.x]\nrepetition = "never"', "tools.x.repetition", "exempt"),
        ('[tools.x]\nprice_usd = "nan"', "tools.x.price_usd", "USD"),
        ('[prices."m"]\ninput_usd_per_mtok = "-1"', "prices.m.input_usd_per_mtok", "USD"),
        ('[prices."m"]\nprovider = "x"', "prices.m.provider", "unknown key"),
        ('[prices."m"]', "prices.m", "same_as"),
        ('timezone = "Mars/Olympus"', "timezone", "Europe/Zurich"),
        ('unpriced = "maybe"', "unpriced", "deny"),
        ('extends = "nowhere.toml"', "(file)", "cannot be read"),
        ('extends = "runguard.toml"', "extends", "does not extend itself"),
        ("extends = 3", "extends", "name of a file"),
        ('extends = "x.toml/."', "(file)", "cannot be read"),
        ('extends = "x.toml\\u0000"', "(file)", "null byte"),
        ("a = " + "[" * 3000, "(file)", "nested too deeply"),
        ("a = " + "9" * 5000, "(file)", "digits"),
        ("foo = 1", "foo", "known: agents, alerts, anomalies"),
        ('[[budgets]]\nname = "x"\nlimit = true', "budgets.0.limit", "expected text or a whole number or a number, got True"),
        ('[[budgets]]\nname = "x"\nlimit = "0.00000000001 USD"', "budgets.0.limit", "0.50 USD"),
        ('[[budgets]]\nname = "x"\nlimit = 1e400', "budgets.0.limit", "got inf"),
        ('[[budgets]]\nname = "x"\nlimit = 1\nlocked = "yes"', "budgets.0.locked", "true or false"),
        ('[[budgets]]\nname = "x"\nlimit = 1\nthresholds = [nan]', "budgets.0.thresholds", "above 0"),
        ('[[budgets]]\nname = "x"\nlimit = 1\nlanding = "nan %"', "budgets.0.landing", "2 %"),
        ('[[budgets]]\nname = "x"\nlimit = 1\n[[budgets]]\nname = "x"\nlimit = 2', "budgets.1.name", "another budget"),
        ('[[env.prod.budgets]]\nname = "x"\n[[env.prod.budgets]]\nname = "x"', "env.prod.budgets.1.name", "another budget"),
        ("budgets = [1]", "budgets.0", "expected a table"),
        ("[detectors.error_streak]\nwarn_after = true", "detectors.error_streak.warn_after", "whole number"),
        ("[tools.x]\nprice_usd = true", "tools.x.price_usd", "got True"),
        ('on_store_error = "ignore"', "on_store_error", "'refuse' or 'admit' or a table"),
        ("unpriced = { assume_usd_per_mtok = { input = 3 } }", "unpriced.assume_usd_per_mtok.output", "expected a value"),
        ('session_idle = "banana"', "session_idle", "expected"),
        ('session_idle = "5 USD"', "session_idle", "duration"),
        ("env = 3", "env", "[env.prod]"),
        ("[env]\nprod = 3", "env.prod", "expected a table"),
        ('[env.prod]\nextends = "x.toml"', "env.prod.extends", "top of a file"),
    ],
)  # fmt: skip
def test_every_mistake_is_named(tmp_path: Path, text: str, key: str, says: str) -> None:
    """File, key, and what was expected; nothing is started."""
    path = write(tmp_path, text)
    with pytest.raises(PolicyError) as caught:
        load_policy(path, {})
    assert caught.value.key.startswith(key)
    assert says in str(caught.value)
    assert ".toml" in caught.value.file


def test_a_mistake_in_a_variable_names_the_variable(tmp_path: Path) -> None:
    """The file is right."""
    path = write(tmp_path, FULL)
    for name, value in (("RUNGUARD_MODE", "off "), ("RUNGUARD_TIMEZONE", "Mars")):
        with pytest.raises(PolicyError, match=f"^{name}: ") as caught:
            load_policy(path, {name: value})
        assert caught.value.file == name


def test_a_mark_of_byte_order_is_no_mistake(tmp_path: Path) -> None:
    """Some editors write one."""
    assert load_policy(write(tmp_path, "\ufeffapp = 'marked'"), {}).content.app == "marked"


def test_a_circle_of_links_is_named(tmp_path: Path) -> None:
    """A file that is a link to itself."""
    (tmp_path / "loop.toml").symlink_to(tmp_path / "loop.toml")
    with pytest.raises(PolicyError, match="cannot be read"):
        load_policy(write(tmp_path, 'extends = "loop.toml"'), {})


@pytest.mark.parametrize(
    ("over", "key"),
    [
        # fewer of another unit are not less
        ('[[budgets]]\nname = "session"\nlimit = "500 turns"', "budgets.session.limit"),
        ('mode = "off"', "mode"),
        ('mode = "observe"', "mode"),
        ('[agents.planner]\nmode = "off"', "agents.planner.mode"),
        ('[env.prod]\nmode = "off"', "env.prod.mode"),
        ('[env.prod.agents.x]\nmode = "observe"', "env.prod.agents.x.mode"),
    ],
)
def test_nothing_over_a_locked_budget_loosens_it(tmp_path: Path, over: str, key: str) -> None:
    """Neither its limit in another unit, nor a mode under which it is not asked."""
    write(tmp_path, FULL, "base.toml")
    with pytest.raises(PolicyError, match="locked") as caught:
        load_policy(write(tmp_path, f'extends = "base.toml"\n{over}'), {})
    assert caught.value.key == key


def test_over_budgets_that_are_not_locked_modes_are_free(tmp_path: Path) -> None:
    """And what the file below only watches, the one above may only watch."""
    write(tmp_path, FULL.replace("locked = true", ""), "base.toml")
    assert load_policy(write(tmp_path, 'extends = "base.toml"\nmode = "off"'), {}).content.mode == "off"
    write(tmp_path, 'mode = "observe"\n' + FULL, "base.toml")
    assert load_policy(write(tmp_path, 'extends = "base.toml"\nmode = "observe"'), {}).content.mode == "observe"


def test_what_looks_misspelt_is_noted_and_holds(tmp_path: Path) -> None:
    """Any word may be the key of a tag, and a deployment may be priced like a model that nobody lists."""
    text = """
    require = ["team", "tem"]
    [[budgets]]
    name = "b"
    limit = 1
    where = { agnet = "planner", region = "eu" }
    per = ["sesion", "tag:usr"]
    [prices."mine"]
    same_as = "nobody-lists-this"
    """
    found = notes(load_policy(write(tmp_path, text), {}), datetime(2026, 11, 1, tzinfo=UTC))
    assert ["agnet" in note and "'agent'" in note for note in found].count(True) == 1
    assert [note.split(":")[0] for note in found] == ["require", "budget 'b'", "budget 'b'", "prices.mine"]


def test_a_named_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """The defaults are not taken instead."""
    with pytest.raises(PolicyError, match="no such policy file"):
        load_policy(tmp_path / "nope.toml", {})


def test_the_starter_and_the_schema_agree(tmp_path: Path) -> None:
    """What init writes is a policy; the schema is JSON and names every key."""
    assert len(load_policy(write(tmp_path, STARTER), {}).rules.budgets) == 2
    schema = json.loads(json.dumps(policy_schema()))
    assert {"budgets", "detectors", "tools", "agents", "prices", "extends", "env"} <= schema["properties"].keys()


def test_every_detector_of_tool_calls_has_a_table_with_its_own_defaults(tmp_path: Path) -> None:
    """And its knobs arrive; what is off is not made a part of the guard's work."""
    assert load_policy(environ={}).rules.detectors == default_detectors()
    file = tmp_path / "runguard.toml"
    file.write_text(
        "[detectors.near_duplicate]\nlikeness_ratio = 0.8\n[detectors.same_result]\nstop_after = 9\n"
        '[detectors.stall]\nmode = "off"\n[detectors.repeat]\nstop_after_anywhere = 20\n'
    )
    rules = load_policy(file, environ={}).rules
    found = {detector.rule: detector for detector in rules.active_detectors()}
    assert found.keys() == {"repeat", "cycle", "near_duplicate", "same_result", "error_streak"}
    assert (found["near_duplicate"], found["same_result"]) == (NearDuplicate(likeness_ratio=0.8), SameResult(stop_after=9))
    assert found["repeat"] == Repeat(stop_after_anywhere=20)
