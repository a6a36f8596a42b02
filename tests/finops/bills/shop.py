"""Ten days of a shop's calls, for bills to be made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from runguard_core.finops.bills import BilledKey
from runguard_core.ledger import CallRecord, Settlement
from runguard_core.prices import PriceBook
from runguard_core.testing import FEATURES, ledger_rows, make_traffic
from runguard_core.usage import Usage
from tests.finops.bills.making import project_of

START = datetime(2026, 9, 7, tzinfo=UTC)
DAYS = 10
PROVIDERS = ("openai", "anthropic")
#: A feature with some traffic every day, and its model.
BUSY = {"openai": ("search", "gpt-4.1"), "anthropic": ("support-chat", "claude-haiku-4-5")}
KEYS = tuple(
    [BilledKey(name=one.feature, provider=one.provider, ids=(project_of(one.feature),), feature=one.feature) for one in FEATURES]
)
DAY = date(2026, 9, 10)
Row = tuple[CallRecord, Settlement]


def _rows() -> list[Row]:
    """Ten days of the shop; some prompts are written to the cache for five minutes or an hour."""
    rows = []
    for number, call in enumerate(make_traffic(START, DAYS, seed=11, scale=0.4).calls):
        if call.at.date() >= START.date() + timedelta(days=DAYS):
            continue
        record, settled = ledger_rows(call, "shop", number)
        if settled.usage is not None and call.of.provider == "anthropic" and number % 5 == 0:
            written = settled.usage.input_tokens // 4
            written = min(written, settled.usage.input_tokens - settled.usage.cache_read_input_tokens)
            usage = replace_usage(settled.usage, cache_creation_input_tokens=written, cache_creation_1h_input_tokens=written // 2)
            settled = replace(settled, usage=usage, cost_nanos=PRICES.rates(record.name, record.provider, call.at).charge(usage))
        rows.append((record, settled))
    return rows


def replace_usage(usage: Usage, **more: int) -> Usage:
    """The same with other counts."""
    names = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens",
             "cache_creation_1h_input_tokens", "reasoning_output_tokens")  # fmt: skip
    return Usage(**({name: getattr(usage, name) for name in names} | more))


PRICES = PriceBook()
ROWS = _rows()


def calls_of(rows: Sequence[Row]) -> list[CallRecord]:
    """As a store hands them out."""
    return [replace(record, settlement=settled) for record, settled in rows]
