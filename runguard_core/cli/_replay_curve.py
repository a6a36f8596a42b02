"""The curve of a swept key: bars in the terminal, a picture as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape as xml

from rich.console import Console

from runguard_core.cli._render import bar
from runguard_core.cli._replay_render import dollars_of
from runguard_core.cli._tables import Column, figure, print_table
from runguard_core.cli._text import shown
from runguard_core.replay import ReplaySum

Points = Sequence[tuple[str, ReplaySum]]


#: Dollars are shown where at most so large a share of the calls carries no cost.
_UNTOLD_RATIO = 0.1


def saved_ratio(found: ReplaySum) -> float:
    """Share of what stopping saves, 0 to 1: of dollars where nearly all are known, else of calls."""
    if _are_dollars_known(found):
        return found.saved.nanos / found.whole.nanos
    return found.saved.call_count / found.whole.call_count if found.whole.call_count else 0.0


def _are_dollars_known(found: ReplaySum) -> bool:
    return bool(found.whole.nanos) and found.whole.untold_count <= _UNTOLD_RATIO * found.whole.call_count


def hit_ratio(found: ReplaySum) -> float | None:
    """Share of the runs that went well which would have been stopped, 0 to 1; None where no run says."""
    return found.healthy_count / found.well_count if found.well_count else None


def of_what(points: Points) -> str:
    """What `saved_ratio` is a share of."""
    return "dollars" if _are_dollars_known(points[0][1]) else "calls"


def print_curve(console: Console, key: str, points: Points) -> None:
    """One line a value; what is saved and what goes wrong as bars, each column's longest at full length."""
    most = max([saved_ratio(found) for _, found in points]) or 1.0
    worst = max([hit_ratio(found) or 0.0 for _, found in points]) or 1.0
    columns = (
        figure(key.rpartition(".")[2]), figure("stops"), figure("healthy hit"), figure("calls saved", spare=1),
        figure("USD saved", spare=2), Column(f"{of_what(points)} saved"), Column("healthy runs hit", spare=3),
    )  # fmt: skip
    rows = []
    for value, found in points:
        hit = hit_ratio(found)
        rows.append((
            shown(value), f"{found.stop_count:,}", f"[bold red]{found.healthy_count}[/]" if found.healthy_count else "0",
            f"{found.saved.call_count:,}", dollars_of(found.saved),
            f"[green]{bar(saved_ratio(found) / most, 10)}[/] {saved_ratio(found):5.1%}",
            "no run says" if hit is None else f"[red]{bar(hit / worst, 10)}[/] {hit:5.1%}",
        ))  # fmt: skip
    print_table(console, f"{points[0][1].run_count:,} runs, {key} swept", columns, rows)


_WIDTH, _HEIGHT = 760, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 24, 64, 88
_GREEN, _RED, _GREY = "#2a7f4f", "#b3261e", "#6b7280"


def curve_svg(key: str, points: Points) -> str:
    """The picture: share saved, and share of healthy runs hit, over the values; both axes from 0."""
    saved = [saved_ratio(found) for _, found in points]
    hits = [hit for _, found in points if (hit := hit_ratio(found)) is not None]
    top = _nice(max([*saved, *hits, 0.01]))
    first = points[0][1]
    known = f"{first.well_count:,} known to have gone well" if first.judged_count else "none says whether it went well"
    runs = f"{first.run_count:,} runs, {known}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="13">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="24" font-size="16" font-weight="600">{xml(key)}</text>',
        f'<text x="{_LEFT}" y="44" fill="{_GREY}">{xml(runs)}</text>',
        *_axes(points, top),
        *_line(saved, top, _GREEN, f"{of_what(points)} saved", above=True),
    ]
    if len(hits) == len(points):
        parts += _line(hits, top, _RED, "healthy runs hit", above=False)
    return "\n".join([*parts, "</svg>\n"])


def _nice(ratio: float) -> float:
    """The next of 1, 2, 5 times a power of ten, at most 1."""
    for exponent in (-2, -1, 0):
        for step in (1, 2, 5):
            if ratio <= step * 10.0**exponent:
                return min(1.0, step * 10.0**exponent)
    return 1.0


def _x(place: int, count: int) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (place + 0.5) / count


def _y(ratio: float, top: float) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * ratio / top


def _axes(points: Points, top: float) -> list[str]:
    found = []
    for tick in range(5):
        ratio, y = top * tick / 4, _y(top * tick / 4, top)
        found.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e5e7eb"/>')
        found.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="{_GREY}">{ratio * 100:.3g} %</text>')
    every = -(-len(points) // 12)
    for place, (value, _) in enumerate(points):
        if place % every == 0:
            x = _x(place, len(points))
            found.append(f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 20}" text-anchor="middle">{xml(value)}</text>')
    return found


def _line(ratios: Sequence[float], top: float, colour: str, title: str, *, above: bool) -> list[str]:
    places = [(_x(place, len(ratios)), _y(ratio, top)) for place, ratio in enumerate(ratios)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in places]
    legend = _HEIGHT - (32 if above else 14)
    return [
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *dots,
        f'<rect x="{_LEFT}" y="{legend - 9}" width="18" height="4" fill="{colour}"/>',
        f'<text x="{_LEFT + 26}" y="{legend - 3}">share of {xml(title)}</text>',
    ]
