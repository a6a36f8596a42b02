"""What providers' requests, answers and clients' errors look like: sizes of a prompt, usage, how a call failed.

Every adapter meets the same shapes: OpenAI's chat and responses, Anthropic's messages, their usage, their clients' errors.
Reads mappings and objects alike, raises nothing, keeps sizes only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from runguard_core.calls import Outcome, OutcomeKind, PromptPart
from runguard_core.usage import Usage

_ORIGINS = {"developer": "system", "model": "assistant", "human": "user", "ai": "assistant", "chatbot": "assistant"}
_MEDIA = frozenset(
    {"image", "image_url", "input_image", "audio", "input_audio", "file", "input_file", "video", "video_url", "document"}
)
_NO_TEXT = frozenset({"type", "id", "cache_control", "block_type"})
#: Causes that say that the request never left, by name.
_NOT_SENT = frozenset(
    {"ConnectError", "ConnectionRefusedError", "gaierror", "UnsupportedProtocol", "InvalidURL", "ClientConnectorError"}
)
#: Packages whose errors carry the status that a server really sent; frameworks give theirs one of their own.
_CLIENTS = ("openai", "httpx", "anthropic", "requests", "aiohttp", "cohere", "mistralai", "google", "botocore")


class Prompt(NamedTuple):
    """The fields of a `ModelCall` that say what its prompt is made of; `**prompt._asdict()` hands them over."""

    parts: tuple[PromptPart, ...] = ()
    input_bytes: int = 0
    media_count: int = 0
    after_tool: bool = False
    tool_count: int = 0


def read(value: Any, key: str) -> Any:
    """A field of a mapping or an object; None when missing."""
    return value.get(key) if isinstance(value, Mapping) else getattr(value, key, None)


# -- prompts ----------------------------------------------------------------------------------------------------------


def read_prompt(prompt: Any, *, system: Any = None, tools: Iterable[Any] | None = None) -> Prompt:
    """Measure a prompt: a text, or messages as mappings in OpenAI's chat or responses or Anthropic's format.

    Args:
        prompt: as sent; system: what stands outside of it (Anthropic's `system`, the responses' `instructions`).
        tools: their schemas.
    """
    rows: dict[str, list[int]] = {}
    length = media = 0
    for origin, content in _pieces(prompt, system):
        chars, size, pictures = measure(content)
        row = rows.setdefault(origin, [0, 0])
        row[0], row[1], length, media = row[0] + chars, row[1] + 1, length + size, media + pictures
    offered = list(tools or ())
    if offered:
        text = json.dumps(offered, default=str)
        rows["tools"], length = [len(text), len(offered)], length + len(text)
    parts = tuple(PromptPart(origin, chars, count) for origin, (chars, count) in rows.items())
    return Prompt(parts, length, media, _is_after_tool(prompt), len(offered))


def measure(content: Any) -> tuple[int, int, int]:
    """Characters, UTF-8 bytes and pieces of media of a message's content."""
    if isinstance(content, str):
        return len(content), len(content) if content.isascii() else len(content.encode("utf-8", "replace")), 0
    if content is None or isinstance(content, (bytes, bytearray)) or hasattr(content, "read"):
        return 0, 0, int(content is not None)
    if isinstance(content, Mapping):
        if content.get("type") in _MEDIA:
            return 0, 0, 1
        content = [value for key, value in content.items() if key not in _NO_TEXT]
    if isinstance(content, (list, tuple)):
        found = [measure(item) for item in content]
        return sum(f[0] for f in found), sum(f[1] for f in found), sum(f[2] for f in found)
    return (len(str(content)),) * 2 + (0,)


def _pieces(prompt: Any, system: Any) -> Iterator[tuple[str, Any]]:
    """Every message with its origin; results of tools under the tool's name."""
    if system:
        yield "system", system
    asked: dict[str, str] = {}
    for item in prompt if isinstance(prompt, (list, tuple)) else [prompt]:
        if not isinstance(item, Mapping):
            yield "user", item
            continue
        for call in item.get("tool_calls") or ():
            function = read(call, "function") or call
            asked[str(read(call, "id"))] = str(read(function, "name"))
            yield "assistant", [read(function, "name"), read(function, "arguments")]
        role, kind = str(item.get("role") or "user"), item.get("type")
        if role in {"tool", "function"}:
            yield f"tool:{item.get('name') or asked.get(str(item.get('tool_call_id')), 'unknown')}", item.get("content")
        elif kind == "function_call_output":
            yield f"tool:{asked.get(str(item.get('call_id')), 'unknown')}", item.get("output")
        elif kind == "function_call":
            asked[str(item.get("call_id"))] = str(item.get("name"))
            yield "assistant", [item.get("name"), item.get("arguments")]
        else:
            yield from _blocks(_ORIGINS.get(role, role), item.get("content"), asked)


def _blocks(origin: str, content: Any, asked: dict[str, str]) -> Iterator[tuple[str, Any]]:
    """A message's content; Anthropic's tool results stand in a user's message."""
    if not isinstance(content, list) or not any(read(block, "type") in {"tool_use", "tool_result"} for block in content):
        yield origin, content
        return
    for block in content:
        if read(block, "type") == "tool_use":
            asked[str(read(block, "id"))] = str(read(block, "name"))
        if read(block, "type") == "tool_result":
            yield f"tool:{asked.get(str(read(block, 'tool_use_id')), 'unknown')}", read(block, "content")
        else:
            yield origin, block


def _is_after_tool(prompt: Any) -> bool:
    last = prompt[-1] if isinstance(prompt, (list, tuple)) and prompt else None
    if not isinstance(last, Mapping):
        return False
    content = last.get("content")
    is_result = isinstance(content, list) and any(read(block, "type") == "tool_result" for block in content)
    return last.get("role") in {"tool", "function"} or last.get("type") == "function_call_output" or is_result


# -- usage ------------------------------------------------------------------------------------------------------------


def read_usage(raw: Any) -> Usage | None:
    """Usage as OpenAI (inclusive) or Anthropic (cache beside the input) report it; None for none, and for all zeros."""
    if raw is None:
        return None
    given = read(raw, "prompt_tokens_details") or read(raw, "input_tokens_details") or read(raw, "input_token_details")
    made = read(raw, "completion_tokens_details") or read(raw, "output_tokens_details")
    cached = _count(given, "cached_tokens") or _count(raw, "cache_read_input_tokens")
    by_age = read(given, "cache_creation_token_details") or read(raw, "cache_creation")
    hour = _count(by_age, "ephemeral_1h_input_tokens")
    by_detail = _count(given, "cache_creation_tokens", "cache_write_tokens")
    written = max(_count(raw, "cache_creation_input_tokens"), by_detail, hour)
    is_beside = read(raw, "prompt_tokens") is None and given is None
    asked = _count(raw, "prompt_tokens", "input_tokens") + (cached + written if is_beside else 0)
    usage = Usage(
        input_tokens=asked,
        output_tokens=_count(raw, "completion_tokens", "output_tokens"),
        cache_read_input_tokens=min(cached, asked),
        cache_creation_input_tokens=min(written, asked),
        cache_creation_1h_input_tokens=min(hour, asked),
        reasoning_output_tokens=_count(made, "reasoning_tokens", "thinking_tokens"),
        input_audio_tokens=_count(given, "audio_tokens"),
        output_audio_tokens=_count(made, "audio_tokens"),
        input_image_tokens=_count(given, "image_tokens"),
        output_image_tokens=_count(made, "image_tokens"),
    )
    return usage if usage.total_tokens else None


def _count(value: Any, *keys: str) -> int:
    for key in keys:
        found = read(value, key)
        if isinstance(found, int) and not isinstance(found, bool) and found > 0:
            return found
    return 0


# -- errors -----------------------------------------------------------------------------------------------------------


def read_error(error: BaseException, output_chars: int = 0) -> Outcome:
    """How a call that raised has ended. Only a status that a server sent says that nothing was billed.

    Args:
        error: what was raised, with its causes.
        output_chars: characters of the answer that had come.
    """
    chain = list(_causes(error))
    sent = [status for one in chain if (status := _status(one)) is not None]
    never_left = not sent and not output_chars and any(type(one).__name__ in _NOT_SENT for one in chain)
    return Outcome(
        kind=OutcomeKind.FAILED if isinstance(error, Exception) else OutcomeKind.CANCELLED,
        billed=not never_left,
        output_chars=output_chars,
        error=f"{type(error).__name__}: {error}"[:300],
        error_status=sent[0] if sent and sent[0] >= 400 and not output_chars else None,
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _status(error: BaseException) -> int | None:
    if not type(error).__module__.startswith(_CLIENTS):
        return None
    status = getattr(getattr(error, "response", None), "status_code", None) or getattr(error, "status", None)
    return status if isinstance(status, int) else None
