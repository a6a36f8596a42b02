"""`PriceBook`: a model's name -> `Rates`, looked up once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from runguard_core.errors import UnknownModelError
from runguard_core.prices._rates import Rates, flat_rates

#: Providers as frameworks name them -> as genai-prices does.
PROVIDER_NAMES = {
    "google_genai": "google", "google_vertexai": "google", "vertex_ai": "google", "gemini": "google",
    "amazon_bedrock": "aws", "bedrock": "aws", "bedrock_converse": "aws", "azure_openai": "azure", "mistralai": "mistral",
    "xai": "x-ai", "deepseek_official": "deepseek", "fireworks_ai": "fireworks", "together_ai": "together",
    "vertex_ai_beta": "google", "voyage": "voyageai", "cohere_chat": "cohere", "text-completion-openai": "openai",
    "azure_text": "azure", "azure_ai": "azure", "moonshot": "moonshotai",
}  # fmt: skip
_MAX_NAME_CHARS = 300
_MAX_REMEMBERED = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceOverride:
    """The policy's word on a model's price.

    Attributes:
        same_as: price it like this model ("MODEL" or "PROVIDER:MODEL").
        nanos_per_mtok: or by kind, in nano-USD per million tokens; see `flat_rates`.
    """

    same_as: str | None = None
    nanos_per_mtok: Mapping[str, int] = field(default_factory=dict)


class PriceBook:
    """List prices with the policy's overrides. A resolved name costs one dictionary lookup; the network is never asked."""

    def __init__(self, overrides: Mapping[str, PriceOverride] | None = None) -> None:
        """Nothing is loaded before the first question."""
        self._overrides = dict(overrides or {})
        self._fixed: dict[tuple[str, str | None], Rates] = {}
        self._timed: dict[tuple[str, str | None], tuple[datetime, datetime, Rates]] = {}

    def rates(self, model: str, provider: str | None, at: datetime) -> Rates:
        """The rates of a model at an instant.

        Raises:
            UnknownModelError: no price is known; it names the nearest listed models.
        """
        key = (model, provider)
        found = self._fixed.get(key)
        if found is not None:
            return found
        timed = self._timed.get(key)
        if timed is not None and timed[0] <= at < timed[1]:
            return timed[2]
        return self._resolve(key, at.replace(second=0, microsecond=0))

    def override(self, model: str) -> PriceOverride | None:
        """The policy's word on a model, under its full name or the name behind "PROVIDER/"; None where it says nothing."""
        return self._overrides.get(model) or self._overrides.get(model.partition("/")[2])

    def _resolve(self, key: tuple[str, str | None], minute: datetime) -> Rates:
        model, provider = key
        if len(self._fixed) + len(self._timed) > _MAX_REMEMBERED:
            self._fixed.clear()
            self._timed.clear()
        override = self.override(model)
        if override is not None and override.same_as is None:
            rates = self._fixed[key] = flat_rates(override.nanos_per_mtok, model_id=model)
            return rates
        if override is not None and override.same_as is not None:
            provider, _, name = override.same_as.rpartition(":")
            return self._listed(key, name, provider or None, minute)
        return self._listed(key, model, provider, minute)

    def _listed(self, key: tuple[str, str | None], model: str, provider: str | None, minute: datetime) -> Rates:
        from runguard_core.prices import _compile  # noqa: PLC0415  genai-prices is loaded on first use

        found = find_listed(model, provider)
        if found is None or not _compile.is_countable(found[1], minute.astimezone(UTC)):
            near = [name for name in nearest(model) if name != model]
            raise UnknownModelError(provider=key[1], model=key[0][:_MAX_NAME_CHARS], nearest=near)
        rates = _compile.compile_rates(*found, minute.astimezone(UTC), source())
        if _compile.changes_with_time(found[1]):
            self._timed[key] = (minute, minute + timedelta(minutes=1), rates)
        else:
            self._fixed[key] = rates
        return rates


def source() -> str:
    """Where list prices come from, with its version."""
    from importlib.metadata import version  # noqa: PLC0415

    return f"genai-prices {version('genai-prices')}"


def find_listed(model: str, provider: str | None) -> tuple[Any, Any] | None:
    """genai-prices' provider and model for a name; None when it lists none. "PROVIDER/MODEL" is tried apart too."""
    if not model or len(model) > _MAX_NAME_CHARS or "\0" in model:
        return None
    named = PROVIDER_NAMES.get(provider or "", provider)
    tries = [(model, named), (model, None)]
    prefix, slash, rest = model.partition("/")
    if slash:
        tries[1:1] = [(rest, PROVIDER_NAMES.get(prefix, prefix)), (rest, named)]
    for name, who in tries:
        found = _lookup(name, who)
        if found is not None:
            return found
    return None


def _lookup(model: str, provider: str | None) -> tuple[Any, Any] | None:
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415

    try:
        return get_snapshot().find_provider_model(model, None, provider, None)
    except (LookupError, ValueError):
        return None


def nearest(model: str, count: int = 3) -> list[str]:
    """Listed names that look like this one, best first."""
    from difflib import get_close_matches  # noqa: PLC0415

    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415

    if len(model) > _MAX_NAME_CHARS:
        return []
    names = {entry.id for provider in get_snapshot().providers for entry in provider.models}
    return get_close_matches(model.lower().rpartition("/")[2], sorted(names), n=count, cutoff=0.5)
