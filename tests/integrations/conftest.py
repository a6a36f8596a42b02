"""One environment per framework: LlamaIndex's client of OpenAI and LiteLLM need different versions of `openai`.

`make test` runs the tests in all of them; here only what this environment can import is collected.
"""

from __future__ import annotations

from importlib.util import find_spec


def _is_here(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


_NEEDS = {"langchain": "langchain_openai", "litellm": "litellm", "llama_index": "llama_index.llms.openai", "together": "litellm"}
collect_ignore = [folder for folder, module in _NEEDS.items() if not _is_here(module)]
