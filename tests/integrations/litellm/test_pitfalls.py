"""LiteLLM's traps, one test each: what it does by itself is in the name, what we do is in the test."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import litellm
import pytest
from litellm.integrations.custom_logger import CustomLogger

from runguard_core import Attribution, Budget, Guard, StoppedError
from runguard_core.testing import FakeProvider, Reply
from runguard_litellm import RunGuardLogger, uninstall
from tests.integrations.conftest import Serve
from tests.integrations.ledger import calls, states, tokens
from tests.integrations.litellm.conftest import HI, let_go_until, openai, run
from tests.integrations.litellm.test_gate import router

Guarded = Callable[..., Guard]
FIVE = Budget("5 calls", period="lifetime")


def quietly(do: Callable[[], Any]) -> bool:
    """Whether it was let through."""
    try:
        do()
    except StoppedError:
        return False
    return True


def in_threads(do: Callable[[], Any], count: int = 24) -> int:
    """How many of so many at once were let through."""
    with ThreadPoolExecutor(count) as pool:
        return sum(pool.map(lambda _: quietly(do), range(count)))


async def gathered(make: Callable[[], Any], count: int = 24) -> int:
    """The same with tasks."""
    results = await asyncio.gather(*(make() for _ in range(count)), return_exceptions=True)
    return sum(not isinstance(result, StoppedError) for result in results)


def test_l01_a_stream_to_a_custom_base_reports_zero_tokens_and_zero_cost(guarded: Guarded, serve: Serve) -> None:
    """We ask for the usage, as LiteLLM itself does of OpenAI, and it is exact; every chunk still has its choice."""
    provider, guard = serve(), guarded()
    chunks = list(litellm.completion(stream=True, **openai(provider)))
    assert provider.requests[0].body["stream_options"] == {"include_usage": True}
    assert tokens(guard) == (100, 20)
    assert all(chunk.choices for chunk in chunks)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "ok"


def test_l01_asking_for_usage_can_be_switched_off(make_guard: Callable[..., Guard], serve: Serve) -> None:
    """Then it is an estimate."""
    provider, guard = serve(), make_guard()
    RunGuardLogger(guard, stream_usage=False)
    list(litellm.completion(stream=True, **openai(provider)))
    assert "stream_options" not in provider.requests[0].body
    (only,) = calls(guard)
    assert only.settlement is not None
    assert only.settlement.certainty.value == "estimated"
    assert only.cost_nanos > 0


def test_l02_litellms_max_budget_is_never_enforced(guarded: Guarded, serve: Serve) -> None:
    """Ours is, in threads and tasks."""
    provider, _ = serve(), guarded(budgets=[FIVE])
    assert in_threads(lambda: litellm.completion(**openai(provider))) == 5
    assert run(gathered(lambda: litellm.acompletion(**openai(provider)))) == 0
    assert provider.request_count == 5


def test_l03_the_budget_manager_reads_then_writes_and_lets_nineteen_through(guarded: Guarded, serve: Serve) -> None:
    """With tasks alone, streams among them, five stay five."""
    provider, _ = serve(), guarded(budgets=[FIVE])

    async def one(number: int = 0) -> None:
        async for _ in await litellm.acompletion(stream=True, **openai(provider)):
            pass

    assert run(gathered(one)) == 5
    assert provider.request_count == 5


@pytest.mark.parametrize("is_async", [False, True])
def test_l04_a_routers_provider_budget_never_limits_sync_calls_and_is_late_for_async_ones(
    is_async: bool, guarded: Guarded, serve: Serve
) -> None:
    """Ours holds for both."""
    provider, _ = serve(), guarded(budgets=[FIVE])
    routed = router(provider)
    if is_async:
        assert run(gathered(lambda: routed.acompletion(model="chat", messages=HI), 32)) == 5
    else:
        assert in_threads(lambda: routed.completion(model="chat", messages=HI), 32) == 5
    assert provider.request_count == 5


def _is_back(guard: Guard, provider: FakeProvider) -> None:
    """With the next call: gate, usage and failures."""
    with pytest.raises(litellm.exceptions.InternalServerError):
        litellm.completion(**openai(provider))
    litellm.completion(**openai(provider))
    assert states(guard) == ["posted", "voided"]
    assert tokens(guard) == (100, 20)


def test_l05_a_program_that_sets_litellms_callbacks_drops_a_logger(guarded: Guarded, serve: Serve) -> None:
    """We are back with the next call."""
    provider, guard = serve([Reply(status=500), Reply(input_tokens=100, output_tokens=20)]), guarded()
    litellm.callbacks = []
    litellm.input_callback = []
    _is_back(guard, provider)


def test_l06_a_reset_of_all_callbacks_removes_a_logger(guarded: Guarded, serve: Serve) -> None:
    """We are back with the next call."""
    provider, guard = serve([Reply(status=500), Reply(input_tokens=100, output_tokens=20)]), guarded()
    litellm.logging_callback_manager._reset_all_callbacks()
    _is_back(guard, provider)


def test_l07_callbacks_given_with_a_call_stay_for_the_whole_process(guarded: Guarded, serve: Serve) -> None:
    """They do not touch ours, and we never use them."""

    class Theirs(CustomLogger):
        heard = 0

        def log_pre_api_call(self, model: Any, messages: Any, kwargs: Any) -> None:
            Theirs.heard += 1

    provider, guard = serve(), guarded()
    litellm.completion(callbacks=[Theirs()], **openai(provider))
    litellm.completion(**openai(provider))
    assert Theirs.heard == 2
    assert states(guard) == ["posted", "posted"]


def test_l08_the_same_logger_in_several_lists_counts_once(make_guard: Callable[..., Guard], serve: Serve) -> None:
    """As LiteLLM's own page tells people to register it."""
    provider, guard = serve(), make_guard()
    logger = RunGuardLogger(guard)
    litellm.callbacks = [logger, logger]
    litellm.success_callback = [logger]
    litellm.completion(**openai(provider))
    run(litellm.acompletion(**openai(provider)))
    assert states(guard) == ["posted", "posted"]


def test_l10_the_stop_is_an_ordinary_exception(guarded: Guarded, serve: Serve) -> None:
    """Nothing that old workflows hang on, no ValueError that an engine swallows, no subclass of LiteLLM's errors."""
    provider, _ = serve(), guarded(budgets=[Budget("0 calls", period="lifetime")])
    with pytest.raises(StoppedError) as caught:
        litellm.completion(**openai(provider))
    assert isinstance(caught.value, Exception)
    assert not isinstance(caught.value, (ValueError, litellm.exceptions.APIError, litellm.exceptions.BudgetExceededError))


def test_l11_importing_the_adapter_does_not_import_litellm() -> None:
    """LiteLLM takes seconds; installing waits until the program imports it, and is there for its first call."""
    program = (
        "import sys, runguard_litellm; from runguard_core import Guard\n"
        "runguard_litellm.install(Guard(app='x', store='memory://'))\n"
        "assert 'litellm' not in sys.modules\n"
        "import litellm; print(type(litellm.callbacks[0]).__name__, litellm.completion.__wrapped__.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["RunGuardLogger", "completion"]


def test_l12_a_call_made_around_the_gate_meets_the_second_line(guarded: Guarded, serve: Serve) -> None:
    """A caller that hands in LiteLLM's logging object skips the setup; the request is stopped all the same."""
    provider, guard = serve(), guarded(budgets=[Budget("1 calls", period="lifetime")])
    owner, made = litellm.utils.function_setup.__wrapped__(  # type: ignore[attr-defined]
        "completion", litellm.utils.Rules(), None, **openai(provider), litellm_call_id="mine"
    )
    litellm.completion(**made, litellm_logging_obj=owner)
    assert states(guard) == ["posted"]
    with pytest.raises(StoppedError):
        litellm.completion(**{**made, "litellm_call_id": "other"}, litellm_logging_obj=owner)
    assert provider.request_count == 1


def test_l13_batch_completion_hands_exceptions_back_in_its_list(guarded: Guarded, serve: Serve) -> None:
    """It does so with ours too: the list says which were stopped, and nothing more was sent."""
    provider, _ = serve(), guarded(budgets=[Budget("2 calls", period="lifetime")])
    given = {key: value for key, value in openai(provider).items() if key != "messages"}
    answers = litellm.batch_completion(messages=[HI] * 5, **given)
    assert sum(isinstance(answer, StoppedError) for answer in answers) == 3
    assert provider.request_count == 2


def test_l14_answers_of_a_mock_are_metered_like_any_others(guarded: Guarded) -> None:
    """That is how people try a budget out."""
    guard = guarded(budgets=[Budget("1 calls", period="lifetime")])
    litellm.completion(model="gpt-4o-mini", messages=HI, mock_response="hello")
    assert states(guard) == ["posted"]
    with pytest.raises(StoppedError):
        litellm.completion(model="gpt-4o-mini", messages=HI, mock_response="hello")


@pytest.mark.usefixtures("swept")
def test_l15_a_call_id_of_the_programs_own_used_twice_at_once_is_no_way_around(guarded: Guarded, serve: Serve) -> None:
    """Each is set aside; what nobody can tell apart is charged."""
    provider, guard = serve(), guarded(budgets=[FIVE])
    assert run(gathered(lambda: litellm.acompletion(litellm_call_id="same", **openai(provider)))) == 5
    assert provider.request_count == 5
    assert let_go_until(lambda: states(guard) == ["posted"] * 5), states(guard)


def test_metadata_session_tags_and_user_become_attribution(guarded: Guarded, serve: Serve) -> None:
    """Flat keys first; what LiteLLM itself names fills the rest."""
    provider, guard = serve(), guarded()
    metadata = {
        "runguard_feature": "search",
        "runguard_agent": "planner",
        "runguard_tag_tier": "pro",
        "tags": ["region:eu", "beta"],
    }
    litellm.completion(metadata=metadata, litellm_session_id="chat-7", user="ada", **openai(provider))
    (only,) = calls(guard)
    who: Attribution = only.attribution
    assert (who.feature, who.agent, who.session, who.user) == ("search", "planner", "chat-7", "ada")
    assert dict(who.tags) == {"tier": "pro", "region": "eu", "beta": "true"}


def test_a_session_around_the_call_is_its_session(guarded: Guarded, serve: Serve) -> None:
    """And its turns are counted in it."""
    provider, guard = serve(), guarded()
    with guard.session("chat", agent="planner"):
        litellm.completion(**openai(provider))
        litellm.completion(**openai(provider))
    assert [(c.attribution.session, c.attribution.agent, c.attribution.turn) for c in calls(guard)] == [
        ("chat", "planner", 1), ("chat", "planner", 2),
    ]  # fmt: skip


def test_the_output_is_capped_where_the_policy_asks_for_bounds(guarded: Guarded, serve: Serve) -> None:
    """The request's own limit is lowered, never raised."""
    provider, _ = serve([Reply(input_tokens=10, output_tokens=5000)]), guarded(budgets=[Budget("10 USD")], quote="bound")
    litellm.completion(**openai(provider))
    litellm.completion(max_tokens=7, **openai(provider))
    assert [request.body.get("max_tokens") for request in provider.requests] == [613, 7]


def test_the_provider_s_own_price_is_what_is_charged_where_it_states_one(guarded: Guarded, serve: Serve) -> None:
    """OpenRouter's `usage.cost`, streamed or not."""
    import json

    body = {
        "id": "gen-1", "object": "chat.completion", "created": 1, "model": "openai/gpt-4o-mini",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "ok"}}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120, "cost": 0.0012345},
    }  # fmt: skip
    provider, guard = serve([Reply(body=json.dumps(body).encode())]), guarded()
    litellm.completion(**{**openai(provider), "model": "openrouter/openai/gpt-4o-mini"})
    (only,) = calls(guard)
    assert only.cost_nanos == 1_234_500


def test_uninstalling_puts_everything_back(guarded: Guarded) -> None:
    """Every wrapped name, every list."""
    before = litellm.completion, litellm.utils.function_setup
    guarded()
    assert litellm.completion is not before[0]
    uninstall()
    assert (litellm.completion, litellm.utils.function_setup) == before
    assert not any(isinstance(one, RunGuardLogger) for one in [*litellm.callbacks, *litellm.input_callback])
