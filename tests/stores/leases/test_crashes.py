"""What is left of an owner that died: nothing it spent is lost, nothing it held stays, and a journal is believed only when it is sound."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runguard_core.calls import Certainty, ModelCall, Outcome, PromptPart
from runguard_core.ledger import (
    Balance,
    CallDraft,
    CallFilter,
    CallState,
    Hold,
    SettlementDraft,
)
from runguard_core.testing._ledger_values import DAY, LATER, T0, a_call, a_settlement, an_event
from runguard_core.usage import Usage

from .opened import HOUR, StillHost, abandon, day, leased, plain, reserve, spend


def test_the_next_process_finds_everything_a_killed_one_has_done(tmp_path: Path) -> None:
    """Never flushed: the journal alone tells it. The call in flight is charged at its quote, and a late post corrects it."""
    dead = leased(tmp_path)
    assert spend(dead, 7)
    reserve(dead, 10, call_id="open")
    reserve(dead, 5, call_id="void")
    dead.void("void", a_settlement(0))
    assert plain(tmp_path).calls(CallFilter()) == ()
    abandon(dead)
    store = leased(tmp_path)
    assert [(call.id, call.state, call.cost_nanos) for call in store.expire(T0)] == [("open", CallState.ASSUMED, 10)]
    assert day(store) == Balance(17, 0, 10)
    assert store.post("open", a_settlement(4)).applied.value == "late"
    assert day(store) == Balance(11)
    assert list((tmp_path / "l.db.leases").glob("*.journal")) == []
    assert store.verify() == ()
    store.close()


def test_a_reader_needs_no_reserve_to_find_it(tmp_path: Path) -> None:
    """A report on the ledger of a program that was killed a moment ago."""
    dead = leased(tmp_path)
    spend(dead, 7)
    abandon(dead)
    store = leased(tmp_path)
    assert [call.cost_nanos for call in store.calls(CallFilter())] == [7]
    store.close()


def test_what_was_flushed_is_not_applied_twice(tmp_path: Path) -> None:
    """The offset and the book moved together."""
    dead = leased(tmp_path)
    spend(dead, 7)
    dead.tick()
    spend(dead, 8)
    abandon(dead)
    store = leased(tmp_path)
    assert day(store) == Balance(15)
    assert len(store.entries()) == 4
    store.close()


def test_everything_about_a_call_survives_in_the_journal(tmp_path: Path) -> None:
    """Field by field, for whole values and for drafts, with what is rare and with what breaks files."""
    dead, alive = leased(tmp_path / "dead"), leased(tmp_path / "alive")
    full = a_settlement(
        5, duration_seconds=1.5, model_answered="m\ud800", provider_request_id="r\0", error="E: ü", error_status=500, attempt_count=2,
        from_cache=True, tool_names=("x", "y"), result_hash="h", result_chars=3, note="n", certainty=Certainty.ESTIMATED,
        usage=Usage(input_tokens=9, output_tokens=8, cache_read_input_tokens=7, web_search_count=1), amounts={"day": 5, "other": 6},
    )  # fmt: skip
    call = a_call("one", feature="f", team="t", owner="o", user="u", instance="i", release="1", tags=(("a", "x"), ("b", "ü")))
    model = ModelCall(model="m", provider="p", parts=(PromptPart("user", 3, 2, 1), PromptPart("tool:ü", 4)), max_output_tokens=5)
    drafts = [
        CallDraft("two", model, call.attribution, 4, 5, T0, None, quote_is_bound=True, policy_hash="h", unverified=True),
        CallDraft("three", "a tool", call.attribution, None, None, T0, 3, quote_is_bound=False, signature="s"),
    ]
    outcome = Outcome(model="m-1", provider_request_id="q", usage=Usage(input_tokens=1, output_tokens=2))
    for store in (dead, alive):
        event = an_event()
        for one in (call, *drafts):
            store.reserve(one, [Hold(DAY, 5, 100, 70)], expires_at=LATER, owner="t", events=[event] if one is call else ())
        store.post("one", full)
        store.post("two", SettlementDraft(T0, outcome, {"day": 4}, None, Certainty.UNPRICED, outcome.usage, float("nan")))
    abandon(dead)
    again = leased(tmp_path / "dead")
    again.expire(T0)
    alive.expire(LATER)
    for call_id in ("one", "two", "three"):
        found, wanted = again.call(call_id), alive.call(call_id)
        assert found is not None
        assert wanted is not None
        if call_id == "three":
            assert found.state is wanted.state is CallState.ASSUMED
            continue
        assert repr(found) == repr(wanted).replace("duration_seconds=nan", "duration_seconds=None")
    assert len(again.events()) == len(alive.events()) == 1
    assert [(row.account, row.limit) for row in again.accounts()] == [(row.account, row.limit) for row in alive.accounts()]
    again.close()
    alive.close()


def test_a_torn_end_loses_what_never_returned_and_nothing_else(tmp_path: Path) -> None:
    """The last record was being written: its call was not sent."""
    dead = leased(tmp_path)
    spend(dead, 7)
    holdings = dead._leases.holdings
    assert holdings is not None
    whole = holdings.waiting[-1][0]
    reserve(dead, 10)
    journal = Path(holdings.journal.path)
    abandon(dead)
    with journal.open("r+b") as file:
        file.seek(20 + whole + 30)
        file.write(b"\0" * 40)
    store = leased(tmp_path)
    assert day(store) == Balance(7)
    assert store.verify() == ()
    store.close()


@pytest.mark.parametrize("damage", ["missing", "emptied", "no journal", "another user's", "a lie"])
def test_a_journal_that_cannot_be_believed_is_charged_not_handed_back(tmp_path: Path, damage: str) -> None:
    """What was leased is posted as assumed, and the warning names the journal."""
    host = StillHost()
    dead = leased(tmp_path, host=host)
    reserve(dead, 10, call_id="told")
    dead.tick()
    rest = plain(tmp_path).balances([DAY.key])[DAY.key].leased
    assert rest > 0
    spend(dead, 3)
    holdings = dead._leases.holdings
    assert holdings is not None
    journal = Path(holdings.journal.path)
    abandon(dead)
    if damage == "missing":
        journal.unlink()
        host.wall += HOUR
    elif damage == "emptied":
        os.truncate(journal, 0)
    elif damage == "no journal":
        journal.write_bytes(b"\xff" * 4096)
    elif damage == "another user's":
        journal.chmod(0o644)
        host.wall += HOUR
    else:
        content = journal.read_bytes()
        from runguard_core.stores.leases._segments import _FRAME, _HEAD, _crc

        bad = b'["r",1,2,3]'
        at = _HEAD.size
        journal.write_bytes(content[:at] + _FRAME.pack(len(bad), _crc(bad, 0)) + bad + content[at + 8 + len(bad) :])
    store = leased(tmp_path, host=host)
    store.expire(T0)
    assert day(store) == Balance(10 + rest, 0, 10 + rest)
    assert [entry.call_id.partition(":")[0] for entry in store.entries()][-1] in {"told", "lease"}
    assert store.verify() == ()
    store.close()
