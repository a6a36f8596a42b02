"""One framework's installed version, driven against a local provider: is the call over the cap held back, is usage read?"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from runguard_core.budgets import Budget
from runguard_core.calls import CallKind
from runguard_core.errors import StoppedError
from runguard_core.guard import Guard
from runguard_core.ledger import CallFilter
from runguard_core.testing._provider import FakeProvider
from runguard_core.testing._reply import Reply

#: Makes one call of a kind to a provider.
Kind = Callable[[FakeProvider], Any]


def check_kinds(adapter: str, kinds: Mapping[str, Kind], symbols: tuple[str, ...] = ()) -> None:
    """Drive every kind and print one line of JSON for each, then one for every private symbol that is missing.

    Args:
        adapter: the entry point's name.
        kinds: by name; each makes exactly one paid request.
        symbols: "module:attribute.attribute" that the adapter leans on without a promise of its framework.
    """
    for name, kind in kinds.items():
        sys.stdout.write(json.dumps({"kind": name, **_drive(adapter, kind)}) + "\n")
        sys.stdout.flush()
    for symbol in symbols:
        if not _exists(symbol):
            sys.stdout.write(json.dumps({"symbol": symbol}) + "\n")


def _drive(adapter: str, kind: Kind) -> dict[str, Any]:
    budget = Budget("1 calls", period="lifetime")
    script = [Reply(text="ok", input_tokens=100, output_tokens=20)]
    with FakeProvider(script) as provider, Guard(app="doctor", store="memory://", budgets=[budget], unpriced="flag") as guard:
        guard.install(adapter)
        error = _attempt(kind, provider)
        guard.flush()
        calls = [call for call in guard.store.calls(CallFilter()) if call.kind == CallKind.MODEL]
        usages = [c.settlement.usage for c in calls if c.settlement is not None and c.settlement.usage is not None]
        read = (sum(u.input_tokens for u in usages), sum(u.output_tokens for u in usages))
        certainty = [c.settlement.certainty.value for c in calls if c.settlement is not None]
        sent = provider.request_count
        stop = _attempt(kind, provider)
        return {
            "sent": sent, "entries": len(calls), "certainty": certainty[0] if certainty else None,
            "usage_is_read": read == (provider.input_tokens, provider.output_tokens) and certainty == ["exact"],
            "leaked": provider.request_count - sent, "is_stopped": isinstance(stop, StoppedError),
            "error": None if error is None else f"{type(error).__name__}: {error}"[:300],
        }  # fmt: skip


def _attempt(kind: Kind, provider: FakeProvider) -> BaseException | None:
    try:
        kind(provider)
    except Exception as error:  # noqa: BLE001  whatever a framework makes of it is the finding
        return error
    return None


def _exists(symbol: str) -> bool:
    module, _, path = symbol.partition(":")
    try:
        found = import_module(module)
        for name in path.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError):
        return False
    return True
