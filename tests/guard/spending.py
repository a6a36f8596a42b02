"""A model whose every answer of one token costs one cent, and calls of it."""

from __future__ import annotations

from typing import Any

from runguard_core import Guard, StoppedError, Usage
from runguard_core.prices import PriceBook, PriceOverride

CENT = PriceBook({"cent": PriceOverride(nanos_per_mtok={"output": 10**13})})  # one output token, one cent
ONE = Usage(input_tokens=0, output_tokens=1)


def spend(guard: Guard, times: int = 1, **more: Any) -> int:
    """Make calls of one cent until one is refused; how many passed."""
    passed = 0
    for _ in range(times):
        try:
            with guard.model_call("cent", max_output_tokens=1, **more) as call:
                call.post(ONE)
        except StoppedError:
            return passed
        passed += 1
    return passed


def kinds(guard: Guard) -> list[str]:
    """Kinds of all events."""
    return [event.kind for event in guard.store.events()]
