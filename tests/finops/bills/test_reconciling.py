"""A bill against the ledger: what was planted is found and named, nothing else is, and the money adds up."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from openai.types.admin.organization import UsageCompletionsResponse, UsageCostsResponse

from runguard_core.calls import CallKind, Certainty
from runguard_core.finops.bills import (
    ANYONE,
    DIMENSIONS,
    BilledKey,
    DifferenceKind,
    KeyRing,
    Payer,
    Reconciliation,
    TokenClass,
    Valuer,
    read_report,
    reconcile,
    rows_of_calls,
    rows_of_totals,
)
from runguard_core.ledger import CallRecord, Settlement, totals_of
from runguard_core.usage import Usage
from tests.finops.bills.cases import Case, only
from tests.finops.bills.making import COSTS, USAGE, parts_of
from tests.finops.bills.shop import DAY, DAYS, PRICES, ROWS, START, calls_of, replace_usage

K = DifferenceKind


def named(found: Reconciliation) -> set[tuple[K, str | None, str | None]]:
    """Kind, feature and model of all differences."""
    return {(one.kind, one.payer.feature, one.model) for one in found.differences}


def test_a_bill_made_from_the_ledger_has_no_difference(case: Case) -> None:
    """Tokens and money, with usage alone and with costs alone, too."""
    assert case.run().differences == ()
    assert case.run(with_costs=False).differences == ()
    assert case.run(with_usage=False).differences == ()
    assert case.run().billed_nanos > 10**9


def test_fixtures_have_the_shape_of_openais_client() -> None:
    """The client's own types take them; their dollars are floats."""
    parts = parts_of(calls_of(ROWS), "openai")
    for page in json.loads(USAGE["openai"](parts)):
        assert UsageCompletionsResponse.model_validate(page, strict=True).data
    for page in json.loads(COSTS["openai"](parts)):
        assert UsageCostsResponse.model_validate(page, strict=True).data


def test_unmetered_traffic_finds_its_owner(case: Case) -> None:
    """Requests under a feature's key that the ledger does not know, worth what they cost at the list."""
    extra = case.part()
    case.parts[case.parts.index(extra)] = extra.copy(
        tokens={kind: count * 3 for kind, count in extra.tokens.items()},
        nanos={kind: count * 3 for kind, count in extra.nanos.items()}, requests=extra.requests * 3,
    )  # fmt: skip
    found = case.run()
    one = next(one for one in found.differences if one.kind is not K.ROUNDING)
    assert {one.kind for one in found.differences} <= {K.UNMETERED, K.ROUNDING}
    assert (one.kind, one.day, one.payer, one.model) == (K.UNMETERED, DAY, Payer(case.feature), case.model)
    assert one.tokens == tuple([(kind, 2 * count) for kind, count in extra.tokens.items() if count])
    assert abs(one.nanos - 2 * sum(extra.nanos.values())) <= 2 * extra.requests + 1
    assert not one.is_explained


def test_a_key_that_nobody_named_is_told_by_its_id(case: Case) -> None:
    """It belongs to no entry of the policy, and costs what the bill says."""
    case.parts.append(case.part().copy(project="id_forgotten"))
    one = only(case.run())
    assert (one.kind, one.payer, one.ids) == (K.UNMETERED, ANYONE, ("id_forgotten",))
    assert one.nanos == sum(case.part().nanos.values())


def test_missing_usage_is_told_from_unmetered_traffic(case: Case) -> None:
    """The calls are there, as estimates: the bill knows what they were."""

    def change(record: CallRecord, settled: Settlement) -> Settlement:
        if not case.is_busy(record) or settled.usage is None:
            return settled
        usage = replace_usage(settled.usage, output_tokens=settled.usage.output_tokens // 2)
        nanos = PRICES.rates(record.name, record.provider, record.started_at).charge(usage)
        return replace(settled, usage=usage, cost_nanos=nanos, certainty=Certainty.ESTIMATED)

    case.rows = [(record, change(record, settled)) for record, settled in case.rows]
    found = case.run()
    assert named(found) - {(K.ROUNDING, case.feature, case.model)} == {(K.MISSING_USAGE, case.feature, case.model)}
    assert {kind for one in found.differences for kind, _ in one.tokens} == {TokenClass.OUTPUT}


@pytest.mark.parametrize("share", [1, 2])
def test_cached_tokens_that_were_taken_for_input_are_a_token_class(case: Case, share: int) -> None:
    """The same tokens, dearer: all of them, or those of every second call."""
    changed = []
    for number, (record, settled) in enumerate(case.rows):
        if case.is_busy(record) and settled.usage is not None and number % share == 0:
            usage = replace_usage(settled.usage, cache_read_input_tokens=0)
            nanos = PRICES.rates(record.name, record.provider, record.started_at).charge(usage)
            settled = replace(settled, usage=usage, cost_nanos=nanos)  # noqa: PLW2901  the changed one
        changed.append((record, settled))
    case.rows = changed
    found = case.run()
    assert named(found) - {(K.ROUNDING, case.feature, case.model)} == {(K.TOKEN_CLASS, case.feature, case.model)}
    assert sum(one.net_nanos for one in found.differences) < 0


def test_cached_tokens_counted_within_input_and_beside_it_are_a_token_class(case: Case) -> None:
    """An inclusive count read as an exclusive one: input differs by just the cached tokens."""
    part = case.part()
    cached = part.tokens[TokenClass.CACHE_READ]
    case.parts[case.parts.index(part)] = part.copy(
        tokens=part.tokens | {TokenClass.INPUT: part.tokens[TokenClass.INPUT] + cached}
    )
    found = case.run(with_costs=False)
    assert (only(found).kind, only(found).tokens) == (K.TOKEN_CLASS, ((TokenClass.INPUT, cached),))


@pytest.mark.parametrize("late", [True, False])
def test_calls_around_midnight_may_be_on_the_neighbouring_day(case: Case, late: bool) -> None:
    """Billed a day later or earlier; nothing is missing in the sum, and no more is moved than the hour's calls have."""
    hour, away = (23, timedelta(hours=1)) if late else (0, timedelta(hours=-1))
    days = [START.date() + timedelta(days=number) for number in range(1, DAYS - 1)]
    day = next(day for day in days for row in case.rows if case.is_busy(row[0], day) and row[0].started_at.hour == hour)
    moved = [
        (replace(record, started_at=record.started_at + away), settled)
        if case.is_busy(record, day) and record.started_at.hour == hour
        else (record, settled)
        for record, settled in case.rows
    ]
    case.parts = parts_of(calls_of(moved), case.provider)
    found = case.run()
    boundary = next(one for one in found.differences if one.kind is K.DAY_BOUNDARY)
    assert {one.kind for one in found.differences} <= {K.DAY_BOUNDARY, K.ROUNDING}
    first = day if late else day - timedelta(days=1)
    assert (boundary.day, boundary.payer, boundary.net_nanos) == (first, Payer(case.feature), 0)
    assert ("later" if late else "earlier") in boundary.evidence
    assert found.unexplained == ()


def test_calls_at_noon_are_on_no_other_day(case: Case) -> None:
    """What a whole day apart has is no boundary, even where it adds up."""
    moved = [
        (replace(record, started_at=record.started_at + timedelta(days=1)), settled)
        if case.is_busy(record) and 9 <= record.started_at.hour < 15
        else (record, settled)
        for record, settled in case.rows
    ]
    case.parts = parts_of(calls_of(moved), case.provider)
    kinds = {one.kind for one in case.run().differences} - {K.ROUNDING}
    assert kinds == {K.NOT_BILLED, K.UNMETERED}


def test_what_the_bill_lacks_is_not_on_the_bill(case: Case) -> None:
    """A whole feature's day that the ledger has."""
    case.parts.remove(case.part())
    found = case.run()
    assert named(found) == {(K.NOT_BILLED, case.feature, case.model)} | (
        {(K.ROUNDING, case.feature, case.model)} if len(found.differences) > 1 else set()
    )


def test_all_of_it_at_once_is_told_apart(case: Case) -> None:
    """One of each on days and features of their own: all are found, none is invented."""
    days = [START.date() + timedelta(days=number) for number in range(DAYS)]
    at = {K.UNMETERED: days[0], K.NOT_BILLED: days[2], K.TOKEN_CLASS: days[4], K.PRICE: days[6], K.MISSING_USAGE: days[8]}
    first, price = case.part(at[K.UNMETERED]), case.part(at[K.PRICE])
    case.parts[case.parts.index(first)] = first.copy(
        tokens={kind: count * 2 for kind, count in first.tokens.items()}, requests=first.requests * 2,
        nanos={kind: nanos * 2 for kind, nanos in first.nanos.items()},
    )  # fmt: skip
    case.parts[case.parts.index(price)] = price.copy(nanos={kind: nanos * 131 // 100 for kind, nanos in price.nanos.items()})
    case.parts.remove(case.part(at[K.NOT_BILLED]))
    changed = []
    for record, settled in case.rows:
        if settled.usage is not None and case.is_busy(record, at[K.TOKEN_CLASS]):
            usage = replace_usage(settled.usage, cache_read_input_tokens=0)
            nanos = PRICES.rates(record.name, record.provider, record.started_at).charge(usage)
            settled = replace(settled, usage=usage, cost_nanos=nanos)  # noqa: PLW2901  the changed one
        elif settled.usage is not None and case.is_busy(record, at[K.MISSING_USAGE]):
            usage = replace_usage(settled.usage, output_tokens=1)
            nanos = PRICES.rates(record.name, record.provider, record.started_at).charge(usage)
            settled = replace(settled, usage=usage, cost_nanos=nanos, certainty=Certainty.ASSUMED)  # noqa: PLW2901  as above
        changed.append((record, settled))
    case.rows = changed
    found = case.run()
    assert {(one.kind, one.day) for one in found.differences if one.kind is not K.ROUNDING} == set(at.items())
    assert {one.payer for one in found.differences} == {Payer(case.feature)}


def test_without_entries_in_the_policy_everything_is_compared_together(case: Case) -> None:
    """Per day and model; the same zero, and a re-run is equal."""
    case_ring = KeyRing((), case.provider)
    bill = read_report([("u", USAGE[case.provider](case.parts)), ("c", COSTS[case.provider](case.parts))], case.provider)
    books = rows_of_totals(totals_of(calls_of(case.rows), DIMENSIONS), case_ring, has_hour=bill.has_hour)
    found = reconcile(bill, books, case_ring, Valuer(PRICES, case.provider))
    assert found.differences == ()
    assert reconcile(bill, books, case_ring, Valuer(PRICES, case.provider)) == found


def test_fingerprints_of_calls_name_their_payer() -> None:
    """Where calls carry what the policy names, it holds before their feature does."""
    keys = (BilledKey(name="ci", ids=("id_ci",), fingerprints=("fp-1",), team="platform"),)
    ring = KeyRing(keys, "openai")
    usage = Usage(input_tokens=10, output_tokens=1)
    calls = [
        replace(record, key_fingerprint="fp-1" if number % 2 else None, settlement=replace(settled, usage=usage))
        for number, (record, settled) in enumerate(ROWS[:50])
        if record.kind is CallKind.MODEL
    ]
    payers = {key[3] for key in rows_of_calls(calls, ring, has_hour=False)}
    assert ring.asks_calls
    assert payers == {Payer(None, "platform"), ANYONE} or payers == {Payer(None, "platform")}
