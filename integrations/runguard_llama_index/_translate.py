"""LlamaIndex's payloads and answers to RunGuard's values. Pure; imports nothing of LlamaIndex."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from runguard_core import (
    ModelCall,
    Outcome,
    OutcomeKind,
    PromptPart,
    StoppedError,
    ToolCall,
    read_answer,
    read_error,
    read_prompt,
    read_usage,
)

#: How the class names of LlamaIndex's models begin, and the provider that is behind them.
_PROVIDERS = {
    "openailike": None, "azure": "azure", "openai": "openai", "anthropic": "anthropic", "mistral": "mistral", "groq": "groq",
    "gemini": "google", "googlegenai": "google", "vertex": "google", "cohere": "cohere", "bedrock": "aws", "deepseek": "deepseek",
    "together": "together", "fireworks": "fireworks", "perplexity": "perplexity", "openrouter": "openrouter",
    "voyage": "voyageai",
}  # fmt: skip
#: Rerankers that run on this machine, or by a model of the program's own, which is metered itself.
_UNPAID_RERANKERS = ("llm", "structured", "sentence", "flag", "colbert", "rankgpt", "rankllm", "openvino", "tei", "mock")


def model_call(payload: Mapping[Any, Any], name: str, limit: Any, *, can_cap: bool) -> ModelCall:
    """An LLM call about to be made.

    Args:
        payload: of the callback's start event, keys as text.
        name: of the model, where the payload has none.
        limit: the model's own limit of an answer's tokens; can_cap: whether its output limit can be lowered.
    """
    about, given = payload.get("serialized") or {}, payload.get("additional_kwargs") or {}
    messages = payload.get("messages")
    prompt = [_as_mapping(message) for message in messages] if messages is not None else payload.get("formatted_prompt") or ""
    limits = (given.get("max_tokens"), (about.get("additional_kwargs") or {}).get("max_tokens"), limit)
    return ModelCall(
        model=name or _model(about),
        provider=_provider(about),
        max_output_tokens=next((one for one in limits if isinstance(one, int) and one > 0), None),
        can_cap_output=can_cap,
        operation="chat" if messages is not None else "text_completion",
        **read_prompt(prompt, tools=given.get("tools"))._asdict(),
    )


def embedding_call(payload: Mapping[Any, Any], texts: tuple[int, int]) -> ModelCall:
    """A batch of embeddings about to be asked for; `texts`: characters and number of all that its span embeds."""
    about = payload.get("serialized") or {}
    chars, count = texts
    batch = min(count, about.get("embed_batch_size") or count or 1) or 1
    share = -(-chars * batch // max(1, count))
    return ModelCall(
        model=_model(about), provider=_provider(about), parts=(PromptPart("user", share, batch),), max_output_tokens=0,
        operation="embeddings",
    )  # fmt: skip


def is_unpaid_reranker(name: str) -> bool:
    """Whether nobody is paid for what a class of this name reranks."""
    return name.lower().startswith(_UNPAID_RERANKERS)


def rerank_call(payload: Mapping[Any, Any]) -> ModelCall:
    """A reranking about to be asked for."""
    chars = len(str(payload.get("query_str") or "")) + sum(len(str(node)) for node in payload.get("nodes") or ())
    model = str(payload.get("model_name") or "unknown")
    return ModelCall(model=model, parts=(PromptPart("user", chars),), max_output_tokens=0, operation="rerank")


def _model(about: Mapping[str, Any]) -> str:
    return str(about.get("model") or about.get("model_name") or about.get("model_id") or about.get("class_name") or "unknown")


def _provider(about: Mapping[str, Any]) -> str | None:
    name = str(about.get("class_name") or "").lower().replace("_", "")
    return next((provider for start, provider in _PROVIDERS.items() if name.startswith(start)), None)


def _as_mapping(message: Any) -> dict[str, Any]:
    """A chat message in OpenAI's format."""
    more, role = getattr(message, "additional_kwargs", None) or {}, getattr(message, "role", "user")
    blocks = getattr(message, "blocks", None) or ()
    asks = [block for block in blocks if getattr(block, "block_type", "") == "tool_call"]
    calls = [{"id": block.tool_call_id, "name": block.tool_name, "arguments": block.tool_kwargs} for block in asks]
    return {
        "role": str(getattr(role, "value", role)),
        "content": [_block(block) for block in blocks if block not in asks] or getattr(message, "content", None),
        "tool_calls": more.get("tool_calls") or calls, "tool_call_id": more.get("tool_call_id"), "name": more.get("name"),
    }  # fmt: skip


def _block(block: Any) -> dict[str, Any]:
    kind = str(getattr(block, "block_type", "text"))
    return {"type": kind, "text": getattr(block, "text", None) or getattr(block, "content", None) or ""}


def tool_call(event: Any) -> ToolCall:
    """A tool an agent is about to run."""
    return ToolCall(name=str(event.tool_name), arguments=event.tool_kwargs, tool_call_id=str(event.tool_id))


def tool_outcome(result: Any) -> Outcome:
    """What a tool has returned."""
    output = getattr(result, "tool_output", result)
    text = getattr(output, "content", None)
    if getattr(output, "is_error", False):
        return Outcome(kind=OutcomeKind.FAILED, error=str(text)[:300])
    return Outcome(result=text if isinstance(text, str) else str(output))


def tool_failure(error: BaseException) -> Outcome:
    """What a tool has raised; a stop further in is no failure of its own."""
    outcome = read_error(error)
    return replace(outcome, kind=OutcomeKind.CANCELLED) if isinstance(error, StoppedError) else outcome


def ended(payload: Mapping[str, Any], seen_chars: int) -> Outcome:
    """How a call has ended, by its callback's end event: the provider's raw answer, and what LlamaIndex made of it.

    Args:
        payload: with an error, an answer, the last piece of a stream, or nothing.
        seen_chars: of the pieces before.
    """
    error, response = payload.get("exception"), payload.get("response", payload.get("completion"))
    if isinstance(error, BaseException):
        return read_error(error, seen_chars)
    raw, message = read_answer(getattr(response, "raw", None)), getattr(response, "message", None)
    usage = raw.usage or read_usage(getattr(response, "additional_kwargs", None) or None)
    made = {"text": getattr(response, "text", None)} if message is None else {"message": _as_mapping(message)}
    said = read_answer({"choices": [made]})
    return replace(
        raw,
        usage=usage,
        usage_complete=usage is None or usage.input_tokens > 0,
        output_chars=max(seen_chars, said.output_chars),
        tool_names=said.tool_names,
        output_text=said.output_text,
    )
