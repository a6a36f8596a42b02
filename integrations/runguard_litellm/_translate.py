"""LiteLLM's requests to RunGuard's values. Pure; imports nothing of LiteLLM."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from runguard_core import ModelCall, read_attribution, read_prompt

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


def model_call(
    operation: str, model: Any, asked: Any, params: Mapping[str, Any], providers: Iterable[str], retry_of: str | None
) -> ModelCall:
    """A call about to be made.

    Args:
        operation: OpenTelemetry's name.
        model: as asked for, with or without a provider before the slash; asked: messages, input or text.
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
        asked, system=params.get("system") or params.get("instructions"), tools=params.get("tools") or params.get("functions")
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


def prompt(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """What is asked, under whichever name a kind of call has for it."""
    for key in ("messages", "input", "prompt", "query", "contents", "file", "document"):
        if kwargs.get(key) is not None:
            return kwargs[key]
    return args[1] if len(args) > 1 else ""


def capped(kind: str, kwargs: dict[str, Any], cap: int | None) -> dict[str, Any]:
    """The keyword arguments with no more output asked for than `cap` tokens; None leaves them."""
    if cap is None:
        return kwargs
    limit = "max_output_tokens" if kind.endswith("responses") else "max_tokens"
    limit = "max_completion_tokens" if kwargs.get("max_completion_tokens") else limit
    return {**kwargs, limit: min(cap, kwargs.get(limit) or cap)}


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
    told = read_attribution(about)
    tags |= told.pop("tags", {})
    found |= {**told, "run": about.get("runguard_run")}
    return {**{key: str(value) for key, value in found.items() if value}, "tags": tags}


def router_name(kwargs: Mapping[str, Any]) -> tuple[str, ...]:
    """The name that a router's caller used, under which an outer adapter knows the call."""
    tables = (kwargs.get(key) for key in ("metadata", "litellm_metadata"))
    return tuple(str(table["model_group"]) for table in tables if isinstance(table, Mapping) and table.get("model_group"))
