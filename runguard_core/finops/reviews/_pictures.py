"""Small pictures of values over time and of shares: blocks for text, SVG for pages."""

from __future__ import annotations

from collections.abc import Sequence

_BLOCKS = "▁▂▃▄▅▆▇█"
_WIDTH, _HEIGHT = 88, 22


def blocks_of(values: Sequence[int]) -> str:
    """A block a value, its height in proportion to the largest; what is nothing is the lowest."""
    top = max(values, default=0)
    return "".join(_BLOCKS[min(len(_BLOCKS) - 1, value * len(_BLOCKS) // top)] if top else _BLOCKS[0] for value in values)


def line_svg(values: Sequence[int], said: str) -> str:
    """Columns over time, the last one marked; `said` is read out where pictures are not seen."""
    if not values:
        return ""
    top, step = max(*values, 1), _WIDTH / len(values)
    bars = []
    for place, value in enumerate(values):
        height = max(round(value / top * _HEIGHT, 1), 1)
        name = "now" if place == len(values) - 1 else "then"
        where = f'x="{place * step:.1f}" y="{_HEIGHT - height:.1f}" width="{step - 2:.1f}" height="{height:.1f}"'
        bars.append(f'<rect class="{name}" {where}/>')
    return (
        f'<svg class="line" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" role="img" '
        f'aria-label="{said}">{"".join(bars)}</svg>'
    )


def bar_svg(share: float, tone: str) -> str:
    """A share of a whole; what is above it is marked."""
    full = min(max(share, 0.0), 1.0) * 64
    return (
        '<svg class="bar" viewBox="0 0 64 6" width="64" height="6" aria-hidden="true"><rect class="room" width="64" height="6" '
        f'rx="2"/><rect class="used {tone}" width="{full:.1f}" height="6" rx="2"/></svg>'
    )
