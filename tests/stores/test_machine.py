"""Any sequence of verbs leaves a store where the memory store, the specification, is."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from runguard_core.calls import OutcomeKind
from runguard_core.errors import LedgerError
from runguard_core.ids import new_id
from runguard_core.ledger import Account, CallFilter, Hold, Settlement, Unit
from runguard_core.stores import MemoryStore, SqliteStore, open_store
from runguard_core.testing._ledger_values import T0, a_call, an_event
from runguard_core.testing._totals_contract import KEYS
from runguard_core.usage import Usage

ACCOUNTS = [Account(f"k{i}", Unit.USD, f"account {i}") for i in range(3)]
IDS = [f"id{i}" for i in range(8)]
AMOUNTS = st.sampled_from([0, 1, 3, 10, 60, 2**53 + 1])
LIMITS = st.sampled_from([None, 0, 10, 100, 2**62])
LEGS = st.dictionaries(st.sampled_from(range(3)), st.tuples(AMOUNTS, LIMITS), max_size=3)


class LedgerMachine(RuleBasedStateMachine):
    """Both stores hear the same verbs and must answer the same."""

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.stores: list[Any] = [MemoryStore(), self.opened()]
        self.minutes = 0

    def opened(self) -> Any:
        """The store that must agree with the specification."""
        return SqliteStore(str(Path(self.folder.name) / "l.db"))

    def both(self, verb: str, *args: Any, **kwargs: Any) -> None:
        answers = []
        for store in self.stores:
            try:
                answers.append(repr(getattr(store, verb)(*args, **kwargs)))
            except (LedgerError, LookupError) as error:
                answers.append(repr(error))
        assert answers[0] == answers[1], verb

    @property
    def now(self) -> Any:
        return T0 + timedelta(minutes=self.minutes)

    @rule(call_id=st.sampled_from(IDS), legs=LEGS, quote=AMOUNTS, ttl=st.integers(1, 5))
    def reserve(self, call_id: str, legs: dict[int, tuple[int, int | None]], quote: int, ttl: int) -> None:
        holds = [Hold(ACCOUNTS[i], amount, limit, limit) for i, (amount, limit) in legs.items()]
        call = a_call(call_id, at=self.now, quote=quote, feature=f"f{len(legs)}", session=f"s{call_id[-1:]}", run=f"r{quote % 2}")
        until = self.now + timedelta(minutes=ttl)
        self.both("reserve", call, holds, expires_at=until, owner="m", events=[an_event()] if quote == 1 else [])

    def settlement(self, amounts: dict[int, int]) -> Settlement:
        by_key = {ACCOUNTS[i].key: amount for i, amount in amounts.items()}
        cost = sum(amounts.values()) % 2**62
        usage = Usage(input_tokens=cost % 1000, output_tokens=3) if cost else None
        return Settlement(
            at=self.now, outcome=OutcomeKind.COMPLETED, amounts=by_key, cost_nanos=cost, usage=usage,
            model_answered=f"m-{len(amounts)}" if len(amounts) > 1 else None,
        )  # fmt: skip

    @rule(
        call_id=st.sampled_from(IDS), amounts=st.dictionaries(st.sampled_from(range(3)), st.sampled_from([0, 1, 10, 2**53 + 1]))
    )
    def post(self, call_id: str, amounts: dict[int, int]) -> None:
        self.both("post", call_id, self.settlement(amounts))

    @rule(call_id=st.sampled_from(IDS))
    def void(self, call_id: str) -> None:
        self.both("void", call_id, self.settlement({}))

    @rule(call_id=st.sampled_from(IDS), amounts=st.dictionaries(st.sampled_from(range(3)), st.sampled_from([0, 1, 10])))
    def adjust(self, call_id: str, amounts: dict[int, int]) -> None:
        self.both("adjust", call_id, self.settlement(amounts), "because")

    @rule(ids=st.lists(st.sampled_from(IDS), max_size=3, unique=True), minutes=st.integers(0, 6))
    def extend(self, ids: list[str], minutes: int) -> None:
        self.both("extend", ids, self.now + timedelta(minutes=minutes))

    @rule(minutes=st.integers(0, 3))
    def time_passes(self, minutes: int) -> None:
        self.minutes += minutes

    @rule()
    def expire(self) -> None:
        answers = [sorted(call.id for call in store.expire(self.now)) for store in self.stores]
        assert answers[0] == answers[1]

    @invariant()
    def stores_agree(self) -> None:
        if not hasattr(self, "stores"):
            return
        one, other = self.stores
        keys = [account.key for account in ACCOUNTS]
        assert one.balances(keys) == other.balances(keys)
        assert one.calls(CallFilter()) == other.calls(CallFilter())
        assert one.entries() == other.entries()
        for by in KEYS:
            assert one.totals(by, CallFilter()) == other.totals(by, CallFilter()), by
        assert one.sessions(CallFilter()) == other.sessions(CallFilter())
        assert other.verify() == ()
        for balance in other.balances(keys).values():
            assert min(balance.posted, balance.pending, balance.assumed) >= 0

    def teardown(self) -> None:
        if hasattr(self, "stores"):
            self.stores[1].close()
            self.folder.cleanup()


class RedisMachine(LedgerMachine):
    """The same on a real Valkey."""

    url = ""

    def opened(self) -> Any:
        return open_store(f"{self.url}?tenant={new_id()}&leases=off")


MANY = settings(settings.default, max_examples=max(100, settings.default.max_examples), stateful_step_count=30)
TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = MANY


class TestRedisMachine(RedisMachine.TestCase):
    settings = MANY

    @pytest.fixture(autouse=True)
    def server(self, valkey_url: str) -> None:
        RedisMachine.url = valkey_url
