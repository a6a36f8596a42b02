"""Whatever happens in ledgers, and whenever they are shipped: the fleet's sums are theirs together."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from runguard_core.calls import Certainty
from runguard_core.ids import new_id
from runguard_core.ledger import Account, Hold, Unit
from runguard_core.stores import open_fleet
from runguard_core.testing._ledger_values import T0, a_call, a_settlement
from tests.fleet.test_shipping import same, send
from tests.stores.postgres.conftest import own_schema

AMOUNTS = st.sampled_from([0, 1, 7, 10**9 + 1, 2**53 + 1])
STEPS = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from(["reserve", "post", "void", "expire", "adjust", "ship"]), AMOUNTS), max_size=25
)


@given(steps=STEPS)
@settings(max_examples=25)
def test_the_fleets_sums_are_the_sums_of_the_ledgers_to_the_nano(
    postgres_url: str, tmp_path_factory: Any, steps: list[Any]
) -> None:
    """Whatever happens in two ledgers, shipped at whatever moments."""
    folder = tmp_path_factory.mktemp("fleet")
    ledgers = [open_fleet(f"sqlite:///{folder / name}.db") for name in "ab"]
    calls: list[list[str]] = [[], []]
    now = T0
    with own_schema(postgres_url) as url:
        fleet = open_fleet(url)
        for which, verb, amount in [*steps, (0, "ship", 0), (1, "ship", 0)]:
            ledger, now = ledgers[which], now + timedelta(minutes=1)
            mine = calls[which]
            if verb == "ship":
                send(ledger, fleet, now, "ab"[which])
            elif verb == "reserve":
                call = a_call(new_id(), now, quote=amount)
                mine.append(call.id)
                legs = [Hold(Account(key, Unit.USD, key), amount, None) for key in ("shared", f"own-{which}")]
                ledger.reserve(call, legs, expires_at=now + timedelta(minutes=3), owner="t")
            elif verb == "expire":
                ledger.expire(now)
            elif mine:
                _settle(ledger, verb, mine[amount % len(mine)], amount, which, now)
        for ledger in ledgers:
            ledger.close()
        again = [open_fleet(f"sqlite:///{folder / name}.db") for name in "ab"]
        assert same(fleet, *again)
        assert {row.account.key: row.balance.assumed for row in fleet.accounts() if row.balance.assumed} == _assumed(again)
        for ledger in (*again, fleet):
            ledger.close()


def _settle(ledger: Any, verb: str, call_id: str, amount: int, which: int, now: Any) -> None:
    spent = replace(a_settlement(amount, now, amounts={"shared": amount, f"own-{which}": amount}), certainty=Certainty.EXACT)
    try:
        if verb == "adjust":
            ledger.adjust(call_id, spent, "why")
        else:
            getattr(ledger, verb)(call_id, spent)
    except Exception as error:  # noqa: BLE001  what the ledger refuses, the fleet never sees
        assert type(error).__name__ in {"AlreadyPostedError", "AlreadyVoidedError", "ConflictingEntryError", "LookupError"}


def _assumed(ledgers: list[Any]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for ledger in ledgers:
        for row in ledger.accounts():
            sums[row.account.key] = sums.get(row.account.key, 0) + row.balance.assumed
    return {key: amount for key, amount in sums.items() if amount}
