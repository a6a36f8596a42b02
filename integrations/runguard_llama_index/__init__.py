"""RunGuard for LlamaIndex: meters and stops the calls of LLMs, embeddings, rerankers and agents' tools.

- `instrument(guard)`: the whole process, from now on or from when the program imports LlamaIndex; `uninstrument()` undoes it.
- `RunGuardSpanHandler(guard)`: the same as LlamaIndex's own kind of object, for `get_dispatcher().add_span_handler`.
- `install` and `uninstall` are the same two under the names that every adapter has.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from runguard_core import Guard, Hook

if find_spec("llama_index") is None or find_spec("llama_index.core") is None:
    raise ImportError("runguard_llama_index needs LlamaIndex: pip install 'runguard-core[llama-index]'")

if TYPE_CHECKING:
    from runguard_llama_index._observe import RunGuardSpanHandler

__all__ = ["RunGuardSpanHandler", "install", "instrument", "uninstall", "uninstrument"]

_hook = Hook("llama_index.core", "runguard_llama_index._observe")


def instrument(guard: Guard, *, stream_usage: bool = True) -> None:
    """Meter and guard every LlamaIndex call of this process. A second guard replaces the first. Does not import LlamaIndex.

    Args:
        guard: whose.
        stream_usage: ask OpenAI's clients to report the usage of streams; without it they are estimated.
    """
    _hook.install(guard, stream_usage)


def uninstrument() -> None:
    """Undo `instrument`."""
    _hook.uninstall()


install, uninstall = instrument, uninstrument


def __getattr__(name: str) -> object:
    """What imports LlamaIndex is imported on first use."""
    if name != "RunGuardSpanHandler":
        raise AttributeError(name)
    from runguard_llama_index._observe import RunGuardSpanHandler  # noqa: PLC0415

    return RunGuardSpanHandler
