"""Any sequence of verbs leaves PostgreSQL where the memory store, the specification, is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis.stateful import initialize, run_state_machine_as_test

from runguard_core.stores import MemoryStore
from runguard_core.stores.postgres import PostgresStore
from tests.stores.test_machine import LedgerMachine


def test_any_sequence_of_verbs_leaves_it_where_the_specification_is(store: PostgresStore) -> None:
    """One schema for all sequences, emptied before each; its sums are gathered all the time."""
    store.gather_after = 3

    class PostgresMachine(LedgerMachine):
        @initialize()
        def start(self) -> None:
            _empty(store)
            self.stores: list[Any] = [MemoryStore(), store]
            self.minutes = 0

        def teardown(self) -> None:
            pass

    examples = settings.default.max_examples // 2  # each example is a few hundred round trips
    run_state_machine_as_test(PostgresMachine, settings=settings(settings.default, max_examples=examples, stateful_step_count=30))


def _empty(store: PostgresStore) -> None:
    tables = "account, call, hold, entry, event, tombstone, latch, limit_override, quarter_total"
    store._connections.run(lambda link: link.execute(f"TRUNCATE {tables} RESTART IDENTITY"))
    store._keys.clear()  # numbers of accounts begin again


@pytest.mark.parametrize("text", ["x" * 5000, '{"a":"\\u00fc"}' * 700])
def test_keys_longer_than_an_index_takes_keep_accounts_apart(store: PostgresStore, text: str) -> None:
    """What splits an account may be long: its key holds all of it."""
    from runguard_core.ledger import Account, Balance, Hold, Unit
    from runguard_core.testing._ledger_values import LATER, a_call

    one, two = Account(f"{text}1", Unit.USD), Account(f"{text}2", Unit.USD)
    for account in (one, two, one):
        store.reserve(a_call(), [Hold(account, 3, 10)], expires_at=LATER, owner="t")
    assert store.balances([one.key, two.key]) == {one.key: Balance(0, 6), two.key: Balance(0, 3)}
    assert len(store.accounts()) == 2
