"""What spend was made of in a window: sessions, calls, tokens and models of each feature, from the sums that a ledger keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from runguard_core.calls import CallKind
from runguard_core.finops._calendar import Window
from runguard_core.ledger import CallFilter, Store
from runguard_core.usage import NO_USAGE, Usage

#: Provider and model, as a call's row has them.
ModelKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class ModelUse:
    """Calls of one model: how many, what they were charged (nano-USD), their tokens."""

    call_count: int = 0
    nanos: int = 0
    usage: Usage = NO_USAGE

    def __add__(self, other: ModelUse) -> ModelUse:
        """Both together."""
        return ModelUse(self.call_count + other.call_count, self.nanos + other.nanos, self.usage + other.usage)


@dataclass(frozen=True, slots=True)
class Measured:
    """A feature in a window.

    Attributes:
        session_count: sessions with a paid call in the window.
        models: by provider and model.
        tool_nanos: charged for tools, nano-USD.
    """

    session_count: int = 0
    models: Mapping[ModelKey, ModelUse] = field(default_factory=dict)
    tool_nanos: int = 0

    @property
    def whole(self) -> ModelUse:
        """All models together."""
        return sum(self.models.values(), ModelUse())

    @property
    def nanos(self) -> int:
        """Charged in the window, nano-USD."""
        return self.whole.nanos + self.tool_nanos

    def __add__(self, other: Measured) -> Measured:
        """Both together; a session of two features counts in each."""
        models = dict(self.models)
        for key, use in other.models.items():
            models[key] = models.get(key, ModelUse()) + use
        return Measured(self.session_count + other.session_count, models, self.tool_nanos + other.tool_nanos)


def measured(store: Store, app: str | None, window: Window) -> dict[str, Measured]:
    """Every feature with a paid call in the window, by name; a call without a feature is the app's."""
    where = CallFilter(app=app, since=window.start, until=window.end)
    sessions = dict[str, int]()
    for of_app, feature, _ in store.totals(("app", "feature", "conversation"), where):
        name = feature or of_app or ""
        sessions[name] = sessions.get(name, 0) + 1
    models = dict[str, dict[ModelKey, ModelUse]]()
    tools = dict[str, int]()
    for (of_app, feature, kind, provider, model), total in store.totals(
        ("app", "feature", "kind", "provider", "model"), where
    ).items():
        name = feature or of_app or ""
        if kind == CallKind.TOOL.value:
            tools[name] = tools.get(name, 0) + total.cost_nanos
            continue
        rows, key = models.setdefault(name, {}), (provider or "", model or "")
        rows[key] = rows.get(key, ModelUse()) + ModelUse(total.call_count, total.cost_nanos, total.usage)
    return {name: Measured(count, models.get(name, {}), tools.get(name, 0)) for name, count in sorted(sessions.items())}
