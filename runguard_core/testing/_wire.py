"""The wire formats: OpenAI chat completions and completions, Anthropic messages (others: `_wire_other`); answers, streams.

Pure: a request and its reply become JSON values or lists of server-sent events.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from runguard_core.testing import _wire_other
from runguard_core.testing._reply import Reply, Request

#: A piece of a stream: the event's name ("" for OpenAI) and its JSON value; None ends an OpenAI stream.
Piece = tuple[str, Any]


#: What asks for no text has no answer tokens.
_NO_ANSWER_TOKENS = frozenset({"embeddings", "speech", "rerank", "unknown"})


def tokens_of(protocol: str, body: Any, reply: Reply) -> tuple[int, int, str]:
    """Prompt and answer tokens, and why the answer ended ("stop", "length", "tool_calls")."""
    if reply.status >= 400:
        return 0, 0, "error"
    prompt = next((body[key] for key in ("messages", "prompt", "input", "query") if body.get(key)), "")
    input_tokens = max(1, _chars(prompt) // 4) if reply.input_tokens is None else reply.input_tokens
    if protocol in _NO_ANSWER_TOKENS:
        return input_tokens, 0, "stop"
    wanted = max(1, len(reply.text) // 4) if reply.output_tokens is None else reply.output_tokens
    cap = body.get("max_completion_tokens") or body.get("max_tokens") or body.get("max_output_tokens")
    count = int(body.get("n") or 1)
    if cap is not None and wanted > cap:
        return input_tokens, cap * count, "length"
    return input_tokens, wanted * count, "tool_calls" if reply.tool_calls else "stop"


def _chars(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(
            _chars(v) for k, v in value.items() if k in {"content", "text", "arguments", "input", "tool_calls", "function"}
        )
    return sum(_chars(v) for v in value) if isinstance(value, list) else 0


def error_of(protocol: str, status: int, message: str | None = None) -> dict[str, Any]:
    """An error in the provider's shape."""
    told = message or f"scripted {status}"
    if protocol == "anthropic":
        return {"type": "error", "error": {"type": "api_error", "message": told}}
    return {"error": {"message": told, "type": "server_error", "code": str(status)}}


def answer_of(request: Request, finish: str) -> dict[str, Any] | bytes:
    """A whole answer."""
    if request.protocol == "anthropic":
        return _anthropic_answer(request, finish)
    return _openai_answer(request, finish) if request.protocol in {"openai", "completions"} else _wire_other.answer_of(request)


def stream_of(request: Request, finish: str) -> Iterator[Piece]:
    """An answer in pieces, as server-sent events."""
    if request.protocol == "responses":
        return _wire_other.response_stream(request, pieces_of(request.reply.text, request.reply.chunks))
    return _anthropic_stream(request, finish) if request.protocol == "anthropic" else _openai_stream(request, finish)


def encode(piece: Piece) -> bytes:
    """One server-sent event."""
    name, value = piece
    payload = "[DONE]" if value is None else json.dumps(value)
    return f"{f'event: {name}' + chr(10) if name else ''}data: {payload}\n\n".encode()


def pieces_of(text: str, count: int) -> list[str]:
    """A text in about `count` pieces, at least one."""
    size = max(1, -(-len(text) // max(1, count)))
    return [text[i : i + size] for i in range(0, len(text), size)] or [""]


# -- OpenAI ---------------------------------------------------------------------------------------------------------


def _openai_usage(request: Request) -> dict[str, Any]:
    reply = request.reply
    return {
        "prompt_tokens": request.input_tokens,
        "completion_tokens": request.output_tokens,
        "total_tokens": request.input_tokens + request.output_tokens,
        "prompt_tokens_details": {"cached_tokens": reply.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": reply.reasoning_tokens, "audio_tokens": 0},
    }


def _openai_tools(request: Request) -> list[dict[str, Any]]:
    return [
        {
            "id": use.id or f"call_{request.index}_{place}",
            "type": "function",
            "function": {"name": use.name, "arguments": json.dumps(dict(use.arguments))},
        }
        for place, use in enumerate(request.reply.tool_calls)
    ]


def _openai_answer(request: Request, finish: str) -> dict[str, Any]:
    reply, is_chat = request.reply, request.protocol == "openai"
    message: dict[str, Any] = {"role": "assistant", "content": reply.text}
    if reply.tool_calls:
        message |= {"content": None, "tool_calls": _openai_tools(request)}
    choice = {"message": message} if is_chat else {"text": reply.text}
    answer: dict[str, Any] = {
        "id": f"chatcmpl-{request.index}",
        "object": "chat.completion" if is_chat else "text_completion",
        "created": 1_790_000_000,
        "model": request.model,
        "choices": [
            {"index": i, "finish_reason": finish, "logprobs": None, **choice} for i in range(int(request.body.get("n") or 1))
        ],
    }
    if reply.usage:
        answer["usage"] = _openai_usage(request)
    return answer


def _openai_stream(request: Request, finish: str) -> Iterator[Piece]:
    reply = request.reply
    frame = {
        "id": f"chatcmpl-{request.index}",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": request.model,
    }

    def chunk(delta: dict[str, Any], reason: str | None = None) -> Piece:
        shape = {"delta": delta} if request.protocol == "openai" else {"text": delta.get("content", "")}
        return "", {**frame, "choices": [{"index": 0, "finish_reason": reason, **shape}]}

    yield chunk({"role": "assistant", "content": ""})
    if reply.tool_calls:
        for place, use in enumerate(_openai_tools(request)):
            yield chunk({"tool_calls": [{"index": place, **use}]})
    else:
        for text in pieces_of(reply.text, reply.chunks):
            yield chunk({"content": text})
    yield chunk({}, finish)
    if reply.usage and (request.body.get("stream_options") or {}).get("include_usage"):
        yield "", {**frame, "choices": [], "usage": _openai_usage(request)}
    yield "", None


# -- Anthropic --------------------------------------------------------------------------------------------------------

_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}


def _anthropic_usage(request: Request) -> dict[str, Any]:
    """Anthropic's input_tokens leaves out what was read from or written to the cache."""
    reply = request.reply
    written = reply.cache_write_tokens + reply.cache_write_1h_tokens
    return {
        "input_tokens": request.input_tokens - reply.cached_tokens - written,
        "cache_read_input_tokens": reply.cached_tokens,
        "cache_creation_input_tokens": written,
        "cache_creation": {
            "ephemeral_5m_input_tokens": reply.cache_write_tokens,
            "ephemeral_1h_input_tokens": reply.cache_write_1h_tokens,
        },
        "output_tokens": request.output_tokens,
        "service_tier": "standard",
    }


def _anthropic_blocks(request: Request) -> list[dict[str, Any]]:
    if not request.reply.tool_calls:
        return [{"type": "text", "text": request.reply.text}]
    return [
        {
            "type": "tool_use",
            "id": use.id or f"toolu_{request.index}_{place}",
            "name": use.name,
            "input": dict(use.arguments),
        }
        for place, use in enumerate(request.reply.tool_calls)
    ]


def _anthropic_message(request: Request) -> dict[str, Any]:
    return {
        "id": f"msg_{request.index}",
        "type": "message",
        "role": "assistant",
        "model": request.model,
        "stop_sequence": None,
    }


def _anthropic_answer(request: Request, finish: str) -> dict[str, Any]:
    usage = _anthropic_usage(request) if request.reply.usage else {"input_tokens": 0, "output_tokens": 0}
    blocks = _anthropic_blocks(request)
    return {**_anthropic_message(request), "content": blocks, "stop_reason": _REASONS[finish], "usage": usage}


def _anthropic_stream(request: Request, finish: str) -> Iterator[Piece]:
    usage = _anthropic_usage(request) if request.reply.usage else {"input_tokens": 0, "output_tokens": 0}
    start = {
        **_anthropic_message(request),
        "content": [],
        "stop_reason": None,
        "usage": {**(usage if request.reply.usage_at_start else {"input_tokens": 0}), "output_tokens": 0},
    }
    yield "message_start", {"type": "message_start", "message": start}
    for place, block in enumerate(_anthropic_blocks(request)):
        empty = {**block, "text": ""} if block["type"] == "text" else {**block, "input": {}}
        yield "content_block_start", {"type": "content_block_start", "index": place, "content_block": empty}
        for delta in _anthropic_deltas(block, request.reply.chunks):
            yield "content_block_delta", {"type": "content_block_delta", "index": place, "delta": delta}
        yield "content_block_stop", {"type": "content_block_stop", "index": place}
    delta = {"stop_reason": _REASONS[finish], "stop_sequence": None}
    yield "message_delta", {"type": "message_delta", "delta": delta, "usage": _last_usage(request, usage)}
    yield "message_stop", {"type": "message_stop"}


def _last_usage(request: Request, usage: dict[str, Any]) -> dict[str, Any]:
    """The last event repeats the prompt's counts, except with servers that only look like Anthropic's."""
    return usage if request.reply.usage_at_end else {"output_tokens": usage["output_tokens"]}


def _anthropic_deltas(block: dict[str, Any], count: int) -> list[dict[str, Any]]:
    if block["type"] == "text":
        return [{"type": "text_delta", "text": text} for text in pieces_of(block["text"], count)]
    return [{"type": "input_json_delta", "partial_json": json.dumps(block["input"])}]
