"""The arithmetic of the scripts, and what a script leaves when it says no."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from runguard_core.errors import StoreUnavailableError
from runguard_core.ledger import Account, Balance, Hold, Refusal, Reserved, Unit
from runguard_core.stores.redis import _scripts
from runguard_core.testing._ledger_values import LATER, T0, a_call, a_settlement, holds
from tests.stores.redis.conftest import Open

WHOLE = st.integers(-(2**63) + 1, 2**63 - 1) | st.sampled_from([0, 1, -1, 10**9, 10**9 - 1, -(10**9), 2**53, 2**53 + 1, 2**62])
AMOUNT = st.integers(0, 2**62) | st.sampled_from([0, 1, 10**9 - 1, 10**9, 2**53 - 1, 2**53, 2**53 + 1, 2**62 - 1, 2**62])
BIG = Account("big", Unit.USD, "big")


@pytest.fixture(scope="module")
def calculate(valkey_url: str) -> Any:
    """Run an expression over texts behind the scripts' own preludes."""
    client = redis.Redis.from_url(valkey_url, decode_responses=True)
    client.hset("calculate", "epoch", "x")
    keys = ["calculate"] * 18

    def one(expression: str, *words: int) -> Any:
        folder = _scripts.files("runguard_core.stores.redis").joinpath("lua")
        prelude = "\n".join(folder.joinpath(f"{name}.lua").read_text("utf-8") for name in ("prelude", "leasing"))
        return client.eval(f"{prelude}\nreturn {expression}", len(keys), *keys, "x", *words)

    yield one
    client.close()


@given(whole=WHOLE, parts=st.lists(AMOUNT, min_size=1, max_size=4))
def test_a_limit_is_compared_exactly(calculate: Callable[..., Any], whole: int, parts: list[int]) -> None:
    """No double could: 2**53 and 2**53 + 1 are one and the same to it."""
    covered = calculate("covers(ARGV[2], unpack(ARGV, 3)) and 1 or 0", whole, *parts)
    assert bool(covered) == (sum(parts) <= whole)


@given(a=WHOLE, b=AMOUNT)
def test_differences_and_sums_are_exact(calculate: Callable[..., Any], a: int, b: int) -> None:
    """As texts, without a zero that has a sign."""
    told = calculate("{minus(ARGV[2], ARGV[3]), plus(ARGV[2], ARGV[3]), flip(ARGV[2]), most(ARGV[2], ARGV[3])}", a, b)
    assert told == [str(a - b), str(a + b), str(-a), str(max(a, b))]


@given(a=AMOUNT)
def test_nothing_has_a_sign_that_redis_does_not_read(calculate: Callable[..., Any], a: int) -> None:
    """Redis 7 rejects "-0"."""
    assert calculate("{negative(ARGV[2]), flip('-' .. ARGV[2]), minus(ARGV[2], ARGV[2])}", a) == [str(-a), str(a), "0"]


@given(a=AMOUNT)
def test_an_eighth_is_rounded_down(calculate: Callable[..., Any], a: int) -> None:
    assert calculate("eighth(ARGV[2])", a) == str(a // 8)


def test_nothing_is_written_by_a_refusal_but_the_account_that_refused(valkey_url: str, opened: Open) -> None:
    """A script that fails half way is not undone, so it looks first: the first account keeps nothing."""
    store = opened(valkey_url)
    one, two = Account("one", Unit.USD, "one"), Account("two", Unit.USD, "two")
    found = store.reserve(a_call(), [Hold(one, 2**53 + 1, 2**53 + 1), Hold(two, 2**53 + 1, 2**53)], expires_at=LATER, owner="t")
    assert isinstance(found, Refusal)
    assert found.hold.account is two
    assert store.balances(["one", "two"]) == {"one": Balance(), "two": Balance()}
    assert store.entries() == ()
    assert [row.account.key for row in store.accounts()] == ["two"]


def test_an_account_that_is_full_refuses_even_what_is_only_observed(valkey_url: str, opened: Open) -> None:
    """A counter that wrapped would be free money."""
    store = opened(valkey_url)
    assert isinstance(store.reserve(a_call("a"), [Hold(BIG, 2**62, None)], expires_at=LATER, owner="t"), Reserved)
    with pytest.raises(StoreUnavailableError, match=r"2\*\*62"):
        store.reserve(a_call("b"), [Hold(BIG, 1, None)], expires_at=LATER, owner="t")
    store.post("a", a_settlement(0, amounts={BIG.key: 2**62}))
    assert store.balances([BIG.key])[BIG.key] == Balance(2**62)
    assert store.call("b") is None
    assert store.verify() == ()


def test_a_server_that_has_forgotten_the_scripts_gets_them_again(valkey_url: str, opened: Open) -> None:
    """SCRIPT FLUSH, a restart, another primary."""
    store = opened(valkey_url)
    with redis.Redis.from_url(valkey_url) as client:
        client.script_flush()
    assert isinstance(store.reserve(a_call(at=T0), holds(1), expires_at=LATER, owner="t"), Reserved)
    assert store.verify() == ()


@pytest.mark.parametrize("field", ["p", "n", "a", "l"])
def test_a_sum_that_was_tampered_with_is_found(valkey_url: str, opened: Open, field: str) -> None:
    """Each of the four."""
    store = opened(valkey_url)
    store.reserve(a_call("a"), holds(5), expires_at=LATER, owner="t")
    with redis.Redis.from_url(valkey_url) as client:
        client.hincrby(store._book.keys.sums, f"1{field}", 1)
    (found,) = store.verify()
    assert found.where == "account day"
    with redis.Redis.from_url(valkey_url) as client:
        client.hincrby(store._book.keys.sums, f"1{field}", -1)
        client.xdel(store._book.keys.entry, "1-0")
    assert {found.where for found in store.verify()} >= {"lines", "account day"}
