"""A price list newer than the one that genai-prices was installed with. Reading and fetching are the callers' business."""

from __future__ import annotations

import json
from typing import Any

from runguard_core.errors import PriceDataError

_EXPECTED = "genai-prices' provider list (data.json)"


def read_price_list(content: bytes, *, file: str) -> Any:
    """Check a downloaded list and make it usable; nothing is changed yet.

    Raises:
        PriceDataError: it is not such a list.
    """
    from genai_prices.data_snapshot import DataSnapshot  # noqa: PLC0415  on command only
    from genai_prices.types import _providers_from_raw  # noqa: PLC0415

    try:
        raw = json.loads(content)
        providers = _providers_from_raw(raw) if isinstance(raw, list) else []
    except (ValueError, TypeError) as error:
        raise PriceDataError(file=file, key="(file)", expected=f"{_EXPECTED}: {str(error)[:200]}") from None
    if not any(provider.models for provider in providers):
        raise PriceDataError(file=file, key="(file)", expected=_EXPECTED)
    return DataSnapshot(providers=providers, from_auto_update=False)


def use_price_list(snapshot: Any) -> None:
    """Price by this list from now on, in this process."""
    from genai_prices.data_snapshot import set_custom_snapshot  # noqa: PLC0415

    set_custom_snapshot(snapshot)


def count_models(snapshot: Any) -> int:
    """How many models a list has."""
    return sum(len(provider.models) for provider in snapshot.providers)
