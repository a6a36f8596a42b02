"""LlamaIndex's traps about how calls end, one test each: what it does by itself is in the name."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest
from openai import APIError

from runguard_core.testing import Reply, ToolUse
from tests.integrations.conftest import Serve
from tests.integrations.ledger import calls, certainty, states, tokens
from tests.integrations.llama_index.conftest import HI, USED, Guarded, embeddings, openai


def test_i09_a_cancelled_run_is_charged_and_leaves_nothing_pending(guarded: Guarded, serve: Serve) -> None:
    """We never raise CancelledError ourselves, and take the program's for what it is."""
    gate = threading.Event()
    provider = serve([Reply(gate=gate)])
    guard = guarded()

    async def cancelled() -> None:
        task = asyncio.create_task(openai(provider).achat(HI))
        await asyncio.to_thread(provider.wait_for, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert states(guard) == ["posted"]
        gate.set()

    asyncio.run(cancelled())
    assert certainty(guard) == ["estimated"]


def test_i13_the_client_sends_one_failing_call_several_times(guarded: Guarded, serve: Serve) -> None:
    """Nobody hears of its own retries: one entry, attempts unknown, void after a clean error."""
    provider, guard = serve([Reply(status=500), Reply(status=500), Reply(**USED)]), guarded()
    openai(provider, max_retries=2, reuse_client=True).chat(HI)
    assert provider.request_count == 3
    (only,) = calls(guard)
    assert only.settlement is not None
    assert only.settlement.attempt_count is None


@pytest.mark.usefixtures("swept")
def test_i14_a_stream_that_nobody_reads_never_ends(guarded: Guarded, serve: Serve) -> None:
    """It is charged when it is dropped, and does not stay pending."""
    provider, guard = serve(), guarded()
    stream = openai(provider).stream_chat(HI)
    del stream
    gc.collect()
    assert states(guard) == ["posted"]
    assert certainty(guard) == ["estimated"]


@pytest.mark.parametrize("is_async", [False, True])
def test_i15_a_stream_closed_early_reports_no_usage(is_async: bool, guarded: Guarded, serve: Serve) -> None:
    """It is charged by the prompt and what was seen."""
    provider, guard = serve([Reply(text="word " * 100, chunks=10)]), guarded()

    async def two() -> None:
        stream = await openai(provider).astream_chat(HI)
        await anext(stream)
        await anext(stream)
        await stream.aclose()

    if is_async:
        asyncio.run(two())
    else:
        stream = openai(provider).stream_chat(HI)
        next(stream), next(stream)
        stream.close()
    assert states(guard) == ["posted"]
    assert certainty(guard) == ["estimated"]
    assert 0 < tokens(guard)[1] < 125


def test_i16_a_stream_cut_by_the_server_is_charged_by_what_was_seen(guarded: Guarded, serve: Serve) -> None:
    """Whether LlamaIndex takes it for an end or for an error."""
    provider, guard = serve([Reply(text="word " * 100, chunks=10, cut_after_chunks=4)]), guarded()
    with pytest.raises(Exception, match=r"incomplete|peer|connection"):
        list(openai(provider).stream_chat(HI))
    assert states(guard) == ["posted"]
    assert certainty(guard) == ["estimated"]


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
def test_i16_an_error_of_the_server_is_voided(status: int, guarded: Guarded, serve: Serve) -> None:
    """Nothing was billed."""
    provider, guard = serve([Reply(status=status)]), guarded()
    with pytest.raises(APIError):
        openai(provider).chat(HI)
    with pytest.raises(APIError):
        list(openai(provider).stream_chat(HI))
    assert states(guard) == ["voided", "voided"]


def test_i19_the_usage_of_embeddings_is_dropped(guarded: Guarded, serve: Serve) -> None:
    """The estimate is marked as one, split over the batches that are sent."""
    provider, guard = serve(), guarded()
    model = embeddings(provider)
    model.embed_batch_size = 2
    model.get_text_embedding_batch(["a" * 400, "b" * 400, "c" * 400])
    assert provider.request_count == 2 == len(calls(guard))
    assert certainty(guard) == ["estimated", "estimated"]
    assert 250 < tokens(guard)[0] < 500
    assert {call.attribution.turn for call in calls(guard)} == {None}


def test_an_answer_leaves_its_digest_and_not_its_text(guarded: Guarded, serve: Serve) -> None:
    """Whole and streamed; an answer that asks for a tool leaves none."""
    guard, text = guarded(), "the very same words"
    llm = openai(serve([Reply(text=text), Reply(text=text), Reply(tool_calls=(ToolUse("look", {}),))]))
    llm.chat(HI)
    list(llm.stream_chat(HI))
    llm.chat(HI)
    assert [call.settlement.result_hash for call in calls(guard) if call.settlement] == [guard.fingerprint(text)] * 2 + [None]
