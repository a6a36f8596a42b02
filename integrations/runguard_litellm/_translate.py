"""LiteLLM's requests and answers to RunGuard's values. Pure; imports nothing of LiteLLM."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from typing import Any

from runguard_core import ModelCall, Outcome, OutcomeKind, Usage, read_error, read_prompt, read_usage

_KINDS = {
    "completion": "chat", "text_completion": "text_completion", "responses": "chat", "anthropic_messages": "chat",
    "generate_content": "chat", "generate_content_stream": "chat", "embedding": "embeddings", "embeddings": "embeddings",
    "rerank": "rerank", "image_generation": "image_generation", "image_edit": "image_edit", "speech": "speech",
    "transcription": "transcription", "ocr": "ocr", "search": "search", "video_generation": "video_generation",
}  # fmt: skip
#: LiteLLM's names of what is called, sync and async, to OpenTelemetry's names of the operation. What is not here is not
#: metered: it is free (files, lists), or paid later (batches, fine-tuning), or has no request of its own.
OPERATIONS = {**_KINDS, **{f"a{name}": operation for name, operation in _KINDS.items()}}
#: What answers with numbers, sound or ranks: no answer tokens are expected.
_NO_ANSWER = frozenset({"embeddings", "rerank", "speech", "ocr", "search"})
_VALUES = ("feature", "team", "owner", "user", "agent", "session", "run", "release")


def model_call(
    operation: str, model: Any, prompt: Any, params: Mapping[str, Any], providers: Iterable[str], retry_of: str | None
) -> ModelCall:
    """A call about to be made.

    Args:
        operation: OpenTelemetry's name.
        model: as asked for, with or without a provider before the slash; prompt: messages, input or text.
        params: LiteLLM's keyword arguments; providers: names that may stand before the slash.
        retry_of: id of the failed call this one repeats.
    """
    name, provider = str(model or "unknown"), params.get("custom_llm_provider")
    head, slash, rest = name.partition("/")
    if slash and (head == provider or (provider is None and head in providers)):
        name, provider = rest, head
    is_text = operation in {"chat", "text_completion"}
    limits = [params.get(key) for key in ("max_completion_tokens", "max_tokens", "max_output_tokens")]
    read = read_prompt(
        prompt, system=params.get("system") or params.get("instructions"), tools=params.get("tools") or params.get("functions")
    )
    return ModelCall(
        model=name,
        provider=str(provider) if provider else None,
        max_output_tokens=0 if operation in _NO_ANSWER else next((n for n in limits if isinstance(n, int) and n > 0), None),
        choice_count=max(1, params["n"]) if is_text and isinstance(params.get("n"), int) else 1,
        can_cap_output=is_text,
        service_tier=params.get("service_tier"),
        retry_of=retry_of,
        operation=operation,
        **read._asdict(),
    )


def attribution(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Whose a call is: flat `runguard_*` keys first, then what LiteLLM and its proxy call session, user, team, agent, tags."""
    about: dict[str, Any] = {}
    for key in ("litellm_metadata", "metadata"):
        about |= kwargs[key] if isinstance(kwargs.get(key), Mapping) else {}
    found: dict[str, Any] = {
        "session": kwargs.get("litellm_session_id") or about.get("session_id"),
        "user": about.get("user_api_key_end_user_id") or kwargs.get("user"),
        "team": about.get("user_api_key_team_alias") or about.get("user_api_key_team_id"),
        "owner": about.get("user_api_key_user_id"),
        "agent": about.get("agent_id"),
    }
    tags: dict[str, Any] = {"key": about.get("user_api_key_alias")}
    for label in (*(about.get("tags") or ()), *(kwargs.get("tags") or ())):
        if isinstance(label, str) and not label.startswith("User-Agent:"):
            key, mark, value = label.partition("=" if "=" in label else ":")
            tags[key] = value if mark else "true"
    for key, value in about.items():
        name = key.removeprefix("runguard_") if isinstance(key, str) else ""
        if name != key and name in _VALUES:
            found[name] = value
        elif name != key and name.startswith("tag_"):
            tags[name.removeprefix("tag_")] = value
    return {**{key: str(value) for key, value in found.items() if value}, "tags": tags}


def router_name(kwargs: Mapping[str, Any]) -> tuple[str, ...]:
    """The name that a router's caller used, under which an outer adapter knows the call."""
    tables = (kwargs.get(key) for key in ("metadata", "litellm_metadata"))
    return tuple(str(table["model_group"]) for table in tables if isinstance(table, Mapping) and table.get("model_group"))


# -- outcomes ---------------------------------------------------------------------------------------------------------


def read(value: Any, key: str) -> Any:
    """A field of an object or a mapping; None when missing."""
    return value.get(key) if isinstance(value, Mapping) else getattr(value, key, None)


def completed(answer: Any) -> Outcome:
    """The outcome of a whole answer, of whatever kind of call, or of the last event of a response's stream."""
    answer = read(answer, "response") or answer
    raw, (chars, names) = read(answer, "usage"), _said(answer)
    usage = read_usage(raw)
    return Outcome(
        usage=usage, usage_complete=usage is None or usage.input_tokens > 0, output_chars=chars, tool_names=names,
        cost_nanos=_cost(raw),
        model=_text(read(answer, "model")), provider_request_id=_text(read(answer, "id")),
    )  # fmt: skip


def streamed(chunks: Sequence[Any], *, is_whole: bool, error: BaseException | None = None) -> Outcome:
    """The outcome of a stream by the chunks that came; LiteLLM's own zeros are no report of usage."""
    said = [_said(chunk) for chunk in chunks]
    chars = sum(count for count, _ in said)
    if error is not None:
        return read_error(error, chars)
    raws = [raw for chunk in chunks if (raw := read(chunk, "usage"))] if is_whole else []
    usage = None
    for raw in raws:  # Anthropic states the prompt first and the answer last, Gemini corrects itself
        usage = _later(usage, read_usage(raw))
    first = chunks[0] if chunks else None
    return Outcome(
        kind=OutcomeKind.COMPLETED if is_whole else OutcomeKind.CANCELLED,
        usage=usage, usage_complete=usage is None or usage.input_tokens > 0,
        output_chars=chars, tool_names=tuple(name for _, names in said for name in names),
        cost_nanos=max((cost for raw in raws if (cost := _cost(raw)) is not None), default=None),
        model=_text(read(first, "model")), provider_request_id=_text(read(first, "id")),
    )  # fmt: skip


def _later(before: Usage | None, now: Usage | None) -> Usage | None:
    if before is None or now is None:
        return now or before
    return Usage(**{name: getattr(now, name) or getattr(before, name) for name in Usage.__dataclass_fields__})


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _cost(raw: Any) -> int | None:
    """The price in the usage, rounded up to the nano-dollar."""
    cost = read(raw, "cost")
    cost = cost.get("total_cost") if isinstance(cost, Mapping) else cost
    if isinstance(cost, bool) or not isinstance(cost, (int, float)) or cost <= 0:
        return None
    return int((Decimal(str(cost)) * 10**9).to_integral_value(ROUND_CEILING))


def _said(answer: Any) -> tuple[int, tuple[str, ...]]:
    """Characters of an answer or a piece of one, and the tools it asks for."""
    chars, names = 0, []
    for choice in (read(answer, "choices") or ())[:1]:
        message = read(choice, "message") or read(choice, "delta")
        chars += len(read(message, "content") or read(choice, "text") or "") + len(read(message, "reasoning_content") or "")
        for call in read(message, "tool_calls") or ():
            chars += len(read(read(call, "function"), "arguments") or "")
            names.append(read(read(call, "function"), "name"))
    blocks = read(answer, "output") or read(answer, "content")
    for item in blocks if isinstance(blocks, list) else ():
        names += [read(item, "name")] if read(item, "type") in {"function_call", "tool_use"} else []
        texts = read(item, "content") if isinstance(read(item, "content"), list) else [item]
        chars += sum(len(read(text, "text") or "") for text in texts)
    return chars, tuple(str(name) for name in names if name)
