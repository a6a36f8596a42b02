"""One environment for all frameworks that fit together, and one for each alone: `make test` runs the tests in all of them.

A folder that is named on the command line is always collected, and what it cannot import is an error. Without names everything
is, but for the folders listed here: they belong to environments of their own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from runguard_core.testing import FakeProvider, Reply

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # LiteLLM asks the network for prices at import otherwise
Serve = Callable[..., FakeProvider]
#: Folders whose frameworks warn of themselves, their clients and their types; ours stay errors.
_NOISY = frozenset({"litellm", "litellm_proxy", "llama_index", "together"})


#: LlamaIndex's client of OpenAI excludes the openai that LangChain and LiteLLM need: `make test-llama-index`.
collect_ignore = ["llama_index"]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start providers; close them at the end."""
    started: list[FakeProvider] = []

    def start(script: Any = None) -> FakeProvider:
        provider = FakeProvider(script or [Reply(input_tokens=100, output_tokens=20)]).start()
        started.append(provider)
        return provider

    yield start
    for provider in started:
        provider.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Warnings of noisy frameworks are ignored, of our own modules errors (the last one that fits counts)."""
    for item in items:
        if item.path.parent.name in _NOISY:
            item.add_marker(pytest.mark.filterwarnings("ignore", "error:::runguard"))
