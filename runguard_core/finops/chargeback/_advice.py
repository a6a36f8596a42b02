"""Whether to move from showback to chargeback: after two to three months, and only if spend has not improved by itself."""

from __future__ import annotations

from collections.abc import Sequence

from runguard_core.finops.actions import Saving, Spans, costs_of, saving_of
from runguard_core.finops.chargeback._closing import Closing
from runguard_core.finops.chargeback._rules import ChargeMode
from runguard_core.ledger import Store

#: Months of showback before a move is worth a thought, and after which to decide.
LEAST_MONTHS, MOST_MONTHS = 2, 3


def advice(closings: Sequence[Closing], saving: Saving | None) -> str:
    """One sentence from the periods that were closed.

    Args:
        closings: by their start.
        saving: of the last closed period against the first one shown back; None of fewer than two.
    """
    shown = [it for it in closings if it.rules.mode is ChargeMode.SHOWBACK]
    if closings and closings[-1].rules.mode is ChargeMode.CHARGEBACK:
        first = next(it for it in closings if it.rules.mode is ChargeMode.CHARGEBACK)
        return f"Chargeback since {first.period}, after {_months(len(shown))} of showback."
    if len(shown) < LEAST_MONTHS or saving is None:
        return (
            f"Stay with showback: {_months(len(shown))} closed of the {LEAST_MONTHS} to {MOST_MONTHS} that show whether it helps."
        )
    ratio, span = saving.saved_ratio, f"{shown[0].period} to {shown[-1].period}"
    if ratio is None:
        return f"Stay with showback: cost per session of {span} cannot be compared ({saving.why_not})."
    if saving.is_clear:
        return f"Stay with showback: cost per session fell by {ratio:.0%} from {span}; teams act on what they see."
    what = f"cost per session {'rose' if ratio < 0 else 'fell'} by {abs(ratio):.0%} from {span}"
    what += "" if ratio < 0 else ", which may be chance"
    if len(shown) < MOST_MONTHS:
        return f"One more month of showback: {what}. If that stays so, move to chargeback."
    return f'Move to chargeback: {what}, after {_months(len(shown))} of showback. mode = "chargeback" in [chargeback] does it.'


def read_saving(store: Store, closings: Sequence[Closing]) -> Saving | None:
    """Cost per session of the last period shown back against the first; None of fewer than two, and once it is chargeback."""
    shown = [it for it in closings if it.rules.mode is ChargeMode.SHOWBACK]
    if len(shown) < LEAST_MONTHS or closings[-1].rules.mode is ChargeMode.CHARGEBACK:
        return None
    first, last = shown[0], shown[-1]
    before = costs_of(store, first.app, None, None, first.start, first.end)
    after = costs_of(store, last.app, None, None, last.start, last.end)
    return saving_of(Spans(first.start, first.end, last.start, last.end), before, after)


def _months(count: int) -> str:
    return "1 month" if count == 1 else f"{count} months"
