"""The pytest plugin, in test suites of its own: what it asserts, what it says, and that it stays out of the way."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytest_plugins = ["pytester"]

AGENT = """
import pytest
from runguard_core import ToolCall, Usage

def agent(guard, turns, tokens=1000, model="gpt-4o-mini"):
    for turn in range(turns):
        with guard.model_call(model, prompt="x" * 4 * tokens) as call:
            call.post(Usage(input_tokens=tokens, output_tokens=100), tool_names=("search",))
        guard.reserve(ToolCall(name="search", arguments={"q": turn})).post(result=f"r{turn}")
"""
RUN = ("-p", "runguard_pytest", "-p", "no:cacheprovider", "-p", "no:xdist")


@pytest.fixture(autouse=True)
def plain(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Warnings are errors in the inner suites, too; but the plugin may have been imported by the outer one."""
    pytester.makeini(
        "[pytest]\naddopts = --strict-markers -W error -W ignore::pytest.PytestAssertRewriteWarning\nasyncio_default_fixture_loop_scope = function"
    )


def ran(pytester: pytest.Pytester, body: str, *args: str, apart: bool = False) -> pytest.RunResult:
    """`apart`: in a process of its own, where no other test has hooked a framework."""
    pytester.makepyfile(test_agent=AGENT + body)
    return pytester.runpytest_subprocess(*RUN, *args) if apart else pytester.runpytest_inprocess(*RUN, *args)


def test_a_test_within_its_limits_passes(pytester: pytest.Pytester) -> None:
    """The fixture has the guard and what was used so far."""
    found = ran(
        pytester,
        """
@pytest.mark.runguard(max_usd="0.01", max_turns=3, max_tokens=3300)
def test_it(runguard):
    agent(runguard.guard, 3)
    assert (runguard.used().turn_count, runguard.used().tokens) == (3, 3300)

def test_unmarked(runguard):
    agent(runguard.guard, 30)
""",
    )
    found.assert_outcomes(passed=2)


def test_a_test_above_them_says_by_how_much_and_where_it_went(pytester: pytest.Pytester) -> None:
    """Each limit that was passed, the dearest turns, the sum."""
    found = ran(
        pytester,
        """
@pytest.mark.runguard(max_usd="0.0005", max_turns=2, max_tokens=3000)
def test_it(runguard):
    agent(runguard.guard, 3)
    agent(runguard.guard, 1, tokens=5000)
""",
    )
    found.assert_outcomes(failed=1)
    found.stdout.fnmatch_lines([
        "RunGuard: test_agent.py::test_it costs more than it may:",
        "  - it used $0.00144, at most $0.0005 are allowed (max_usd), 188% over",
        "  - it used 4 turns, at most 2 turns are allowed (max_turns), 100% over",
        "  - it used 8,400 tokens, at most 3,000 tokens are allowed (max_tokens), 180% over",
        "  turn 4: 5,000 tokens in, 100 out, $0.00081 (gpt-4o-mini)",
        "in all: 4 model calls, 4 tool calls, 8,400 tokens, $0.00144",
    ])  # fmt: skip


def test_a_runaway_is_ended_before_it_costs_much(pytester: pytest.Pytester) -> None:
    """At twice the limit and a little, by a stop that the test sees as an exception."""
    found = ran(
        pytester,
        """
@pytest.mark.runguard(max_turns=5)
def test_it(runguard):
    agent(runguard.guard, 1000)

@pytest.mark.runguard(max_turns=5)
def test_that_swallows_it(runguard):
    try:
        agent(runguard.guard, 1000)
    except Exception:
        pass
""",
    )
    found.assert_outcomes(failed=2)
    ended = [
        "*- it used 12 turns, at most 5 turns*",
        '*- it was ended: budget "twice the test\'s limit"*',
        "in all: 12 model calls, *",
    ]
    found.stdout.fnmatch_lines(
        ["RunGuard: test_agent.py::test_it *", *ended, "RunGuard: test_agent.py::test_that_swallows_it *", *ended]
    )
    assert "During handling" not in found.stdout.str()


def test_a_test_that_makes_no_call_is_told_so(pytester: pytest.Pytester) -> None:
    """A limit that nothing was held against would be a false comfort."""
    found = ran(pytester, "@pytest.mark.runguard(max_usd=1)\ndef test_it():\n    pass\n")
    found.assert_outcomes(failed=1)
    found.stdout.fnmatch_lines(["RunGuard: test_agent.py::test_it says what it may cost, but no model call of it was seen.*"])


def test_baselines_are_written_compared_and_kept(pytester: pytest.Pytester) -> None:
    """Missing, written, held within ten per cent, raised on purpose; one line a test."""
    body = "@pytest.mark.runguard(baseline=True)\ndef test_it(runguard):\n    agent(runguard.guard, {turns}, {tokens})\n"
    missing = ran(pytester, body.format(turns=2, tokens=1000))
    missing.assert_outcomes(failed=1)
    missing.stdout.fnmatch_lines(["*it has no baseline yet: run pytest with --runguard-update and commit the file"])
    written = ran(pytester, body.format(turns=2, tokens=1000), "--runguard-update")
    written.assert_outcomes(passed=1)
    written.stdout.fnmatch_lines(["RunGuard: 1 baselines written to *runguard-baselines.json"])
    file = pytester.path / "runguard-baselines.json"
    assert file.read_text() == '{\n  "test_agent.py::test_it": {"tokens": 2200, "turns": 2, "usd": "0.00042"}\n}\n'
    ran(pytester, body.format(turns=2, tokens=1090)).assert_outcomes(passed=1)
    more = ran(pytester, body.format(turns=3, tokens=1000))
    more.assert_outcomes(failed=1)
    more.stdout.fnmatch_lines(
        ["*it used 3,300 tokens in 3 turns, 50% more than its baseline of 2,200 in 2 turns (10% are tolerated)*"]
    )
    less = ran(pytester, body.format(turns=1, tokens=1000))
    less.assert_outcomes(passed=1)
    less.stdout.fnmatch_lines(
        ["RunGuard: test_agent.py::test_it used 1,100 tokens, its baseline is 2,200: --runguard-update keeps*"]
    )
    file.write_text("{broken")
    ran(pytester, body.format(turns=1, tokens=1000)).assert_outcomes(failed=1)


def test_only_tests_that_pass_become_baselines(pytester: pytest.Pytester) -> None:
    """Other baselines stay; processes of pytest-xdist hand theirs over."""
    body = """
@pytest.mark.runguard(baseline=True)
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_it(runguard, turns):
    agent(runguard.guard, turns)
    assert turns != 2
"""
    pytester.makepyfile(test_agent=AGENT + body)
    file = pytester.path / "runguard-baselines.json"
    file.write_text('{"old.py::test": {"tokens": 1, "turns": 1, "usd": "0"}}')
    found = pytester.runpytest_subprocess("-p", "runguard_pytest", "-n", "1", "--runguard-update")
    found.assert_outcomes(passed=2, failed=1)
    assert list(json.loads(file.read_text())) == ["old.py::test", "test_agent.py::test_it[1]", "test_agent.py::test_it[3]"]


def test_recordings_are_asserted_to_be_stopped_in_time(pytester: pytest.Pytester) -> None:
    """What an incident would cost under the policy of today."""
    model = {"kind": "llm", "model": "gpt-4o-mini", "input_tokens": 1000, "output_tokens": 100}
    tool = {"kind": "tool", "name": "search", "args": {}, "result": "nothing"}
    (pytester.path / "incident.jsonl").write_text(json.dumps({"run_id": "night", "events": [model, tool] * 20}))
    (pytester.path / "late.toml").write_text("[detectors.repeat]\nstop_after = 10\n")
    found = ran(
        pytester,
        """
def test_in_time(runguard):
    [played] = runguard.replay("incident.jsonl", max_usd="0.001", max_turns=3, max_tokens=3300, stopped_by="repeat")
    assert played.stop.index == 5

@pytest.mark.runguard(policy="late.toml", max_usd=1)
def test_too_late(runguard):
    runguard.replay("incident.jsonl", max_usd="0.001", max_turns=3, stopped_by="budget day")
""",
    )
    found.assert_outcomes(passed=1, failed=1)
    found.stdout.fnmatch_lines([
        "*AssertionError: RunGuard: recorded runs are not what they should be:",
        "*- night costs $0.0021, at most $0.001 are allowed (max_usd); it is stopped at event 19 by repeat",
        "*- night takes 10 turns, at most 3 are allowed (max_turns); it is stopped at event 19 by repeat",
        "*- night must be stopped by budget day; it is stopped at event 19 by repeat",
    ])  # fmt: skip


def test_what_the_marker_cannot_mean_is_said(pytester: pytest.Pytester) -> None:
    """An unknown argument, a value that is none, a model without a price under max_usd."""
    found = ran(
        pytester,
        """
@pytest.mark.runguard(max_cost=1)
def test_a(): pass
@pytest.mark.runguard("0.05")
def test_b(): pass
@pytest.mark.runguard(max_usd="much")
def test_c(): pass
@pytest.mark.runguard(max_usd=1)
def test_d(runguard):
    agent(runguard.guard, 1, model="house-model-7")
""",
    )
    found.assert_outcomes(failed=1, errors=3)
    found.stdout.fnmatch_lines(["*max_cost=...): unknown; known: max_usd*", "*arguments by name*", "*expected USD such as*"])
    found.stdout.fnmatch_lines(["*max_usd cannot be checked: house-model-7 has no price*"])


def test_frameworks_are_hooked_while_the_test_runs_only(pytester: pytest.Pytester) -> None:
    """A call of LangChain is seen without a line of RunGuard in the test; a guard that was installed before is back afterwards."""
    pytest.importorskip("langchain_core", reason="LangChain is not in this environment")
    found = ran(
        pytester,
        """
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from runguard_core import CallFilter, Guard

usage = {"input_tokens": 700, "output_tokens": 50, "total_tokens": 750}

def call():
    GenericFakeChatModel(messages=iter([AIMessage("hello", usage_metadata=usage)])).invoke("hi")

own = Guard(app="own", store="memory://")
own.install("langchain")

@pytest.mark.runguard(max_tokens=700)
def test_marked():
    call()

def test_unmarked():
    call()
    assert len(own.store.calls(CallFilter())) == 1
""",
        apart=True,
    )
    found.assert_outcomes(passed=1, failed=1)
    found.stdout.fnmatch_lines(["*- it used 750 tokens, at most 700 tokens are allowed*"])


def test_who_does_not_use_it_does_not_import_runguard(pytester: pytest.Pytester) -> None:
    """The plugin's module pulls nothing but pytest."""
    pytester.makepyfile(
        "import sys\ndef test_it():\n    assert not [name for name in sys.modules if name.startswith('runguard_core')]"
    )
    pytester.runpytest_subprocess(*RUN).assert_outcomes(passed=1)
    program = "import sys, runguard_pytest; print(sorted({m.partition('.')[0] for m in sys.modules} & {'runguard_core', 'pydantic', 'rich'}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_old_pytest_is_left_alone() -> None:
    """No hook, no marker, no error."""
    program = "import pytest; pytest.__version__ = '7.4.4'; import runguard_pytest as it; print([n for n in dir(it) if n.startswith('pytest_')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
