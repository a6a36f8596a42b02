"""`runguard policy diff`: what a change of the policy changes, in its keys and for runs of the past."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from runguard_core.cli._acting import policy_app
from runguard_core.cli._app import AppOption, Exit, JsonOption, StoreOption, errors, out, show
from runguard_core.cli._reading import SinceOption
from runguard_core.cli._replay import KeepGoingOption, Skipped, TogetherOption, recordings
from runguard_core.cli._replay_render import dollars_of
from runguard_core.cli._replay_variants import (
    Difference,
    Variant,
    difference_json,
    differences,
    play_variants,
    print_differences,
    titled,
)
from runguard_core.cli._text import shown
from runguard_core.policy import Change, Policy, changes
from runguard_core.replay import Stop, sum_json

#: The word for the ledger's own runs, instead of files.
_LEDGER = "ledger"
_MOST_ROWS = 20


@dataclass(frozen=True, slots=True)
class Effect:
    """What a change would have done to past runs, and which of them went well."""

    old: Variant
    new: Variant
    differing: tuple[Difference, ...]

    @property
    def newly_stopped(self) -> list[Difference]:
        """Runs that only the new policy stops."""
        return [one for one in self.differing if one.old is None]

    @property
    def no_longer_stopped(self) -> list[Difference]:
        """Runs that only the old policy stops."""
        return [one for one in self.differing if one.new is None]

    @property
    def harmed(self) -> list[Difference]:
        """Of the newly stopped, those that went well."""
        return [one for one in self.newly_stopped if one.went_well]


@policy_app.command("diff")
def policy_diff(
    old: Annotated[Path, typer.Argument(help="The policy that holds.")],
    new: Annotated[Path, typer.Argument(help="The policy as it would be.")],
    replay: Annotated[
        list[str] | None,
        typer.Option("--replay", help='Recordings (files, folders), or "ledger"; may be given again.'),
    ] = None,
    together: TogetherOption = False,
    keep_going: KeepGoingOption = False,
    store: StoreOption = None,
    app_name: AppOption = None,
    since: SinceOption = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="As Markdown, for a pull request.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show which keys differ between two policies, and which past runs the change would stop or let go.

    Exit code 1 when a run that went well is among the newly stopped.

    Example: [bold]runguard policy diff main.toml runguard.toml --replay runs.jsonl.gz --markdown[/]
    """
    with errors():
        sides, skipped = titled((old, new)), Skipped()
        before, after = (policy for _, policy in sides)
        found = changes(before, after)
        effect = None
        if replay:
            files = None if replay == [_LEDGER] else replay
            with recordings(files, skipped if keep_going else None, store, app_name, None, since) as runs:
                variants = play_variants(runs, sides, together=together)
            effect = Effect(variants[0], variants[1], tuple(differences(*variants)))
        skipped.say()
        if markdown and not as_json:
            sys.stdout.write(in_markdown((old, new), found, effect))
        else:
            show(as_json, as_document((before, after), found, effect), lambda: _print(out, found, effect))
        if effect is not None and effect.harmed:
            raise typer.Exit(Exit.FOUND_WRONG)


def as_document(policies: tuple[Policy, Policy], found: Sequence[Change], effect: Effect | None) -> dict[str, Any]:
    """The whole as JSON values."""
    keys = [{"key": change.key, "old": change.old, "new": change.new} for change in found]
    old, new = ({"policy": policy.file, "hash": policy.hash} for policy in policies)
    if effect is None:
        return {"old": old, "new": new, "changed": keys, "replay": None}
    return {
        "old": old, "new": new, "changed": keys,
        "replay": {
            "old": sum_json(effect.old.sum), "new": sum_json(effect.new.sum),
            "newly_stopped": [difference_json(one) for one in effect.newly_stopped],
            "no_longer_stopped": [difference_json(one) for one in effect.no_longer_stopped],
            "stopped_elsewhere": [difference_json(one) for one in effect.differing if one.old and one.new],
            "healthy_newly_stopped": [one.run_id for one in effect.harmed],
        },
    }  # fmt: skip


def _print(console: Console, found: Sequence[Change], effect: Effect | None) -> None:
    if not found:
        console.print("Both policies say the same.")
    else:
        table = Table(title=f"{len(found)} keys differ", title_justify="left", box=None, pad_edge=False)
        for name in ("key", "old", "new"):
            table.add_column(name, overflow="fold")
        for change in found:
            table.add_row(shown(change.key), *(shown(_value(value)) for value in (change.old, change.new)))
        console.print(table)
    if effect is None:
        return
    console.print()
    for sentence in sentences(effect):
        console.print(shown(sentence), highlight=False)
    console.print()
    print_differences(effect.differing, [effect.old.title, effect.new.title], _MOST_ROWS)
    if effect.harmed:
        names = ", ".join(one.run_id for one in effect.harmed[:5])
        console.print(f"[bold red]{len(effect.harmed)} of the newly stopped runs went well:[/] {shown(names)}", highlight=False)


def sentences(effect: Effect) -> list[str]:
    """What the change does to past runs."""
    old, new = effect.old.sum, effect.new.sum
    moved = len(effect.differing) - len(effect.newly_stopped) - len(effect.no_longer_stopped)
    stopped = (
        f"Of {old.run_count:,} past runs the change would newly stop {len(effect.newly_stopped):,} "
        f"({len(effect.harmed):,} of them went well), no longer stop {len(effect.no_longer_stopped):,}, "
        f"and stop {moved:,} elsewhere or by another rule."
    )
    saved = (
        f"Stopped: {old.stop_count:,} before, {new.stop_count:,} after. Calls saved: {old.saved.call_count:,} before, "
        f"{new.saved.call_count:,} after. Dollars saved: {dollars_of(old.saved)} before, {dollars_of(new.saved)} after."
    )
    return [stopped, saved]


def in_markdown(files: tuple[Path, Path], found: Sequence[Change], effect: Effect | None) -> str:
    """The whole as Markdown."""
    lines = [f"### RunGuard policy: `{files[0]}` to `{files[1]}`", ""]
    if found:
        lines += ["| key | old | new |", "|---|---|---|"]
        lines += [f"| `{_cell(change.key)}` | {_code(change.old)} | {_code(change.new)} |" for change in found]
    else:
        lines.append("Both policies say the same.")
    if effect is not None:
        lines += ["", *(sentence + "  " for sentence in sentences(effect)), *_markdown_runs(effect)]
    return "\n".join(lines) + "\n"


def _markdown_runs(effect: Effect) -> list[str]:
    if not effect.differing:
        return []
    rows = sorted(effect.differing, key=lambda one: (one.went_well is not True, one.old is not None))
    lines = ["", "| run | went well | before | after |", "|---|---|---|---|"]
    for one in rows[:_MOST_ROWS]:
        well = {True: "**yes**" if one.old is None else "yes", False: "no", None: ""}[one.went_well]
        lines.append(f"| `{_cell(one.run_id)}` | {well} | {_stop_cell(one.old)} | {_stop_cell(one.new)} |")
    more = len(rows) - _MOST_ROWS
    return [*lines, "", f"... and {more:,} more"] if more > 0 else lines


def _stop_cell(stop: Stop | None) -> str:
    return "passes" if stop is None else f"{_cell(stop.rule)} at event {stop.index}: {_cell(stop.evidence[:160])}"


def _value(value: Any) -> str:
    return "-" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _code(value: Any) -> str:
    return "" if value is None else f"`{_cell(_value(value))}`"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("`", "'").split())
