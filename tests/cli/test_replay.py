"""replay, policy diff and incident as commands: texts, JSON, exit codes."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from runguard_core import Guard, StoppedError, ToolCall, Usage
from runguard_core.cli import _main  # noqa: F401  fills the table of commands
from runguard_core.cli._app import app

runner = CliRunner()


def run(*args: str, code: int = 0, **more: Any) -> str:
    """Run a command; its output."""
    found = runner.invoke(app, list(args), env={"COLUMNS": "100", "NO_COLOR": "1"}, **more)
    assert found.exit_code == code, found.output + str(found.exception)
    return found.stdout if code == 0 else found.output


def flat(text: str) -> str:
    return " ".join(text.split())


def looping(name: str, count: int, **more: Any) -> dict[str, Any]:
    model = {"kind": "llm", "model": "gpt-4o-mini", "input_tokens": 1000, "output_tokens": 100}
    tool = {"kind": "tool", "name": "search", "args": {"q": "x"}, "result": "nothing"}
    return {"run_id": name, "events": [{"i": place, **(model, tool)[place % 2]} for place in range(2 * count)], **more}


@pytest.fixture
def runs(tmp_path: Path) -> str:
    """A loop, a short loop that went well, a healthy run."""
    lines = [looping("loops", 6), looping("well", 3, outcome={"reward": 1.0}), looping("short", 2, outcome={"reward": 1.0})]
    (tmp_path / "runs.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return "runs.jsonl"


def policies(tmp_path: Path) -> None:
    (tmp_path / "old.toml").write_text("[detectors.repeat]\nstop_after = 5\n")
    (tmp_path / "new.toml").write_text("[detectors.repeat]\nstop_after = 3\n")


def test_a_line_a_run_is_written(runs: str) -> None:
    """In the order of the file, keys in the promised order."""
    lines = [json.loads(line) for line in run("replay", runs, "--json").splitlines()]
    assert [(line["run_id"], line["stop"] and line["stop"]["index"]) for line in lines] == [
        ("loops", 5),
        ("well", 5),
        ("short", None),
    ]
    assert all(list(line)[:6] == ["run_id", "events", "stop", "warns", "usd_total", "usd_saved"] for line in lines)
    assert lines[0]["stop"].keys() == {"index", "rule", "evidence"}
    assert (lines[0]["usd_total"], lines[0]["usd_saved"]) == ("0.00126", "0.00063")
    assert len(run("replay", runs, "--json", "--only-stopped").splitlines()) == 2
    assert len(run("replay", runs, "--json", "--only-stopped", "-n", "1").splitlines()) == 1


def test_the_text_names_what_went_wrong(runs: str) -> None:
    """Healthy runs that were hit stand out; sums and what is unknown are said."""
    text = flat(run("replay", runs))
    assert "3 runs, 22 events: 2 would have been stopped (67%)." in text
    assert "2 of 2 runs that say how they ended went well: 1 of these would have been stopped." in text
    assert "HIT" in text
    assert "short" not in run("replay", runs, "--only-stopped")
    assert "No run says whether it went well" in flat(run("replay", "-", input=json.dumps(looping("x", 1))))


def test_a_bad_line_ends_it_unless_told_to_go_on(runs: str, tmp_path: Path) -> None:
    """With file, line and what was expected; exit code 1, and 2 for a file that is not there."""
    with (tmp_path / runs).open("a") as file:
        file.write("\n{nonsense\n")
    assert "runs.jsonl:4: expected one JSON object a line" in flat(run("replay", runs, code=1))
    found = runner.invoke(app, ["replay", runs, "--json", "--keep-going"])
    assert (found.exit_code, len(found.stdout.splitlines())) == (0, 3)
    assert "1 lines were skipped, the first: runs.jsonl:4" in flat(found.stderr)
    assert "no such file" in run("replay", "nowhere.jsonl", code=2)


def test_two_policies_side_by_side(runs: str, tmp_path: Path) -> None:
    """The runs they differ in, by id."""
    policies(tmp_path)
    found = json.loads(run("replay", runs, "--compare", "old.toml", "new.toml", "--json"))
    assert [policy["stops"] for policy in found["policies"]] == [1, 2]
    assert [(one["run_id"], one["old"] and one["old"]["index"], one["new"]["index"]) for one in found["differing"]] == [
        ("loops", 9, 5),
        ("well", None, 5),
    ]
    text = flat(run("replay", runs, "--compare", "old.toml", "new.toml"))
    assert "2 runs differ" in text
    assert "Both stop the same runs" in run("replay", runs, "--compare", "old.toml", "old.toml")


def test_a_swept_key_is_a_curve(runs: str, tmp_path: Path) -> None:
    """A table with bars, a document, a picture that is well-formed."""
    found = json.loads(run("replay", runs, "--sweep", "detectors.repeat.stop_after=2..6", "--json"))
    assert [(point["value"], point["stops"], point["healthy_hit"]) for point in found["points"]] == [
        ("2", 3, 2), ("3", 2, 1), ("4", 1, 0), ("5", 1, 0), ("6", 1, 0),
    ]  # fmt: skip
    text = run("replay", runs, "--sweep", "detectors.repeat.stop_after=2..6", "--svg", "curve.svg")
    assert "stop_after" in text
    assert "█" in text
    picture = ET.parse(tmp_path / "curve.svg").getroot()
    assert len(list(picture.iter("{http://www.w3.org/2000/svg}circle"))) == 10
    assert "no such budget" in run("replay", runs, "--sweep", "budgets.day.limit=1..3 USD", code=2)
    assert "steps of the last digit" in flat(run("replay", runs, "--sweep", "mode", code=2))
    assert "cannot be written" in run("replay", runs, "--sweep", "detectors.repeat.stop_after=3", "--svg", "no/where.svg", code=2)


def test_a_policy_change_is_judged_by_past_runs(runs: str, tmp_path: Path) -> None:
    """Exit code 1 when a run that went well is newly stopped; text, JSON, Markdown."""
    policies(tmp_path)
    assert "detectors.repeat.stop_after" in run("policy", "diff", "old.toml", "new.toml")
    assert "Both policies say the same" in run("policy", "diff", "old.toml", "old.toml")
    assert "1 of the newly stopped runs went well: well" in flat(
        run("policy", "diff", "old.toml", "new.toml", "--replay", runs, code=1)
    )
    found = json.loads(run("policy", "diff", "old.toml", "new.toml", "--replay", runs, "--json", code=1))
    assert found["changed"] == [{"key": "detectors.repeat.stop_after", "old": 5, "new": 3}]
    assert found["replay"]["healthy_newly_stopped"] == ["well"]
    assert [one["run_id"] for one in found["replay"]["stopped_elsewhere"]] == ["loops"]
    page = run("policy", "diff", "old.toml", "new.toml", "--replay", runs, "--markdown", code=1)
    assert "| `well` | **yes** | passes | repeat at event 5: search would be called" in page
    back = json.loads(run("policy", "diff", "new.toml", "old.toml", "--replay", runs, "--json"))
    assert [one["run_id"] for one in back["replay"]["no_longer_stopped"]] == ["well"]


def test_the_ledgers_runs_and_an_incident_from_it(tmp_path: Path) -> None:
    """Without files the ledger is played; a run that tripped becomes a file that plays the same."""
    guard = Guard(app="shop")
    with guard.session("s-42", agent="planner", user="ann"), pytest.raises(StoppedError):
        for _ in range(5):
            with guard.model_call("gpt-4o-mini", prompt="y") as call:
                call.post(Usage(input_tokens=1000, output_tokens=100))
            guard.reserve(ToolCall(name="search", arguments={})).post(result="nothing")
    guard.close()
    own = [json.loads(line) for line in run("replay", "--json").splitlines()]
    assert [line["stop"]["index"] for line in own] == [5]
    run("incident", "-o", "incident.jsonl.gz")
    assert "s-42" not in gzip.decompress((tmp_path / "incident.jsonl.gz").read_bytes()).decode()
    assert [json.loads(line) for line in run("replay", "incident.jsonl.gz", "--json").splitlines()] == own
    assert run("incident", "s-42") == run("incident", own[0]["run_id"]) == run("incident")
    assert "no calls of a run or session" in flat(run("incident", "nobody", code=1))
    (tmp_path / "strict.toml").write_text("[detectors.repeat]\nstop_after = 2\n")
    (tmp_path / "plain.toml").write_text("")
    moved = json.loads(run("policy", "diff", "plain.toml", "strict.toml", "--replay", "ledger", "--json"))
    assert [one["new"]["index"] for one in moved["replay"]["stopped_elsewhere"]] == [3]


def test_nothing_has_tripped(tmp_path: Path) -> None:
    """The incident command says what to name instead."""
    guard = Guard(app="shop")
    guard.model_call("gpt-4o-mini", prompt="y").post(Usage(input_tokens=10, output_tokens=1))
    guard.close()
    assert "no run has tripped" in flat(run("incident", code=1))


def test_a_sum_of_which_nothing_is_known_is_no_zero(tmp_path: Path) -> None:
    """Model calls without tokens and costs: what stopping would have saved in dollars is unknown."""
    same = {"kind": "tool", "name": "look", "args": {"q": 1}, "result": "a page that says the same"}
    file = tmp_path / "runs.jsonl"
    file.write_text(json.dumps({"run_id": "r", "events": [{"kind": "llm"}, same] * 6}) + "\n")
    text = " ".join(run("replay", str(file)).split())
    assert "1 run, 12 events: 1 would have been stopped" in text
    assert "? of ?." in text
