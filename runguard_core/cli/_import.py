"""`runguard import`: recordings into a ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from runguard_core.attribution import Attribution
from runguard_core.calls import CallKind, Certainty
from runguard_core.cli._app import Exit, JsonOption, PolicyOption, StoreOption, app, as_kept, errors, fail, say, show
from runguard_core.cli._bars import bar
from runguard_core.cli._loading import default_url, open_for_loading
from runguard_core.ledger import Applied, CallRecord, Reserved, Settlement, Store
from runguard_core.money import format_usd
from runguard_core.policy import Policy, load_policy
from runguard_core.replay import Importer, Recording, RecordingError, noon, read_recordings, recording_files

_HOLD = timedelta(minutes=10)
_TOGETHER_RUNS = 50
_SHOWN_LINES = 5
_ENDINGS = (".gz", ".jsonl", ".ndjson")
Row = tuple[CallRecord, Settlement]


@dataclass(slots=True)
class Taken:
    """What an import did.

    Attributes:
        runs, empty_runs: taken, and those of which nothing could be. model_calls, tool_calls: in the runs taken.
        new, known: calls by whether the ledger had them. unpriced: model calls by model; estimated: with a recorded cost.
        nanos: cost of all taken, nano-USD. left_out: model calls by why. untimed: runs without times. bad: unreadable lines.
    """

    runs: int = 0
    empty_runs: int = 0
    model_calls: int = 0
    tool_calls: int = 0
    new: int = 0
    known: int = 0
    estimated: int = 0
    nanos: int = 0
    untimed: int = 0
    unpriced: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    bad: list[RecordingError] = field(default_factory=list)

    def add(self, rows: Sequence[Row]) -> None:
        """Count a run's calls."""
        self.runs += 1
        for call, settled in rows:
            if call.kind is CallKind.TOOL:
                self.tool_calls += 1
                continue
            self.model_calls += 1
            self.nanos += settled.cost_nanos or 0
            self.estimated += settled.certainty is Certainty.ESTIMATED
            if settled.certainty is Certainty.UNPRICED:
                self.unpriced[call.name] += 1


@app.command("import")
def import_command(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help='Recordings: .jsonl, .jsonl.gz, folders, or "-".')],
    store: StoreOption = None,
    app_name: Annotated[
        str | None, typer.Option("--app", callback=as_kept, help='The app; else the policy\'s, else "imported".')
    ] = None,
    feature: Annotated[str | None, typer.Option("--feature", help="Of runs that name none; else the file's name.")] = None,
    team: Annotated[str | None, typer.Option("--team", help="Of runs that name none.")] = None,
    agent: Annotated[str | None, typer.Option("--agent", help="Of calls that name none.")] = None,
    user: Annotated[str | None, typer.Option("--user", help="Of runs that name none.")] = None,
    begin: Annotated[
        str | None, typer.Option("--begin", help="Where runs without times begin, one after the other: a date; else today.")
    ] = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Load recorded runs with token counts into a ledger, at their own times and the prices of those times.

    What cannot be taken is said: model calls without token counts, lines that are no recordings (exit code 1).
    Importing the same again changes nothing. docs/replay.md has the format.

    Example: [bold]runguard import runs.jsonl.gz --app trial && runguard report --app trial[/]
    """
    with errors():
        loaded = load_policy(policy)
        named = app_name or (loaded.content.app if loaded.file is not None else "imported")
        try:
            found = recording_files(files)
        except RecordingError as error:
            raise fail(str(error), Exit.USAGE) from None
        who = Attribution(app=named).with_values(feature=feature, team=team, agent=agent, user=user)
        url = store or (None if app_name else loaded.content.store) or default_url(named)
        opened = open_for_loading(url)
        try:
            taken = Taken()
            _import(opened, found, who, loaded, _begin_of(begin), taken)
        finally:
            opened.close()
    show(as_json, taken_json(taken, opened.url, named), lambda: _say(taken, opened.url))
    if taken.bad:
        raise typer.Exit(Exit.FOUND_WRONG)


def _begin_of(text: str | None) -> datetime:
    if text is None:
        return noon(datetime.now(UTC)).replace(hour=0)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise fail(f"--begin expects a date such as 2026-11-23, got {text!r:.40}", Exit.USAGE) from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _import(store: Store, files: Sequence[Path], who: Attribution, policy: Policy, begin: datetime, taken: Taken) -> None:
    size = sum(file.stat().st_size for file in files if file.is_file())
    with bar("importing", size) as moved:
        rows = _rows(read_recordings(files, on_error=taken.bad.append, on_read=moved), who, policy, begin, taken)
        while some := list(islice(rows, _TOGETHER_RUNS)):
            with getattr(store, "together", nullcontext)():
                for run in some:
                    _write(store, run, taken)


def _rows(runs: Iterable[Recording], who: Attribution, policy: Policy, begin: datetime, taken: Taken) -> Iterator[Sequence[Row]]:
    """The rows of each run of which something can be taken."""
    importers: dict[str | None, Importer] = {}
    for run in runs:
        feature = who.feature or _file_name(run.place)
        if feature not in importers:
            importers[feature] = Importer(who.with_values(feature=feature), policy.rules.prices)
        found = importers[feature].rows_of(run, begin)
        taken.left_out.update(found.left_out)
        if not found.rows:
            taken.empty_runs += 1
            continue
        if not found.has_own_times:
            taken.untimed += 1
            begin = found.next_begin
        taken.add(found.rows)
        yield found.rows


def _file_name(place: str) -> str | None:
    """A file's name without endings, from FILE:LINE; None for standard input."""
    name, colon, _ = place.rpartition(":")
    name = Path(name).name if colon and name != "standard input" else ""
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    return name or None


def _write(store: Store, rows: Sequence[Row], taken: Taken) -> None:
    """A call that is there and settled stays as it is, whatever it would cost by today's list."""
    for call, settlement in rows:
        held = store.reserve(call, (), expires_at=call.started_at + _HOLD, owner="import")
        if isinstance(held, Reserved) and held.applied is Applied.EXISTS:
            known = store.call(call.id)
            if known is not None and known.settlement is not None:
                taken.known += 1
                continue
        store.post(call.id, settlement)
        taken.new += 1


def taken_json(taken: Taken, url: str, app_name: str) -> dict[str, Any]:
    """The result; amounts as strings of nano-USD."""
    return {
        "ledger": url, "app": app_name, "run_count": taken.runs, "model_call_count": taken.model_calls,
        "tool_call_count": taken.tool_calls, "new_count": taken.new, "known_count": taken.known, "cost_nanos": str(taken.nanos),
        "estimated_count": taken.estimated, "unpriced": dict(sorted(taken.unpriced.items())), "untimed_run_count": taken.untimed,
        "skipped": {"runs": taken.empty_runs, "model_calls": dict(sorted(taken.left_out.items()))},
        "bad_lines": [{"place": one.place, "expected": one.expected} for one in taken.bad],
    }  # fmt: skip


def _say(taken: Taken, url: str) -> None:
    say(
        f"{taken.runs:,} runs with {taken.model_calls:,} model calls and {taken.tool_calls:,} tool calls, "
        f"{format_usd(taken.nanos)}: {taken.new:,} calls are new, {taken.known:,} were there."
    )
    say(f"Ledger: {url}")
    if taken.untimed:
        say(f"{taken.untimed:,} runs carry no times: they lie one after the other (--begin says from when).")
    if taken.estimated:
        say(f"{taken.estimated:,} model calls have no price in the list: the cost that was recorded holds, as an estimate.")
    if taken.unpriced:
        names = ", ".join(f"{name} ({count:,})" for name, count in taken.unpriced.most_common(5))
        say(f"{taken.unpriced.total():,} model calls have no price: {names}. See [prices] in docs/policy.md.")
    if taken.empty_runs:
        say(f"{taken.empty_runs:,} runs were skipped: none of their model calls can be taken.")
    for why, count in sorted(taken.left_out.items()):
        say(f"{count:,} model calls were skipped: {why}.")
    for one in taken.bad[:_SHOWN_LINES]:
        say(f"Skipped {one}")
    if len(taken.bad) > _SHOWN_LINES:
        say(f"... and {len(taken.bad) - _SHOWN_LINES:,} more lines (--json has all).")
