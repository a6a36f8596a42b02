"""Numbers that no column holds, and whatever else a store fails on: a call's details never keep money from the book."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runguard_core.calls import PromptPart
from runguard_core.errors import InvalidAmountError
from runguard_core.ledger import Balance, CallFilter, CallRecord, CallState, Hold, Settlement
from runguard_core.testing._ledger_values import DAY, LATER, a_call, a_settlement, an_event
from runguard_core.usage import Usage

from .opened import abandon, day, leased, plain, spend

HUGE = 2**70
ODD: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "tokens": ({}, {"usage": Usage(input_tokens=HUGE)}),
    "characters": ({}, {"result_chars": HUGE}),
    "attempts": ({}, {"attempt_count": HUGE}),
    "limit": ({"max_output_tokens": HUGE}, {}),
    "turn": ({"attribution": replace(a_call().attribution, turn=HUGE)}, {}),
    "parts": ({"parts": (PromptPart("user", HUGE, 1, 3), PromptPart("system", 7))}, {}),
}


def odd(name: str) -> tuple[CallRecord, Settlement]:
    """A call of one dollar-cent with one odd number."""
    asked, told = ODD[name]
    return replace(a_call(), **asked), a_settlement(5, amounts={DAY.key: 5}, **told)


@pytest.mark.parametrize("name", ODD)
def test_a_number_that_no_column_holds_is_left_out_and_all_money_arrives(tmp_path: Path, name: str) -> None:
    """Of the calls before and after it too; their details stay."""
    store = leased(tmp_path)
    call, settlement = odd(name)
    spend(store, 1)
    store.reserve(call, [Hold(DAY, 9, 1000, 1000)], expires_at=LATER, owner="t", events=[an_event()])
    store.post(call.id, settlement)
    spend(store, 2)
    assert store.tick() is True
    assert day(store) == Balance(8)
    assert [kept.settlement.usage.input_tokens for kept in store.calls(CallFilter()) if kept.id != call.id and kept.settlement
            and kept.settlement.usage] == [7, 7]  # fmt: skip
    assert len(store.events()) == 1
    assert store.verify() == ()
    store.close()


@pytest.mark.parametrize("name", ODD)
def test_whoever_recovers_an_owner_is_not_stopped_by_it_either(tmp_path: Path, name: str) -> None:
    """The process died with the odd call in its journal."""
    store = leased(tmp_path)
    call, settlement = odd(name)
    store.reserve(call, [Hold(DAY, 9, 1000, 1000)], expires_at=LATER, owner="t")
    store.post(call.id, settlement)
    abandon(store)
    other = leased(tmp_path)
    other.expire(LATER)
    assert day(other) == Balance(5)
    assert other.backend.owners() == ()
    assert other.verify() == ()
    other.close()


def test_a_quote_that_is_no_amount_is_refused_before_it_is_in_the_journal(tmp_path: Path) -> None:
    """As without leases."""
    store = leased(tmp_path)
    spend(store, 1)
    with pytest.raises(InvalidAmountError):
        store.reserve(a_call("bad", quote=HUGE), [Hold(DAY, 1, 1000, 1000)], expires_at=LATER, owner="t")
    assert store.tick() is True
    assert day(store) == Balance(1)
    store.close()


def test_details_that_a_store_fails_on_are_left_out_at_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever they are: here a store that cannot write what a prompt is made of."""
    store = leased(tmp_path)
    spend(store, 3)
    real = store.backend.settle

    def squeamish(owner: str, offset: int, verbs: Any, **how: Any) -> Any:
        if any(getattr(verb, "call", None) is not None and verb.call.record().parts for verb in verbs):
            raise RuntimeError("no parts today")
        return real(owner, offset, verbs, **how)

    monkeypatch.setattr(store.backend, "settle", squeamish)
    assert store.tick() is True
    assert day(plain(tmp_path)) == Balance(3, leased=day(plain(tmp_path)).leased)
    [kept] = store.calls(CallFilter())
    assert (kept.state, kept.parts, kept.cost_nanos) == (CallState.POSTED, (), 3)
    store.close()


def test_a_store_that_takes_nothing_at_all_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays in the journal until it is taken."""
    store = leased(tmp_path)
    spend(store, 3)

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("broken")

    with monkeypatch.context() as patched:
        patched.setattr(store.backend, "settle", broken)
        assert store.tick() is False
    assert store.tick() is True
    assert day(store) == Balance(3)
    store.close()
