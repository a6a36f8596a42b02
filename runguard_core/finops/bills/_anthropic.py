"""Anthropic: `cost_report` (decimal strings in cents) and `usage_report/messages` (exclusive tokens), a bucket at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from runguard_core.finops.bills._amounts import Amount, BillError, Unit
from runguard_core.finops.bills._lines import BillLine, TokenClass, Tokens, tier_of, usage_lines
from runguard_core.finops.bills._openai import count_of, text_of

#: `token_type` of a line of costs.
_TYPES = {
    "uncached_input_tokens": TokenClass.INPUT,
    "cache_read_input_tokens": TokenClass.CACHE_READ,
    "cache_creation.ephemeral_5m_input_tokens": TokenClass.CACHE_WRITE,
    "cache_creation.ephemeral_1h_input_tokens": TokenClass.CACHE_WRITE_1H,
    "output_tokens": TokenClass.OUTPUT,
}
#: How the default workspace is called in `[billing]`: the reports write null.
DEFAULT_WORKSPACE = "default"


def is_costs(result: Mapping[str, Any]) -> bool:
    """Whether a result is of the cost report."""
    return "amount" in result


def lines_of(day: date, result: Mapping[str, Any], place: str, *, has_workspaces: bool) -> Iterable[BillLine]:
    """The lines of one result of one bucket.

    Args:
        day, result, place: what and where.
        has_workspaces: whether the report is grouped by workspace: then null is the default one.

    Raises:
        BillError: an amount that is no decimal string of US cents, counts that are none.
    """
    ids = _ids(result, has_workspaces=has_workspaces)
    if is_costs(result):
        yield _cost(day, result, ids, place)
        return
    line = BillLine(day=day, model=text_of(result.get("model")), ids=ids, tier=tier_of(result.get("service_tier")))
    yield from usage_lines(line, _tokens(result, place))


def _tokens(result: Mapping[str, Any], place: str) -> Tokens:
    written = result.get("cache_creation") or {}
    if not isinstance(written, Mapping):
        raise BillError(place, "expected an object as cache_creation")
    return Tokens({
        TokenClass.INPUT: count_of(result, "uncached_input_tokens", place),
        TokenClass.CACHE_READ: count_of(result, "cache_read_input_tokens", place),
        TokenClass.CACHE_WRITE: count_of(written, "ephemeral_5m_input_tokens", place),
        TokenClass.CACHE_WRITE_1H: count_of(written, "ephemeral_1h_input_tokens", place),
        TokenClass.OUTPUT: count_of(result, "output_tokens", place),
    })  # fmt: skip


def _cost(day: date, result: Mapping[str, Any], ids: tuple[str, ...], place: str) -> BillLine:
    said = result["amount"]
    if not isinstance(said, str):
        raise BillError(f"{place}.amount", f'expected a decimal string of cents, such as "123.45" for $1.2345, got {said!r:.40}')
    if str(result.get("currency") or "USD").upper() != "USD":
        raise BillError(place, f"expected amounts in USD, got {result.get('currency')!r:.20}")
    money = Amount.read(said, Unit.CENTS, f"{place}.amount")
    kind = _TYPES.get(str(result.get("token_type")))
    return BillLine(
        day=day, model=text_of(result.get("model")), ids=ids, token_class=kind, nanos=money.nanos,
        slack_nanos=money.slack_nanos, tier=tier_of(result.get("service_tier")),
        what=text_of(result.get("description")) or text_of(result.get("cost_type")) or "",
    )  # fmt: skip


def _ids(result: Mapping[str, Any], *, has_workspaces: bool) -> tuple[str, ...]:
    workspace = text_of(result.get("workspace_id")) or (DEFAULT_WORKSPACE if has_workspaces else None)
    return tuple([named for named in (text_of(result.get("api_key_id")), workspace) if named])
