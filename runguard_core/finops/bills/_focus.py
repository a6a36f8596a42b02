"""A FOCUS bill: one row a charge, tokens as `ConsumedQuantity`, money as `BilledCost`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from runguard_core.finops.bills._amounts import Amount, BillError, Unit
from runguard_core.finops.bills._lines import Bill, BillLine, TokenClass, tier_of

_NEEDED = ("ChargePeriodStart", "BilledCost", "BillingCurrency")
_UNIT = re.compile(r"(?:(\d+) )?tokens?", re.IGNORECASE)
#: Words of a meter, the first that is found.
_CLASSES = (
    (r"cach\w*[ _-]?(write|creation)\w*.*1h|1h.*cach\w*[ _-]?(write|creation)", TokenClass.CACHE_WRITE_1H),
    (r"cach\w*[ _-]?(write|creation)|write.*cache", TokenClass.CACHE_WRITE),
    (r"cache", TokenClass.CACHE_READ),
    (r"output|completion|reasoning", TokenClass.OUTPUT),
    (r"input|prompt", TokenClass.INPUT),
)


def focus_bill(rows: Iterable[Mapping[str, Any]], place: str) -> Bill:
    """A bill from rows of text (CSV) or values (Parquet); days between the first and the last are covered.

    Raises:
        BillError: a needed column is missing, another currency, a number that is none.
    """
    usage: list[BillLine] = []
    costs: list[BillLine] = []
    providers: set[str] = set()
    for number, row in enumerate(rows, 1):
        where = f"{place}, row {number}"
        for column in _NEEDED:
            if row.get(column) in {None, ""}:
                raise BillError(where, f"expected a FOCUS bill with {', '.join(_NEEDED)}; {column} is missing")
        line = _line(row, where)
        costs.append(line)
        if line.tokens and line.token_class is not None:
            usage.append(line)
        providers.add(str(row.get("ProviderName") or row.get("ServiceProviderName") or "").strip().lower())
    days = _between([line.day for line in costs])
    only = next(iter(providers)) if len(providers) == 1 else ""
    return Bill(
        provider=only or None, usage=tuple(usage), costs=tuple(costs), cost_days=days, usage_days=days if usage else frozenset()
    )


def _line(row: Mapping[str, Any], place: str) -> BillLine:
    if str(row["BillingCurrency"]).upper() != "USD":
        raise BillError(place, f"expected BillingCurrency USD, got {row['BillingCurrency']!r:.20}")
    details, tags = _object(row.get("SkuPriceDetails")), _object(row.get("Tags"))
    meter = str(
        details.get("x_TokenClass") or row.get("x_TokenClass") or row.get("SkuMeter") or row.get("ChargeDescription") or ""
    )
    kind = next((found for words, found in _CLASSES if re.search(words, meter.lower())), None)
    cost = row["BilledCost"]
    money = Amount.read(cost if isinstance(cost, (str, Decimal, int)) else repr(cost), Unit.DOLLARS, f"{place}, BilledCost")
    tokens = _tokens(row, place)
    sku = str(row.get("SkuId") or "")
    model = details.get("x_Model") or row.get("x_Model") or (sku.rpartition("/")[0] if "/" in sku else None)
    ids = tuple([str(row[name]) for name in ("ResourceId", "SubAccountId") if row.get(name)])
    return BillLine(
        day=_day(row["ChargePeriodStart"], place), model=str(model) if model else None, ids=ids,
        feature=str(tags["feature_id"]) if tags.get("feature_id") else None,
        token_class=kind if tokens else None, tokens=tokens if kind is not None else 0, nanos=money.nanos,
        slack_nanos=money.slack_nanos, tier=tier_of(row.get("x_ServiceTier")), what=str(row.get("ChargeDescription") or meter),
    )  # fmt: skip


def _tokens(row: Mapping[str, Any], place: str) -> int:
    unit = _UNIT.fullmatch(str(row.get("ConsumedUnit") or ""))
    said = row.get("ConsumedQuantity")
    if unit is None or said in {None, ""}:
        return 0
    try:
        return int(Decimal(str(said)) * int(unit.group(1) or 1))
    except (InvalidOperation, ValueError, OverflowError):
        raise BillError(place, f"expected a number as ConsumedQuantity, got {said!r:.40}") from None


def _object(said: object) -> Mapping[str, Any]:
    if isinstance(said, str) and said.startswith("{"):
        try:
            said = json.loads(said)
        except ValueError:
            return {}
    return said if isinstance(said, Mapping) else {}


def _day(said: object, place: str) -> date:
    if isinstance(said, datetime):
        at = said
    else:
        try:
            at = datetime.fromisoformat(str(said).strip())
        except ValueError:
            raise BillError(place, f"expected a time as ChargePeriodStart, got {said!r:.40}") from None
    return (at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)).date()


def _between(days: list[date]) -> frozenset[date]:
    if not days:
        return frozenset()
    first = min(days)
    return frozenset(first + timedelta(days=number) for number in range((max(days) - first).days + 1))
