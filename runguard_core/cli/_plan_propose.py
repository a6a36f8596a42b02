"""`runguard plan propose`: session limits from past sessions, written as a policy file."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from runguard_core.budgets import Budget, Limit, Mode
from runguard_core.cli._app import (
    AppOption,
    Exit,
    JsonOption,
    PolicyOption,
    StoreOption,
    errors,
    fail,
    ledger,
    out,
    show,
    write_file,
)
from runguard_core.cli._bars import bar
from runguard_core.cli._plan import plan_app
from runguard_core.cli._plan_json import usd_or_none
from runguard_core.cli._plan_render import amount
from runguard_core.cli._reading import SinceOption
from runguard_core.cli._replay import FilesArgument, KeepGoingOption, Skipped, recordings
from runguard_core.cli._tables import Column, figure, name, print_table
from runguard_core.cli._text import counted, shown
from runguard_core.finops.planning import (
    Proposal,
    Stopped,
    healths,
    past_sessions,
    proposal_toml,
    proposals,
    recorded_nanos,
    stopped_by,
)
from runguard_core.guard import FiledEpisode, Rules, filed_episodes
from runguard_core.ledger import EventFilter, Unit
from runguard_core.money import usd_text
from runguard_core.policy import Policy, load_policy
from runguard_core.replay import Played, Recording, play_each

_SHARES = {"P99": Fraction(99, 100), "P99.9": Fraction(999, 1000)}
_SINCE = "28d"


@plan_app.command("propose")
def plan_propose(
    files: FilesArgument = None,
    share: Annotated[
        Literal["P99", "P99.9"], typer.Option("--share", help="The share of healthy sessions that a limit lets pass.")
    ] = "P99.9",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the limits as a policy file.")] = None,
    since: SinceOption = _SINCE,
    keep_going: KeepGoingOption = False,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Propose a session limit for each feature from past sessions, and say what it would have stopped, healthy ones included.

    The sessions are played through a real guard under the proposed limits alone. Without files: the ledger's of four weeks.

    Example: [bold]runguard plan propose -o proposed.toml && runguard policy diff runguard.toml proposed.toml --replay ledger[/]
    """
    with errors():
        loaded, skipped = load_policy(policy), Skipped()
        base = _base(loaded, output) if output is not None else None
        with recordings(files, skipped if keep_going else None, store, app_name, policy, since) as runs:
            past = list(runs)
        episodes = () if files else _episodes(store, app_name, policy)
        found = propose(past, episodes, loaded.rules, _SHARES[share])
        skipped.say()
        document = {
            "since": since if not files else None, "share": share, "runs": len(past),
            "proposals": [_json(one, stopped) for one, stopped in found],
        }  # fmt: skip
        show(as_json, document, lambda: _print(out, found))
        if output is not None:
            if not any(one.limit_nanos is not None for one, _ in found):
                raise fail("there is no limit to write: too few healthy sessions", Exit.FOUND_WRONG)
            write_file(output, proposal_toml(found, base, loaded.content.app))
            if not as_json and loaded.file is not None:
                out.print(
                    shown(f"Next: runguard policy diff {shlex.quote(loaded.file)} {shlex.quote(str(output))} --replay ledger"),
                    soft_wrap=True,
                )


def _episodes(store: str | None, app_name: str | None, policy: Path | None) -> tuple[FiledEpisode, ...]:
    """Unusual spend that a ledger knows of, and what people said of it."""
    with ledger(store, app_name, policy) as (opened, _):
        return tuple(filed_episodes(opened.events(EventFilter(app=app_name))).values())


def propose(
    past: Sequence[Recording], episodes: Iterable[FiledEpisode], rules: Rules, share: Fraction
) -> list[tuple[Proposal, Stopped]]:
    """The limits, and what each would have stopped by itself."""
    default = rules.defaults.feature or rules.defaults.app
    alone = replace(
        rules, budgets=(), detectors=(), turn_detectors=(), mode=Mode.ENFORCE, agent_modes={}, on_store_error=rules.on_store_error
    )
    costs = [recorded_nanos(recording) for recording in past]
    if None in costs or rules.tool_prices_nanos:
        costs = [one.total_nanos for one in _played(past, alone, "what sessions cost")]
    health = healths(past, episodes, default)
    found = proposals(past_sessions(past, [nanos or 0 for nanos in costs], health, default), share)
    budgets = tuple(
        Budget(Limit(one.limit_nanos, Unit.USD), name=one.budget, per=["session"], where={"feature": one.feature})
        for one in found
        if one.limit_nanos is not None
    )
    if not budgets:
        return [(one, Stopped()) for one in found]
    under = _played(past, replace(alone, budgets=budgets), "under the limits")
    return [(one, stopped_by(past, under, health, one)) for one in found]


def _played(past: Sequence[Recording], rules: Rules, title: str) -> list[Played]:
    """Every recording, in order, under some rules."""
    found: list[Played] = []
    with bar(title, len(past)) as moved:
        for _, played in play_each(past, [rules]):
            found += played
            moved(len(played))
    return found


def _base(loaded: Policy, output: Path) -> str | None:
    """The policy that holds, as seen from where the proposal is written."""
    if loaded.file is None:
        return None
    if Path(loaded.file).resolve() == output.resolve():
        raise fail(f"{output} is the policy that holds: write the proposal to another file", Exit.USAGE)
    return Path(os.path.relpath(Path(loaded.file).resolve(), output.resolve().parent)).as_posix()


def _json(one: Proposal, stopped: Stopped) -> dict[str, Any]:
    return {
        "feature": one.feature, "sessions": one.session_count, "healthy_sessions": one.healthy_count,
        "median_usd": usd_or_none(one.median_nanos), "dearest_usd": usd_or_none(one.dearest_nanos),
        "limit_usd": usd_or_none(one.limit_nanos), "rule": one.rule, "stopped_sessions": stopped.session_count,
        "stopped_healthy_sessions": stopped.healthy_count,
        "stopped_that_stood_out": stopped.stood_out_count, "saved_usd": usd_text(stopped.saved_nanos),
        "healthy": list(stopped.healthy_sessions),
    }  # fmt: skip


def _print(console: Console, found: Sequence[tuple[Proposal, Stopped]]) -> None:
    if not found:
        console.print("No past sessions: nothing to propose from.")
        return
    columns = (
        name("feature"), figure("sessions"), figure("median", spare=3), figure("dearest", spare=2), figure("limit"),
        Column("how", spare=1), figure("stops"), figure("stood out"), figure("healthy"), figure("saves"),
    )  # fmt: skip
    cells = []
    for one, stopped in found:
        hit = f"[bold red]{stopped.healthy_count}[/]" if stopped.healthy_count else "0"
        what = (f"{stopped.session_count}", f"{stopped.stood_out_count}", hit, amount(stopped.saved_nanos))
        limit = "[dim]none[/]" if one.limit_nanos is None else f"[bold]{amount(one.limit_nanos)}[/]"
        cells.append((
            shown(one.feature), f"{one.session_count:,}", amount(one.median_nanos), amount(one.dearest_nanos), limit,
            one.rule.replace(" healthy", ""), *(what if one.limit_nanos is not None else ("", "", "", "")),
        ))  # fmt: skip
    print_table(console, "Session limits from past sessions", columns, cells)
    sessions, healthy = sum(s.session_count for _, s in found), sum(s.healthy_count for _, s in found)
    odd = sum(s.stood_out_count for _, s in found)
    console.print(
        f"Together they would have stopped {counted(sessions, 'session')}: {odd} that stood out, "
        f"{'[bold red]' if healthy else '[green]'}{healthy} healthy[/]."
    )
    unknown = sum(one.session_count - one.healthy_count for one, _ in found)
    if unknown:
        console.print(f"[dim]{counted(unknown, 'session')} stood out, did not go well, or nothing says so: not learned from.[/]")
