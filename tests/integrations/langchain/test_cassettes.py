"""Recorded providers: what is metered is what the response reported, streams included."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import langchain_anthropic.chat_models
import pytest
import vcr
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI

from runguard_core import Guard, Usage
from runguard_core.calls import Certainty
from runguard_core.testing import CassetteProvider, FakeProvider, Reply, ToolUse
from runguard_langchain import activate
from tests.integrations.ledger import calls

OURS = Path(__file__).parents[3] / "cassettes" / "http" / "langchain"
#: Older clients of Anthropic drop how much of an answer was thinking; it costs the same.
HANDS_ON_THINKING = "thinking_tokens" in inspect.getsource(langchain_anthropic.chat_models)
PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}


def reported(protocol: str, body: bytes) -> Usage | None:
    """Usage by class as an answer's raw body states it; None where it states none."""
    text = body.decode("utf-8", "replace")
    if text.lstrip().startswith("{"):
        frames = [json.loads(text)]
    else:
        lines = [line[5:].strip() for line in text.splitlines() if line.startswith("data:")]
        frames = [json.loads(line) for line in lines if line and line != "[DONE]"]
    merged: dict[str, Any] = {}
    for frame in frames:
        for found in (
            frame.get("usage"),
            (frame.get("message") or {}).get("usage") if isinstance(frame.get("message"), dict) else None,
        ):
            merged |= {key: value for key, value in (found or {}).items() if value is not None}
    return openai_usage(merged) if protocol == "openai" else anthropic_usage(merged)


def openai_usage(raw: dict[str, Any]) -> Usage | None:
    """OpenAI's counts are inclusive."""
    if "prompt_tokens" not in raw:
        return None
    given, made = raw.get("prompt_tokens_details") or {}, raw.get("completion_tokens_details") or {}
    return Usage(
        input_tokens=raw["prompt_tokens"], output_tokens=raw["completion_tokens"], cache_read_input_tokens=given.get("cached_tokens") or 0,
        reasoning_output_tokens=made.get("reasoning_tokens") or 0, input_audio_tokens=given.get("audio_tokens") or 0,
        output_audio_tokens=made.get("audio_tokens") or 0,
    )  # fmt: skip


def anthropic_usage(raw: dict[str, Any]) -> Usage | None:
    """Anthropic's input_tokens leaves the cache out."""
    if "input_tokens" not in raw:
        return None
    read, written = raw.get("cache_read_input_tokens") or 0, raw.get("cache_creation_input_tokens") or 0
    return Usage(
        input_tokens=raw["input_tokens"] + read + written, output_tokens=raw["output_tokens"], cache_read_input_tokens=read,
        cache_creation_input_tokens=written, cache_creation_1h_input_tokens=(raw.get("cache_creation") or {}).get("ephemeral_1h_input_tokens") or 0,
        reasoning_output_tokens=((raw.get("output_tokens_details") or {}).get("thinking_tokens") or 0) * HANDS_ON_THINKING,
    )  # fmt: skip


def client(protocol: str, url: str, model: str) -> Any:
    """The real client of a protocol."""
    if protocol == "openai":
        return ChatOpenAI(base_url=f"{url}/v1", api_key="t", model=model, max_retries=0, stream_usage=True)  # type: ignore[arg-type]
    return ChatAnthropic(base_url=url, api_key="t", model=model, max_retries=0, max_tokens=1000)  # type: ignore[call-arg, arg-type]


def replay(protocol: str, path: Path, guard: Guard) -> int:
    """Ask for every recorded chat answer once; how many answers reported usage and were compared."""
    compared = 0
    with CassetteProvider(path) as provider, activate(guard):
        for exchange in provider.exchanges:
            is_chat = exchange.path == PATHS[protocol] and exchange.status == 200 and isinstance(exchange.request_body, dict)
            wanted = reported(protocol, exchange.body) if is_chat else None
            if not is_chat or wanted is None:
                exchange.played = True
                continue
            before = len(calls(guard))
            model = client(protocol, provider.url, str(exchange.request_body.get("model", "gpt-4o")))
            try:
                list(model.stream("hi")) if exchange.request_body.get("stream") else model.invoke("hi")
            except Exception as error:  # noqa: BLE001  an answer the client cannot read is not a metering case
                exchange.played = True
                print(f"{path.name}: {type(error).__name__}")
                continue
            settled = calls(guard)[before].settlement
            assert settled is not None
            assert (settled.usage, settled.certainty) == (wanted, Certainty.EXACT), path.name
            compared += 1
        assert provider.unplayed == []
    return compared


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("protocol", ["openai", "anthropic"])
def test_recorded_answers_of_others_are_metered_to_the_token(shared_data: Path, make_guard: Any, protocol: str) -> None:
    """Every chat cassette of the provider, served over HTTP to the real client."""
    guard = make_guard(unpriced="flag")
    files = sorted((shared_data / "cassettes" / protocol).glob("*.yaml"))
    compared = sum(replay(protocol, path, guard) for path in files)
    print(f"{protocol}: {compared} answers of {len(files)} cassettes")
    assert compared >= 10


SCRIPTS: dict[str, Reply] = {
    "openai-cached": Reply(text="cached answer", input_tokens=1200, output_tokens=50, cached_tokens=1024, reasoning_tokens=20),
    "openai-stream-tools": Reply(tool_calls=(ToolUse("search", {"q": "x"}),), input_tokens=300, output_tokens=25),
    "anthropic-cache-writes": Reply(text="ok", input_tokens=5000, output_tokens=30, cached_tokens=1000, cache_write_tokens=2000, cache_write_1h_tokens=500),
    "anthropic-stream": Reply(text="streamed answer", input_tokens=700, output_tokens=40, cached_tokens=100),
}  # fmt: skip


@pytest.fixture
def recorder() -> vcr.VCR:
    """vcrpy, matching by what is asked; no header of a request is kept."""
    return vcr.VCR(
        cassette_library_dir=str(OURS), record_mode="none", match_on=["method", "path", "body"],
        filter_headers=["authorization", "x-api-key", "user-agent", "host"], decode_compressed_response=True,
    )  # fmt: skip


@pytest.fixture
def played(recorder: vcr.VCR, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Use a cassette; a cassette that is not played to its end fails its test."""
    name = request.node.callspec.params["name"]
    with recorder.use_cassette(f"{name}.yaml") as cassette:
        yield cassette
    assert cassette.all_played, f"{name}.yaml was not played to its end"


@pytest.mark.parametrize("name", list(SCRIPTS))
def test_our_own_recordings_replay_without_a_server(name: str, played: Any, make_guard: Any) -> None:
    """Nothing listens; the ledger has what was recorded, and no key is in the file."""
    guard, reply = make_guard(), SCRIPTS[name]
    protocol, stream = name.partition("-")[0], "stream" in name
    model = client(protocol, "http://127.0.0.1:9", "gpt-4o-mini" if protocol == "openai" else "claude-sonnet-4-6")
    with activate(guard):
        list(model.stream("hi")) if stream else model.invoke("hi")
    usage = calls(guard)[0].settlement.usage  # type: ignore[union-attr]
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.cache_read_input_tokens) == (
        reply.input_tokens,
        reply.output_tokens,
        reply.cached_tokens,
    )
    text = (OURS / f"{name}.yaml").read_text()
    assert "authorization" not in text.lower()
    assert "x-api-key" not in text.lower()


def record() -> None:
    """Record our cassettes anew from the local provider: `python -m tests.integrations.langchain.test_cassettes`."""
    for name, reply in SCRIPTS.items():
        protocol, stream = name.partition("-")[0], "stream" in name
        path = OURS / f"{name}.yaml"
        path.unlink(missing_ok=True)
        with FakeProvider([reply]) as provider:
            made = vcr.VCR(filter_headers=["authorization", "x-api-key", "user-agent", "host"], decode_compressed_response=True)
            with made.use_cassette(str(path), record_mode="all"):
                model = client(protocol, provider.url, "gpt-4o-mini" if protocol == "openai" else "claude-sonnet-4-6")
                list(model.stream("hi")) if stream else model.invoke("hi")
            path.write_text(path.read_text().replace(provider.url, "http://127.0.0.1:9"))


if __name__ == "__main__":
    record()
