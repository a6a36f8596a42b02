"""LlamaIndex's traps about models around models: one request is one entry."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata, MockLLM
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.prompts import PromptTemplate

from runguard_core.testing import Reply
from tests.integrations.conftest import Serve
from tests.integrations.ledger import calls, tokens
from tests.integrations.llama_index.conftest import HI, LOOKUP, USED, Guarded, openai


class Wrapper(CustomLLM):
    """A program's own model around another one."""

    inner: Any = None
    name: str = "unknown"

    @property
    def metadata(self) -> LLMMetadata:
        """Its name."""
        return LLMMetadata(model_name=self.name)

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Ask the other one."""
        return self.inner.complete(prompt) if self.inner else CompletionResponse(text="fine", raw={"usage": USED})

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        """Ask the other one."""
        return self.inner.stream_complete(prompt)


@pytest.mark.parametrize("name", ["unknown", "gpt-4o-mini"])
def test_i10_layers_of_one_model_report_one_request_two_or_three_times(name: str, guarded: Guarded, serve: Serve) -> None:
    """It is one entry, with the inner one's usage."""
    provider, guard = serve(), guarded()
    llm = Wrapper(inner=openai(provider), name=name)
    llm.chat(HI)
    list(llm.stream_complete("hi"))
    assert provider.request_count == 2
    assert [c.name for c in calls(guard) if c.state.value == "posted"] == ["gpt-4o-mini"] * 2
    assert tokens(guard) == (200, 40)


def test_i10_a_model_of_the_programs_own_counts_once(guarded: Guarded) -> None:
    """Chat calls complete, both report, both with usage."""
    guard = guarded(unpriced="flag")
    Wrapper().chat(HI)
    MockLLM(max_tokens=5).chat(HI)
    assert [(c.name, c.state.value) for c in calls(guard)] == [("Wrapper", "posted"), ("MockLLM", "posted")]
    assert calls(guard)[0].settlement.usage.input_tokens == 100  # type: ignore[union-attr]


def test_i11_predictions_are_spans_around_the_same_call(guarded: Guarded, serve: Serve) -> None:
    """They carry no usage and are not counted."""
    provider, guard = serve(), guarded()
    openai(provider).predict(PromptTemplate("hi"))
    openai(provider).chat_with_tools([LOOKUP], "hi")
    assert provider.request_count == 2 == len(calls(guard))


def test_i12_a_model_whose_methods_lack_llamaindexs_decorators_is_invisible_to_it(guarded: Guarded) -> None:
    """No hook of LlamaIndex tells: the page says so, and `guard.model` around it meters."""

    class Bare(Wrapper):
        def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
            return CompletionResponse(text="unseen")

    guard = guarded(unpriced="flag")
    assert Bare().complete("hi").text == "unseen"
    assert calls(guard) == []


def test_i10_a_wrapper_that_asks_twice_is_two_entries(guarded: Guarded, serve: Serve) -> None:
    """Also where neither answer tells its usage, so that nobody knows yet how the first ended."""

    class Twice(Wrapper):
        @llm_completion_callback()
        def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
            self.inner.complete(prompt)
            return CompletionResponse(text=self.inner.complete(prompt).text)

    provider, guard = serve([Reply(usage=False)]), guarded()
    Twice(inner=openai(provider), name="gpt-4o-mini").complete("hi")
    assert provider.request_count == 2 == len(calls(guard))
    assert {call.state.value for call in calls(guard)} == {"posted"}


def test_i10_an_answer_without_the_prompts_count_is_not_taken_for_exact(guarded: Guarded) -> None:
    """Unknown is never zero."""

    class Half(Wrapper):
        @llm_completion_callback()
        def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
            return CompletionResponse(text="fine", raw={"usage": {"prompt_tokens": 0, "completion_tokens": 7}})

    guard = guarded(unpriced="flag")
    Half(name="gpt-4o-mini").complete("a prompt of some length")
    (only,) = calls(guard)
    assert only.settlement is not None
    assert only.settlement.certainty.value == "estimated"
    assert only.settlement.usage is not None
    assert only.settlement.usage.input_tokens > 0
