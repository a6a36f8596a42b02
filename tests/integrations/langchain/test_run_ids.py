"""`config["run_id"]`: LangChain lets the caller name a run, and nobody keeps him from naming two the same."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from runguard_core import Budget, StoppedError
from runguard_langchain import activate
from tests.integrations.langchain.conftest import openai
from tests.integrations.ledger import calls


def test_a_run_id_given_again_is_another_request(serve: Any, make_guard: Any) -> None:
    """Each is an entry, and the budget counts them all."""
    provider, guard = serve(), make_guard(budgets=[])
    with guard.session("s"), activate(guard):
        for _ in range(3):
            openai(provider).invoke("hi", config={"run_id": uuid.UUID(int=7)})
    assert len(calls(guard)) == provider.request_count == 3


def test_a_run_id_given_for_ever_meets_its_cap(serve: Any, make_guard: Any) -> None:
    """Three calls are allowed, three are sent."""
    provider, guard = serve(), make_guard(budgets=[Budget("3 calls")])
    with guard.session("s"), activate(guard), pytest.raises(StoppedError):
        for _ in range(9):
            openai(provider).invoke("hi", config={"run_id": uuid.UUID(int=7)})
    assert len(calls(guard)) == provider.request_count == 3
