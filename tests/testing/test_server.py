"""The local provider: what it counts and serves is what a real one would."""

from __future__ import annotations

import threading
from typing import Any

import anthropic
import openai
import pytest

from runguard_core.testing import FakeProvider, Reply, Request, ToolUse


def chat(provider: FakeProvider, **more: Any) -> Any:
    """OpenAI's own client."""
    client = openai.OpenAI(base_url=provider.openai_url, api_key="test", max_retries=0)
    return client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "x" * 40}], **more)


def message(provider: FakeProvider, **more: Any) -> Any:
    """Anthropic's own client."""
    client = anthropic.Anthropic(base_url=provider.anthropic_url, api_key="test", max_retries=0)
    settings = {"model": "claude-sonnet-4-6", "max_tokens": 100, "messages": [{"role": "user", "content": "x" * 40}]} | more
    return client.messages.create(**settings)


def test_openai_answers_with_inclusive_usage() -> None:
    """Cached and reasoning tokens are parts of the totals."""
    with FakeProvider([Reply(text="hi", input_tokens=50, output_tokens=9, cached_tokens=20, reasoning_tokens=4)]) as provider:
        usage = chat(provider).usage
        assert (usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens) == (50, 20)
        assert (usage.completion_tokens, usage.completion_tokens_details.reasoning_tokens) == (9, 4)
        assert (provider.request_count, provider.input_tokens, provider.output_tokens) == (1, 50, 9)
        assert provider.requests[0].is_complete


def test_anthropic_answers_with_exclusive_usage() -> None:
    """The cache's tokens are beside input_tokens."""
    reply = Reply(text="hi", input_tokens=100, output_tokens=9, cached_tokens=20, cache_write_tokens=30, cache_write_1h_tokens=10)
    with FakeProvider([reply]) as provider:
        usage = message(provider).usage
        assert (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (40, 20, 40)
        assert usage.cache_creation.ephemeral_1h_input_tokens == 10


def test_a_script_that_fails_says_so_to_the_client() -> None:
    """A dropped connection would send its author looking in the wrong place."""

    def script(request: Request) -> Reply:
        raise LookupError(f"no answer to request {request.index}")

    with FakeProvider(script) as provider:
        with pytest.raises(openai.BadRequestError, match=r"FakeProvider's script failed: LookupError.*no answer to request 0"):
            chat(provider)
        with pytest.raises(anthropic.BadRequestError, match="no answer to request 0"):
            message(provider)
        assert provider.request_count == 0


def test_streams_report_usage_only_when_asked() -> None:
    """As OpenAI does; Anthropic always."""
    with FakeProvider([Reply(text="a long answer", input_tokens=5, output_tokens=3)]) as provider:
        plain = list(chat(provider, stream=True))
        asked = list(chat(provider, stream=True, stream_options={"include_usage": True}))
        assert [c.usage for c in plain if c.usage] == []
        assert asked[-1].usage.prompt_tokens == 5
        assert "".join(c.choices[0].delta.content or "" for c in plain if c.choices) == "a long answer"
        events = list(message(provider, stream=True))
        assert events[0].type == "message_start"
        assert next(e for e in events if e.type == "message_delta").usage.output_tokens == 3


def test_tool_calls_in_both_formats() -> None:
    """Names, arguments and ids."""
    with FakeProvider([Reply(tool_calls=(ToolUse("search", {"q": "x"}), ToolUse("look", {}, id="mine")))]) as provider:
        calls = chat(provider).choices[0].message.tool_calls
        assert [(c.function.name, c.function.arguments) for c in calls] == [("search", '{"q": "x"}'), ("look", "{}")]
        assert calls[1].id == "mine"
        blocks = message(provider).content
        assert [(b.name, b.input) for b in blocks] == [("search", {"q": "x"}), ("look", {})]


@pytest.mark.parametrize(
    ("status", "error"), [(429, openai.RateLimitError), (500, openai.InternalServerError), (400, openai.BadRequestError)]
)
def test_errors_look_like_the_providers(status: int, error: type[Exception]) -> None:
    """And cost nothing."""
    with FakeProvider([Reply(status=status, retry_after_seconds=2)]) as provider:
        with pytest.raises(error) as caught:
            chat(provider)
        assert caught.value.response.headers["retry-after"] == "2"  # type: ignore[attr-defined]
        assert (provider.input_tokens, provider.output_tokens) == (0, 0)


def test_the_requests_limit_caps_the_answer() -> None:
    """With the reason."""
    with FakeProvider([Reply(output_tokens=500)]) as provider:
        answer = chat(provider, max_tokens=7)
        assert (answer.usage.completion_tokens, answer.choices[0].finish_reason) == (7, "length")


def test_a_gate_holds_an_answer_and_a_cut_breaks_it() -> None:
    """Without sleeping."""
    gate = threading.Event()
    with FakeProvider(
        lambda r: Reply(gate=gate) if r.index == 0 else Reply(text="x" * 100, chunks=9, cut_after_chunks=3)
    ) as provider:
        answers: list[Any] = []
        thread = threading.Thread(target=lambda: answers.append(chat(provider)))
        thread.start()
        provider.wait_for(1)
        assert answers == []
        gate.set()
        thread.join(10)
        assert answers[0].choices[0].message.content == "ok"
        with pytest.raises(Exception):  # noqa: B017  the client's own
            list(chat(provider, stream=True))
        assert not provider.requests[1].is_complete
        with pytest.raises(TimeoutError):
            provider.wait_for(99, timeout_seconds=0.01)
