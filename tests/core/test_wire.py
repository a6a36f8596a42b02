"""Prompts, usage and errors as providers and clients write them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runguard_core import Messages, OutcomeKind, Usage, read_answer, read_chunks, read_error, read_prompt, read_usage
from runguard_core.wire import without_credentials

CALL = {"id": "c1", "type": "function", "function": {"name": "search", "arguments": '{"q": 1}'}}


def sizes(prompt: Any, **more: Any) -> dict[str, tuple[int, int]]:
    """Characters and messages by origin."""
    return {part.origin: (part.chars, part.message_count) for part in read_prompt(prompt, **more).parts}


def test_openais_chat_is_read_by_origin() -> None:
    """Results of tools stand under the tool's name; the schema is a part of its own."""
    prompt = [
        {"role": "system", "content": "be brief"}, {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "image_url"}]},
        {"role": "assistant", "content": None, "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "c1", "content": "found"},
    ]  # fmt: skip
    read = read_prompt(prompt, tools=[{"name": "search"}])
    assert sizes(prompt) == {"system": (8, 1), "user": (2, 1), "assistant": (14, 1), "tool:search": (5, 1)}
    assert (read.media_count, read.after_tool, read.tool_count) == (1, True, 1)


def test_anthropics_messages_are_read_by_origin() -> None:
    """Its results of tools stand in a user's message."""
    prompt = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "search", "input": {"q": "abc"}}]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "found"}, {"type": "text", "text": "go"}],
        },
    ]
    assert sizes(prompt, system="rules") == {"system": (5, 1), "user": (4, 2), "assistant": (9, 1), "tool:search": (5, 1)}
    assert read_prompt(prompt).after_tool


def test_openais_responses_are_read_by_origin() -> None:
    """Calls and results are items of their own."""
    prompt = [
        {"role": "user", "content": "hi"}, {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "found"},
    ]  # fmt: skip
    assert sizes(prompt) == {"user": (2, 1), "assistant": (3, 1), "tool:f": (5, 1)}
    assert read_prompt(prompt).after_tool


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.binary(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)
    )
)
def test_whatever_a_prompt_is_it_can_be_measured(prompt: Any) -> None:
    """A program may send anything; reading it raises nothing."""
    read = read_prompt(prompt)
    assert read.input_bytes >= 0
    assert sum(part.chars for part in read.parts) >= 0


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (None, None), ({}, None), ({"prompt_tokens": 0, "completion_tokens": 0}, None),
        ({"prompt_tokens": 10, "completion_tokens": 5}, Usage(input_tokens=10, output_tokens=5)),
        ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3}},
         Usage(input_tokens=10, output_tokens=5, cache_read_input_tokens=4, cache_creation_input_tokens=3)),
        ({"input_tokens": 10, "output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 2}},
         Usage(input_tokens=10, output_tokens=5, reasoning_output_tokens=2)),
        ({"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 50,
          "cache_creation": {"ephemeral_1h_input_tokens": 20}},
         Usage(input_tokens=160, output_tokens=5, cache_read_input_tokens=100, cache_creation_input_tokens=50, cache_creation_1h_input_tokens=20)),
        (SimpleNamespace(prompt_tokens=True, completion_tokens="5"), None),
    ],
)  # fmt: skip
def test_usage_of_every_shape(raw: Any, wanted: Usage | None) -> None:
    """Inclusive and exclusive counts; all zeros are no report."""
    assert read_usage(raw) == wanted


def _raised(error: Exception, cause: BaseException | None = None) -> Exception:
    error.__cause__ = cause
    return error


def test_only_a_status_that_a_server_sent_says_that_nothing_was_billed() -> None:
    """Frameworks give their own errors a status too."""

    class Framework(Exception):  # noqa: N818
        status_code = 500

    response = httpx.Response(503, request=httpx.Request("POST", "http://x"))
    sent = httpx.HTTPStatusError("no", request=response.request, response=response)
    assert read_error(_raised(Framework("parse error"))).error_status is None
    assert read_error(_raised(Framework("server"), sent)).error_status == 503
    assert read_error(_raised(Framework("server"), sent), output_chars=5).error_status is None, "part of the answer had come"


def test_what_never_left_was_not_billed_and_what_was_cancelled_may_have_been() -> None:
    """By the causes, not by the words."""
    assert read_error(_raised(RuntimeError("no"), httpx.ConnectError("refused"))).billed is False
    assert read_error(_raised(RuntimeError("no"), httpx.ReadTimeout("slow"))).billed is True
    assert read_error(KeyboardInterrupt()).kind is OutcomeKind.CANCELLED
    looping = RuntimeError("a")
    looping.__cause__ = looping
    assert read_error(looping).kind is OutcomeKind.FAILED


def test_an_answer_that_leaves_the_prompts_count_out_is_not_complete() -> None:
    """Unknown is never zero."""
    half = read_answer({"usage": {"prompt_tokens": 0, "completion_tokens": 7}, "choices": [{"message": {"content": "fine"}}]})
    assert (half.usage_complete, half.output_chars) == (False, 4)
    assert read_answer({"usage": {"prompt_tokens": 3, "completion_tokens": 7}}).usage_complete


def test_later_counts_of_a_stream_correct_earlier_ones() -> None:
    """Anthropic states the prompt first and the answer last; Gemini corrects the prompt; a price is the provider's only if so said."""
    chunks = [
        {"id": "a", "usage": {"prompt_tokens": 145, "completion_tokens": 1}},
        {"usage": {"prompt_tokens": 85, "completion_tokens": 0}},
        {"usage": {"prompt_tokens": 0, "completion_tokens": 14, "cost": 0.5}},
    ]
    read = read_chunks(chunks, is_whole=True)
    assert (read.usage, read.cost_nanos, read.provider_request_id) == (Usage(input_tokens=85, output_tokens=14), None, "a")
    assert read_chunks(chunks, provider="openrouter", is_whole=True).cost_nanos == 500_000_000
    assert read_chunks(chunks, is_whole=False).usage is None


def test_counts_with_details_by_kind_are_read_as_inclusive() -> None:
    """As frameworks hand them on; cache writes by time to live are part of their total."""
    raw = {
        "input_tokens": 100, "output_tokens": 9,
        "input_token_details": {"cache_read": 10, "cache_creation": 0, "ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 5},
        "output_token_details": {"reasoning": 4},
    }  # fmt: skip
    assert read_usage(raw) == Usage(
        input_tokens=100, output_tokens=9, cache_read_input_tokens=10, cache_creation_input_tokens=25,
        cache_creation_1h_input_tokens=5, reasoning_output_tokens=4,
    )  # fmt: skip


def test_arguments_count_as_the_text_that_they_travel_as() -> None:
    """Whether a client has parsed them or not, in prompts and in answers."""
    parsed = {"id": "c1", "name": "search", "arguments": {"q": 1}}
    for call in (CALL, parsed):
        message = {"role": "assistant", "content": [{"type": "text", "text": "so"}], "tool_calls": [call]}
        assert sizes([message]) == {"assistant": (16, 1)}
        answer = read_answer({"choices": [{"message": message}]})
        assert (answer.output_chars, answer.tool_names) == (10, ("search",))


def test_messages_of_a_framework_are_measured_once() -> None:
    """Until their content is another; a result finds its tool's name among what earlier messages asked for."""
    made: list[Any] = []

    def as_mapping(message: Any) -> dict[str, Any]:
        made.append(message)
        return vars(message)

    class Theirs(SimpleNamespace):
        __hash__ = object.__hash__

    messages = Messages(as_mapping)
    batch = [
        Theirs(role="user", content="hi"), Theirs(role="assistant", content=None, tool_calls=[CALL]),
        Theirs(role="tool", content="found", tool_call_id="c1"),
    ]  # fmt: skip
    for _ in range(2):
        read = read_prompt(batch, messages=messages)
        assert {part.origin: part.chars for part in read.parts} == {"user": 2, "assistant": 14, "tool:search": 5}
        assert read.after_tool
    assert len(made) == 3
    batch[0].content = "hello"
    assert read_prompt(batch, messages=messages).parts[0].chars == 5
    assert len(made) == 4


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("AuthenticationError: Incorrect API key provided: sk-proj-abc123DEF456.", "AuthenticationError: Incorrect API key provided: [credential]"),
        ("400 for url 'https://google.com/v1beta/m:generate?alt=sse&key=AIzaSyA1234567&x=1'", "400 for url 'https://google.com/v1beta/m:generate?alt=sse&[credential]&x=1'"),
        ("headers {'Authorization': 'Bearer abc.def-1', 'x-api-key': 'zz9'}", "headers {'[credential]', '[credential]'}"),
        ("proxy http://user:pa55@proxy:8080 refused", "proxy http://[credential]@proxy:8080 refused"),
        ("redis://:hunter2@cache:6379/0", "redis://[credential]@cache:6379/0"),
        ("missing key: model; unexpected token: <; a basic mistake; the bearer of news", None),
        ("KeyError: 'password'; at https://docs/x?page=2 task-abcdefghijk", None),
    ],
)  # fmt: skip
def test_credentials_in_the_text_of_an_error_are_taken_out(text: str, kept: str | None) -> None:
    """Wherever they stand, and nothing else."""
    assert without_credentials(text) == (text if kept is None else kept)
