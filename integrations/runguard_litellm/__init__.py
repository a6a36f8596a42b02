"""RunGuard for LiteLLM: meters and stops every call made through it, and through its router and its proxy.

- `install(guard)`: the whole process, from now on or from when the program imports LiteLLM.
- `RunGuardLogger(guard)`: the same as LiteLLM's own kind of object, for `litellm.callbacks`.
- `runguard_litellm.proxy`: the logger for the proxy's `litellm_settings.callbacks`, with the policy of `RUNGUARD_POLICY`.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from runguard_core import Guard, Hook

if find_spec("litellm") is None:
    raise ImportError("runguard_litellm needs LiteLLM: pip install 'runguard-core[litellm]'")

if TYPE_CHECKING:
    from runguard_litellm._hooks import RunGuardLogger

    proxy: RunGuardLogger

__all__ = ["RunGuardLogger", "install", "proxy", "uninstall"]

_hook = Hook("litellm", "runguard_litellm._hooks")


def install(guard: Guard) -> None:
    """Meter and guard every LiteLLM call of this process. A second guard replaces the first. Does not import LiteLLM."""
    _hook.install(guard)


def uninstall() -> None:
    """Undo `install`, and every `RunGuardLogger`."""
    _hook.uninstall()


def __getattr__(name: str) -> object:
    """What imports LiteLLM is imported on first use."""
    if name not in {"RunGuardLogger", "proxy"}:
        raise AttributeError(name)
    from runguard_core import load_policy  # noqa: PLC0415  takes its time, and only the proxy needs it
    from runguard_litellm._hooks import RunGuardLogger  # noqa: PLC0415

    return RunGuardLogger if name == "RunGuardLogger" else globals().setdefault(name, RunGuardLogger(load_policy().guard()))
