"""A page of a review as one HTML file: no script, nothing loaded from elsewhere, light and dark, readable on paper."""

from __future__ import annotations

import re
from html import escape

from runguard_core.finops.reviews._page import Block, Cell, Column, Grid, Page, Point, Points
from runguard_core.finops.reviews._pictures import bar_svg, line_svg
from runguard_core.money import brief_usd

_SUM = ' class="sum"'
_CODE = re.compile(r"`([^`]*)`")
_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6777; --paper: #fff; --rule: #dde3ea; --band: #f5f7fa;
  --good: #17784a; --warn: #9a6200; --bad: #b3261e; --mark: #2f6fde; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9f0; --soft: #9aa7b8; --paper: #14181f; --rule: #2c3440; --band: #1b212a;
  --good: #58c08a; --warn: #e0a846; --bad: #f2776c; --mark: #7aa7f7; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.5rem 3rem; max-width: 66rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif; }
h1 { font-size: 1.45rem; line-height: 1.25; margin: 0 0 .8rem; }
h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
.lead { margin: 0; padding: 0; list-style: none; }
.lead li:first-child { font-size: 1.15rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .55rem; text-align: left; vertical-align: top; white-space: nowrap;
  border-bottom: 1px solid var(--rule); }
th { color: var(--soft); font-weight: 500; font-size: .85rem; }
.figure { text-align: right; }
tr.sum td { font-weight: 600; border-top: 2px solid var(--rule); border-bottom: 0; }
small { display: block; color: var(--soft); font-weight: 400; font-size: .8rem; }
.note, .rules { color: var(--soft); font-size: .85rem; }
.points { margin: 0; padding: 0; list-style: none; }
.points li { padding: .5rem .8rem; margin: .35rem 0; background: var(--band); border-left: 3px solid var(--rule); }
.points b { display: block; font-weight: 600; }
.points li.bad { border-color: var(--bad); } .points li.warn { border-color: var(--warn); }
.points li.good { border-color: var(--good); }
.good { color: var(--good); } .warn { color: var(--warn); } .bad { color: var(--bad); } .quiet { color: var(--soft); }
.points li.good, .points li.warn, .points li.bad { color: inherit; }
code { font: .9em ui-monospace, "SF Mono", Consolas, "DejaVu Sans Mono", monospace; }
svg { vertical-align: middle; }
.line .then { fill: var(--soft); opacity: .45; } .line .now { fill: var(--mark); }
.bar { display: block; margin: .2rem 0 0 auto; } .room { fill: var(--rule); } .used { fill: var(--mark); }
.used.warn { fill: var(--warn); } .used.bad { fill: var(--bad); }
hr { border: 0; border-top: 2px solid var(--rule); margin: 3rem 0; }
@media print { hr { visibility: hidden; break-after: page; }
  body { padding: 0; max-width: none; } li, tr { break-inside: avoid; } }
"""


def html(*pages: Page) -> str:
    """The whole document, of one page or several."""
    title = escape(pages[0].title if pages else "LLM spend")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{title}</title><style>{_STYLE}</style></head>\n<body>{'<hr>'.join(map(_page, pages))}\n</body></html>\n"
    )


def _page(page: Page) -> str:
    lead = "".join(f'<li class="{point.tone}">{_said(point.head)}</li>' for point in page.lead)
    rules = "".join(f"<li>{_said(rule)}</li>" for rule in page.rules)
    below = f'<h2>How this is worked out</h2><ul class="rules">{rules}</ul>' if rules else ""
    blocks = "".join(map(_block, page.blocks))
    return f'<h1>{escape(page.title)}</h1>\n<ul class="lead">{lead}</ul>\n{blocks}{below}'


def _block(block: Block) -> str:
    return _grid(block) if isinstance(block, Grid) else _points(block)


def _grid(grid: Grid) -> str:
    head = "".join(f"<th{_side(column)}>{escape(column.header)}</th>" for column in grid.columns)
    last = len(grid.rows) - 1 if grid.has_total else -1
    rows = [
        f"<tr{_SUM if number == last else ''}>{''.join(map(_cell, grid.columns, row))}</tr>\n"
        for number, row in enumerate(grid.rows)
    ]
    note = f'<p class="note">{_said(grid.note)}</p>' if grid.note else ""
    return (
        f'<h2>{escape(grid.title)}</h2><div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>{"".join(rows)}</tbody>'
        f"</table></div>{note}\n"
    )


def _side(column: Column) -> str:
    return ' class="figure"' if column.is_figure else ""


def _cell(column: Column, cell: Cell) -> str:
    kinds = " ".join(kind for kind in ("figure" if column.is_figure else "", cell.tone) if kind)
    line = line_svg(cell.line, "by week: " + ", ".join(map(brief_usd, cell.line)))
    bar = bar_svg(cell.share, cell.tone) if cell.share is not None else ""
    note = f"<small>{escape(cell.note)}</small>" if cell.note else ""
    return f'<td class="{kinds}">{escape(cell.text)}{line}{bar}{note}</td>'


def _points(block: Points) -> str:
    items = "".join(map(_point, block.points)) or f'<li class="quiet">{_said(block.empty)}</li>'
    return f'<h2>{escape(block.title)}</h2><ul class="points">{items}</ul>\n'


def _point(point: Point) -> str:
    return f'<li class="{point.tone}"><b>{_said(point.head)}</b>{_said(point.text)}</li>\n'


def _said(text: str) -> str:
    """A sentence; what stands between backticks is code."""
    return _CODE.sub(r"<code>\1</code>", escape(text))
