"""A bill against the ledger: what was planted is found and named, nothing else is, and the money adds up."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.admin.organization import UsageCompletionsResponse, UsageCostsResponse

from runguard_core.calls import CallKind, Certainty
from runguard_core.finops.bills import (
    ANYONE,
    DIMENSIONS,
    BilledKey,
    Difference,
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
from runguard_core.testing import FEATURES
from runguard_core.usage import Usage
from tests.finops.bills.making import COSTS, USAGE, Part, parts_of, project_of
from tests.finops.bills.shop import BUSY, DAY, DAYS, KEYS, PRICES, PROVIDERS, ROWS, START, Row, calls_of, replace_usage

K = DifferenceKind


@dataclass
class Case:
    """A provider's bill and a ledger, alike until something is planted."""

    provider: str
    parts: list[Part]
    rows: list[Row]
    costs: dict[str, Any]

    @property
    def feature(self) -> str:
        return BUSY[self.provider][0]

    @property
    def model(self) -> str:
        return BUSY[self.provider][1]

    def part(self, day: date = DAY) -> Part:
        """The busy feature's part of a day."""
        return next(one for one in self.parts if one.day == day and one.project == project_of(self.feature))

    def is_busy(self, record: CallRecord, day: date = DAY) -> bool:
        return record.kind is CallKind.MODEL and record.attribution.feature == self.feature and record.started_at.date() == day

    def run(self, *, with_usage: bool = True, with_costs: bool = True) -> Reconciliation:
        """Reconcile; the money of the differences is the money between bill and ledger, to the nano-dollar."""
        days = [START.date() + timedelta(days=number) for number in range(DAYS)]
        files = [("usage.json", USAGE[self.provider](self.parts, days))] if with_usage else []
        files += [("costs.json", COSTS[self.provider](self.parts, days, **self.costs))] if with_costs else []
        bill = read_report(files, self.provider)
        ring = KeyRing(KEYS, self.provider)
        books = rows_of_totals(totals_of(calls_of(self.rows), DIMENSIONS), ring, has_hour=bill.has_hour)
        found = reconcile(bill, books, ring, Valuer(PRICES, self.provider))
        if with_costs:
            assert sum(one.net_nanos for one in found.differences) == found.billed_nanos - found.booked_nanos
        if with_usage:
            counted = sum(sum(count for _, count in one.tokens) for one in found.differences if one.kind is not K.DAY_BOUNDARY)
            assert counted == found.billed_tokens - found.booked_tokens
        return found


@pytest.fixture(params=PROVIDERS)
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    """Nothing planted yet."""
    rows = list(ROWS)
    yield Case(request.param, parts_of(calls_of(rows), request.param), rows, {})


def named(found: Reconciliation) -> set[tuple[K, str | None, str | None]]:
    """Kind, feature and model of all differences."""
    return {(one.kind, one.payer.feature, one.model) for one in found.differences}


def only(found: Reconciliation) -> Difference:
    """The one difference."""
    assert len(found.differences) == 1, found.differences
    return found.differences[0]


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


def test_what_the_bill_lacks_is_not_on_the_bill(case: Case) -> None:
    """A whole feature's day that the ledger has."""
    case.parts.remove(case.part())
    found = case.run()
    assert named(found) == {(K.NOT_BILLED, case.feature, case.model)} | (
        {(K.ROUNDING, case.feature, case.model)} if len(found.differences) > 1 else set()
    )


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


counts = st.integers(min_value=0, max_value=200_000)


@st.composite
def random_rows(draw: Callable[..., Any], provider: str) -> list[Row]:
    """Calls of any tokens on some days."""
    rows: list[Row] = []
    template = next(row for row in ROWS if row[0].provider == provider)
    features = [one for one in FEATURES if one.provider == provider]
    for number in range(draw(st.integers(min_value=1, max_value=12))):
        of = draw(st.sampled_from(features))
        at = START + timedelta(minutes=draw(st.integers(min_value=0, max_value=3 * 1440 - 1)))
        read, written, plain = draw(counts), draw(counts), draw(counts)
        hour = draw(st.integers(min_value=0, max_value=written)) if provider == "anthropic" else 0
        written = written if provider == "anthropic" else 0
        usage = Usage(
            input_tokens=plain + read + written, output_tokens=draw(counts), cache_read_input_tokens=read,
            cache_creation_input_tokens=written, cache_creation_1h_input_tokens=hour,
        )  # fmt: skip
        model = of.model if of.model != "claude-sonnet-4-5" else "claude-haiku-4-5"  # no tiers by length
        nanos = PRICES.rates(model, provider, at).charge(usage)
        record = replace(
            template[0], id=f"{number:026}", name=model, started_at=at, provider=provider,
            attribution=template[0].attribution.with_values(feature=of.feature),
        )  # fmt: skip
        rows.append((record, replace(template[1], usage=usage, cost_nanos=nanos)))
    return rows


@given(data=st.data(), provider=st.sampled_from(PROVIDERS))
def test_a_bill_of_any_calls_has_no_difference_to_them(data: Any, provider: str) -> None:
    """Whatever they used, on whatever days."""
    rows = data.draw(random_rows(provider))
    case = Case(provider, parts_of(calls_of(rows), provider), rows, {})
    assert case.run().differences == ()


@given(data=st.data(), provider=st.sampled_from(PROVIDERS), percent=st.integers(min_value=0, max_value=300))
def test_differences_add_up_to_the_money_between_bill_and_ledger(data: Any, provider: str, percent: int) -> None:
    """To the nano-dollar and the token, whatever was done to the bill (`Case.run` asserts it)."""
    rows = data.draw(random_rows(provider))
    case = Case(provider, parts_of(calls_of(rows), provider), rows, {})
    for number, part in enumerate(case.parts):
        if data.draw(st.booleans()):
            case.parts[number] = part.copy(
                tokens={kind: count * data.draw(st.integers(0, 2)) for kind, count in part.tokens.items()},
                nanos={kind: nanos * percent // 100 for kind, nanos in part.nanos.items()},
            )
    case.run()
