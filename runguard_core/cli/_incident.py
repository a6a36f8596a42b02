"""`runguard incident`: a run of the ledger as a file without content, for a ticket or a test."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from runguard_core.cli._acting import guard_on
from runguard_core.cli._answering import answering, answering_lines
from runguard_core.cli._app import AppOption, Exit, PolicyOption, StoreOption, app, err, fail, ledger, write_file
from runguard_core.cli._text import shown
from runguard_core.events import RUN_TRIPPED
from runguard_core.ledger import CallFilter, CallRecord, Store
from runguard_core.replay import incident_json, recordings_of


@app.command("incident")
def incident_command(
    which: Annotated[str | None, typer.Argument(metavar="[RUN|SESSION]", help="An id; else the latest run that tripped.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The file, *.gz for gzip; else standard output.")] = None,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
) -> None:
    """Write a run (or each run of a session) without its content: digests, sizes, tokens, costs, and what the rules said.

    The file is a recording: `runguard replay FILE` plays it, and a test can assert what it may cost. Names of tools, models,
    agents and features stay; ids of users and sessions, and texts of errors, are digests under the ledger's key. Who answers
    for it is said on standard error.

    Example: [bold]runguard incident s-42 -o incident.jsonl[/]
    """
    with ledger(store, app_name, policy) as (opened, loaded):
        calls = _calls(opened, app_name, which)
        digest = guard_on(opened, loaded, app_name).fingerprint
        events = opened.events()
        lines = [
            json.dumps(incident_json(run, [event for event in events if event.run == run.run_id], digest))
            for run in recordings_of(calls, events, place=opened.url)
        ]
        answers = answering([event for event in events if event.run in {call.attribution.run for call in calls}], loaded)
    _write(output, "".join(f"{line}\n" for line in lines))
    for line in answering_lines(answers):
        err.print(line, soft_wrap=True)


def _calls(opened: Store, app_name: str | None, which: str | None) -> tuple[CallRecord, ...]:
    if which is None:
        tripped = [event for event in opened.events() if event.kind == RUN_TRIPPED and app_name in {None, event.app}]
        if not tripped or tripped[-1].run is None:
            raise fail(f"no run has tripped in {opened.url}: name a run or a session, see `runguard sessions`", Exit.FOUND_WRONG)
        which = tripped[-1].run
    found = opened.calls(CallFilter(app=app_name, run=which)) or opened.calls(CallFilter(app=app_name, session=which))
    if not found:
        raise fail(f"no calls of a run or session {which!r} in {opened.url}; see `runguard sessions`", Exit.FOUND_WRONG)
    return found


def _write(output: Path | None, text: str) -> None:
    if output is None or str(output) == "-":
        sys.stdout.write(text)
    elif output.suffix == ".gz":
        try:
            output.write_bytes(gzip.compress(text.encode()))
        except OSError as error:
            raise fail(f"{output} cannot be written: {error.strerror}", Exit.USAGE) from None
        err.print(f"Wrote {shown(str(output))}.", soft_wrap=True)
    else:
        write_file(output, text)
