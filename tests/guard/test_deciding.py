"""A person's decisions: each is an event with who, why, what was before and what is after."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runguard_core import Budget, Guard, StoppedError, TrippedError, Usage
from runguard_core.breaker import Selector, chosen
from runguard_core.errors import PolicyError
from runguard_core.events import KILLED, LIMIT_CHANGED, POLICY_CHANGED, RESET
from runguard_core.ledger import Event, EventFilter, Latch, LatchState
from runguard_core.policy import load_policy
from runguard_core.stores import open_store


class Watch:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 24, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


def call(guard: Guard, session: str = "s", feature: str | None = None) -> None:
    """One paid call."""
    with guard.session(session, feature=feature), guard.model_call("gpt-4o-mini", prompt="x") as made:
        made.post(Usage(input_tokens=1000, output_tokens=10))


def said(guard: Guard, kind: str) -> list[Event]:
    """Events of a kind, oldest first."""
    return list(guard.store.events(EventFilter(kinds=(kind,))))


def test_a_kill_for_a_time_ends_by_itself_and_says_until_when() -> None:
    """Before its time nothing passes; after it everything does, and the latch is dropped with the next heartbeat."""
    watch = Watch()
    guard = Guard(app="shop", store="memory://", clock=watch)
    guard.kill("feature:search", reason="ticket 7", by="ann", until=watch.at + timedelta(hours=2))
    (event,) = said(guard, KILLED)
    assert (event.facts["by"], event.facts["reason"], event.facts["scope"]) == ("ann", "ticket 7", "feature:search")
    assert event.facts["before"] is None
    assert event.facts["after"]["until"] == "2026-11-24T14:00:00+00:00"
    with pytest.raises(TrippedError):
        call(guard, feature="search")
    watch.at += timedelta(hours=2)
    call(guard, feature="search")
    guard._engine.prune()
    assert not guard.store.latches()
    guard.close()


def test_a_kill_that_is_over_does_not_hide_the_next_trip() -> None:
    """Its latch still lies there when a run trips; what stops the run now takes its place."""
    watch = Watch()
    guard = Guard(app="shop", store="memory://", clock=watch)
    guard.kill("run:r", reason="x", until=watch.at + timedelta(minutes=1))
    watch.at += timedelta(minutes=2)
    tripped = Latch(scope_kind="run", scope_id="r", state=LatchState.OPEN, rule="repeat", reason="again", since=watch.at)
    guard._engine.latch([tripped], [])
    assert guard.store.latches()["run", "r"].rule == "repeat"
    guard.close()


def test_a_time_that_has_passed_is_refused() -> None:
    """For kills and for limits."""
    watch = Watch()
    guard = Guard(app="shop", store="memory://", clock=watch, budgets=[Budget("1 USD", name="b")])
    with pytest.raises(PolicyError, match="a time to come"):
        guard.kill(reason="x", until=watch.at)
    with pytest.raises(PolicyError, match="a time to come"):
        guard.session("s").raise_limit("2 USD", until=watch.at - timedelta(days=1))
    assert not guard.store.latches()
    guard.close()


def test_a_reset_says_what_had_stopped_the_scope() -> None:
    """Nothing before where nothing had."""
    guard = Guard(app="shop", store="memory://")
    guard.kill("agent:a", reason="runaway", by="ann")
    guard.reset("agent:a", reason="mended", by="bob")
    guard.reset("agent:a", reason="again", by="bob")
    first, second = said(guard, RESET)
    assert (first.facts["before"]["rule"], first.facts["before"]["by"], first.facts["after"]) == ("kill", "ann", None)
    assert second.facts["before"] is None
    guard.close()


def test_a_limit_says_the_policys_before_the_first_change_and_the_overrides_before_the_next() -> None:
    """And what went on."""
    guard = Guard(app="shop", store="memory://", budgets=[Budget("0.0001 USD", name="b", per=["session"])], quote="bound")
    session = guard.session("s")
    with pytest.raises(StoppedError), session:
        guard.model_call("gpt-4o-mini", prompt="x" * 40_000, max_output_tokens=10_000)
    session.raise_limit("1 USD", by="ann", reason="demo")
    session.raise_limit("2 USD", by="bob", reason="demo", until=datetime.now(UTC) + timedelta(hours=1))
    first, second = said(guard, LIMIT_CHANGED)
    assert (first.facts["before"]["limit"], first.facts["before"]["by"]) == ("0.0001 USD", "policy")
    assert (first.facts["after"]["limit_amount"], first.facts["cleared"]) == (str(10**9), [f"run:{session.attribution.run}"])
    assert (second.facts["before"]["by"], second.facts["after"]["by"]) == ("ann", "bob")
    guard.close()


def test_an_account_of_the_ledger_can_be_given_another_limit() -> None:
    """In its own unit."""
    guard = Guard(app="shop", store="memory://", budgets=[Budget("1 USD", name="b")])
    call(guard)
    (row,) = guard.store.accounts()
    guard.raise_limit(row, "5 USD", reason="launch", by="ann")
    assert guard.store.overrides()[row.account.key].limit == 5 * 10**9
    with pytest.raises(PolicyError, match="in USD"):
        guard.raise_limit(row, "5 turns", reason="launch")
    guard.close()


POLICY = """app = "shop"
[[budgets]]
name = "day"
limit = "{limit}"
period = "day"
[contacts.ann]
channels = ["mailto://ann@example.com"]
"""


def run_under(folder: Path, text: str, url: str) -> None:
    """A program's life under a policy file."""
    file = folder / "runguard.toml"
    file.write_text(text, encoding="utf-8")
    guard = load_policy(file, {}).guard(store=url)
    call(guard)
    guard.flush()
    guard.close()


def test_each_change_of_the_policy_is_one_event_with_the_keys_that_changed(tmp_path: Path) -> None:
    """Two programs under one policy tell it once; a policy that comes back is a change again; secrets are not kept."""
    url = f"sqlite:///{tmp_path / 'shop.db'}?leases=off"
    for limit in ("1 USD", "1 USD", "2 USD", "1 USD"):
        run_under(tmp_path, POLICY.format(limit=limit), url)
    store = open_store(url)
    first, second, third = store.events(EventFilter(kinds=(POLICY_CHANGED,)))
    assert first.facts["before"] is None
    assert first.facts["after"]["budgets.day.limit"] == "1 USD"
    assert "ann@example.com" not in str(first.facts)
    assert (second.facts["before"], second.facts["after"]) == ({"budgets.day.limit": "1 USD"}, {"budgets.day.limit": "2 USD"})
    assert second.facts["hash_before"] == first.facts["hash"] == third.facts["hash"]
    assert "1 key changed" in second.message
    assert second.facts["by"] and second.facts["file"].endswith("runguard.toml")
    store.close()


def test_programs_that_start_together_tell_a_change_once(tmp_path: Path) -> None:
    """Both look before either writes: the id of the change is the same."""
    file = tmp_path / "runguard.toml"
    file.write_text(POLICY.format(limit="1 USD"), encoding="utf-8")
    url = f"sqlite:///{tmp_path / 'shop.db'}?leases=off"
    guards = [load_policy(file, {}).guard(store=url) for _ in range(2)]
    from runguard_core.guard._policy_seen import _change

    counts = [guard.store.announce([_change(guard._engine, None)]) for guard in guards]
    assert counts == [1, 0]
    for guard in guards:
        guard.close()


def test_code_without_a_policy_file_has_no_policy_to_record(tmp_path: Path) -> None:
    """A guard of keywords changes nothing that a person decided in a file."""
    guard = Guard(app="shop", store=f"sqlite:///{tmp_path / 'shop.db'}?leases=off")
    call(guard)
    guard.flush()
    assert said(guard, POLICY_CHANGED) == []
    guard.close()


def latch(kind: str, scope: str, rule: str, hour: int) -> Latch:
    """An open one."""
    at = datetime(2026, 11, 24, hour, tzinfo=UTC)
    return Latch(scope_kind=kind, scope_id=scope, state=LatchState.OPEN, rule=rule, reason="r", since=at)


LATCHES = [latch("run", "r1", "repeat", 9), latch("session", "s1", "repeat", 10), latch("feature", "search", "kill", 11)]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"rule": "repeat"}, ["r1", "s1"]),
        ({"since": datetime(2026, 11, 24, 10, tzinfo=UTC)}, ["s1", "search"]),
        ({"until": datetime(2026, 11, 24, 10, tzinfo=UTC)}, ["r1"]),
        ({"feature": "search"}, ["r1", "search"]),
        ({"feature": "search", "rule": "kill"}, ["search"]),
        ({"agent": "a"}, ["r1"]),
    ],
)
def test_latches_are_chosen_by_what_they_say_and_by_whose_run_it_is(asked: dict[str, Any], expected: list[str]) -> None:
    """Of a run nobody knows it is neither a feature's nor an agent's."""
    guard = Guard(app="shop", store="memory://")
    mine = guard.attribution(feature="search", agent="a")
    found = chosen(LATCHES, Selector(**asked), lambda one: mine if one.scope_id == "r1" else None)
    assert [one.scope_id for one in found] == expected
    guard.close()
