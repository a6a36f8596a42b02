"""Rerankers: what is paid is gated and counted, what runs here or by a metered model is not."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from runguard_core import StoppedError
from tests.integrations.ledger import calls
from tests.integrations.llama_index.conftest import Guarded

NODES = [NodeWithScore(node=TextNode(text="the sky is blue"), score=0.5)]


class CohereRerank(BaseNodePostprocessor):
    """As the integration packages are written: the request is made inside the event."""

    requests: int = 0

    def _postprocess_nodes(self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None) -> list[NodeWithScore]:
        payload: dict[Any, Any] = {
            EventPayload.NODES: nodes,
            EventPayload.MODEL_NAME: "rerank-v3.5",
            EventPayload.QUERY_STR: "blue?",
        }
        with self.callback_manager.event(CBEventType.RERANKING, payload=payload) as event:
            self.requests += 1
            event.on_end(payload={EventPayload.NODES: nodes})
        return nodes


class SentenceTransformerRerank(CohereRerank):
    """One that runs on this machine."""


def test_a_paid_reranker_is_an_entry_and_is_stopped(guarded: Guarded) -> None:
    """Under the same latches as every other call."""
    guard, reranker = guarded(unpriced="flag"), CohereRerank()
    reranker.postprocess_nodes(NODES, query_str="blue?")
    guard.kill(reason="the test says so")
    with pytest.raises(StoppedError):
        reranker.postprocess_nodes(NODES, query_str="blue?")
    assert reranker.requests == 1
    (only,) = calls(guard)
    assert (only.name, only.state.value, only.attribution.turn) == ("rerank-v3.5", "posted", None)


def test_a_reranker_priced_by_the_request_is_charged_so(guarded: Guarded) -> None:
    """By the policy's price."""
    from runguard_core.prices import PriceBook, PriceOverride

    guard = guarded(prices=PriceBook({"rerank-v3.5": PriceOverride(nanos_per_mtok={"per_request": 2_000_000})}))
    CohereRerank().postprocess_nodes(NODES, query_str="blue?")
    assert [call.cost_nanos for call in calls(guard)] == [2_000_000]


def test_a_local_reranker_is_no_paid_call(guarded: Guarded) -> None:
    """It needs no price and is never stopped."""
    guard, reranker = guarded(), SentenceTransformerRerank()
    reranker.postprocess_nodes(NODES, query_str="blue?")
    assert reranker.requests == 1
    assert calls(guard) == []
