"""RunGuard for LangChain and LangGraph: a callback handler that meters and stops, a middleware that ends gracefully.

- `RunGuardCallbackHandler(guard)` in `config["callbacks"]`: all the metering and the hard stop.
- `activate(guard)`: the same for everything called inside a `with` block.
- `install(guard)`: the same for the whole process, bare threads included.
- `guard_model(model, guard)`: the same for one model, and lowers its `max_tokens` where the policy asks for bounds.
- `RunGuardMiddleware(guard)`: turns a stop of an agent into a last message; counts nothing.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

if find_spec("langchain_core") is None:
    raise ImportError("runguard_langchain needs LangChain: pip install 'runguard-core[langchain]'")

from runguard_langchain._handler import RunGuardCallbackHandler
from runguard_langchain._install import activate, guard_model, install, uninstall

if TYPE_CHECKING:
    from runguard_langchain._middleware import RunGuardMiddleware

__all__ = ["RunGuardCallbackHandler", "RunGuardMiddleware", "activate", "guard_model", "install", "uninstall"]


def __getattr__(name: str) -> object:
    """The middleware needs the heavier parts of LangChain: it is imported on first use."""
    if name != "RunGuardMiddleware":
        raise AttributeError(name)
    from runguard_langchain._middleware import RunGuardMiddleware  # noqa: PLC0415

    return RunGuardMiddleware
