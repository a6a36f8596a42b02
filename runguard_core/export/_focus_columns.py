"""The columns of FOCUS 1.2 (cost and usage) that a ledger can fill, and a line of a bill as a row of them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from runguard_core.calls import CallKind
from runguard_core.export._focus_bill import BillLine
from runguard_core.export._token_classes import TokenClass
from runguard_core.money import NANOS_PER_USD

VERSION = "1.2"
TEXT, AMOUNT, TIME = "text", "amount", "time"
#: In the specification's spelling, by what they hold; own columns begin with x_ and stand last.
FOCUS_COLUMNS: dict[str, str] = {
    "BilledCost": AMOUNT, "BillingAccountId": TEXT, "BillingAccountName": TEXT, "BillingAccountType": TEXT,
    "BillingCurrency": TEXT, "BillingPeriodEnd": TIME, "BillingPeriodStart": TIME, "ChargeCategory": TEXT, "ChargeClass": TEXT,
    "ChargeDescription": TEXT, "ChargeFrequency": TEXT, "ChargePeriodEnd": TIME, "ChargePeriodStart": TIME,
    "CommitmentDiscountStatus": TEXT, "ConsumedQuantity": AMOUNT, "ConsumedUnit": TEXT, "ContractedCost": AMOUNT,
    "ContractedUnitPrice": AMOUNT, "EffectiveCost": AMOUNT, "InvoiceId": TEXT, "InvoiceIssuerName": TEXT, "ListCost": AMOUNT,
    "ListUnitPrice": AMOUNT, "PricingCategory": TEXT, "PricingCurrency": TEXT, "PricingCurrencyContractedUnitPrice": AMOUNT,
    "PricingCurrencyEffectiveCost": AMOUNT, "PricingCurrencyListUnitPrice": AMOUNT, "PricingQuantity": AMOUNT,
    "PricingUnit": TEXT, "ProviderName": TEXT, "PublisherName": TEXT, "ServiceCategory": TEXT, "ServiceName": TEXT,
    "ServiceSubcategory": TEXT, "SkuId": TEXT, "SkuMeter": TEXT, "SkuPriceDetails": TEXT, "SkuPriceId": TEXT,
    "SubAccountId": TEXT, "SubAccountName": TEXT, "SubAccountType": TEXT, "Tags": TEXT, "x_Feature": TEXT, "x_Model": TEXT,
    "x_TokenClass": TEXT, "x_Certainty": TEXT, "x_CostBasis": TEXT, "x_ServiceTier": TEXT,
}  # fmt: skip
_MTOK = 10**6


def own_column(dimension: str) -> str:
    """The name of a column for a dimension asked for on top: "agent" is x_Agent, "tag:tier" x_Tag_tier."""
    kind, colon, key = dimension.partition(":")
    return f"x_Tag_{re.sub('[^A-Za-z0-9_]', '_', key)}" if colon else f"x_{kind[:1].upper()}{kind[1:]}"


def focus_row(line: BillLine, by: Sequence[str]) -> list[Any]:
    """A line as a row of FOCUS_COLUMNS, and of one column for each dimension of `by`."""
    day = date.fromisoformat(line.day)
    cost = Decimal(line.nanos) / NANOS_PER_USD
    quantity, unit = _priced(line, cost)
    list_cost, agreed_cost = line.list_price * quantity, line.agreed_price * quantity
    is_model = line.kind is CallKind.MODEL
    sku = f"{line.provider}/{line.name}/{line.token_class}"
    at_tier = f" ({line.tier})" if line.tier else ""
    tags = {"feature_id": line.feature, "team_id": line.team}
    tags |= {name.removeprefix("tag:"): value for name, value in zip(by, line.more, strict=True) if value is not None}
    details = {"x_Model" if is_model else "x_Tool": line.name, "x_TokenClass": line.token_class.value}
    if line.tier:
        details["x_ServiceTier"] = line.tier
    found = {
        "BilledCost": cost, "BillingAccountId": line.app, "BillingAccountName": line.app, "BillingAccountType": "Application",
        "BillingCurrency": "USD", "BillingPeriodStart": _instant(day.replace(day=1)), "BillingPeriodEnd": _instant(_next(day)),
        "ChargeCategory": "Usage", "ChargeDescription": f"{line.name}: {_meter(line.token_class)}{at_tier}, {line.feature}",
        "ChargeFrequency": "Usage-Based", "ChargePeriodStart": _instant(day),
        "ChargePeriodEnd": _instant(day + timedelta(days=1)), "ConsumedQuantity": Decimal(line.count),
        "ConsumedUnit": _unit(line.token_class), "ContractedCost": agreed_cost, "ContractedUnitPrice": line.agreed_price,
        "EffectiveCost": cost, "InvoiceIssuerName": line.provider, "ListCost": list_cost, "ListUnitPrice": line.list_price,
        "PricingCategory": "Standard", "PricingCurrency": "USD", "PricingCurrencyContractedUnitPrice": line.agreed_price,
        "PricingCurrencyEffectiveCost": cost, "PricingCurrencyListUnitPrice": line.list_price, "PricingQuantity": quantity,
        "PricingUnit": unit, "ProviderName": line.provider, "PublisherName": line.provider,
        "ServiceCategory": "AI and Machine Learning" if is_model else "Other",
        "ServiceName": f"{line.provider} models" if is_model else f"{line.app} tools",
        "ServiceSubcategory": "Generative AI" if is_model else "Other (Other)", "SkuId": sku,
        "SkuMeter": _meter(line.token_class), "SkuPriceDetails": json.dumps(details), "SubAccountId": line.team,
        "SkuPriceId": f"{sku}@{line.list_price.normalize():f}{f'/{line.tier}' if line.tier else ''}",
        "SubAccountName": line.team, "SubAccountType": "Team", "Tags": json.dumps(tags), "x_Feature": line.feature,
        "x_Model": line.name, "x_TokenClass": line.token_class.value, "x_Certainty": line.certainty.value,
        "x_CostBasis": line.basis.value, "x_ServiceTier": line.tier,
    }  # fmt: skip
    return [*[found.get(name) for name in FOCUS_COLUMNS], *line.more]


def _priced(line: BillLine, cost: Decimal) -> tuple[Decimal, str]:
    """How much is priced, in which unit; a sum that nothing is known of but its amount is so many dollars at one each."""
    if line.token_class is TokenClass.WHOLE:
        return cost, "Dollars"
    if line.token_class.counts_tokens:
        return Decimal(line.count) / _MTOK, f"{_MTOK} Tokens"
    return Decimal(line.count), _unit(line.token_class)


def _unit(kind: TokenClass) -> str:
    if kind.counts_tokens:
        return "Tokens"
    return "Searches" if kind is TokenClass.WEB_SEARCH else "Requests"


def _meter(kind: TokenClass) -> str:
    if kind.counts_tokens:
        return f"{kind.value.replace('_', ' ')} tokens"
    return {TokenClass.WEB_SEARCH: "web searches", TokenClass.REQUEST: "requests"}.get(kind, "calls, as a sum")


def _instant(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _next(day: date) -> date:
    """The first day of the next month."""
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1)
