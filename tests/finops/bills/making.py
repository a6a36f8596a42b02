"""Bills in the shapes of the providers' APIs, made from calls: what a provider would say that had counted just these."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Self

from runguard_core.calls import CallKind
from runguard_core.finops.bills import TokenClass
from runguard_core.finops.bills._lines import PLACES, tokens_of
from runguard_core.ledger import CallRecord
from runguard_core.prices import PriceBook

_T = TokenClass
_BOOK = PriceBook()
ITEMS = {_T.INPUT: "input_tokens", _T.CACHE_READ: "cached input_tokens", _T.CACHE_WRITE: "cache write input_tokens",
         _T.OUTPUT: "output_tokens"}  # fmt: skip
TYPES = {
    _T.INPUT: "uncached_input_tokens", _T.CACHE_READ: "cache_read_input_tokens",
    _T.CACHE_WRITE: "cache_creation.ephemeral_5m_input_tokens", _T.CACHE_WRITE_1H: "cache_creation.ephemeral_1h_input_tokens",
    _T.OUTPUT: "output_tokens",
}  # fmt: skip
STAMPS = {"openai": "-2025-04-14", "anthropic": "-20251001"}


@dataclass
class Part:
    """One provider's count of a day, a project and a model."""

    day: date
    project: str
    model: str
    tokens: dict[TokenClass, int] = field(default_factory=lambda: dict.fromkeys(TokenClass, 0))
    nanos: dict[TokenClass, int] = field(default_factory=lambda: dict.fromkeys(TokenClass, 0))
    requests: int = 0
    tier: str = "standard"

    def copy(self, **more: Any) -> Part:
        """Another one, with something else in it."""
        values: dict[str, Any] = {
            "day": self.day, "project": self.project, "model": self.model, "tokens": dict(self.tokens), "nanos": dict(self.nanos),
            "requests": self.requests, "tier": self.tier,
        }  # fmt: skip
        return Part(**(values | more))


def project_of(feature: str) -> str:
    """The project or workspace of a feature."""
    return f"id_{feature}"


def parts_of(calls: Iterable[CallRecord], provider: str, *, project: Callable[[str], str] = project_of) -> list[Part]:
    """What the calls were, counted by the provider; every nano-USD of them is in it."""
    parts: dict[tuple[date, str, str], Part] = {}
    for call in calls:
        settled = call.settlement
        if call.kind is not CallKind.MODEL or settled is None or settled.usage is None or call.provider != provider:
            continue
        day, named = call.started_at.date(), project(call.attribution.feature or call.attribution.app)
        part = parts.setdefault((day, named, call.name), Part(day, named, call.name))
        part.requests += 1
        for kind, count in tokens_of(settled.usage, has_hour=provider == "anthropic").items():
            part.tokens[kind] += count
        part.nanos[_T.OUTPUT] += call.cost_nanos
    for part in parts.values():
        _price(part, provider)
    return [parts[key] for key in sorted(parts)]


def _price(part: Part, provider: str) -> None:
    """Money by class; what is rounded up with every call lies with the answers."""
    whole = part.nanos[_T.OUTPUT]
    table = _BOOK.rates(part.model, provider, datetime(part.day.year, part.day.month, part.day.day, 12, tzinfo=UTC)).base
    for kind in TokenClass:
        price = Fraction(sum(table.coefficients[place] for place in PLACES[kind]), table.scale * 10**6)
        part.nanos[kind] = int(price * part.tokens[kind])
    part.nanos[_T.OUTPUT] += whole - sum(part.nanos.values())


def usd(nanos: int) -> Decimal:
    """Dollars with all their places."""
    return Decimal(nanos).scaleb(-9)


class _Literal(float):
    """A number that is written as it was given: nine places survive."""

    def __new__(cls, text: str) -> Self:
        made = super().__new__(cls, text)
        made.text = text
        return made

    text: str

    def __repr__(self) -> str:
        return self.text


def days_of(parts: Sequence[Part], days: Sequence[date] | None) -> list[date]:
    """Every day of a bill."""
    if days is not None:
        return list(days)
    first, last = min(part.day for part in parts), max(part.day for part in parts)
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def pages(buckets: list[dict[str, Any]], size: int = 7) -> list[dict[str, Any]]:
    """As an API hands them out: some buckets a page."""
    made = [buckets[start : start + size] for start in range(0, len(buckets), size)]
    return [
        {"object": "page", "data": some, "has_more": number < len(made), "next_page": f"page_{number}" if number < len(made) else None}
        for number, some in enumerate(made, 1)
    ]  # fmt: skip


def _seconds(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _by_day(parts: Sequence[Part]) -> dict[date, list[Part]]:
    found: defaultdict[date, list[Part]] = defaultdict(list)
    for part in parts:
        found[part.day].append(part)
    return found


def _buckets(
    parts: Sequence[Part], days: Sequence[date] | None, provider: str, results: Callable[[Part], list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    its = _by_day(parts)
    found = []
    for day in days_of(parts, days):
        inside = [result for part in its.get(day, []) for result in results(part)]
        following = day + timedelta(days=1)
        span = (
            {"object": "bucket", "start_time": _seconds(day), "end_time": _seconds(following)}
            if provider == "openai"
            else {"starting_at": f"{day}T00:00:00Z", "ending_at": f"{following}T00:00:00Z"}
        )
        found.append({**span, "results": inside})
    return found


def openai_usage(parts: Sequence[Part], days: Sequence[date] | None = None) -> str:
    """`/v1/organization/usage/completions`, grouped by project, model and service tier: input includes what was cached."""

    def results(part: Part) -> list[dict[str, Any]]:
        tokens = part.tokens
        return [{
            "object": "organization.usage.completions.result",
            "input_tokens": tokens[_T.INPUT] + tokens[_T.CACHE_READ] + tokens[_T.CACHE_WRITE],
            "input_cached_tokens": tokens[_T.CACHE_READ], "input_cache_write_tokens": tokens[_T.CACHE_WRITE],
            "output_tokens": tokens[_T.OUTPUT], "num_model_requests": part.requests, "project_id": part.project, "user_id": None,
            "api_key_id": None, "model": part.model + STAMPS["openai"], "batch": None,
            "service_tier": "default" if part.tier == "standard" else part.tier,
        }]  # fmt: skip

    return json.dumps(pages(_buckets(parts, days, "openai", results)))


def openai_costs(parts: Sequence[Part], days: Sequence[date] | None = None, *, scale: int = 1, places: int = 9) -> str:
    """`/v1/organization/costs`, grouped by project and line item: dollars as a number."""

    def results(part: Part) -> list[dict[str, Any]]:
        return [
            {
                "object": "organization.costs.result",
                "amount": {"value": _Literal(f"{usd(nanos * scale):.{places}f}"), "currency": "usd"},
                "line_item": f"{part.model}{STAMPS['openai']}, {'batch ' if part.tier == 'batch' else ''}{ITEMS[kind]}",
                "project_id": part.project, "quantity": part.tokens[kind], "quantity_unit": "tokens",
            }
            for kind, nanos in part.nanos.items()
            if nanos
        ]  # fmt: skip

    return json.dumps(pages(_buckets(parts, days, "openai", results)))


def anthropic_usage(parts: Sequence[Part], days: Sequence[date] | None = None) -> str:
    """`/v1/organizations/usage_report/messages`, grouped by workspace, model and service tier: input without what was cached."""

    def results(part: Part) -> list[dict[str, Any]]:
        tokens = part.tokens
        return [{
            "uncached_input_tokens": tokens[_T.INPUT],
            "cache_creation": {
                "ephemeral_1h_input_tokens": tokens[_T.CACHE_WRITE_1H], "ephemeral_5m_input_tokens": tokens[_T.CACHE_WRITE],
            },
            "cache_read_input_tokens": tokens[_T.CACHE_READ], "output_tokens": tokens[_T.OUTPUT],
            "server_tool_use": {"web_search_requests": 0}, "api_key_id": None, "workspace_id": part.project,
            "model": part.model + STAMPS["anthropic"], "service_tier": part.tier, "context_window": None,
        }]  # fmt: skip

    return json.dumps(pages(_buckets(parts, days, "anthropic", results)))


def anthropic_costs(parts: Sequence[Part], days: Sequence[date] | None = None, *, scale: int = 100, places: int = 7) -> str:
    """`/v1/organizations/cost_report`, grouped by workspace and description: cents as text."""

    def results(part: Part) -> list[dict[str, Any]]:
        return [
            {
                "currency": "USD", "amount": f"{usd(nanos * scale):.{places}f}", "workspace_id": part.project,
                "description": f"Claude Usage - {kind.value}", "cost_type": "tokens", "context_window": "0-200k",
                "model": part.model + STAMPS["anthropic"], "service_tier": part.tier, "token_type": TYPES[kind],
                "inference_geo": None,
            }
            for kind, nanos in part.nanos.items()
            if nanos
        ]  # fmt: skip

    return json.dumps(pages(_buckets(parts, days, "anthropic", results)))


USAGE = {"openai": openai_usage, "anthropic": anthropic_usage}
COSTS = {"openai": openai_costs, "anthropic": anthropic_costs}
