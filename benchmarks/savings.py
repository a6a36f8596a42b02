"""How often a saving is announced where nothing changed, and how often it is found where something did.

`python benchmarks/savings.py`: seeded traffic of six features over eight weeks, an action "shipped" after four of them. Without a change the 90 %
interval should lie above zero in 5 % of the comparisons, and below it in 5 %.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from runguard_core.finops.actions import Saving, Spans, costs_of, saving_of
from runguard_core.stores import open_store
from runguard_core.testing import FEATURES, Incident, IncidentKind, make_traffic, write_traffic

START = datetime(2026, 8, 3, tzinfo=UTC)
SHIPPED, END = START + timedelta(weeks=4), START + timedelta(weeks=8)
SPANS = Spans(START, SHIPPED, SHIPPED, END)


def savings(seed: int, scale: float, incidents: Sequence[Incident] = ()) -> list[Saving]:
    """One for each feature."""
    store = open_store("memory://")
    write_traffic(store, make_traffic(START, 56, seed=seed, scale=scale, incidents=incidents).calls, "shop")
    found = []
    for feature in FEATURES:
        sides = [costs_of(store, "shop", feature.feature, None, *span) for span in ((START, SHIPPED), (SHIPPED, END))]
        found.append(saving_of(SPANS, *sides))
    store.close()
    return [saving for saving in found if saving.low_nanos is not None]


def main() -> None:
    """Two tables as one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=40, help="ledgers of eight weeks each")
    parser.add_argument("--scale", type=float, default=0.15, help="times the usual traffic (1 is about 55,000 calls)")
    args = parser.parse_args()
    idle = [saving for seed in range(args.seeds) for saving in savings(seed, args.scale)]
    long_prompts = [
        Incident(kind=IncidentKind.PROMPT_REGRESSION, feature=it.feature, started_at=START, ended_at=SHIPPED) for it in FEATURES
    ]
    halved = [saving for seed in range(args.seeds // 4) for saving in savings(seed, args.scale, long_prompts)]
    print(json.dumps({
        "without_change": {
            "comparisons": len(idle), "announced_savings": sum(it.is_clear for it in idle),
            "announced_losses": sum((it.high_nanos or 0) < 0 for it in idle),
        },
        "prompts_halved": {"comparisons": len(halved), "announced_savings": sum(it.is_clear for it in halved)},
    }, indent=2))  # fmt: skip


if __name__ == "__main__":
    main()
