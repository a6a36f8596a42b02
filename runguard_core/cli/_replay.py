"""`runguard replay`: what a policy would have done to recorded runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from runguard_core.cli import _replay_render as render
from runguard_core.cli._app import AppOption, Exit, PolicyOption, StoreOption, app, err, errors, fail, ledger, out
from runguard_core.cli._bars import bar
from runguard_core.cli._reading import SinceOption, since_of
from runguard_core.cli._replay_variants import compare, sweep
from runguard_core.cli._text import shown
from runguard_core.ledger import CallFilter
from runguard_core.policy import load_policy
from runguard_core.replay import (
    Played,
    Recording,
    RecordingError,
    play_many,
    played_json,
    read_recordings,
    recording_files,
    recordings_of,
)

FilesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[FILE]...", help='Recordings: .jsonl, .jsonl.gz, folders, "-". None: the ledger\'s own runs.'),
]
KeepGoingOption = Annotated[bool, typer.Option("--keep-going", help="Skip lines that are no recordings, and say how many.")]
TogetherOption = Annotated[
    bool, typer.Option("--together", help="One guard for all runs: budgets of a day or a feature fill up over all of them.")
]


@dataclass(slots=True)
class Skipped:
    """Lines that could not be read."""

    errors: list[RecordingError] = field(default_factory=list)

    def say(self) -> None:
        """On standard error, how many and the first of them."""
        if self.errors:
            err.print(f"[yellow]runguard:[/] {len(self.errors)} lines were skipped, the first: {shown(str(self.errors[0]))}")


@app.command("replay")
def replay_command(
    files: FilesArgument = None,
    policy: PolicyOption = None,
    only_stopped: Annotated[bool, typer.Option("--only-stopped", help="List only runs that would have been stopped.")] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=0, help="List at most so many runs; the sums are of all.")
    ] = None,
    together: TogetherOption = False,
    compared: Annotated[
        tuple[Path, Path] | None,
        typer.Option("--compare", metavar="A B", help="Two policies side by side, and the runs they differ in."),
    ] = None,
    swept: Annotated[
        str | None,
        typer.Option("--sweep", metavar="KEY=VALUES", help="The policy with a key at each value: 2..6, 0.1..1.0 USD, 3,5,8."),
    ] = None,
    svg: Annotated[Path | None, typer.Option("--svg", help="With --sweep: write the curve as a picture, too.")] = None,
    keep_going: KeepGoingOption = False,
    store: StoreOption = None,
    app_name: AppOption = None,
    since: SinceOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line a run instead of text.")] = False,
) -> None:
    """Play recorded runs under a policy: where it would have stopped them, why, and what that would have saved.

    Nothing is called and nothing is written. Without files the ledger's own runs are played. docs/replay.md has the format.

    Example: [bold]runguard replay runs.jsonl.gz --policy runguard.toml --only-stopped[/]
    """
    with errors():
        loaded, skipped = load_policy(policy).in_force(store), Skipped()
        with recordings(files, skipped if keep_going else None, store, app_name, policy, since) as runs:
            played = play_many(runs, loaded.rules, together=together)
            if compared is not None:
                compare(runs, compared, together=together, limit=limit, as_json=as_json)
            elif swept is not None:
                sweep(runs, loaded, swept, together=together, svg=svg, as_json=as_json)
            elif as_json:
                write_lines(played, only_stopped=only_stopped, limit=limit)
            else:
                render.print_played(out, list(played), only_stopped=only_stopped, limit=20 if limit is None else limit)
        skipped.say()


def write_lines(played: Iterable[Played], *, only_stopped: bool, limit: int | None) -> None:
    """One JSON line a run, as soon as it has been played."""
    count = 0
    for one in played:
        if (one.stop is not None or not only_stopped) and (limit is None or count < limit):
            count += 1
            sys.stdout.write(json.dumps(played_json(one)) + "\n")


@contextmanager
def recordings(
    files: list[str] | None,
    skipped: Skipped | None,
    store: str | None,
    app_name: str | None,
    policy: Path | None,
    since: str | None,
) -> Iterator[Iterable[Recording]]:
    """The runs a command speaks of, with a bar for long work: of files, or of the ledger."""
    if not files:
        with ledger(store, app_name, policy) as (opened, _):
            calls = opened.calls(CallFilter(app=app_name, since=since_of(since)))
            yield recordings_of(calls, opened.events(), place=opened.url)
        return
    try:
        found = recording_files(files)
    except RecordingError as error:
        raise fail(str(error), Exit.USAGE) from None
    with bar("reading and playing", sum(file.stat().st_size for file in found if file.is_file())) as moved:
        yield read_recordings(found, on_error=skipped.errors.append if skipped is not None else None, on_read=moved)
