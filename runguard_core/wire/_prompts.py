"""What a prompt is made of: sizes by origin, in the formats of OpenAI's chat and responses and Anthropic's messages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from runguard_core.calls import PromptPart
from runguard_core.wire._reading import read, written

_ORIGINS = {"developer": "system", "model": "assistant", "human": "user", "ai": "assistant", "chatbot": "assistant"}
_MEDIA = frozenset(
    {"image", "image_url", "input_image", "audio", "input_audio", "file", "input_file", "video", "video_url", "document", "media"}
)
#: Roles whose messages, when they are a text, are nothing else.
_PLAIN = frozenset({"user", "human", "system", "developer", "assistant", "ai"})
_NO_TEXT = frozenset({"type", "id", "index", "cache_control"})


class Prompt(NamedTuple):
    """The fields of a `ModelCall` that say what its prompt is made of; `**prompt._asdict()` hands them over."""

    parts: tuple[PromptPart, ...] = ()
    input_bytes: int = 0
    media_count: int = 0
    after_tool: bool = False
    tool_count: int = 0


class Message(NamedTuple):
    """One message, measured.

    Attributes:
        sizes: (origin, characters, UTF-8 bytes, pieces of media), one for each origin; asked: names of the tools it asks for, by
            the ids of the requests; is_result: it ends with a tool's result, None for a note of RunGuard's own.
    """

    sizes: tuple[tuple[str, int, int, int], ...]
    asked: Mapping[str, str]
    is_result: bool | None


class Measures(Protocol):
    """Measures messages that are no mappings; `asked` are the tools that earlier messages asked for."""

    def measure(self, message: Any, asked: Mapping[str, str]) -> Message:
        """The message's sizes."""


def read_prompt(
    prompt: Any, *, system: Any = None, tools: Iterable[Any] | None = None, messages: Measures | None = None
) -> Prompt:
    """Measure a prompt: a text, or messages as mappings in OpenAI's chat or responses or Anthropic's format.

    The role "advice" stands for what RunGuard put in: neither the user nor the program said that.

    Args:
        prompt: as sent; system: what stands outside of it (Anthropic's `system`, the responses' `instructions`).
        tools: their schemas.
        messages: measures those that are objects of a framework's; see `Messages`.
    """
    rows: dict[str, list[int]] = {}
    asked: dict[str, str] = {}
    length = media = 0
    is_result = False
    items = prompt if isinstance(prompt, (list, tuple)) else [prompt]
    for item in [{"role": "system", "content": system}, *items] if system else items:
        found = measure(item, asked) if messages is None or _is_plain(item.__class__) else messages.measure(item, asked)
        if found.asked:
            asked.update(found.asked)
        is_result = is_result if found.is_result is None else found.is_result
        for origin, chars, size, pictures in found.sizes:
            row = rows.get(origin)
            if row is None:
                row = rows[origin] = [0, 0]
            row[0] += chars
            row[1] += 1
            length, media = length + size, media + pictures
    offered = list(tools or ())
    if offered:
        text = json.dumps(offered, default=str)
        rows["tools"], length = [len(text), len(offered)], length + len(text)
    parts = tuple([PromptPart(origin, chars, count) for origin, (chars, count) in rows.items()])
    return Prompt(parts, length, media, is_result, len(offered))


@lru_cache(maxsize=256)
def _is_plain(kind: type) -> bool:
    """Whether a message of this class is a text or a mapping, no object of a framework's."""
    return issubclass(kind, (str, Mapping))


def measure(item: Any, asked: Mapping[str, str]) -> Message:
    """One message as a mapping, or a text of the user's."""
    if type(item) is dict and isinstance(text := item.get("content"), str):
        role = str(item.get("role"))
        if role in _PLAIN and not item.get("tool_calls") and item.get("type") is None:
            return Message(((_ORIGINS.get(role, role), *read_size(text)),), {}, False)
    mine: dict[str, str] = {}
    sums: dict[str, tuple[int, int, int]] = {}
    for origin, content in _pieces(item, asked, mine):
        chars, size, media = read_size(content)
        before = sums.get(origin, (0, 0, 0))
        sums[origin] = before[0] + chars, before[1] + size, before[2] + media
    return Message(tuple([(origin, *size) for origin, size in sums.items()]), mine, _is_result(item))


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


def _pieces(item: Any, asked: Mapping[str, str], mine: dict[str, str]) -> Iterator[tuple[str, Any]]:
    """What a message is made of, with its origin; results of tools under the tool's name. Fills `mine` with what it asks for."""
    if not isinstance(item, Mapping):
        yield "user", item
        return
    for call in item.get("tool_calls") or ():
        function = read(call, "function") or call
        mine[str(read(call, "id"))] = str(read(function, "name"))
        yield "assistant", [read(function, "name"), written(read(function, "arguments"))]
    role, kind = str(item.get("role") or "user"), item.get("type")
    if role in {"tool", "function"}:
        yield f"tool:{item.get('name') or asked.get(str(item.get('tool_call_id')), 'unknown')}", item.get("content")
    elif kind == "function_call_output":
        yield f"tool:{asked.get(str(item.get('call_id')), 'unknown')}", item.get("output")
    elif kind == "function_call":
        mine[str(item.get("call_id"))] = str(item.get("name"))
        yield "assistant", [item.get("name"), item.get("arguments")]
    else:
        yield from _blocks(_ORIGINS.get(role, role), item.get("content"), asked, mine)


def _blocks(origin: str, content: Any, asked: Mapping[str, str], mine: dict[str, str]) -> Iterator[tuple[str, Any]]:
    """A message's content; Anthropic's tool results stand in a user's message."""
    if not isinstance(content, list) or not any(read(block, "type") in {"tool_use", "tool_result"} for block in content):
        yield origin, content
        return
    for block in content:
        if read(block, "type") == "tool_use":
            mine[str(read(block, "id"))] = str(read(block, "name"))
        if read(block, "type") == "tool_result":
            yield f"tool:{asked.get(str(read(block, 'tool_use_id')), 'unknown')}", read(block, "content")
        else:
            yield origin, block


def _is_result(item: Any) -> bool | None:
    if not isinstance(item, Mapping):
        return False
    if item.get("role") == "advice":
        return None
    content = item.get("content")
    is_block = isinstance(content, list) and any(read(block, "type") == "tool_result" for block in content)
    return item.get("role") in {"tool", "function"} or item.get("type") == "function_call_output" or is_block
