"""How calls end: retries, errors, abandoned and cut streams, caches, missing usage. One attempt, one entry."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import litellm
import pytest

from runguard_core import Budget, Guard, StoppedError
from runguard_core import events as ev
from runguard_core.testing import Reply, ToolUse
from runguard_litellm import RunGuardLogger
from tests.integrations.conftest import Serve
from tests.integrations.ledger import calls, certainty, states, tokens
from tests.integrations.litellm.conftest import HI, let_go_until, openai, run
from tests.integrations.litellm.test_gate import router

Guarded = Callable[..., Guard]
GOOD = Reply(input_tokens=100, output_tokens=20)
ROUTED = {"model": "chat", "messages": HI}


def refusals(guard: Guard) -> list[Any]:
    """Every time a call was held back."""
    return [event for event in guard.store.events() if event.kind in {ev.CALL_REFUSED, ev.CALL_STOPPED}]


@pytest.mark.parametrize("status", [400, 401, 404, 422, 429, 500, 503])
def test_an_error_of_the_server_is_voided(status: int, guarded: Guarded, serve: Serve) -> None:
    """Sync and async; nothing was billed."""
    provider, guard = serve([Reply(status=status)]), guarded()
    for attempt in (lambda: litellm.completion(**openai(provider)), lambda: run(litellm.acompletion(**openai(provider)))):
        with pytest.raises(Exception, match=f"scripted {status}"):
            attempt()
    assert states(guard) == ["voided"] * provider.request_count == ["voided"] * 2
    assert {call.settlement.error_status for call in calls(guard) if call.settlement} == {status}


def test_a_connection_that_was_never_made_is_voided(guarded: Guarded) -> None:
    """Refused before a byte left."""
    guard = guarded()
    with pytest.raises(litellm.exceptions.InternalServerError):
        litellm.completion(model="openai/gpt-4o-mini", messages=HI, api_base="http://127.0.0.1:9/v1", api_key="x", max_retries=0)
    assert states(guard) == ["voided"]


def test_a_timeout_is_charged_at_the_quote(guarded: Guarded, serve: Serve) -> None:
    """The provider may have answered: unknown is not free."""
    gate = threading.Event()
    provider, guard = serve([Reply(gate=gate)]), guarded()
    with pytest.raises(litellm.exceptions.Timeout):
        litellm.completion(timeout=0.2, **openai(provider))
    gate.set()
    assert states(guard) == ["posted"]
    assert certainty(guard) == ["estimated"]


@pytest.mark.parametrize("is_async", [False, True])
def test_each_attempt_of_a_retry_is_an_entry_of_the_same_turn(is_async: bool, guarded: Guarded, serve: Serve) -> None:
    """The client fails three times inside one attempt, which nobody sees; LiteLLM's own second fails once; the third answers."""
    provider, guard = serve([Reply(status=500)] * 4 + [GOOD]), guarded()
    given = {**openai(provider), "num_retries": 2}
    _ = run(litellm.acompletion(**given)) if is_async else litellm.completion(**given)
    assert provider.request_count == 5
    assert states(guard) == ["posted", "voided", "voided"]
    assert {call.attribution.turn for call in calls(guard)} == {1}


@pytest.mark.parametrize("is_async", [False, True])
def test_a_routers_retries_and_fallbacks_are_entries_too(is_async: bool, guarded: Guarded, serve: Serve) -> None:
    """Three attempts of one deployment, then another model."""
    provider = serve([Reply(status=500)] * 3 + [GOOD])
    guard = guarded()
    params = {key: value for key, value in openai(provider).items() if key != "messages"}
    models = [
        {"model_name": "chat", "litellm_params": params},
        {"model_name": "other", "litellm_params": {**params, "model": "openai/gpt-4o"}},
    ]
    routed = litellm.Router(models, num_retries=2, fallbacks=[{"chat": ["other"]}], retry_after=0)  # type: ignore[arg-type]
    _ = run(routed.acompletion(**ROUTED)) if is_async else routed.completion(**ROUTED)
    assert provider.request_count == 4
    assert states(guard) == ["posted", "voided", "voided", "voided"]
    assert [call.name for call in calls(guard) if call.state.value == "posted"] == ["gpt-4o"]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_retry_that_is_refused_is_not_sent_and_comes_out_as_the_stop(is_async: bool, guarded: Guarded, serve: Serve) -> None:
    """The first attempt cost money (cut off), the second has none left: LiteLLM would have shown the first error."""
    provider = serve([Reply(cut_after_chunks=0)] * 4 + [GOOD])
    guard = guarded(budgets=[Budget("1 calls", period="lifetime")])
    with pytest.raises(StoppedError):
        _ = (
            run(litellm.acompletion(num_retries=3, **openai(provider)))
            if is_async
            else litellm.completion(num_retries=3, **openai(provider))
        )
    assert provider.request_count == 4, "the client's own retries of the first attempt"
    assert states(guard) == ["posted"]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_stop_is_neither_retried_nor_given_to_a_fallback_nor_a_reason_to_cool_down(
    is_async: bool, guarded: Guarded, serve: Serve
) -> None:
    """And it is the stop that arrives, with nothing sent."""
    provider = serve()
    guard = guarded(budgets=[Budget("0 calls", period="lifetime")])
    routed = router(provider)
    with pytest.raises(StoppedError):
        _ = run(routed.acompletion(**ROUTED)) if is_async else routed.completion(**ROUTED)
    assert len(refusals(guard)) == 1
    with pytest.raises(StoppedError):
        _ = (
            run(litellm.acompletion(num_retries=3, **openai(provider)))
            if is_async
            else litellm.completion(num_retries=3, **openai(provider))
        )
    assert len(refusals(guard)) == 2
    with pytest.raises(StoppedError):
        litellm.completion(fallbacks=["openai/gpt-4o"], **openai(provider))
    assert provider.request_count == 0
    assert routed.cooldown_cache.get_active_cooldowns([row["model_info"]["id"] for row in routed.model_list], None) == []
    assert len(refusals(guard)) == 3


def test_a_stream_without_usage_is_estimated_not_free(guarded: Guarded, serve: Serve) -> None:
    """Asked for or not: a provider that leaves it out is charged by what came."""
    provider, guard = serve([Reply(text="word " * 40, usage=False)]), guarded()
    assert len(list(litellm.completion(stream=True, **openai(provider)))) > 1
    assert certainty(guard) == ["estimated"]
    assert tokens(guard)[1] == pytest.approx(50, abs=5)


@pytest.mark.usefixtures("swept")
@pytest.mark.parametrize("is_async", [False, True])
def test_an_abandoned_stream_is_charged_by_what_was_seen(is_async: bool, guarded: Guarded, serve: Serve) -> None:
    """LiteLLM says nothing at all; the stream's own death does."""
    provider, guard = serve([Reply(text="word " * 100, chunks=10)]), guarded()

    async def first_two() -> None:
        stream = await litellm.acompletion(stream=True, **openai(provider))
        await anext(stream)
        await anext(stream)

    if is_async:
        run(first_two())
    else:
        stream = litellm.completion(stream=True, **openai(provider))
        next(stream), next(stream)
        del stream
    assert let_go_until(lambda: states(guard) == ["posted"])
    assert certainty(guard) == ["estimated"]
    assert 0 < tokens(guard)[1] < 125


@pytest.mark.usefixtures("swept")
def test_a_stream_that_nobody_reads_is_charged(guarded: Guarded, serve: Serve) -> None:
    """Its request has left."""
    provider, guard = serve(), guarded()
    stream = litellm.completion(stream=True, **openai(provider))
    del stream
    assert let_go_until(lambda: states(guard) == ["posted"])
    assert provider.request_count == 1
    assert certainty(guard) == ["estimated"]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_stream_cut_by_the_server_is_charged_by_what_was_seen(is_async: bool, guarded: Guarded, serve: Serve) -> None:
    """Not as an error that costs nothing."""
    provider, guard = serve([Reply(text="word " * 100, chunks=10, cut_after_chunks=4)]), guarded()

    async def drain() -> None:
        async for _ in await litellm.acompletion(stream=True, **openai(provider)):
            pass

    with pytest.raises(Exception, match=r"onnection|payload|chunked"):
        _ = run(drain()) if is_async else list(litellm.completion(stream=True, **openai(provider)))
    assert states(guard) == ["posted"]
    assert certainty(guard) == ["estimated"]


def test_a_call_cancelled_in_flight_is_charged(guarded: Guarded, serve: Serve) -> None:
    """At once, not when somebody collects garbage."""
    gate = threading.Event()
    provider, guard = serve([Reply(gate=gate)]), guarded()

    async def cancelled() -> None:
        task = asyncio.create_task(litellm.acompletion(**openai(provider)))
        await asyncio.to_thread(provider.wait_for, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert states(guard) == ["posted"]
        gate.set()

    run(cancelled())
    assert certainty(guard) == ["estimated"]


@pytest.mark.parametrize("is_async", [False, True])
def test_an_answer_of_litellms_cache_is_no_provider_call(
    is_async: bool, guarded: Guarded, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Zero, and recorded as such."""
    provider, guard = serve(), guarded()
    litellm.cache = litellm.Cache(type="local")  # type: ignore[attr-defined]

    monkeypatch.setattr(litellm.utils.executor, "submit", lambda do, *args: do(*args))  # its events at once

    async def twice() -> None:
        await litellm.acompletion(**openai(provider))
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            if "cache" in str(task.get_coro()):
                await task
        await litellm.acompletion(**openai(provider))

    if is_async:
        run(twice())
    else:
        litellm.completion(**openai(provider))
        litellm.completion(**openai(provider))
    assert provider.request_count == 1
    assert min(call.cost_nanos for call in calls(guard)) == 0
    assert states(guard) == ["posted", "posted"]
    assert [call.settlement.from_cache for call in calls(guard) if call.settlement] == [False, True]


def test_tools_asked_for_are_recorded(guarded: Guarded, serve: Serve) -> None:
    """By name."""
    provider, guard = serve([Reply(tool_calls=(ToolUse("lookup", {"q": "x"}),))]), guarded()
    litellm.completion(**openai(provider))
    list(litellm.completion(stream=True, **openai(provider)))
    assert [call.settlement.tool_names for call in calls(guard) if call.settlement] == [("lookup",), ("lookup",)]


def test_a_success_that_litellm_reports_of_a_stream_in_progress_is_not_believed(guarded: Guarded, serve: Serve) -> None:
    """It makes usage up where the provider gives none, and may report from its threads before the end."""
    provider, guard = serve([Reply(text="word " * 40, usage=False)]), guarded()
    stream = litellm.completion(stream=True, **openai(provider))
    next(stream)
    (logger,) = [one for one in litellm.callbacks if isinstance(one, RunGuardLogger)]
    made_up = {"usage": {"prompt_tokens": 9, "completion_tokens": 4}}
    logger.log_success_event({"litellm_call_id": stream.logging_obj.litellm_call_id}, made_up, None, None)
    assert states(guard) == ["pending"]
    list(stream)
    assert certainty(guard) == ["estimated"]


def test_a_stop_that_somebody_turns_into_another_error_comes_out_all_the_same(guarded: Guarded, serve: Serve) -> None:
    """A provider written for LiteLLM asks another model, is refused, and reports trouble of its own."""

    class Theirs(litellm.CustomLLM):
        def completion(self, *args: Any, **kwargs: Any) -> Any:
            try:
                return litellm.completion(**openai(provider))
            except StoppedError:
                raise RuntimeError("no answer from upstream") from None

    provider = serve()
    guarded(budgets=[Budget("1 calls", period="lifetime")], unpriced="flag")
    litellm.custom_provider_map = [{"provider": "theirs", "custom_handler": Theirs()}]
    with pytest.raises(StoppedError) as caught:
        litellm.completion(model="theirs/some", messages=HI)
    assert caught.value.__cause__ is not None
    assert provider.request_count == 0


def test_an_answer_leaves_its_digest_and_not_its_text(guarded: Guarded, serve: Serve) -> None:
    """Whole and streamed; an answer that asks for a tool leaves none."""
    guard, text = guarded(), "the very same words"
    provider = serve([Reply(text=text), Reply(text=text), Reply(tool_calls=(ToolUse("look", {}),))])
    litellm.completion(**openai(provider))
    list(litellm.completion(**openai(provider), stream=True))
    litellm.completion(**openai(provider))
    assert [call.settlement.result_hash for call in calls(guard) if call.settlement] == [guard.fingerprint(text)] * 2 + [None]
