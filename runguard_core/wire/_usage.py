"""The usage that an answer reports."""

from __future__ import annotations

from typing import Any

from runguard_core.usage import Usage
from runguard_core.wire._reading import read, reader

#: Where a report may say more than two totals.
_DETAILS = frozenset({
    "prompt_tokens_details", "input_tokens_details", "input_token_details", "completion_tokens_details", "output_tokens_details",
    "output_token_details", "cache_read_input_tokens", "cache_creation", "cache_creation_input_tokens",
})  # fmt: skip


def read_usage(raw: Any) -> Usage | None:
    """Usage as OpenAI (inclusive) or Anthropic (cache beside the input) report it; None for none, and for all zeros.

    Frameworks' inclusive counts with details by kind (`input_token_details`, `output_token_details`) are read too. Cache writes
    may come twice, as a total and by time to live: the larger wins, they are not added.
    """
    if raw is None:
        return None
    asked, answered = _count(raw, "prompt_tokens", "input_tokens"), _count(raw, "completion_tokens", "output_tokens")
    if type(raw) is dict and _DETAILS.isdisjoint(raw):
        return Usage(input_tokens=asked, output_tokens=answered) if asked or answered else None
    given = read(raw, "prompt_tokens_details") or read(raw, "input_tokens_details") or read(raw, "input_token_details")
    made = read(raw, "completion_tokens_details") or read(raw, "output_tokens_details") or read(raw, "output_token_details")
    cached = _count(given, "cached_tokens", "cache_read") or _count(raw, "cache_read_input_tokens")
    by_age = read(given, "cache_creation_token_details") or read(raw, "cache_creation") or given
    hour = _count(by_age, "ephemeral_1h_input_tokens")
    by_detail = _count(given, "cache_creation_tokens", "cache_write_tokens", "cache_creation")
    by_age_sum = _count(by_age, "ephemeral_5m_input_tokens") + hour
    written = max(_count(raw, "cache_creation_input_tokens"), by_detail, by_age_sum)
    is_beside = read(raw, "prompt_tokens") is None and given is None
    asked += cached + written if is_beside else 0
    usage = Usage(
        input_tokens=asked,
        output_tokens=answered,
        cache_read_input_tokens=min(cached, asked),
        cache_creation_input_tokens=min(written, asked),
        cache_creation_1h_input_tokens=min(hour, asked),
        reasoning_output_tokens=_count(made, "reasoning_tokens", "thinking_tokens", "reasoning"),
        input_audio_tokens=_count(given, "audio_tokens", "audio"),
        output_audio_tokens=_count(made, "audio_tokens", "audio"),
        input_image_tokens=_count(given, "image_tokens"),
        output_image_tokens=_count(made, "image_tokens"),
    )
    return usage if usage.total_tokens else None


def _count(value: Any, *keys: str) -> int:
    if value is None:
        return 0
    get = reader(value)
    for key in keys:
        found = get(key)
        if isinstance(found, int) and not isinstance(found, bool) and found > 0:
            return found
    return 0
