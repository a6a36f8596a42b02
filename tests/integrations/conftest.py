"""One environment per framework: LlamaIndex's client of OpenAI and LiteLLM need different versions of `openai`.

`make test` runs the tests in all of them; here only what this environment can import is collected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import pytest

from runguard_core.testing import FakeProvider, Reply

Serve = Callable[..., FakeProvider]
#: Folders whose frameworks warn of themselves, their clients and their types; ours stay errors.
_NOISY = frozenset({"litellm", "llama_index", "together"})


def _is_here(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


_NEEDS = {"langchain": "langchain_openai", "litellm": "litellm", "llama_index": "llama_index.llms.openai", "together": "litellm"}
collect_ignore = [folder for folder, module in _NEEDS.items() if not _is_here(module)]


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
