"""LangChain's objects to RunGuard's values. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from runguard_core import (
    Messages,
    ModelCall,
    Outcome,
    OutcomeKind,
    ToolCall,
    Usage,
    read_answer,
    read_attribution,
    read_error,
    read_prompt,
    read_size,
    read_usage,
)

_ROLES = {"AIMessageChunk": "ai"}
#: Where the first event of an Anthropic stream is left in a chunk's metadata; see `_passing.keep_first_usage`.
FIRST_USAGE = "runguard_first_usage"
#: Marks a message that RunGuard put into a prompt; clients do not send it.
ADVICE = {"runguard": "advice"}


def as_mapping(message: Any) -> dict[str, Any]:
    """A message in OpenAI's format."""
    said = vars(message)  # a message is not asked for what it may not have: pydantic's answer to that is dear
    role, calls = _ROLES.get(message.type, message.type), said.get("tool_calls")
    return {
        "role": "advice" if message.additional_kwargs and is_advice(message) else role,
        "content": message.content, "name": message.name, "tool_call_id": said.get("tool_call_id"),
        "tool_calls": calls and [{"id": call.get("id"), "name": call["name"], "arguments": call["args"]} for call in calls],
    }  # fmt: skip


def is_advice(message: Any) -> bool:
    """Whether RunGuard put the message into the prompt."""
    about = message.additional_kwargs
    return bool(about) and bool(ADVICE.items() <= about.items())


def model_call(
    batch: Sequence[Any], params: Mapping[str, Any], metadata: Mapping[str, Any], messages: Messages, retry_of: str | None
) -> ModelCall:
    """A model call about to be made.

    Args:
        batch: messages, or one prompt's text.
        params: LangChain's invocation parameters; metadata: of the run.
        messages: the memory of their sizes; retry_of: id of the failed call this one repeats.
    """
    prompt = read_prompt(batch, tools=params.get("tools") or params.get("functions"), messages=messages)
    return ModelCall(
        model=str(metadata.get("ls_model_name") or params.get("model") or params.get("model_name") or "unknown"),
        provider=metadata.get("ls_provider"),
        max_output_tokens=_whole(metadata.get("ls_max_tokens") or params.get("max_tokens")),
        choice_count=_whole(params.get("n")) or 1,
        can_cap_output=bool(metadata.get("runguard_can_cap_output")),
        landing=bool(metadata.get("runguard_landing")),
        service_tier=params.get("service_tier"),
        retry_of=retry_of, parts=prompt.parts, input_bytes=prompt.input_bytes, media_count=prompt.media_count,
        after_tool=prompt.after_tool, tool_count=prompt.tool_count,
    )  # fmt: skip


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def tool_call(serialized: Mapping[str, Any] | None, text: str, about: Mapping[str, Any]) -> ToolCall:
    """A tool about to be run."""
    inputs, tool = about.get("inputs"), (serialized or {}).get("name") or about.get("name") or "tool"
    return ToolCall(name=str(tool), arguments=inputs if inputs is not None else text, tool_call_id=about.get("tool_call_id"))


def tool_failure(error: BaseException, *, is_stop: bool) -> Outcome:
    """The outcome of a tool that raised."""
    if is_stop:
        return Outcome(kind=OutcomeKind.CANCELLED)
    return Outcome(kind=OutcomeKind.FAILED, error=f"{type(error).__name__}: {error}"[:300])


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
    message, given = getattr(generation, "message", None), response.llm_output or {}
    raw = getattr(message, "usage_metadata", None)
    if raw and raw.get("total_cost") == 0:
        return Outcome(from_cache=True)
    about = {**given, **(getattr(message, "response_metadata", None) or {})}
    outcome = read_answer({
        "choices": [{"text": getattr(generation, "text", None)} if message is None else {"message": as_mapping(message)}],
        "usage": raw or given.get("token_usage"),
        "model": about.get("model_name") or about.get("model"),
        "id": about.get("id") or getattr(message, "id", None),
    })  # fmt: skip
    first, usage = first_usage or take_first_usage(message), outcome.usage
    is_short = usage is not None and (usage.input_tokens == 0 or (is_anthropic_stream and _lacks_cache(raw)))
    if is_short and usage is not None and first is not None and first.get("input_tokens"):
        usage, is_short = _completed_by(first, usage), False
    if usage is outcome.usage and outcome.usage_complete is not is_short:
        return outcome
    return replace(outcome, usage=usage, usage_complete=not is_short)


def _lacks_cache(raw: Mapping[str, Any] | None) -> bool:
    details = (raw or {}).get("input_token_details") or {}
    return all(details.get(key) is None for key in ("cache_read", "cache_creation"))


def take_first_usage(message: Any) -> Mapping[str, Any] | None:
    """Take the first event's usage out of a chunk or message; None where there is none."""
    metadata = getattr(message, "response_metadata", None)
    found = metadata.pop(FIRST_USAGE, None) if metadata and isinstance(metadata, dict) else None
    return found if found is not None and isinstance(found, Mapping) else None


def _completed_by(first: Mapping[str, Any], last: Usage) -> Usage:
    """What both ends of a stream say: the prompt from the first event, the answer from the last."""
    prompt = read_usage(first) or Usage()
    return replace(prompt, output_tokens=last.output_tokens, reasoning_output_tokens=last.reasoning_output_tokens)


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
