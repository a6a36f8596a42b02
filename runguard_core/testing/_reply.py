"""What the local provider is told to answer, and what it saw."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A tool call in an answer. Without an id one is made from its place."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One scripted answer.

    Attributes:
        text, tool_calls: the answer.
        input_tokens: the whole prompt, cache included; None: a quarter of the request's characters, at least 1.
        output_tokens: the whole answer; None: a quarter of its characters, at least 1. The request's own limit caps it.
        cached_tokens, cache_write_tokens (5 minutes), cache_write_1h_tokens: parts of the prompt.
        reasoning_tokens: part of the answer.
        usage: whether the answer reports usage at all.
        usage_at_start: whether the first event of an Anthropic stream states the prompt's counts.
        usage_at_end: whether the last event of an Anthropic stream repeats the prompt's counts.
        status: HTTP status; from 400 on an error in the provider's shape.
        retry_after_seconds: sent as a header.
        gate: answer only once this event is set; delay_seconds: or after a time.
        chunks: text pieces of a stream; cut_after_chunks: drop the connection after so many.
        gate_after_chunks: with `gate`, send so many pieces first.
        body: raw bytes instead of a proper answer.
        model: the name that answers, None for the one asked for.
    """

    text: str = "ok"
    tool_calls: tuple[ToolUse, ...] = ()
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    usage: bool = True
    usage_at_start: bool = True
    usage_at_end: bool = True
    status: int = 200
    retry_after_seconds: float | None = None
    gate: threading.Event | None = None
    delay_seconds: float = 0.0
    chunks: int = 3
    cut_after_chunks: int | None = None
    gate_after_chunks: int = 0
    body: bytes | None = None
    model: str | None = None


@dataclass(slots=True)
class Request:
    """One request as it arrived, and what became of it.

    Attributes:
        index: from 0, in order of arrival.
        protocol: "openai", "completions", "anthropic", "responses", "embeddings", "image", "speech", "transcription",
            "rerank" or "unknown".
        path, headers, body: as sent; headers with lower-case names.
        reply: what it was answered with.
        input_tokens, output_tokens: what the provider counted, reported or not; 0 for errors.
        chunks_written: pieces of a stream that left; is_complete: the whole answer left.
    """

    index: int
    protocol: str
    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    reply: Reply
    input_tokens: int = 0
    output_tokens: int = 0
    chunks_written: int = 0
    is_complete: bool = False

    @property
    def model(self) -> str:
        """The name that answers."""
        return self.reply.model or str(self.body.get("model", "unknown"))

    @property
    def is_stream(self) -> bool:
        """Whether the client asked for a stream."""
        return bool(self.body.get("stream"))
