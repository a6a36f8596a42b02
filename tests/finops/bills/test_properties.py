"""Any calls, any bill: no difference to one's own, and differences that add up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from runguard_core.testing import FEATURES
from runguard_core.usage import Usage
from tests.finops.bills.cases import Case
from tests.finops.bills.making import parts_of
from tests.finops.bills.shop import PRICES, PROVIDERS, ROWS, START, Row, calls_of

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
