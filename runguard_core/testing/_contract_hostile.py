"""What no caller should hand to a store, and what it makes of it: amounts that are none, texts that break files and queries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from runguard_core.calls import OutcomeKind
from runguard_core.errors import InvalidAmountError
from runguard_core.ledger import Balance, CallFilter, CallState, Hold, LimitOverride, Settlement, Store
from runguard_core.testing._ledger_values import DAY, LATER, T0, a_call, a_settlement, an_event, holds

#: No amounts: what is no number, no whole one, below nothing, or above what an account holds.
NO_AMOUNTS: tuple[Any, ...] = (float("nan"), float("inf"), 1.0, -1, True, "7", Decimal(7), None, 2**62 + 1, 2**63, 10**30)
#: Texts that were the end of one store or another.
HOSTILE_TEXTS = (
    "'; DROP TABLE call; --", '"] }) or 1=1 /*', "a\0b", "\ud800", "a\udcffb", "{}{{{%s%(x)s$1?", "\u202e\ufeff", "e\u0301",
    "\xe9", "\U0001f4b8", "x" * 10_000, "\n\r\t\x1b[31m",
)  # fmt: skip


def _can_be_stored_as_it_is(text: str) -> bool:
    """Stores may mend what C or UTF-8 cannot say, and nothing else."""
    return "\0" not in text and not any("\ud800" <= sign <= "\udfff" for sign in text)


class HostileContract:
    """Part of `StoreContract`: nothing that comes in breaks the book."""

    @pytest.fixture
    def store(self) -> Iterator[Store]:
        """An empty store."""
        raise NotImplementedError

    @pytest.mark.parametrize("amount", NO_AMOUNTS, ids=repr)
    def test_what_is_no_amount_is_refused_before_anything_is_written(self, store: Store, amount: Any) -> None:
        """By each verb that takes one; the call stays as it was."""
        with pytest.raises(InvalidAmountError):
            store.reserve(a_call("bad"), [*holds(1), Hold(DAY, amount, None)], expires_at=LATER, owner="t")
        assert store.call("bad") is None
        assert store.entries() == ()
        store.reserve(a_call("good"), holds(5), expires_at=LATER, owner="t", events=[an_event()])
        spent = Settlement(at=T0, outcome=OutcomeKind.COMPLETED, amounts={DAY.key: amount}, cost_nanos=1)
        with pytest.raises(InvalidAmountError):
            store.post("good", spent)
        kept = store.call("good")
        assert kept is not None
        assert kept.state is CallState.PENDING
        store.post("good", a_settlement(5))
        with pytest.raises(InvalidAmountError):
            store.adjust("good", spent, "why")
        with pytest.raises(InvalidAmountError):
            store.put_override(LimitOverride(account_key="day", limit=amount, by="ann", reason="why", since=T0, until=None))
        assert dict(store.overrides()) == {}
        assert store.balances([DAY.key])[DAY.key] == Balance(5)
        assert store.verify() == ()

    @pytest.mark.parametrize("amount", [amount for amount in NO_AMOUNTS if amount is not None], ids=repr)
    def test_no_charge_is_no_amount_either(self, store: Store, amount: Any) -> None:
        """The quote and the cost; None there is "unpriced"."""
        with pytest.raises(InvalidAmountError):
            store.reserve(a_call(quote=amount), [], expires_at=LATER, owner="t")
        store.reserve(a_call("good"), [], expires_at=LATER, owner="t")
        with pytest.raises(InvalidAmountError):
            store.post("good", Settlement(at=T0, outcome=OutcomeKind.COMPLETED, cost_nanos=amount))
        assert [call.state for call in store.calls(CallFilter())] == [CallState.PENDING]

    @pytest.mark.parametrize("text", HOSTILE_TEXTS, ids=[f"text{at}" for at in range(len(HOSTILE_TEXTS))])
    def test_no_text_breaks_the_book(self, store: Store, text: str) -> None:
        """In every place where a text of a program, a person or a provider may come to stand."""
        call = replace(a_call(agent=text, session=text, user=text, run=text, tags=((text, text),)), name=text, provider=text)
        store.reserve(call, holds(5), expires_at=LATER, owner=text, events=[replace(an_event(text), session=text)])
        told: dict[str, Any] = {
            "model_answered": text,
            "provider_request_id": text,
            "error": text,
            "tool_names": (text,),
            "note": text,
        }
        store.post(call.id, a_settlement(5, **told))
        store.adjust(call.id, a_settlement(4), text)
        store.put_override(LimitOverride(account_key="day", limit=9, by=text, reason=text, since=T0, until=None))
        (kept,) = store.calls(CallFilter())
        (said,) = store.events()
        (by,) = [override.by for override in store.overrides().values()]
        if _can_be_stored_as_it_is(text):
            assert (kept.name, kept.attribution.user, kept.attribution.tags) == (text, text, ((text, text),))
            assert (said.message, by) == (text, text)
            assert store.calls(CallFilter(session=text)) == (kept,)
        assert store.balances([DAY.key])[DAY.key] == Balance(4)
        assert store.verify() == ()
