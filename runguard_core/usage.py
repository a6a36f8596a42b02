"""Token counts of one model call, under OpenTelemetry's names (`gen_ai.usage.*`).

The two totals are *inclusive*: `input_tokens` counts cache reads and writes and audio, `output_tokens` counts reasoning
and audio. The other fields say how much of them is special. That is how OpenAI reports; Anthropic's exclusive counts are
added up by the adapter.
"""

from __future__ import annotations

from dataclasses import fields
from operator import attrgetter

from runguard_core.values import value


@value(kw_only=True)
class Usage:
    """What the provider says it counted, in tokens (and searches); every field zero or more.

    Attributes:
        input_tokens: the whole prompt.
        output_tokens: the whole answer.
        cache_read_input_tokens: part of the prompt served from the provider's cache.
        cache_creation_input_tokens: part of the prompt written to the cache (5-minute and 1-hour together).
        cache_creation_1h_input_tokens: part of the line above that was written for one hour.
        reasoning_output_tokens: part of the answer spent on reasoning.
        input_audio_tokens: part of the prompt that was audio (cached audio included).
        cache_audio_read_tokens: part of the cache reads that was audio.
        output_audio_tokens: part of the answer that was audio.
        input_image_tokens, output_image_tokens: parts that were images.
        web_search_count: searches the provider made and bills by the piece.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_creation_1h_input_tokens: int = 0
    reasoning_output_tokens: int = 0
    input_audio_tokens: int = 0
    cache_audio_read_tokens: int = 0
    output_audio_tokens: int = 0
    input_image_tokens: int = 0
    output_image_tokens: int = 0
    web_search_count: int = 0

    @property
    def total_tokens(self) -> int:
        """Prompt and answer together."""
        return self.input_tokens + self.output_tokens

    @property
    def is_sound(self) -> bool:
        """Whether every field is a count that can be: a NaN or a fraction in the book would silence every limit."""
        counts = _counts(self)
        try:
            total = sum(counts)
        except TypeError:
            return False
        return type(total) is int and total <= MOST_TOKENS and min(counts) >= 0

    def __add__(self, other: Usage) -> Usage:
        """Field by field."""
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in USAGE_FIELDS})


#: The fields in the order of the class, the columns of every store and export.
USAGE_FIELDS: tuple[str, ...] = tuple(field.name for field in fields(Usage))
#: No call has more: a report above it is a mistake.
MOST_TOKENS = 10**12
_counts = attrgetter(*USAGE_FIELDS)
NO_USAGE = Usage()
