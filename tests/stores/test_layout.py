"""SQLite's layout: what is made small comes back whole, what is summed up is true, and what is tampered with is found."""

from __future__ import annotations

import sqlite3
import uuid
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runguard_core.calls import CallKind, Certainty, OutcomeKind, PromptPart
from runguard_core.errors import ConflictingEntryError
from runguard_core.ids import encode_id, new_id
from runguard_core.ledger import (
    Account,
    CallFilter,
    Hold,
    LeaseVerb,
    ReserveVerb,
    Settlement,
    SettleVerb,
    Unit,
)
from runguard_core.stores import MemoryStore, SqliteStore
from runguard_core.stores import _sqlite_packing as packing
from runguard_core.testing._ledger_values import DAY, LATER, SESSION, T0, a_call, a_settlement, an_event, holds
from runguard_core.testing._totals_contract import assert_totals_are_true
from runguard_core.usage import Usage

TEXTS = st.one_of(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40),
    st.integers(0, 2**128 - 1).map(encode_id),
    st.uuids().map(str),
    st.from_regex(r"[0-9A-Za-z_ ]{26}", fullmatch=True),
    st.from_regex(r"[0-9a-fA-F ]{32}", fullmatch=True),
    st.from_regex(r"[0-9a-fA-F-]{36}", fullmatch=True),
)
AMOUNTS = st.integers(0, 2**62)
UNITS = st.sampled_from(list(Unit))


@given(TEXTS)
def test_ids_and_digests_come_back_as_they_were(text: str) -> None:
    """Ours, UUIDs, and whatever only looks like one."""
    assert packing.unpack_id(packing.pack_id(text)) == text
    assert packing.unpack_digest(packing.pack_digest(text)) == text


def test_ids_of_ours_sort_as_bytes_and_take_sixteen() -> None:
    """So that new calls are added at the end of their index."""
    ids = sorted(new_id() for _ in range(100))
    packed = [packing.pack_id(one) for one in ids]
    assert packed == sorted(packed)  # type: ignore[type-var]  # all are bytes
    assert {len(one) for one in packed} == {16}
    assert len(packing.pack_id(str(uuid.uuid4()))) == 17


@given(
    st.lists(st.tuples(UNITS, AMOUNTS), max_size=5), st.one_of(st.none(), AMOUNTS), st.one_of(st.none(), AMOUNTS),
    st.one_of(st.none(), st.integers(0, 10**9)), st.one_of(st.none(), st.floats(0, 10**6)), st.data(),
)  # fmt: skip
def test_amounts_come_back_whether_they_follow_the_rules_or_not(
    held: list[tuple[Unit, int]],
    quote: int | None,
    cost: int | None,
    tokens: int | None,
    duration: float | None,
    data: st.DataObject,
) -> None:
    """Of every unit, by rule, by list, by key, for other accounts than those held."""
    accounts = [Account(f"k{place}", unit) for place, (unit, _) in enumerate(held)]
    some = [Hold(account, amount, None) for account, (_, amount) in zip(accounts, held, strict=True)]
    legs = [packing.Leg(place, account.key, account.unit) for place, account in enumerate(accounts)]
    amounts = [hold.amount for hold in some]
    assert packing.unpack_held(packing.pack_held(some, quote), legs, quote) == amounts
    usage = None if tokens is None else Usage(input_tokens=tokens)
    ruled = packing.unpack_spent(None, legs, amounts, cost, usage, duration)
    spent = data.draw(st.one_of(st.just(dict(ruled)), st.dictionaries(st.sampled_from(["k0", "k1", "x"]), AMOUNTS)))
    settlement = Settlement(
        at=T0, outcome=OutcomeKind.COMPLETED, amounts=spent, cost_nanos=cost, usage=usage, duration_seconds=duration
    )
    kept = packing.pack_spent(legs, amounts, settlement)
    assert packing.unpack_spent(kept, legs, amounts, cost, usage, duration) == spent
    if spent == ruled:
        assert kept is None


@given(st.lists(st.builds(PromptPart, st.text(max_size=3), *[st.integers(0, 10**6)] * 3), max_size=4))
def test_sizes_of_a_prompt_come_back(parts: list[PromptPart]) -> None:
    """With and without what is left out."""
    assert packing.unpack_parts([part.origin for part in parts], packing.pack_sizes(parts)) == tuple(parts)


def test_a_plain_call_takes_no_text_for_its_amounts(tmp_path: Path) -> None:
    """What the rules say is not written down."""
    store = SqliteStore(str(tmp_path / "l.db"))
    store.reserve(a_call("x", quote=10), holds(10), expires_at=LATER, owner="t")
    store.post("x", a_settlement(7))
    (row,) = store._all("SELECT held, spent, more, expires_at, process FROM call")
    assert tuple(row) == (None, None, None, None, None)
    store.close()


def verbs_of(number: int, cost: int, *, ends: bool = True) -> list[LeaseVerb]:
    """A call of a batch."""
    call = a_call(f"call-{number}", T0 + timedelta(minutes=7 * number), session=f"s{number % 3}", run=f"r{number % 4}")
    reserve = ReserveVerb(call, tuple(holds(10, None)), LATER + timedelta(days=1), (an_event(str(number)),))
    return [reserve, SettleVerb(call.id, a_settlement(cost))] if ends else [reserve]


def in_memory(verbs: list[LeaseVerb]) -> MemoryStore:
    """The same, verb by verb, in the specification."""
    store = MemoryStore()
    for verb in verbs:
        if isinstance(verb, ReserveVerb):
            store.reserve(verb.call, verb.holds, expires_at=verb.expires_at, owner="b", events=verb.events)
        else:
            store.post(verb.call_id, verb.settlement, verb.events)
    return store


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=1, max_size=12), st.integers(1, 8), st.randoms())
def test_batches_leave_what_single_verbs_leave(
    tmp_path_factory: pytest.TempPathFactory, costs: list[tuple[int, bool]], size: int, dice: object
) -> None:
    """However verbs are cut into batches; said again they change nothing."""
    verbs = [verb for number, (cost, ends) in enumerate(costs) for verb in verbs_of(number, cost, ends=ends)]
    reserves = [verb for verb in verbs if isinstance(verb, ReserveVerb)]
    verbs = reserves + [verb for verb in verbs if isinstance(verb, SettleVerb)] if size % 2 else verbs
    expected = in_memory(verbs)
    store = SqliteStore(str(tmp_path_factory.mktemp("b") / "l.db"))
    for again in range(2):
        for start in range(0, len(verbs), size):
            store.load(verbs[start : start + size], "b")
        assert store.calls(CallFilter()) == expected.calls(CallFilter()), again
        assert store.balances(["day", "turns"]) == expected.balances(["day", "turns"])
        assert store.verify() == ()
        assert_totals_are_true(store)
        assert len(store.events()) == len(reserves)
        for call in expected.calls(CallFilter()):
            theirs, ours = expected.entries(call.id), store.entries(call.id)
            assert [replace(line, sequence=0) for line in ours] == [replace(line, sequence=0) for line in theirs]
    store.close()


def test_a_batch_that_contradicts_the_book_changes_nothing(tmp_path: Path) -> None:
    """Not even its good part."""
    store = SqliteStore(str(tmp_path / "l.db"))
    store.load(verbs_of(1, 5), "b")
    with pytest.raises(ConflictingEntryError):
        store.load([*verbs_of(2, 5), SettleVerb("call-1", a_settlement(6))], "b")
    assert [call.id for call in store.calls(CallFilter())] == ["call-1"]
    store.load(verbs_of(3, 5), "b")
    assert store.verify() == ()
    store.close()


def test_what_a_rolled_back_transaction_had_named_is_forgotten(tmp_path: Path) -> None:
    """Its numbers are given again, to others."""
    store = SqliteStore(str(tmp_path / "l.db"))
    mine = a_call("mine", feature="mine", session="mine", agent="mine")
    with pytest.raises(RuntimeError), store.together():
        store.reserve(mine, [Hold(DAY, 1, None)], expires_at=LATER, owner="t")
        raise RuntimeError
    other = replace(a_call("other", feature="other", session="other"), name="other", kind=CallKind.TOOL)
    store.reserve(other, [Hold(SESSION, 2, None)], expires_at=LATER, owner="t")
    store.reserve(mine, [Hold(DAY, 1, None)], expires_at=LATER, owner="t")
    assert {call.id: call for call in store.calls(CallFilter())} == {"mine": mine, "other": other}
    assert [move.account_key for line in store.entries() for move in line.moves] == ["session", "day"]
    assert store.verify() == ()
    store.close()


def test_few_numbers_lie_where_a_times_calls_are(tmp_path: Path) -> None:
    """A time is read without an index of times, whatever the order in which calls were written down."""
    store = SqliteStore(str(tmp_path / "l.db"))
    for number in (5, 1, 9, 3, 7, 0):
        store.load(verbs_of(number, number), "b")
    assert_totals_are_true(store, [T0 + timedelta(minutes=m) for m in (0, 7, 22, 45, 63)])
    latest = [call.id for call in store.calls(CallFilter(limit=2))]
    assert latest == ["call-7", "call-9"]
    store.close()


TAMPERED = {
    "a charge": "UPDATE call SET cost_nanos = cost_nanos + 1 WHERE id = 'one'",
    "tokens": "UPDATE call SET input_tokens = 1 WHERE id = 'one'",
    "a certainty": "UPDATE call SET certainty = 1 WHERE id = 'one'",
    "what was spent": "UPDATE call SET spent = '[9,9,9]' WHERE id = 'one'",
    "what is held": "UPDATE call SET held = '[1,1,1]' WHERE id = 'open'",
    "who paid": "UPDATE call SET who = (SELECT max(id) FROM who) WHERE id = 'one'",
    "a day": "UPDATE call SET started_at = started_at + 86400000000 WHERE id = 'one'",
    "a call that is gone": "DELETE FROM call WHERE id = 'one'",
    "a correction": "UPDATE entry SET cost_nanos = cost_nanos + 1 WHERE kind = 'adjust'",
    "a correction's moves": "UPDATE entry SET moves = '[[1,0,1,0]]' WHERE kind = 'adjust'",
    "a correction that is gone": "DELETE FROM entry WHERE kind = 'adjust'",
    "an account": "UPDATE account SET posted = posted + 1 WHERE key = 'day'",
    "an account's pending": "UPDATE account SET pending = 0 WHERE key = 'day'",
    "an account's leases": "UPDATE account SET leased = 5 WHERE key = 'day'",
    "a sum of a quarter": "UPDATE quarter_total SET cost_nanos = cost_nanos + 1",
    "a quarter that is gone": "DELETE FROM quarter_total",
    "where a quarter's calls are": "UPDATE quarter_total SET last_n = first_n - 1",
    "a sum of a run": "UPDATE who_total SET output_tokens = 0",
    "when a run was": "UPDATE who_total SET last_at = last_at + 1",
    "a run that is gone": "DELETE FROM who_total",
    "a name": "DELETE FROM who",
    "an invented sum": "INSERT INTO who_total SELECT 999, first_at, last_at, 1, 0, 0, 5, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 "
    "FROM who_total LIMIT 1",
    "the last line": "UPDATE meta SET value = '1' WHERE key = 'lines'",
}


@pytest.mark.parametrize("what", TAMPERED)
def test_whoever_tampers_is_found(tmp_path: Path, what: str) -> None:
    """In a row of a call, a line, an account, a sum or a name."""
    path = tmp_path / "l.db"
    store = SqliteStore(str(path))
    for name in ("one", "two", "open"):
        store.reserve(a_call(name, session=name, feature=name, quote=10), holds(10), expires_at=LATER, owner="t")
    store.post("one", a_settlement(7))
    store.post("two", a_settlement(8))
    store.adjust("two", replace(a_settlement(4), certainty=Certainty.ESTIMATED), "invoice")
    assert store.verify() == ()
    db = sqlite3.connect(path)
    assert db.execute(TAMPERED[what]).rowcount
    db.commit()
    db.close()
    again = SqliteStore(str(path))
    assert again.verify() != ()
    store.close()
    again.close()


def test_verify_tells_how_far_it_has_come(tmp_path: Path) -> None:
    """And at the end how many lines there are."""
    store = SqliteStore(str(tmp_path / "l.db"))
    store.load([verb for number in range(5) for verb in verbs_of(number, 1)], "b")
    told: list[tuple[int, int]] = []
    store.verify(lambda done, total: told.append((done, total)))
    assert told[-1] == (10, 10)
    store.close()


def test_people_read_calls_in_plain_words(tmp_path: Path) -> None:
    """The views say what the numbers of the tables mean."""
    path = tmp_path / "l.db"
    store = SqliteStore(str(path))
    number = 0
    for outcome in OutcomeKind:
        for certainty in Certainty:
            number += 1
            store.reserve(a_call(f"c{number}", quote=10**9), holds(1, None), expires_at=LATER, owner="t")
            settlement = replace(a_settlement(2 * 10**9), outcome=outcome, certainty=certainty, model_answered="m-1")
            store.post(f"c{number}", settlement)
    store.reserve(a_call("open"), holds(1, None), expires_at=LATER, owner="t")
    store.reserve(a_call("gone"), holds(1, None), expires_at=LATER, owner="t")
    store.void("gone", a_settlement(0))
    store.expire(LATER)
    db = sqlite3.connect(path)
    said = {row[0]: row[1:] for row in db.execute("SELECT id, state, outcome, certainty, started_at, cost_usd FROM calls")}
    for call in store.calls(CallFilter()):
        settled = call.settlement
        assert settled is not None
        cost = call.cost_nanos / 1e9
        assert said[call.id] == (call.state.value, settled.outcome.value, settled.certainty.value, "2026-11-24T12:00:00Z", cost)
    day = db.execute("SELECT day, app, agent, name, sum(calls), sum(cost_usd) FROM days WHERE name = 'm-1'").fetchone()
    assert day == ("2026-11-24", "app", "a", "m-1", 16, 32.0)
    db.close()
    store.close()


def test_a_text_with_nul_is_whole_for_whoever_reads_the_file_with_sql(tmp_path: Path) -> None:
    """C reads to the first NUL: what stands behind it would be kept and never shown."""
    store = SqliteStore(str(tmp_path / "l.db"))
    store.announce([an_event("spent\0unseen")])
    store.close()
    with sqlite3.connect(tmp_path / "l.db") as db:
        [(shown,)] = db.execute("SELECT message || '!' FROM event WHERE message LIKE 'spent%unseen' AND length(message) = 12")
    assert shown.endswith("unseen!")
    db.close()
