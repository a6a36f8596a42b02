"""How `runguard why` looks: a waterfall from one window's spend to the other's, and a row for each feature."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from runguard_core.cli._text import shown
from runguard_core.finops.why import FACTORS, Change, Factor, Measured, ModelUse, Why
from runguard_core.money import format_usd

_BAR_CHARS = 30
_MOST_FEATURES = 15
#: Bars begin at nothing unless changes would be slivers: then they begin below the lowest point by this share of the changes.
_SLIVER_RATIO, _FOOT_RATIO = 0.25, 0.3


class Step(NamedTuple):
    """A row of the waterfall: from where to where (nano-USD), and what is said of it."""

    name: str
    start: int
    end: int
    nanos: int
    said: str


def print_why(console: Console, found: Why) -> None:
    """The picture and the table."""
    whole = found.whole
    one = f" of {found.features[0].name}" if len(found.features) == 1 else ""
    change = f"{signed(whole.nanos)}{_percent(whole)}"
    console.print(f"[bold]Spend{shown(one)}, {found.before.name} to {found.after.name}: {change}[/]")
    steps = waterfall(found)
    foot = _foot(steps)
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for justify in ("left", "right", "left", "left"):
        table.add_column(justify=justify, no_wrap=justify != "left", overflow="ellipsis")
    table.columns[2].width = _BAR_CHARS
    for step in steps:
        is_sum = step.name in {found.before.name, found.after.name}
        amount = format_usd(step.nanos) if is_sum else signed(step.nanos)
        colour = "bold" if is_sum else "red" if step.nanos > 0 else "green" if step.nanos < 0 else "dim"
        table.add_row(step.name, f"[{colour}]{amount}[/]", f"[{colour}]{_bar(step, steps, foot)}[/]", shown(step.said))
    console.print(table)
    if foot:
        console.print(f"[dim]Bars begin at {format_usd(foot)}.[/]")
    if len(found.before.days) != len(found.after.days):
        console.print(f"The windows have {len(found.before.days)} and {len(found.after.days)} days: that alone changes traffic.")
    console.print()
    (_print_models if len(found.features) == 1 else _print_features)(console, found)


def waterfall(found: Why) -> list[Step]:
    """From the first window's spend over each factor's effect to the second's."""
    whole = found.whole
    steps = [Step(found.before.name, 0, whole.before.nanos, whole.before.nanos, "")]
    at = whole.before.nanos
    for factor in FACTORS:
        effect = whole.effects[factor]
        steps.append(Step(factor.value, at, at + effect, effect, _said(found, factor) if effect else ""))
        at += effect
    return [*steps, Step(found.after.name, 0, at, at, "")]


def _said(found: Why, factor: Factor) -> str:
    """What changed, of the feature where it changed spend most: sums over features would mix unlike things."""
    most = max(found.features, key=lambda one: abs(one.effects[factor]))
    said = driver(factor, most.before, most.after)
    return said if len(found.features) == 1 else f"{most.name}: {said}"


def driver(factor: Factor, before: Measured, after: Measured) -> str:
    """What changed, in the factor's own unit."""
    one, other = before.whole, after.whole
    match factor:
        case Factor.TRAFFIC:
            return f"{before.session_count:,} -> {after.session_count:,} sessions"
        case Factor.CALLS:
            return f"{_per(one.call_count, before.session_count)} -> {_per(other.call_count, after.session_count)} calls"
        case Factor.MIX:
            return _mix(before, after)
        case Factor.TOKENS:
            return f"{_each(one)} -> {_each(other)} tokens"
        case Factor.CACHING:
            return f"{_cached(one)} -> {_cached(other)} from cache"
        case Factor.PRICE:
            return f"{_mtok(one)} -> {_mtok(other)} per Mtok"
        case Factor.REST:
            return f"tools {format_usd(before.tool_nanos)} -> {format_usd(after.tool_nanos)}"


def signed(nanos: int) -> str:
    """An amount with its sign."""
    return f"+{format_usd(nanos)}" if nanos > 0 else format_usd(nanos)


def _percent(change: Change) -> str:
    return f" ({change.nanos / change.before.nanos:+.1%})" if change.before.nanos else ""


def _per(count: int, of: int) -> str:
    return f"{count / of:.2f}" if of else "-"


def _each(use: ModelUse) -> str:
    return f"{use.usage.total_tokens / use.call_count:,.0f}" if use.call_count else "-"


def _cached(use: ModelUse) -> str:
    prompt = use.usage.input_tokens
    return f"{use.usage.cache_read_input_tokens / prompt:.0%}" if prompt else "-"


def _mtok(use: ModelUse) -> str:
    tokens = use.usage.total_tokens
    return format_usd(use.nanos * 10**6 // tokens) if tokens else "-"


def _mix(before: Measured, after: Measured) -> str:
    """The model whose share of the calls changed most."""
    counts = [side.whole.call_count for side in (before, after)]
    if not all(counts):
        return ""

    def share(side: Measured, key: tuple[str, str], count: int) -> float:
        return side.models[key].call_count / count if key in side.models else 0.0

    keys = sorted({*before.models, *after.models})
    moved = max(keys, key=lambda key: abs(share(after, key, counts[1]) - share(before, key, counts[0])))
    return f"{moved[1]} {share(before, moved, counts[0]):.0%} -> {share(after, moved, counts[1]):.0%} of calls"


def _foot(steps: Sequence[Step]) -> int:
    points = [step.end for step in steps]
    low, high = min(points), max(points)
    if low <= 0 or high - low >= _SLIVER_RATIO * high:
        return 0
    return max(int(low - _FOOT_RATIO * (high - low)), 0)


def _bar(step: Step, steps: Sequence[Step], foot: int) -> str:
    high = max(one.end for one in steps)
    low = min(foot, *(one.end for one in steps))  # a credit may carry spend below nothing
    scale = (high - low) or 1
    start, end = sorted((max(step.start, low), max(step.end, low)))
    first, last = (round(_BAR_CHARS * (point - low) / scale) for point in (start, end))
    if step.nanos and last == first:
        first, last = (first, first + 1) if first < _BAR_CHARS else (first - 1, first)
    return " " * first + "█" * (last - first)


def _print_features(console: Console, found: Why) -> None:
    table = Table(box=None, pad_edge=False)
    for name, justify in (("feature", "left"), (found.before.name, "right"), (found.after.name, "right"), ("change", "right")):
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]  # rich's literals
    table.add_column("mostly by")
    for one in found.features[:_MOST_FEATURES]:
        mostly = ", ".join(f"{factor.value} {signed(nanos)}" for factor, nanos in one.largest(2))
        sums = (format_usd(one.before.nanos), format_usd(one.after.nanos), signed(one.nanos))
        table.add_row(shown(one.name), *sums, mostly)
    console.print(table)
    more = len(found.features) - _MOST_FEATURES
    if more > 0:
        console.print(f"... and {more} more; --json has them all.")


def _print_models(console: Console, found: Why) -> None:
    one = found.features[0]
    table = Table(box=None, pad_edge=False)
    table.add_column("model", overflow="fold")
    for name in ("calls", "tokens a call", "from cache", "cost of a call"):
        table.add_column(name, justify="right")
    for key in sorted({*one.before.models, *one.after.models}):
        sides = [side.models.get(key, ModelUse()) for side in (one.before, one.after)]
        table.add_row(shown(key[1]), *(_both(tell, sides) for tell in (_count, _each, _cached, _cost)))
    console.print(table)


def _both(tell: Callable[[ModelUse], str], sides: Sequence[ModelUse]) -> str:
    return " -> ".join(tell(side) for side in sides)


def _count(use: ModelUse) -> str:
    return f"{use.call_count:,}"


def _cost(use: ModelUse) -> str:
    return format_usd(use.nanos // use.call_count) if use.call_count else "-"
