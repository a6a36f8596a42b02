"""What a prompt is made of: sizes by origin, in the formats of OpenAI's chat and responses and Anthropic's messages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from runguard_core.calls import PromptPart
from runguard_core.wire._reading import read

_ORIGINS = {"developer": "system", "model": "assistant", "human": "user", "ai": "assistant", "chatbot": "assistant"}
_MEDIA = frozenset(
    {"image", "image_url", "input_image", "audio", "input_audio", "file", "input_file", "video", "video_url", "document", "media"}
)
_NO_TEXT = frozenset({"type", "id", "index", "cache_control"})


class Prompt(NamedTuple):
    """The fields of a `ModelCall` that say what its prompt is made of; `**prompt._asdict()` hands them over."""

    parts: tuple[PromptPart, ...] = ()
    input_bytes: int = 0
    media_count: int = 0
    after_tool: bool = False
    tool_count: int = 0


def read_prompt(prompt: Any, *, system: Any = None, tools: Iterable[Any] | None = None) -> Prompt:
    """Measure a prompt: a text, or messages as mappings in OpenAI's chat or responses or Anthropic's format.

    Args:
        prompt: as sent; system: what stands outside of it (Anthropic's `system`, the responses' `instructions`).
        tools: their schemas.
    """
    rows: dict[str, list[int]] = {}
    length = media = 0
    for origin, content in _pieces(prompt, system):
        chars, size, pictures = read_size(content)
        row = rows.setdefault(origin, [0, 0])
        row[0], row[1], length, media = row[0] + chars, row[1] + 1, length + size, media + pictures
    offered = list(tools or ())
    if offered:
        text = json.dumps(offered, default=str)
        rows["tools"], length = [len(text), len(offered)], length + len(text)
    parts = tuple(PromptPart(origin, chars, count) for origin, (chars, count) in rows.items())
    return Prompt(parts, length, media, _is_after_tool(prompt), len(offered))


def read_size(content: Any) -> tuple[int, int, int]:
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
        found = [read_size(item) for item in content]
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
