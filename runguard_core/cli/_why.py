"""`runguard why`: what changed a spend."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from runguard_core.cli._app import AppOption, Exit, JsonOption, PolicyOption, StoreOption, app, as_kept, fail, ledger, out, show
from runguard_core.cli._why_render import print_why
from runguard_core.errors import PolicyError
from runguard_core.finops import Calendar, Window
from runguard_core.finops.why import Change, Measured, Why, last_two, named_window, why
from runguard_core.usage import USAGE_FIELDS

_WINDOW = "2026-W47, 2026-11, 2026-Q4, 2026-11-24 or 2026-11-16..2026-11-20."
FeatureOption = Annotated[str | None, typer.Option("--feature", callback=as_kept, help="Only this feature, model by model.")]


@app.command("why")
def why_command(
    before: Annotated[str | None, typer.Option("--from", help=f"The window before: {_WINDOW}")] = None,
    after: Annotated[str | None, typer.Option("--to", help="The window after; default: the last whole week.")] = None,
    feature: FeatureOption = None,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Split a change of spend into traffic, calls per session, model mix, tokens per call, caching, price, and the rest.

    The parts add up to the change to the nano-dollar. Without windows: the last whole week against the one before.

    Example: [bold]runguard why --from 2026-W46 --to 2026-W47 --feature search[/]
    """
    with ledger(store, app_name, policy) as (opened, loaded):
        windows = _windows(loaded.calendar, before, after)
        found = why(opened, app_name, windows, loaded.rules.prices, feature)
        if not found.whole.before.session_count + found.whole.after.session_count:
            of = f" of {feature}" if feature else ""
            raise fail(f"no call{of} in {windows[0].name} or {windows[1].name} in {opened.url}", Exit.FOUND_WRONG)
        show(as_json, {"ledger": opened.url, **why_json(found)}, lambda: print_why(out, found))


def _windows(calendar: Calendar, before: str | None, after: str | None) -> tuple[Window, Window]:
    """The named windows, or the last two whole weeks."""
    if (before is None) != (after is None):
        raise PolicyError(key="--to" if after is None else "--from", expected=f"name both windows: {_WINDOW}")
    if before is None or after is None:
        return last_two(calendar, datetime.now(UTC))
    return named_window(calendar, before, "--from"), named_window(calendar, after, "--to")


def why_json(found: Why) -> dict[str, Any]:
    """The answer as JSON values: amounts in nano-USD as strings."""
    return {
        "from": _window_json(found.before), "to": _window_json(found.after), **_change_json(found.whole),
        "features": [{"feature": one.name, **_change_json(one)} for one in found.features],
    }  # fmt: skip


def _window_json(window: Window) -> dict[str, str]:
    return {"name": window.name, "start": window.start.isoformat(), "end": window.end.isoformat()}


def _change_json(one: Change) -> dict[str, Any]:
    return {
        "change_nanos": str(one.nanos),
        "effects_nanos": {factor.value: str(nanos) for factor, nanos in one.effects.items()},
        "before": _measured_json(one.before),
        "after": _measured_json(one.after),
    }


def _measured_json(side: Measured) -> dict[str, Any]:
    models = [
        {
            "provider": provider, "model": model, "call_count": use.call_count, "nanos": str(use.nanos),
            "usage": {name: count for name in USAGE_FIELDS if (count := getattr(use.usage, name))},
        }
        for (provider, model), use in sorted(side.models.items())
    ]  # fmt: skip
    return {
        "nanos": str(side.nanos), "session_count": side.session_count, "tool_nanos": str(side.tool_nanos), "models": models,
    }  # fmt: skip
