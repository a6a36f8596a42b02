"""Ledgers to export: some days of traffic, and calls of every kind that a bill must get right."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from runguard_core.attribution import Attribution
from runguard_core.calls import CallKind, Certainty, OutcomeKind
from runguard_core.events import BUDGET_THRESHOLD, WARN, event
from runguard_core.export import Pricing
from runguard_core.ids import encode_id
from runguard_core.ledger import CallFilter, CallRecord, Settlement, Store
from runguard_core.policy import load_policy
from runguard_core.prices import PriceBook
from runguard_core.stores import SqliteStore
from runguard_core.testing import make_traffic, write_traffic
from runguard_core.usage import Usage

START = datetime(2026, 10, 1, tzinfo=UTC)
MONTH = "2026-10"
#: What the policy of the odd calls says: a discount, a price by the piece, a paid tool.
POLICY = """
app = "shop"
[prices."gpt-4.1-mini"]
input_usd_per_mtok = "0.32"
output_usd_per_mtok = "1.28"
cache_read_usd_per_mtok = "0.08"
[prices."house-painter"]
per_request_usd = "0.04"
[tools.search]
price_usd = "0.005"
"""


def policy_file(folder: Path) -> Path:
    """POLICY in a file."""
    path = folder / "priced.toml"
    path.write_text(POLICY)
    return path


def pricing(folder: Path) -> Pricing:
    """What POLICY says of prices."""
    rules = load_policy(policy_file(folder), {}).rules
    return Pricing(book=rules.prices, assumed=rules.assumed_rates, tool_nanos=rules.tool_prices_nanos)


def add(
    store: Store, number: int, usage: Usage | None, cost: int | None, *, name: str = "gpt-4o", provider: str | None = "openai",
    kind: CallKind = CallKind.MODEL, certainty: Certainty = Certainty.EXACT, at: datetime = START, **who: Any,
) -> str:  # fmt: skip
    """A call that ended; its id."""
    call_id = begin(store, number, name=name, provider=provider, kind=kind, at=at, **who)
    store.post(call_id, ended(usage, cost, at, certainty))
    return call_id


def begin(
    store: Store, number: int, *, name: str = "gpt-4o", provider: str | None = "openai", kind: CallKind = CallKind.MODEL,
    at: datetime = START, quote: int = 1_000_003, **who: Any,
) -> str:  # fmt: skip
    """A call in flight; its id."""
    owner = Attribution(
        **{"app": "shop", "feature": "odd", "team": "core", "session": f"odd-{number % 7}", "run": f"r-{number}"} | who
    )
    call_id = encode_id((int(at.timestamp() * 1000) << 80) | number)
    record = CallRecord(id=call_id, kind=kind, name=name, attribution=owner, started_at=at, provider=provider, quote_nanos=quote)
    store.reserve(record, (), expires_at=at + timedelta(minutes=10), owner="test")
    return call_id


def ended(usage: Usage | None, cost: int | None, at: datetime, certainty: Certainty = Certainty.EXACT) -> Settlement:
    """How a call ended a second later."""
    return Settlement(
        at=at + timedelta(seconds=1), outcome=OutcomeKind.COMPLETED, cost_nanos=cost, certainty=certainty, usage=usage,
        duration_seconds=1.0,
    )  # fmt: skip


def odd_calls(store: Store) -> None:
    """One or more of each: tiers of service, caches, audio, searches, discounts, prices by the piece, and what is not exact."""
    book, spoken = PriceBook(), Usage(input_tokens=1001, output_tokens=77, cache_read_input_tokens=333)
    sonnet = Usage(
        input_tokens=9001, output_tokens=701, cache_read_input_tokens=3001, cache_creation_input_tokens=2003,
        cache_creation_1h_input_tokens=1001, web_search_count=3,
    )  # fmt: skip
    audio = Usage(input_tokens=500, output_tokens=300, input_audio_tokens=401, cache_audio_read_tokens=101,
                  cache_read_input_tokens=151, output_audio_tokens=201)  # fmt: skip
    reasoned = Usage(input_tokens=1003, output_tokens=2001, reasoning_output_tokens=1501)
    hour = timedelta(hours=1)
    for number, (name, provider, usage) in enumerate([
        ("gpt-4o", "openai", spoken), ("claude-sonnet-4-5", "anthropic", sonnet), ("gpt-4o-audio-preview", "openai", audio),
        ("o3", "openai", reasoned), ("claude-fable-5-2", "anthropic", spoken), ("gemini-2.5-pro", "google", Usage(input_tokens=250_001, output_tokens=999)),
    ]):  # fmt: skip
        rates = book.rates(name, provider, START)
        add(store, number, usage, rates.charge(usage), name=name, provider=provider, at=START + number * hour)
        for place, (_, its) in enumerate(sorted(rates.by_service_tier.items())):
            if its.charge(usage) != rates.charge(usage):
                add(store, 10 * number + 100 + place, usage, its.charge(usage), name=name, provider=provider, at=START + 2 * hour)
    cheap = spoken.input_tokens - 333
    add(store, 20, spoken, -(-(cheap * 320_000_000 + 333 * 80_000_000 + 77 * 1_280_000_000) // 10**6), name="gpt-4.1-mini")
    add(store, 21, spoken, 1_234_567, name="gpt-4o", at=START + hour)  # the provider's own price
    add(store, 22, None, 40_000_000, name="house-painter")  # by the piece, no tokens
    add(store, 23, Usage(output_tokens=5), 40_000_000, name="house-painter")
    add(store, 24, spoken, None, name="never-heard-of", certainty=Certainty.UNPRICED)
    add(store, 25, spoken, book.rates("gpt-4o", "openai", START).charge(spoken), certainty=Certainty.ESTIMATED, team=None)
    for number in range(30, 37):
        add(store, number, None, 5_000_000, name="search", provider=None, kind=CallKind.TOOL, agent=f"a-{number % 2}")
    add(store, 37, None, 0, name="free", provider=None, kind=CallKind.TOOL)
    add(store, 38, None, 7_777_777, name="fax", provider=None, kind=CallKind.TOOL)
    begin(store, 39, at=START + 3 * hour)
    begin(store, 40, at=START - timedelta(days=1))
    store.expire(START + hour)  # a crash: assumed at its quote, in September
    begin(store, 41)
    store.expire(START + hour)  # and in October


def traffic_ledger(path: Path, days: int = 4, scale: float = 0.2) -> SqliteStore:
    """Some days of traffic from START on, the odd calls, and an event a day."""
    store = SqliteStore(str(path))
    write_traffic(store, make_traffic(START, days, seed=5, scale=scale).calls, "shop")
    odd_calls(store)
    for number in range(days):
        who = Attribution(app="shop", feature="search", session=f"s-{number}")
        at = START + timedelta(days=number, hours=3)
        store.announce([event(BUDGET_THRESHOLD, WARN, '70 %, "said"\nso', who, at, spent_nanos="9007199254740993")])
    return store


def spent_nanos(store: Store, since: datetime | None = None, until: datetime | None = None) -> int:
    """What the ledger says, call by call."""
    return sum(call.cost_nanos for call in store.calls(CallFilter(since=since, until=until)))


def as_nanos(usd: Decimal) -> int:
    """Exact, or red."""
    nanos = usd * 10**9
    assert nanos == int(nanos)
    return int(nanos)
