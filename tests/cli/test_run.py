"""`runguard run`: real child processes, real LangChain, a local provider."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from runguard_core.cli._run import app_of

EXAMPLES = Path(__file__).parents[2] / "examples"


def runguard(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """The installed command, in a terminal of 100 columns."""
    command = [sys.executable, "-m", "runguard_core.cli", *args]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, "COLUMNS": "100", **env}
    )


def program(tmp_path: Path, text: str) -> str:
    """A program of the user's."""
    path = tmp_path / "agent.py"
    path.write_text(text)
    return str(path)


def test_an_unchanged_program_is_stopped_and_billed(tmp_path: Path) -> None:
    """Exit code 4, what was spent and why, the next commands, and no traceback."""
    done = runguard("run", "--budget", "0.05 USD", "--", "python", str(EXAMPLES / "04_unchanged_agent.py"))
    assert done.returncode == 4, done.stderr
    text = " ".join(done.stderr.split())
    assert "Stopped before the next request" in text
    assert "run --budget" in text
    assert "runguard explain" in text
    assert "Traceback" not in done.stderr
    found = json.loads(runguard("sessions", "--json", "--app", "04_unchanged_agent").stdout)["sessions"]
    assert 0 < int(found[0]["spend"]["nanos"]) <= 60_000_000
    assert json.loads(runguard("verify", "--json", "--app", "04_unchanged_agent").stdout)["discrepancies"] == []


def test_a_stop_before_the_first_call_is_not_taken_for_a_program_without_calls() -> None:
    """Nothing was sent because it was refused; the next commands lead to the budget by its name."""
    done = runguard("run", "--budget", "0.0001 USD", "--", "python", str(EXAMPLES / "04_unchanged_agent.py"))
    text = " ".join(done.stderr.split())
    assert done.returncode == 4, done.stderr
    assert "Stopped before the next request" in text
    assert "Nothing was metered" not in text
    assert "$0.00 (exact): 0 model calls" in text
    assert "runguard trips" in text
    assert "runguard explain" not in text
    assert "run --budget" in runguard("budget", "--app", "04_unchanged_agent").stdout


@pytest.mark.parametrize(
    ("code", "exit_code"), [("raise SystemExit(7)", 7), ("print('fine')", 0), ("raise ValueError('theirs')", 1)]
)
def test_the_programs_own_exit_code_passes_and_no_metering_is_loud(tmp_path: Path, code: str, exit_code: int) -> None:
    """It made no call: said, in words."""
    done = runguard("run", "--", "python", program(tmp_path, code))
    assert done.returncode == exit_code
    assert "Nothing was metered" in done.stderr
    assert ("theirs" in done.stderr) is (exit_code == 1)


def test_programs_that_cannot_be_guarded_are_said_so(tmp_path: Path) -> None:
    """Not Python, not there, or a bad budget."""
    assert "Nothing was guarded" in runguard("run", "--", "true").stderr
    missing = runguard("run", "--", "no-such-program-here")
    assert (missing.returncode, "cannot run" in missing.stderr) == (2, True)
    bad = runguard("run", "--budget", "5 bananas", "--", "true")
    assert (bad.returncode, "--budget" in bad.stderr) == (2, True)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("python agent.py --fast x.csv", "agent"),
        ("python3 -m pkg.agent", "pkg"),
        ("python -X dev agent", "agent"),
        ("python", "python"),
        ("uv run bots/agent.py", "agent"),
        ("poetry run serve", "poetry"),
        ("/usr/bin/true", "true"),
    ],
)
def test_the_app_is_named_after_the_program(command: str, name: str) -> None:
    """A ledger each."""
    assert app_of(command.split()) == name


def test_code_on_the_command_line_is_no_name() -> None:
    """It would stand in the ledger and in a file's name."""
    assert app_of(["python3", "-c", "import secrets"]) == "python3"


def test_another_python_that_a_guarded_program_starts_is_left_in_peace_and_told(tmp_path: Path) -> None:
    """A tool's own environment has no RunGuard; as the program itself it is not run."""
    venv.create(tmp_path / "other", symlinks=True)
    other = str(tmp_path / "other" / "bin" / "python")
    text = f"import subprocess; print(subprocess.run([{other!r}, '-c', 'print(42)']).returncode)"
    done = runguard("run", "--", "python", program(tmp_path, text))
    assert (done.returncode, done.stdout.split()) == (0, ["42", "0"])
    assert "Not guarded" in done.stderr
    first = runguard("run", "--", other, "-c", "print(42)")
    assert (first.returncode, first.stdout) == (3, "")
    assert "No module named 'runguard_core'" in first.stderr


def test_processes_in_other_directories_share_policy_and_ledger(tmp_path: Path) -> None:
    """Relative names would be other files there: a fresh budget for every directory."""
    (tmp_path / "runguard.toml").write_text('store = "sqlite:///rel.db"')
    text = "import os; print(os.environ['RUNGUARD_POLICY'], os.environ['RUNGUARD_STORE'])"
    done = runguard("run", "--", "python", program(tmp_path, text))
    assert done.stdout.split() == [str(tmp_path / "runguard.toml"), f"sqlite:///{tmp_path / 'rel.db'}"], done.stderr


@pytest.mark.parametrize(("ending", "code"), [("", 0), ("raise SystemExit(7)", 4)])
def test_a_stop_that_the_program_dealt_with_did_not_end_it(tmp_path: Path, ending: str, code: int) -> None:
    """A process it started was stopped, and it went on."""
    text = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", "from runguard_core import StoppedError; raise StoppedError('enough')"])
{ending}
"""
    done = runguard("run", "--json", "--", "python", program(tmp_path, text))
    bill = json.loads(done.stderr[done.stderr.index("{") :])
    assert (done.returncode, bill["exit_code"], bill["stopped"]) == (code, code, "enough")


def test_a_sitecustomize_of_the_users_still_runs(tmp_path: Path) -> None:
    """Ours stands in front of it and hands over."""
    (tmp_path / "sitecustomize.py").write_text("import os; os.environ['THEIRS'] = 'ran'")
    done = runguard("run", "--", "python", program(tmp_path, "import os; print(os.environ['THEIRS'])"), PYTHONPATH=str(tmp_path))
    assert done.stdout.strip() == "ran"


THREADS = """
import threading
from langchain_openai import ChatOpenAI
from runguard_core.testing import FakeProvider, Reply
with FakeProvider([Reply(input_tokens=10, output_tokens=5)]) as provider:
    model = ChatOpenAI(model="gpt-4o-mini", base_url=provider.openai_url, api_key="test")
    threads = [threading.Thread(target=model.invoke, args=("hi",)) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    model.invoke("hi", config={"metadata": {"thread_id": "theirs"}})
"""


def test_bare_threads_and_sessions_of_the_programs_own_are_on_the_bill(tmp_path: Path) -> None:
    """Five calls, two sessions, one bill."""
    done = runguard("run", "--session", "mine", "--json", "--", "python", program(tmp_path, THREADS))
    assert done.returncode == 0, done.stderr
    bill: dict[str, Any] = json.loads(done.stderr)
    assert bill["total"]["call_count"] == 5
    assert sorted(bill["sessions"]) == ["mine", "theirs"]


FRAMEWORKS = {
    "litellm": """
import os; os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
from litellm import completion
def ask(url): return completion(model="openai/gpt-4o-mini", messages=[{"role": "user", "content": "hi"}], api_base=url, api_key="x")
""",
    "llama_index": """
import os; os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
from llama_index.llms.litellm import LiteLLM
def ask(url): return LiteLLM(model="openai/gpt-4o-mini", api_base=url, api_key="x").complete("hi")
""",
    "all of them": """
import os; os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
from langchain_litellm import ChatLiteLLM
from llama_index.llms.litellm import LiteLLM
import litellm
given = {"model": "openai/gpt-4o-mini", "api_key": "x"}
def ask(url):
    ChatLiteLLM(api_base=url, **given).invoke("hi")
    LiteLLM(api_base=url, **given).complete("hi")
    litellm.completion(messages=[{"role": "user", "content": "hi"}], api_base=url, **given)
""",
}


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_an_unchanged_program_of_any_framework_is_stopped(name: str, tmp_path: Path) -> None:
    """The hooks wait for the program's own import; every request is on the bill once."""
    text = (
        FRAMEWORKS[name]
        + """
from runguard_core.testing import FakeProvider, Reply
with FakeProvider([Reply(input_tokens=1000, output_tokens=100)]) as provider:
    try:
        for _ in range(9): ask(provider.openai_url)
    finally: print(provider.request_count)
"""
    )
    done = runguard("run", "--budget", "4 calls", "--json", "--", "python", program(tmp_path, text))
    assert done.returncode == 4, done.stderr
    assert done.stdout.split()[-1] == "4"
    bill = json.loads(done.stderr[done.stderr.index("{") :])
    assert bill["total"]["call_count"] == 4


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("0[1235678]*.py")))
def test_examples_run(name: str) -> None:
    """Each is one idea, at most 60 lines, and offline."""
    path = EXAMPLES / name
    assert len(path.read_text().splitlines()) <= 60
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_the_demo_ends_well() -> None:
    """All scenes, ten requests of fifty."""
    done = runguard("demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 passed, 40 were refused before sending; the provider saw 10 requests" in " ".join(done.stdout.split())
