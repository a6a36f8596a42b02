"""Recorded answers of many providers, through LiteLLM: what is metered is what the response reported, and its own price."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import ROUND_CEILING, Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import litellm
import pytest

from runguard_core import Guard, Usage
from runguard_core.testing import CassetteProvider, Exchange
from tests.integrations.ledger import calls

HI = [{"role": "user", "content": "hi"}]
#: Folder of the recordings: how the path must look (its first group is the model, if it holds one), and the arguments that
#: make LiteLLM ask for it at an address.
PROVIDERS: dict[str, tuple[str, Callable[[str, str], dict[str, Any]]]] = {
    "openai": ("/v1/chat/completions", lambda url, model: {"model": f"openai/{model}", "api_base": f"{url}/v1"}),
    "azure_openai": (
        "/openai/deployments/([^/]+)/chat/completions",
        lambda url, model: {"model": f"azure/{model}", "api_base": url, "api_version": "2024-02-01"},
    ),
    "anthropic": ("/v1/messages", lambda url, model: {"model": f"anthropic/{model}", "api_base": url}),
    "bedrock": (
        "/model/([^/]+)/converse(?:-stream)?",
        lambda url, model: {"model": f"bedrock/converse/{unquote(model)}", "aws_bedrock_runtime_endpoint": url, **AWS},
    ),
    "google_gemini": (
        "/v1beta/models/([^:]+):(?:g|streamG)enerateContent",
        lambda url, model: {"model": f"gemini/{model}", "api_base": f"{url}/v1beta"},
    ),
    "groq": ("/openai/v1/chat/completions", lambda url, model: {"model": f"groq/{model}", "api_base": f"{url}/openai/v1"}),
    "mistral": ("/v1/chat/completions", lambda url, model: {"model": f"mistral/{model}", "api_base": f"{url}/v1"}),
    "deepseek": ("/chat/completions", lambda url, model: {"model": f"deepseek/{model}", "api_base": url}),
    "cerebras": ("/v1/chat/completions", lambda url, model: {"model": f"cerebras/{model}", "api_base": f"{url}/v1"}),
    "openrouter": ("/api/v1/chat/completions", lambda url, model: {"model": f"openrouter/{model}", "api_base": f"{url}/api/v1"}),
    "together": ("/v1/chat/completions", lambda url, model: {"model": f"together_ai/{model}", "api_base": f"{url}/v1"}),
    "zai": ("/api/paas/v4/chat/completions", lambda url, model: {"model": f"zai/{model}", "api_base": f"{url}/api/paas/v4"}),
    "cohere": ("/v2/chat", lambda url, model: {"model": f"cohere_chat/{model}", "api_base": f"{url}/v2/chat"}),
    "ollama": ("/api/chat", lambda url, model: {"model": f"ollama_chat/{model}", "api_base": url}),
}
IS_OLD = tuple(int(part) for part in version("litellm").split(".")[:2]) < (1, 106)
AWS = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "aws_region_name": "us-east-1"}


def frames_of(body: bytes) -> list[dict[str, Any]]:
    """The JSON values of an answer, or of a stream's events."""
    text = body.decode("utf-8", "replace")
    if text.lstrip().startswith("{"):
        return [json.loads(text)]
    lines = [line[5:].strip() for line in text.splitlines() if line.startswith("data:")]
    return [json.loads(line) for line in lines if line and line != "[DONE]"]


def reported(provider: str, body: bytes) -> tuple[Usage | None, int | None]:
    """Usage by class and the provider's own price, as the raw answer states them."""
    merged: dict[str, Any] = {}
    for found in _counts(provider, body):
        merged |= {key: value for key, value in (found or {}).items() if value is not None}
    if provider == "anthropic":
        return _anthropic(merged), None
    if provider == "google_gemini":
        return _gemini(merged), None
    if provider == "bedrock":
        read, written = merged.get("cacheReadInputTokens") or 0, merged.get("cacheWriteInputTokens") or 0
        asked = merged.get("inputTokens")
        special = {"cached_tokens": read, "cache_write_tokens": written}
        return _usage(None if asked is None else asked + read + written, merged.get("outputTokens"), special, {}), None
    if provider in {"cohere", "ollama"}:
        counted = merged.get("tokens") or merged.get("billed_units") or merged
        keys = ("input_tokens", "output_tokens") if provider == "cohere" else ("prompt_eval_count", "eval_count")
        return _usage(counted.get(keys[0]), counted.get(keys[1]), {}, {}), None
    usage = _usage(
        merged.get("prompt_tokens"), merged.get("completion_tokens"),
        merged.get("prompt_tokens_details") or {"cached_tokens": merged.get("prompt_cache_hit_tokens")},
        merged.get("completion_tokens_details") or {},
    )  # fmt: skip
    cost = merged.get("cost") if provider == "openrouter" else None
    return usage, None if not cost else int((Decimal(str(cost)) * 10**9).to_integral_value(ROUND_CEILING))


def _counts(provider: str, body: bytes) -> Iterator[dict[str, Any] | None]:
    """Every report of usage in an answer, in order."""
    if provider == "bedrock":  # its streams are binary frames around JSON
        for found in re.findall(rb'"usage":\s*(\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\})', body):
            yield json.loads(found)
        return
    for frame in frames_of(body):
        message = frame.get("message") if isinstance(frame.get("message"), dict) else {}
        delta = frame.get("delta") if isinstance(frame.get("delta"), dict) else {}
        yield from (frame.get("usage"), message.get("usage"), delta.get("usage"), (frame.get("x_groq") or {}).get("usage"))
        yield frame.get("usageMetadata") or (frame if provider == "ollama" else None)


def _gemini(raw: dict[str, Any]) -> Usage | None:
    if "promptTokenCount" not in raw:
        return None
    thoughts = raw.get("thoughtsTokenCount") or 0
    asked = raw["promptTokenCount"] + (raw.get("toolUsePromptTokenCount") or 0)
    by_kind = {one["modality"].lower(): one["tokenCount"] for one in raw.get("promptTokensDetails") or ()}
    given = {"cached_tokens": raw.get("cachedContentTokenCount"), "audio_tokens": by_kind.get("audio")}
    given["image_tokens"] = by_kind.get("image")
    return _usage(asked, (raw.get("candidatesTokenCount") or 0) + thoughts, given, {"reasoning_tokens": thoughts})


def _usage(asked: Any, made: Any, given: dict[str, Any], spent: dict[str, Any]) -> Usage | None:
    if asked is None or made is None:
        return None
    return Usage(
        input_tokens=int(asked), output_tokens=int(made), cache_read_input_tokens=given.get("cached_tokens") or 0,
        cache_creation_input_tokens=given.get("cache_write_tokens") or 0,
        reasoning_output_tokens=spent.get("reasoning_tokens") or 0, input_audio_tokens=given.get("audio_tokens") or 0,
        output_audio_tokens=spent.get("audio_tokens") or 0, input_image_tokens=given.get("image_tokens") or 0,
        output_image_tokens=spent.get("image_tokens") or 0,
    )  # fmt: skip


def _anthropic(raw: dict[str, Any]) -> Usage | None:
    if "input_tokens" not in raw:
        return None
    read, written = raw.get("cache_read_input_tokens") or 0, raw.get("cache_creation_input_tokens") or 0
    hour = (raw.get("cache_creation") or {}).get("ephemeral_1h_input_tokens") or 0
    return Usage(
        input_tokens=raw["input_tokens"] + read + written, output_tokens=raw["output_tokens"], cache_read_input_tokens=read,
        cache_creation_input_tokens=written, cache_creation_1h_input_tokens=hour,
        reasoning_output_tokens=(raw.get("output_tokens_details") or {}).get("thinking_tokens") or 0,
    )  # fmt: skip


def _compared(guard: Guard, folder: str, provider: CassetteProvider, exchange: Exchange) -> str | None:
    """Ask for one recorded answer and compare; what is wrong, "" for nothing, None when the client cannot read the answer."""
    pattern, given_of = PROVIDERS[folder]
    wanted, cost = reported(folder, exchange.body)
    found = re.fullmatch(pattern, exchange.path)
    model = found[1] if found is not None and found.groups() else exchange.request_body.get("model", "m")
    is_stream = "stream" in exchange.path or bool(exchange.request_body.get("stream", folder == "ollama"))
    given = {**given_of(provider.url, model), **({} if folder == "bedrock" else {"api_key": "x"})}
    before = len(calls(guard))
    try:
        answer = litellm.completion(messages=HI, stream=is_stream, max_retries=0, **given)
        if is_stream:
            list(answer)
    except Exception as error:  # noqa: BLE001  an answer the client cannot read is not a metering case
        print(f"passed over: {type(error).__name__}: {str(error)[:150]}")
        exchange.played = True
        return None
    settled = calls(guard)[before].settlement
    if settled is None or wanted is None:
        return "not settled" if settled is None else ""
    used = settled.usage
    if used is not None and folder in {"anthropic", "bedrock"} and not wanted.reasoning_output_tokens:
        used = replace(used, reasoning_output_tokens=0)  # LiteLLM counts thinking itself where nobody else does; the price is one
    if used is not None and IS_OLD:
        wanted = replace(wanted, input_audio_tokens=used.input_audio_tokens)  # it takes what was cached out of a video's sound
    is_priced = settled.certainty.value != "unpriced"
    read = (used, settled.certainty.value if is_priced else "exact") if cost is None else (used, settled.cost_nanos)
    return "" if read == (wanted, "exact" if cost is None else cost) else f"{read} is not {wanted} {cost}"


@pytest.mark.parametrize("folder", PROVIDERS)
def test_recorded_answers_of_others_are_metered_to_the_token(
    folder: str, shared_data: Path, guarded: Callable[..., Guard]
) -> None:
    """Every chat cassette of the provider, served over HTTP to LiteLLM's own client."""
    guard = guarded(unpriced="flag")
    compared, wrong = 0, []
    for path in sorted((shared_data / "cassettes" / folder).glob("*.yaml")):
        with CassetteProvider(path) as provider:
            for exchange in provider.exchanges:
                is_chat = (
                    re.fullmatch(PROVIDERS[folder][0], exchange.path)
                    and exchange.status == 200
                    and isinstance(exchange.request_body, dict)
                )
                is_of_two_models = b"advisor_message" in exchange.body  # its sums stand for one of them, LiteLLM's for both
                if not is_chat or is_of_two_models or exchange.played or reported(folder, exchange.body)[0] is None:
                    exchange.played = True
                    continue
                said = _compared(guard, folder, provider, exchange)
                compared += said == ""
                wrong += [f"{path.name}: {said}"] if said else []
    print(f"{folder}: {compared} answers", *wrong, sep="\n")
    assert wrong == []
    assert compared >= 1


OURS = Path(__file__).parents[3] / "cassettes" / "http" / "langchain"


@pytest.mark.parametrize("path", sorted(OURS.glob("*.yaml")), ids=lambda path: path.stem)
def test_our_own_recordings_are_metered_to_the_token(path: Path, guarded: Callable[..., Guard]) -> None:
    """The same where the recordings of others are not here."""
    guard, folder = guarded(unpriced="flag"), path.stem.partition("-")[0]
    with CassetteProvider(path) as provider:
        said = [_compared(guard, folder, provider, exchange) for exchange in provider.exchanges]
    assert said == [""] * len(said)
    assert said
