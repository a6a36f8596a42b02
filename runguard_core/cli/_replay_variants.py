"""Several policies over the same recordings: two side by side, or one with a key swept over values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runguard_core.cli._app import out, show, write_file
from runguard_core.cli._bars import bar
from runguard_core.cli._replay_curve import curve_svg, print_curve
from runguard_core.cli._replay_render import dollars_of, id_chars, short
from runguard_core.cli._tables import Column, figure, name, print_table
from runguard_core.cli._text import shown
from runguard_core.money import format_usd
from runguard_core.policy import Policy, load_policy, sweep_values, with_value
from runguard_core.replay import Played, Recording, ReplaySum, Stop, play_each, sum_json, summed


@dataclass(slots=True)
class Variant:
    """One policy over all recordings.

    Attributes:
        title: the file, or the value; played: every run, in order.
    """

    title: str
    played: list[Played] = field(default_factory=list)

    @property
    def sum(self) -> ReplaySum:
        """Over all runs."""
        return summed(self.played)


@dataclass(frozen=True, slots=True)
class Difference:
    """A run that two policies stop differently; the stops are None where a policy lets it pass."""

    run_id: str
    went_well: bool | None
    old: Stop | None
    new: Stop | None


def titled(files: tuple[Path, Path]) -> list[tuple[str, Policy]]:
    """Two policies under their files' names, or their whole paths where the names are the same."""
    by_name = files[0].name != files[1].name
    return [(file.name if by_name else str(file), load_policy(file).in_force()) for file in files]


def play_variants(runs: Iterable[Recording], policies: Sequence[tuple[str, Policy]], *, together: bool) -> list[Variant]:
    """Play everything under every policy, with a bar for long work."""
    found, recordings = [Variant(title) for title, _ in policies], list(runs)
    with bar("playing", len(recordings) * len(policies)) as moved:
        for number, played in play_each(recordings, [policy.rules for _, policy in policies], together=together):
            found[number].played += played
            moved(len(played))
    return found


def differences(old: Variant, new: Variant) -> list[Difference]:
    """Runs that are stopped by one policy only, or elsewhere, or by another rule."""
    return [
        Difference(one.run_id, one.went_well, one.stop, other.stop)
        for one, other in zip(old.played, new.played, strict=True)
        if (one.stop and (one.stop.place, one.stop.rule)) != (other.stop and (other.stop.place, other.stop.rule))
    ]


def compare(runs: Iterable[Recording], files: tuple[Path, Path], *, together: bool, limit: int | None, as_json: bool) -> None:
    """Two policies side by side."""
    variants = play_variants(runs, titled(files), together=together)
    differing = differences(*variants)
    document = {
        "policies": [{"policy": one.title, **sum_json(one.sum)} for one in variants],
        "differing": [difference_json(one) for one in differing],
    }

    def text() -> None:
        _print_sides(variants)
        out.print()
        print_differences(differing, [one.title for one in variants], 20 if limit is None else limit)

    show(as_json, document, text)


def difference_json(one: Difference) -> dict[str, Any]:
    """A run that differs."""
    return {"run_id": one.run_id, "healthy": one.went_well, "old": _stop_json(one.old), "new": _stop_json(one.new)}


def _stop_json(stop: Stop | None) -> dict[str, Any] | None:
    return None if stop is None else {"index": stop.index, "rule": stop.rule, "evidence": stop.evidence}


def sweep(runs: Iterable[Recording], base: Policy, wanted: str, *, together: bool, svg: Path | None, as_json: bool) -> None:
    """One key over several values: a curve as a table, bars, and a picture."""
    key, values = sweep_values(wanted)
    variants = play_variants(runs, [(value, with_value(base, key, value).in_force()) for value in values], together=together)
    points = [(one.title, one.sum) for one in variants]
    document = {"key": key, "points": [{"value": value, **sum_json(found)} for value, found in points]}
    if svg is not None:
        write_file(svg, curve_svg(key, points))
    show(as_json, document, lambda: print_curve(out, key, points))


def _print_sides(variants: Sequence[Variant]) -> None:
    sums = [one.sum for one in variants]
    rows: list[tuple[str, list[str]]] = [
        ("runs stopped", [f"{found.stop_count:,}" for found in sums]),
        (f"of {sums[0].well_count:,} that went well", [_hit(found) for found in sums]),
        (f"calls saved of {sums[0].whole.call_count:,}", [f"{found.saved.call_count:,}" for found in sums]),
        (f"tokens saved of {sums[0].whole.tokens:,}", [f"{found.saved.tokens:,}" for found in sums]),
        (f"saved of {format_usd(sums[0].total_nanos)}", [dollars_of(found.saved) for found in sums]),
    ]
    rules = sorted({row.rule for found in sums for row in found.rules if row.stop_count})
    for rule in rules:
        counts = [next((row.stop_count for row in found.rules if row.rule == rule), 0) for found in sums]
        rows.append((f"stopped by {shown(rule)}", [f"{count:,}" for count in counts]))
    columns = (name(""), *(figure(one.title) for one in variants))
    print_table(out, f"{sums[0].run_count:,} runs under two policies", columns, [(title, *cells) for title, cells in rows])


def _hit(found: ReplaySum) -> str:
    return f"[bold red]{found.healthy_count}[/]" if found.healthy_count else "0"


def print_differences(differing: Sequence[Difference], titles: Sequence[str], limit: int) -> None:
    """Runs that two policies stop differently, those that went well first."""
    if not differing:
        out.print("Both stop the same runs at the same places.")
        return
    rows = sorted(differing, key=lambda one: one.went_well is not True)[:limit]
    wells = {True: "[green]yes[/]", False: "no", None: ""}
    cells = [(shown(short(one.run_id, id_chars(out))), wells[one.went_well], _place(one.old), _place(one.new)) for one in rows]
    columns = (name("run"), Column("well"), *(name(shown(title)) for title in titles))
    print_table(out, f"{len(differing):,} runs differ", columns, cells)
    if len(differing) > limit:
        out.print(f"... and {len(differing) - limit:,} more (--limit)", style="dim", highlight=False)


def _place(stop: Stop | None) -> str:
    return "passes" if stop is None else f"{shown(stop.rule)} at {stop.index}"
