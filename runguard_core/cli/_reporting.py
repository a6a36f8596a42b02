"""`runguard report`: sums by anything, from the totals that a ledger keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from runguard_core.attribution import DIMENSIONS
from runguard_core.cli import _render as render
from runguard_core.cli._app import AppOption, Exit, JsonOption, PolicyOption, StoreOption, app, ledger, ledger_url, out, say, show
from runguard_core.cli._reading import SinceOption, since_of
from runguard_core.cli._standing import ExpectOption, say_standing, standing, standing_json
from runguard_core.fleet import stale
from runguard_core.ledger import CallFilter, Store, Total, TotalKey
from runguard_core.money import format_usd
from runguard_core.reports import NONE_KEY, SPECIAL_KEYS, Spend, dead_tails, dimension, spend_json, spend_rows, whole

#: Dead tails are worked out call by call, and not beyond so many.
_MOST_TAILED = 50_000
#: What has so many values that it is summed by itself.
_MANY_VALUES = frozenset({"user", "session", "run", "instance", "conversation", "turn", "loop"})


@app.command("report")
def report_command(
    by: Annotated[
        list[str] | None,
        typer.Option("--by", help="feature, agent, model, tool, day, team, user, session, tag:KEY, ..."),
    ] = None,
    since: SinceOption = None,
    expect: ExpectOption = None,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sum spend by feature, agent, model, tool and day, with how sure each sum is.

    Example: [bold]runguard report --by agent --by tag:tier --since 7d[/]
    """
    keys = list(by or ("feature", "agent", "model", "tool", "day"))
    with ledger(store, app_name, policy) as (opened, loaded):
        sources = standing(ledger_url(store, app_name, policy), expect)
        where, zone = CallFilter(app=app_name, since=since_of(since)), loaded.rules.zone
        found = _totals(opened, keys, where)
        sum_ = whole(next(iter(found.values()))[0])
        sums = {key: spend_rows(*found[key], key, zone) for key in keys}
        tails = dead_tails(opened.calls(where)) if sum_.call_count + sum_.tool_count <= _MOST_TAILED else None
        document = {
            "ledger": opened.url,
            "total": spend_json(sum_),
            "dead_tail": None if tails is None else {"nanos": str(sum(tails.values())), "run_count": len(tails)},
            "by": {key: [spend_json(row) for row in rows] for key, rows in sums.items()},
            "sources": [standing_json(one) for one in sources],
        }

        def text() -> None:
            if not sum_.call_count + sum_.tool_count:
                say("No calls" + (" since then." if since else " yet."))
                return
            for key, rows in sums.items():
                render.print_spending(out, rows, key, sum_)
                if {row.key for row in rows} == {NONE_KEY}:
                    known = ", ".join((*SPECIAL_KEYS, *sorted(DIMENSIONS)))
                    say(f"No call carries {key.removeprefix('tag:')!r}. Known: {known}; other words are the keys of tags.")
                out.print()
            _print_tails(tails, sum_)

        show(as_json, document, text)
        say_standing(sources)
        if expect and stale(sources):
            raise typer.Exit(Exit.FOUND_WRONG)


def _totals(opened: Store, keys: Sequence[str], where: CallFilter) -> dict[str, tuple[Mapping[TotalKey, Total], int]]:
    """For each key of a report: totals, and the place of the key in them. What many calls share is asked for at once."""
    shared = [key for key in keys if key != "day" and key not in _MANY_VALUES]
    together = opened.totals([dimension(key) for key in shared], where) if shared else {}
    alone = {key: (opened.totals([dimension(key)], where), 0) for key in keys if key not in shared}
    return {key: alone[key] if key in alone else (together, shared.index(key)) for key in keys}


def _print_tails(tails: Mapping[tuple[str, str, str], int] | None, sum_: Spend) -> None:
    if tails is None:
        say(f"Dead tail: not worked out for more than {_MOST_TAILED:,} calls; --since asks for fewer.")
    elif tails:
        nanos = sum(tails.values())
        share = f" ({nanos / sum_.nanos:.0%})" if sum_.nanos else ""
        spent = f"{len(tails)} run{'s' if len(tails) > 1 else ''} spent [yellow]{format_usd(nanos)}[/]{share}"
        out.print(f"Dead tail: {spent} after the last new tool result.", highlight=False)
