"""Prices against genai-prices: same amounts, how much faster, and eight cases worked by hand.

Reads `usage_prices/usages.json.gz` below RUNGUARD_DATA (default ../shared/data); without it only the hand-worked cases
and the models of the price list are compared. Exit status 1 on any difference.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import sys
import time
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Any

import genai_prices
from genai_prices import Usage as TheirUsage
from genai_prices.data_snapshot import get_snapshot

from runguard_core import Usage
from runguard_core.prices import PriceBook
from runguard_core.prices._compile import GENAI_KEYS, compile_rates
from runguard_core.usage import USAGE_FIELDS

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
DATA = Path(os.environ.get("RUNGUARD_DATA", Path(__file__).parents[2] / "shared" / "data"))

#: (model, usage, USD worked by hand from list prices per million tokens)
BY_HAND = [
    ("gpt-4o", {"input_tokens": 1000, "cache_read_input_tokens": 800, "output_tokens": 500, "reasoning_output_tokens": 100},
     "0.0065"),  # 200 x 2.50 + 800 x 1.25 + 500 x 10
    ("gpt-4o-mini", {"input_tokens": 1000, "output_tokens": 500}, "0.00045"),  # 0.15 and 0.60
    ("gpt-4.1-nano", {"input_tokens": 1000, "output_tokens": 500}, "0.0003"),  # 0.10 and 0.40
    ("o4-mini", {"input_tokens": 1000, "output_tokens": 500}, "0.0033"),  # 1.10 and 4.40
    ("gpt-5-mini", {"input_tokens": 1000, "output_tokens": 500}, "0.00125"),  # 0.25 and 2.00
    ("claude-sonnet-4-5", {"input_tokens": 10000, "cache_read_input_tokens": 6000, "cache_creation_input_tokens": 3000,
                           "output_tokens": 500}, "0.02355"),  # 1000 x 3 + 6000 x 0.30 + 3000 x 3.75 + 500 x 15
    ("claude-haiku-4-5", {"input_tokens": 1000, "output_tokens": 500}, "0.0035"),  # 1 and 5
    ("no-such-model-9000", {"input_tokens": 1000, "output_tokens": 500}, None),  # refused by name, never 0
]  # fmt: skip


def theirs(usage: Usage) -> TheirUsage:
    """Our counts under their names; zeros are left out, as a provider would."""
    values = {key: getattr(usage, name) for key, name in zip(GENAI_KEYS, USAGE_FIELDS, strict=True)}
    return TheirUsage(**{key: value for key, value in values.items() if value or key in {"input_tokens", "output_tokens"}})


def nanos_up(usd: Decimal) -> int:
    """USD to nano-USD, rounded up."""
    return int((usd * 10**9).to_integral_value(rounding=ROUND_CEILING))


def by_hand() -> list[dict[str, Any]]:
    """The eight cases; error in nano-USD, None where the model must be refused."""
    book, rows = PriceBook(), []
    for model, counts, usd in BY_HAND:
        usage = Usage(**counts)
        try:
            found: int | None = book.rates(model, None, AT).charge(usage)
        except LookupError:
            found = None
        wanted = None if usd is None else nanos_up(Decimal(usd))
        rows.append({"model": model, "nanos": found, "wanted": wanted, "ok": found == wanted})
    return rows


def recorded() -> dict[str, Any]:
    """Every recorded usage object that genai-prices prices, in every flavour it reads it in."""
    path = DATA / "usage_prices" / "usages.json.gz"
    if not path.exists():
        return {"objects": 0, "note": f"{path} is not here: recorded usage was not compared"}
    count = equal = passed = 0
    different, unlike = [], {}
    for row in json.loads(gzip.decompress(path.read_bytes())):
        model = row.get("model") or row["body"].get("model")
        seen = False
        for found in row.get("extracted", []):
            for how in found.get("extractors", []):
                if "input_price" not in how and "output_price" not in how:
                    continue
                outcome = compare(row["body"], model, how)
                if outcome is None:
                    passed += 1
                    continue
                ours, expected, extra = outcome
                if extra:
                    for key in extra:
                        unlike[key] = unlike.get(key, 0) + 1
                    continue
                seen = True
                count += 1
                equal += ours == expected
                if ours != expected:
                    different.append({"model": model, "provider": how["provider_id"], "ours": ours, "theirs": expected})
        del seen
    return {
        "prices": count,
        "equal": equal,
        "different": different[:20],
        "counts_we_do_not_carry": unlike,
        "not_priced": passed,
    }


def compare(body: Any, model: str, how: dict[str, Any]) -> tuple[int, int, list[str]] | None:
    """Our charge and theirs for one object read as one flavour; the counts of it that our Usage has no field for."""
    found = get_snapshot().extract_usage(body, provider_id=how["provider_id"], api_flavor=how["api_flavor"])
    if found.model is None and not model:
        return None
    try:
        priced = genai_prices.calc_price(found.usage, model, provider_id=how["provider_id"], genai_request_timestamp=AT)
    except (LookupError, ValueError):
        return None
    reported = {k: v for k, v in vars(found.usage).items() if v}
    counts = {}
    for key, name in zip(GENAI_KEYS, USAGE_FIELDS, strict=True):
        counts[name] = int(getattr(found.usage, key, 0) or 0)
    rates = compile_rates(priced.provider, priced.model, AT, "test")
    charged = {key for key in vars(priced.model_price) if getattr(priced.model_price, key) is not None}
    extra = [key for key in reported if key not in GENAI_KEYS and any(_prices(key, name) for name in charged)]
    return rates.charge(Usage(**counts)), nanos_up(priced.total_price), extra


def _prices(usage_key: str, price_key: str) -> bool:
    from genai_prices.units import _get_registry

    return _get_registry().unit_for_price_key(price_key).usage_key == usage_key


def listed() -> dict[str, Any]:
    """Every model of the list under three mixes of tokens."""
    mixes = [
        Usage(input_tokens=1000, output_tokens=300),
        Usage(input_tokens=250_001, output_tokens=9, cache_read_input_tokens=77_777, cache_creation_input_tokens=5000,
              cache_creation_1h_input_tokens=2000),
        Usage(input_tokens=5000, output_tokens=700, reasoning_output_tokens=600, input_audio_tokens=900,
              cache_read_input_tokens=500, cache_audio_read_tokens=100, output_audio_tokens=50),
    ]  # fmt: skip
    count, different, refused = 0, [], 0
    for provider in get_snapshot().providers:
        for model in provider.models:
            rates = compile_rates(provider, model, AT, "test")
            for usage in mixes:
                try:
                    price = model.calc_price(theirs(usage), provider, genai_request_timestamp=AT).total_price
                except ValueError:
                    refused += 1
                    continue
                count += 1
                if rates.charge(usage) != nanos_up(price):
                    different.append([provider.id, model.id, rates.charge(usage), str(price)])
    return {"prices": count, "different": different[:20], "refused_by_genai_prices": refused}


def speed() -> dict[str, float]:
    """Time of one price, theirs over ours, paired and interleaved; medians in microseconds."""
    usage = Usage(input_tokens=12_345, output_tokens=678, cache_read_input_tokens=10_000)
    other, book = theirs(usage), PriceBook()
    ours_us, theirs_us = [], []
    book.rates("claude-sonnet-4-5", None, AT)
    for _ in range(30):
        start = time.perf_counter_ns()
        for _ in range(50):
            genai_prices.calc_price(other, "claude-sonnet-4-5", genai_request_timestamp=AT)
        middle = time.perf_counter_ns()
        for _ in range(2000):
            book.rates("claude-sonnet-4-5", None, AT).charge(usage)
        end = time.perf_counter_ns()
        theirs_us.append((middle - start) / 50e3)
        ours_us.append((end - middle) / 2000e3)
    ratio = statistics.median(t / o for t, o in zip(theirs_us, ours_us, strict=True))
    return {"ours_us": statistics.median(ours_us), "theirs_us": statistics.median(theirs_us), "ratio": ratio}


def main() -> int:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON document")
    as_json = parser.parse_args().json
    result = {"by_hand": by_hand(), "recorded": recorded(), "listed": listed(), "speed": speed()}
    wrong = [row for row in result["by_hand"] if not row["ok"]]
    failed = bool(wrong or result["recorded"].get("different") or result["listed"]["different"])
    if as_json:
        print(json.dumps(result, indent=1))
    else:
        for key, value in result.items():
            print(f"{key}: {json.dumps(value)}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
