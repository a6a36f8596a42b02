"""Differences in money: prices, discounts and tiers, rounding, cents taken for dollars."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runguard_core.calls import Certainty
from runguard_core.finops.bills import (
    DifferenceKind,
    Payer,
)
from tests.finops.bills.cases import Case, only

K = DifferenceKind


@pytest.mark.parametrize("percent", [137, 62])
def test_another_price_is_a_price(case: Case, percent: int) -> None:
    """The same tokens, billed at a price that is no discount."""
    part = case.part()
    case.parts[case.parts.index(part)] = part.copy(nanos={kind: nanos * percent // 100 for kind, nanos in part.nanos.items()})
    one = only(case.run())
    assert (one.kind, one.payer, one.model, one.tokens) == (K.PRICE, Payer(case.feature), case.model, ())
    assert f"{percent / 100:.4g} times" in one.evidence


def test_calls_without_a_price_are_a_price(case: Case) -> None:
    """Unpriced in the ledger, on the bill all the same."""
    case.rows = [
        (record, replace(settled, cost_nanos=None, certainty=Certainty.UNPRICED) if case.is_busy(record) else settled)
        for record, settled in case.rows
    ]
    one = only(case.run())
    assert one.kind is K.PRICE
    assert "have no price" in one.evidence


@pytest.mark.parametrize("percent", [85, 50])
def test_a_discount_is_explained(case: Case, percent: int) -> None:
    """All of it at a round share of the list."""
    case.parts = [one.copy(nanos={kind: nanos * percent // 100 for kind, nanos in one.nanos.items()}) for one in case.parts]
    found = case.run()
    assert {one.kind for one in found.differences} == {K.DISCOUNT}
    assert found.unexplained == ()
    assert f"{percent} %" in found.differences[0].evidence


def test_a_service_tier_is_named(case: Case) -> None:
    """What was sent as a batch is billed as one."""
    part = case.part()
    case.parts[case.parts.index(part)] = part.copy(
        nanos={kind: nanos * 53 // 100 for kind, nanos in part.nanos.items()}, tier="batch"
    )
    one = only(case.run())
    assert (one.kind, one.payer) == (K.DISCOUNT, Payer(case.feature))
    assert "batch" in one.evidence


@pytest.mark.parametrize("times", [40, 300])
def test_other_ratios_are_no_unit_mistake(case: Case, times: int) -> None:
    """They are prices."""
    case.parts = [one.copy(nanos={kind: nanos * times for kind, nanos in one.nanos.items()}) for one in case.parts]
    assert {one.kind for one in case.run().differences} == {K.PRICE}


def test_a_bill_in_whole_cents_is_rounding(case: Case) -> None:
    """Half of the last place of each line, and not more."""
    case.costs = {"places": 2} if case.provider == "openai" else {"places": 1}
    found = case.run()
    assert {one.kind for one in found.differences} == {K.ROUNDING}


@pytest.mark.parametrize("way", ["too much", "too little"])
def test_cents_and_dollars_are_told_apart(case: Case, way: str) -> None:
    """A hundred times, or a hundredth: one sentence for the whole bill, nothing else is made of it."""
    plain = 1 if case.provider == "openai" else 100
    case.costs = {"scale": plain * 100 if way == "too much" else plain, "places": 9}
    if way == "too little":
        case.parts = [one.copy(nanos={kind: round(nanos / 100) for kind, nanos in one.nanos.items()}) for one in case.parts]
    one = only(case.run())
    assert one.kind is K.UNIT
    assert ("cents were taken for dollars" if way == "too much" else "dollars were taken for cents") in one.evidence
