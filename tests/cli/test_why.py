"""`runguard why` and `runguard blame`: texts, JSON, exit codes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from runguard_core import Guard, ModelCall, Usage
from runguard_core.calls import PromptPart
from runguard_core.cli import _main  # noqa: F401  fills the table of commands
from runguard_core.cli._app import app
from runguard_core.stores import open_store
from runguard_core.testing import make_traffic, write_traffic

runner = CliRunner()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two weeks of a shop in a file."""
    url = f"sqlite:///{tmp_path_factory.mktemp('why') / 'shop.db'}?leases=off"
    store = open_store(url)
    write_traffic(store, make_traffic(datetime(2026, 8, 3, tzinfo=UTC), 14, seed=7, scale=0.1).calls, "shop")
    store.close()
    return url.partition("?")[0]


def run(*args: str, code: int = 0) -> str:
    """Run a command at 100 columns; its output."""
    found = runner.invoke(app, list(args), env={"COLUMNS": "100", "NO_COLOR": "1"})
    assert found.exit_code == code, found.output + str(found.exception)
    return found.output


WEEKS = ("--from", "2026-W32", "--to", "2026-W33")


def test_the_picture_goes_from_one_sum_to_the_other_and_fits_a_terminal(shop: str) -> None:
    """A bar for each factor, a row for each feature."""
    text = run("why", "--store", shop, *WEEKS)
    assert text.startswith("Spend, 2026-W32 to 2026-W33: ")
    assert all(word in text for word in ("traffic", "model mix", "caching", "2026-W33", "support-chat", "█"))
    assert max(map(len, text.splitlines())) <= 100
    assert "tokens a call" in run("why", "--store", shop, *WEEKS, "--feature", "search")


def test_the_document_says_the_same_to_the_nano_dollar(shop: str) -> None:
    """Effects of features add up to those of the whole, those to the change."""
    found: dict[str, Any] = json.loads(run("why", "--store", shop, *WEEKS, "--json"))
    change = int(found["after"]["nanos"]) - int(found["before"]["nanos"])
    assert sum(map(int, found["effects_nanos"].values())) == int(found["change_nanos"]) == change
    for factor, nanos in found["effects_nanos"].items():
        assert sum(int(one["effects_nanos"][factor]) for one in found["features"]) == int(nanos)


def test_what_is_missing_is_said(shop: str, tmp_path: Path) -> None:
    """One window of two, no call in either, no such window."""
    assert "--to" in run("why", "--store", shop, "--from", "2026-W32", code=2)
    assert "no call" in run("why", "--store", shop, "--from", "2025-W32", "--to", "2025-W33", code=1)
    assert "2026-W47" in run("why", "--store", shop, "--from", "yesterday", "--to", "2026-W33", code=2)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Sessions of two releases; the second sends longer results of a tool."""
    url = f"sqlite:///{tmp_path_factory.mktemp('blame') / 'shop.db'}"
    guard = Guard(app="shop", store=url + "?leases=off")
    for number in range(60):
        release, chars = ("1.4", 400) if number < 30 else ("1.5", 40_000)
        parts = (PromptPart("user", 100 + number), PromptPart("tool:search", chars))
        with guard.session(f"s{number}", feature="search", release=release) as session:
            made = session.reserve(ModelCall(model="gpt-4o-mini", provider="openai", parts=parts))
            made.post(Usage(input_tokens=sum(part.chars for part in parts) // 4, output_tokens=20))
    guard.close()
    return url


def test_blame_names_the_release_and_the_part(released: str) -> None:
    """In the text and in the document."""
    text = run("blame", "--store", released, "--feature", "search")
    assert "1.5 raised cost per session against 1.4" in text and "tool:search" in text
    assert max(map(len, text.splitlines())) <= 100
    found = json.loads(run("blame", "--store", released, "--feature", "search", "--json"))
    assert (found["culprit"], found["releases"][1]["parts"][0]["part"]) == ("1.5", "tool:search")


def test_blame_says_what_is_missing(released: str) -> None:
    """No release named, no such release."""
    assert "none names a prompt" in run("blame", "--store", released, "--feature", "search", "--by", "prompt", code=1)
    assert "there are: 1.4, 1.5" in run("blame", "--store", released, "--feature", "search", "--release", "9", code=2)
