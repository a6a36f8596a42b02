"""OpenAI: `/v1/organization/costs` (dollars) and `/v1/organization/usage/...` (inclusive tokens), a bucket at a time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from runguard_core.finops.bills._amounts import Amount, BillError, Unit
from runguard_core.finops.bills._lines import BillLine, TokenClass, Tokens, tier_of, usage_lines

#: Words of a line item, the first that is found; "gpt-4.1-2025-04-14, cached input_tokens" is a cache read.
_CLASSES = (
    ("cache write", TokenClass.CACHE_WRITE), ("cache_write", TokenClass.CACHE_WRITE), ("cached", TokenClass.CACHE_READ),
    ("output", TokenClass.OUTPUT), ("input", TokenClass.INPUT),
)  # fmt: skip
_PER_UNIT = {"tokens": 1, "1000_tokens": 1000}
#: Results that count tokens; others (images, speech, vector stores) are compared by their money only.
_TOKEN_RESULTS = frozenset({"organization.usage.completions.result", "organization.usage.embeddings.result"})


def is_costs(result: Mapping[str, Any]) -> bool:
    """Whether a result is of the costs report."""
    return result.get("object") == "organization.costs.result"


def lines_of(day: date, result: Mapping[str, Any], place: str) -> Iterable[BillLine]:
    """The lines of one result of one bucket.

    Raises:
        BillError: another currency, no amount, counts that are none.
    """
    if is_costs(result):
        yield _cost(day, result, place)
    elif result.get("object") in _TOKEN_RESULTS:
        tokens = _tokens(result, place)
        tier = "batch" if result.get("batch") is True else tier_of(result.get("service_tier"))
        line = BillLine(
            day=day, model=text_of(result.get("model")), ids=_ids(result), tier=tier,
            request_count=count_of(result, "num_model_requests", place),
        )  # fmt: skip
        yield from usage_lines(line, tokens)


def _tokens(result: Mapping[str, Any], place: str) -> Tokens:
    """Cached and cache-write tokens are part of `input_tokens`."""
    whole = count_of(result, "input_tokens", place)
    read = count_of(result, "input_cached_tokens", place)
    kept = count_of(result, "input_cache_write_30m_tokens", place) + count_of(result, "input_cache_write_12h_tokens", place)
    written = count_of(result, "input_cache_write_tokens", place) or kept
    if read + written > whole:
        raise BillError(place, f"expected input_tokens to include cached tokens, got {whole} with {read + written} of them")
    return Tokens({
        TokenClass.INPUT: whole - read - written, TokenClass.CACHE_READ: read, TokenClass.CACHE_WRITE: written,
        TokenClass.OUTPUT: count_of(result, "output_tokens", place),
    })  # fmt: skip


def _cost(day: date, result: Mapping[str, Any], place: str) -> BillLine:
    amount = result.get("amount")
    if not isinstance(amount, Mapping) or amount.get("value") is None:
        raise BillError(place, "expected an amount with value and currency")
    if str(amount.get("currency") or "usd").lower() != "usd":
        raise BillError(place, f"expected amounts in usd, got {amount.get('currency')!r:.20}")
    money = Amount.read(amount["value"], Unit.DOLLARS, f"{place}.amount")
    item = text_of(result.get("line_item")) or ""
    model, comma, what = item.rpartition(", ")
    kind = next((found for word, found in _CLASSES if word in what.lower()), None) if comma else None
    quantity, per = result.get("quantity"), _PER_UNIT.get(str(result.get("quantity_unit") or "tokens"))
    tokens = 0
    if kind is not None and per is not None and isinstance(quantity, (int, Decimal)) and not isinstance(quantity, bool):
        tokens = int(Decimal(quantity) * per)
    return BillLine(
        day=day, model=model if kind is not None else None, ids=_ids(result), token_class=kind, tokens=tokens,
        nanos=money.nanos, slack_nanos=money.slack_nanos, what=item, tier=_tier_in(item),
    )  # fmt: skip


def _tier_in(item: str) -> str | None:
    found = re.search(r"\b(batch|flex|priority|scale tier)\b", item.lower())
    return found[0] if found else None


def _ids(result: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple([named for key in ("api_key_id", "project_id") if (named := text_of(result.get(key)))])


def text_of(said: object) -> str | None:
    """A text that is not empty."""
    return said if isinstance(said, str) and said else None


def count_of(result: Mapping[str, Any], name: str, place: str) -> int:
    """A count; 0 where it is absent or null.

    Raises:
        BillError: anything else than a whole number from 0.
    """
    said = result.get(name)
    if said is None:
        return 0
    if isinstance(said, bool) or not isinstance(said, (int, Decimal)) or said < 0 or said != int(said):
        raise BillError(place, f"expected a count as {name}, got {said!r:.40}")
    return int(said)
