"""LangChain's values to ours: shapes of several versions."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from runguard_core import Messages, read_prompt, read_usage
from runguard_langchain._translate import as_mapping, attribution, model_call


@pytest.mark.parametrize(
    ("details", "written", "hour"),
    [
        ({"cache_read": 10, "cache_creation": 30}, 30, 0),
        ({"cache_read": 10, "cache_creation": 0, "ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10}, 30, 10),
        ({"cache_read": 10, "cache_creation": 30, "ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10}, 30, 10),
        ({"cache_read": 10, "cache_creation": None}, 0, 0),
        ({}, 0, 0),
    ],
)
def test_cache_writes_in_every_shape(details: dict[str, Any], written: int, hour: int) -> None:
    """By total, by time to live, both: the larger wins."""
    usage = read_usage({"input_tokens": 100, "output_tokens": 5, "input_token_details": details})
    assert usage is not None
    assert (usage.cache_creation_input_tokens, usage.cache_creation_1h_input_tokens) == (written, hour)
    assert usage.cache_read_input_tokens == (10 if details else 0)


def test_nothing_reported_is_none() -> None:
    """Not zero."""
    assert read_usage(None) is None
    assert read_usage({}) is None
    assert read_usage({"total_tokens": 5}) is None


def test_a_prompt_is_measured_by_origin() -> None:
    """Characters and bytes of text; media counted, not measured; tool schemas apart."""
    picture = {"type": "image_url", "image_url": {"url": "data:" + "x" * 9000}}
    batch = [
        SystemMessage("be kind"), HumanMessage([{"type": "text", "text": "héllo"}, picture]),
        AIMessage("", tool_calls=[{"name": "f", "args": {"q": 1}, "id": "c"}]), ToolMessage("found", tool_call_id="c", name="f"),
    ]  # fmt: skip
    call = model_call(
        batch, {"tools": [{"name": "f"}], "n": 2}, {"ls_model_name": "m", "ls_max_tokens": 9}, Messages(as_mapping), None
    )
    assert {p.origin: p.chars for p in call.parts} == {"system": 7, "user": 5, "assistant": 9, "tool:f": 5, "tools": 15}
    assert (call.input_bytes, call.media_count, call.choice_count, call.max_output_tokens) == (42, 1, 2, 9)
    assert call.after_tool
    assert call.tool_count == 1


def test_sizes_are_remembered_per_message_and_not_beyond_its_content() -> None:
    """A message whose content was replaced is measured again."""
    messages, message = Messages(as_mapping), HumanMessage("one")
    assert messages.measure(message, {}) is messages.measure(message, {})
    message.content = "longer than that"
    assert read_prompt([message], messages=messages).parts[0].chars == 16
    assert read_prompt([HumanMessage("")], messages=messages).parts[0].chars == 0


def test_keys_that_are_not_ours_are_left_alone() -> None:
    """And thread_id is a session only where none is named."""
    assert attribution({"thread_id": 7, "runguard_x": 1, "other": 2}) == {"session": "7"}
    assert attribution({"thread_id": 7, "runguard_session": "s"}) == {"session": "s"}
