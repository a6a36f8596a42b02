"""LangChain's objects to RunGuard's values. Pure, but for a memory of message sizes."""

from __future__ import annotations

import json
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from runguard_core import (
    ModelCall,
    Outcome,
    OutcomeKind,
    PromptPart,
    ToolCall,
    Usage,
    read_attribution,
    read_error,
    read_size,
)  # fmt: skip
from runguard_langchain._anthropic import completed_by, take_first_usage

_ORIGINS = {
    "system": "system",
    "developer": "system",
    "human": "user",
    "ai": "assistant",
    "AIMessageChunk": "assistant",
}


#: Marks a message that RunGuard put into a prompt; clients do not send it.
ADVICE = {"runguard": "advice"}


class Size(NamedTuple):
    """How big a message is: where it comes from, characters, bytes, pieces of media."""

    origin: str
    chars: int
    bytes: int
    media: int


class Sizes:
    """Sizes of messages already seen: a transcript grows at its end, the rest need not be walked again."""

    _MAX = 20_000

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[Any], int, Size]] = {}

    def of(self, message: Any) -> Size:
        """The size of a message; remembered as long as the message lives and its content is the same object."""
        key, content = id(message), id(message.content)
        known = self._known.get(key)
        if known is not None and known[0]() is message and known[1] == content:
            return known[2]
        size = size_of(message)
        if len(self._known) >= self._MAX:
            self._known.clear()
        self._known[key] = (weakref.ref(message), content, size)
        return size


def size_of(message: Any) -> Size:
    """Measure one message. RunGuard's own notes are an origin of their own: neither the user nor the program said that."""
    kind = "advice" if is_advice(message) else message.type
    origin = f"tool:{message.name or 'unknown'}" if kind in {"tool", "function"} else _ORIGINS.get(kind, kind)
    chars, length, media = read_size(message.content)
    for call in getattr(message, "tool_calls", None) or ():
        more = read_size([call["name"], json.dumps(call["args"], default=str)])
        chars, length = chars + more[0], length + more[1]
    return Size(origin, chars, length, media)


def is_advice(message: Any) -> bool:
    """Whether RunGuard put the message into the prompt."""
    return bool(ADVICE.items() <= message.additional_kwargs.items())


def model_call(
    batch: Sequence[Any], params: Mapping[str, Any], metadata: Mapping[str, Any], sizes: Sizes, retry_of: str | None
) -> ModelCall:
    """A model call about to be made.

    Args:
        batch: messages, or one prompt's text.
        params: LangChain's invocation parameters; metadata: of the run.
        sizes: the memory of message sizes; retry_of: id of the failed call this one repeats.
    """
    parts, length, media, after_tool = _parts(batch, sizes)
    tools = params.get("tools") or params.get("functions") or ()
    if tools:
        text = json.dumps(tools, default=str)
        parts.append(PromptPart("tools", len(text), len(tools)))
        length += len(text)
    return ModelCall(
        model=str(metadata.get("ls_model_name") or params.get("model") or params.get("model_name") or "unknown"),
        provider=metadata.get("ls_provider"),
        parts=tuple(parts),
        input_bytes=length,
        media_count=media,
        max_output_tokens=_whole(metadata.get("ls_max_tokens") or params.get("max_tokens")),
        choice_count=_whole(params.get("n")) or 1,
        can_cap_output=bool(metadata.get("runguard_can_cap_output")),
        after_tool=after_tool,
        tool_count=len(tools),
        landing=bool(metadata.get("runguard_landing")),
        service_tier=params.get("service_tier"),
        retry_of=retry_of,
    )


def _parts(batch: Sequence[Any], sizes: Sizes) -> tuple[list[PromptPart], int, int, bool]:
    if isinstance(batch, str):
        return [PromptPart("user", len(batch))], len(batch.encode("utf-8", "replace")), 0, False
    sums: dict[str, list[int]] = {}
    length = media = 0
    for message in batch:
        size = sizes.of(message)
        row = sums.get(size.origin)
        if row is None:
            row = sums[size.origin] = [0, 0]
        row[0] += size.chars
        row[1] += 1
        length += size.bytes
        media += size.media
    said = [message for message in batch[-2:] if not is_advice(message)]
    after_tool = bool(said) and said[-1].type in {"tool", "function"}
    return [PromptPart(origin, chars, count) for origin, (chars, count) in sums.items()], length, media, after_tool


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def tool_call(serialized: Mapping[str, Any] | None, text: str, inputs: Any, call_id: str | None, name: Any) -> ToolCall:
    """A tool about to be run."""
    tool = (serialized or {}).get("name") or name or "tool"
    return ToolCall(name=str(tool), arguments=inputs if inputs is not None else text, tool_call_id=call_id)


def attribution(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What the flat `runguard_*` keys of a config's metadata say; `thread_id` names the session where they do not."""
    found = read_attribution(metadata)
    if "session" not in found and metadata.get("thread_id") is not None:
        found["session"] = str(metadata["thread_id"])
    return found


def completed(response: Any, first_usage: Mapping[str, Any] | None = None, *, is_anthropic_stream: bool = False) -> Outcome:
    """The outcome of an answered model call. Only the first candidate is read: with n > 1 each repeats the whole bill.

    Of an Anthropic stream LangChain reads the last event only. Where that one leaves the cache's counts out (servers of
    before 2025, look-alikes), the first event's usage completes it; without that the prompt is not known in full.
    """
    generation = response.generations[0][0] if response.generations and response.generations[0] else None
    message = getattr(generation, "message", None)
    raw = getattr(message, "usage_metadata", None)
    if raw and raw.get("total_cost") == 0:
        return Outcome(kind=OutcomeKind.COMPLETED, from_cache=True)
    about = {**(response.llm_output or {}), **(getattr(message, "response_metadata", None) or {})}
    usage = usage_of(raw) or _usage_of_output(response.llm_output)
    is_short = usage is not None and (usage.input_tokens == 0 or (is_anthropic_stream and _lacks_cache(raw)))
    first = first_usage or take_first_usage(message)
    if is_short and usage is not None and first is not None and first.get("input_tokens"):
        usage, is_short = completed_by(first, usage), False
    text = getattr(message, "content", None) if message is not None else getattr(generation, "text", "")
    calls = getattr(message, "tool_calls", None) or ()
    return Outcome(
        kind=OutcomeKind.COMPLETED,
        usage=usage,
        usage_complete=usage is not None and not is_short,
        output_chars=read_size(text)[0] + sum(read_size(json.dumps(c["args"], default=str))[0] for c in calls),
        model=about.get("model_name") or about.get("model"),
        provider_request_id=about.get("id") or getattr(message, "id", None),
        tool_names=tuple(str(call["name"]) for call in calls),
    )


def _lacks_cache(raw: Mapping[str, Any] | None) -> bool:
    details = (raw or {}).get("input_token_details") or {}
    return all(details.get(key) is None for key in ("cache_read", "cache_creation"))


def usage_of(raw: Mapping[str, Any] | None) -> Usage | None:
    """LangChain's usage (inclusive for every provider) as ours; None when nothing was reported.

    Cache writes come twice in some versions, as a total and by time to live: the larger wins, they are not added.
    """
    if not raw or (raw.get("input_tokens") is None and raw.get("output_tokens") is None):
        return None
    given, made = raw.get("input_token_details") or {}, raw.get("output_token_details") or {}
    hour = given.get("ephemeral_1h_input_tokens") or 0
    written = max(given.get("cache_creation") or 0, (given.get("ephemeral_5m_input_tokens") or 0) + hour)
    return Usage(
        input_tokens=raw.get("input_tokens") or 0,
        output_tokens=raw.get("output_tokens") or 0,
        cache_read_input_tokens=given.get("cache_read") or 0,
        cache_creation_input_tokens=written,
        cache_creation_1h_input_tokens=hour,
        reasoning_output_tokens=made.get("reasoning") or 0,
        input_audio_tokens=given.get("audio") or 0,
        output_audio_tokens=made.get("audio") or 0,
    )


def _usage_of_output(output: Mapping[str, Any] | None) -> Usage | None:
    counts = (output or {}).get("token_usage") or {}
    if counts.get("prompt_tokens") is None or counts.get("completion_tokens") is None:
        return None
    return Usage(input_tokens=counts["prompt_tokens"], output_tokens=counts["completion_tokens"])


def failed(error: BaseException, response: Any, seen_chars: int) -> Outcome:
    """The outcome of a model call that ended in an error; what was seen of a stream is kept as a size."""
    partial = 0
    if response is not None and getattr(response, "generations", None) and response.generations[0]:
        generation = response.generations[0][0]
        partial = read_size(getattr(getattr(generation, "message", None), "content", None) or generation.text)[0]
    status = getattr(error, "status_code", None) or getattr(getattr(error, "response", None), "status_code", None)
    return replace(read_error(error, max(partial, seen_chars)), error_status=status if isinstance(status, int) else None)


def tool_outcome(output: Any) -> Outcome:
    """The outcome of a tool that returned; a ToolMessage may say that it failed."""
    content = getattr(output, "content", output)
    if getattr(output, "status", None) == "error":
        return Outcome(kind=OutcomeKind.FAILED, error=str(content)[:300])
    return Outcome(kind=OutcomeKind.COMPLETED, result=content, output_chars=read_size(content)[0])
