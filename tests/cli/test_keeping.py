"""`runguard forget`, `runguard prune`, and users who are kept as digests only."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from runguard_core import Usage
from runguard_core.cli import _main  # noqa: F401  fills the table of commands
from runguard_core.cli._app import app
from runguard_core.errors import PolicyError, StoreUnavailableError
from runguard_core.ledger import CallFilter
from runguard_core.policy import load_policy
from runguard_core.stores import open_forgetting, open_keeping, open_store
from runguard_core.testing import make_traffic, write_traffic

runner = CliRunner()
POLICY = """app = "shop"
store = "sqlite:///{folder}/shop.db?leases=off"
[[budgets]]
name = "user"
limit = "5 USD"
per = ["user"]
[retention]
calls_days = 60
[privacy]
hash_users = {hashed}
"""


def write_policy(folder: Path, *, hashed: bool) -> Path:
    """A policy of that folder's ledger."""
    file = folder / "runguard.toml"
    file.write_text(POLICY.format(folder=folder, hashed=str(hashed).lower()), encoding="utf-8")
    return file


def call_as(file: Path, user: str) -> None:
    """A program under a policy: one call of a user by way of the session, one by way of the call itself."""
    guard = load_policy(file, {}).guard()
    with guard.session(f"s-{user}", user=user), guard.model_call("gpt-4o-mini", prompt="x") as call:
        call.post(Usage(input_tokens=1000, output_tokens=10))
    with guard.session("other") as session:
        from runguard_core import ModelCall

        session.reserve(ModelCall(model="gpt-4o-mini", provider="openai"), user=user).post(
            Usage(input_tokens=1000, output_tokens=10)
        )
    guard.close()


def run(*args: str, code: int = 0) -> str:
    """Run a command; its output."""
    found = runner.invoke(app, list(args), env={"COLUMNS": "100", "NO_COLOR": "1"})
    assert found.exit_code == code, found.output + str(found.exception)
    return found.output


def document(*args: str) -> Any:
    """Run a command with --json."""
    return json.loads(run(*args, "--json"))


def test_a_forgotten_user_is_in_no_file_and_the_audit_says_who_asked(tmp_path: Path) -> None:
    """A dry run changes nothing; the second time there is nobody."""
    file = write_policy(tmp_path, hashed=False)
    call_as(file, "annabella")
    asked = ("forget", "--user", "annabella", "--reason", "request of 24 November", "--policy", str(file))
    before = document("report", "--by", "feature", "--policy", str(file))
    dry = document(*asked, "--dry-run")
    assert (dry["call_count"], dry["account_count"]) == (2, 1)
    assert "forgotten-1: 2 calls in 2 sessions, 1 account" in run(*asked)
    assert document("report", "--by", "feature", "--policy", str(file)) == before
    assert "agree" in run("verify", "--policy", str(file))
    (row,) = document("audit", "--kind", "forget", "--policy", str(file))["decisions"]
    assert (row["reason"], row["about"], row["after"]["call_count"]) == ("request of 24 November", "forgotten-1", 2)
    assert "no such user" in run(*asked)
    names = [path for path in tmp_path.iterdir() if b"annabella" in path.read_bytes()]
    assert [path.name for path in names] == ["shop.db"]  # sessions are named by programs: "s-annabella"
    assert "say why" in run("forget", "--user", "u", "--policy", str(file), code=2)


def test_hashed_users_are_never_written_and_budgets_and_questions_find_them(tmp_path: Path) -> None:
    """Whichever way a call names its user; the same id is the same digest in every program on the ledger."""
    file = write_policy(tmp_path, hashed=True)
    for _ in range(2):
        call_as(file, "annabella")
    store = open_store(f"sqlite:///{tmp_path / 'shop.db'}?leases=off")
    users = {call.attribution.user for call in store.calls(CallFilter())}
    (account,) = [row for row in store.accounts() if "user" in row.account.key]
    store.close()
    (user,) = users
    assert user is not None and user.startswith("hmac:") and len(user) > 20
    assert account.balance.posted == 4 * (1000 * 150 + 10 * 600)
    raised = document("raise", "9 USD", "--user", "annabella", "--reason", "x", "--policy", str(file))
    assert raised["accounts"][0]["account"] == f"user {user}"
    assert document("forget", "--user", "annabella", "--reason", "x", "--policy", str(file))["call_count"] == 4


def test_what_is_a_digest_is_not_hashed_again(tmp_path: Path) -> None:
    """Attributions pass through several hands."""
    guard = load_policy(write_policy(tmp_path, hashed=True), {}).guard()
    once = guard.attribution(user="ann").user
    assert once is not None
    assert guard.attribution(user=once).user == once == guard.user_id("ann")
    with guard.session("s", user="ann") as session:
        assert session.attribution.user == guard.attribution().user == once
    guard.close()
    plain = load_policy(write_policy(tmp_path, hashed=False), {}).guard()
    assert plain.attribution(user="ann").user == "ann"
    guard.close()
    plain.close()


def test_prune_keeps_reports_verify_and_sessions_as_they_are(tmp_path: Path) -> None:
    """By the policy's days; the audit has it; explain has nothing left to show."""
    file, url = write_policy(tmp_path, hashed=False), f"sqlite:///{tmp_path / 'shop.db'}?leases=off"
    store, start = open_store(url), datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=100)
    write_traffic(store, make_traffic(start, 60, seed=7, scale=0.05).calls, "shop")
    store.close()
    place = ("--policy", str(file))
    reports = [
        ("report", "--by", "feature", "--by", "user", "--by", "day", "--by", "model"),
        ("why", "--from", f"{start:%Y-%m}", "--to", f"{start + timedelta(days=31):%Y-%m}"),
    ]
    before = [document(*report, *place) for report in reports]
    dry = document("prune", "--dry-run", *place)
    assert dry["call_count"] > 500
    assert "sums stand for them" in run("prune", *place)
    after = [document(*report, *place) for report in reports]
    for one, other in zip(before, after, strict=True):
        one.pop("dead_tail", None), other.pop("dead_tail", None)  # worked out call by call
        assert one == other
    assert "agree" in run("verify", *place)
    (row,) = document("audit", "--kind", "prune", *place)["decisions"]
    assert (row["after"]["call_count"], row["reason"]) == (dry["call_count"], "retention")
    assert "No settled call is older" in run("prune", *place)


def test_where_nothing_says_how_long_it_is_asked(tmp_path: Path) -> None:
    """A policy that keeps less than baselines need is a mistake."""
    file = tmp_path / "runguard.toml"
    file.write_text(f'app = "shop"\nstore = "sqlite:///{tmp_path}/shop.db"\n', encoding="utf-8")
    open_store(f"sqlite:///{tmp_path}/shop.db").close()
    assert "--days" in run("prune", "--policy", str(file), code=2)
    file.write_text("[retention]\ncalls_days = 5\n", encoding="utf-8")
    with pytest.raises(PolicyError, match=r"retention\.calls_days"):
        load_policy(file, {})


def test_stores_that_cannot_say_so() -> None:
    """And what to do instead."""
    with pytest.raises(StoreUnavailableError, match="not the URL of a store"):
        open_keeping("nonsense://")
    assert open_forgetting("memory://").url == "memory://"
