"""Sums over played recordings: by rule, and in all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from runguard_core.money import usd_text
from runguard_core.replay._played import Played, Tally


@dataclass(slots=True)
class RuleSum:
    """One rule over many runs.

    Attributes:
        stop_count: runs it would have stopped; healthy_count: of these, runs that went well; warn_count: runs it warned.
        observed_count: runs it would have stopped if it were enforced.
        saved: what the stops would have saved.
        healthy_runs: ids of the healthy runs hit.
    """

    rule: str
    stop_count: int = 0
    healthy_count: int = 0
    warn_count: int = 0
    observed_count: int = 0
    saved: Tally = field(default_factory=Tally)
    healthy_runs: list[str] = field(default_factory=list)


@dataclass(slots=True)
class ReplaySum:
    """Many runs under one policy.

    Attributes:
        run_count, event_count: what was played; judged_count: runs that say whether they went well; well_count: that did.
        stop_count: runs that would have been stopped; healthy_count: of these, runs that went well.
        total_nanos: what all runs cost, as far as known; whole, saved: sums over calls.
        rules: by rule, most stops first.
    """

    run_count: int = 0
    event_count: int = 0
    judged_count: int = 0
    well_count: int = 0
    stop_count: int = 0
    healthy_count: int = 0
    total_nanos: int = 0
    whole: Tally = field(default_factory=Tally)
    saved: Tally = field(default_factory=Tally)
    rules: list[RuleSum] = field(default_factory=list)


def summed(played: Iterable[Played]) -> ReplaySum:
    """The sum."""
    found, rules = ReplaySum(), dict[str, RuleSum]()
    for one in played:
        found.run_count += 1
        found.event_count += one.event_count
        found.judged_count += one.went_well is not None
        found.well_count += one.went_well is True
        found.total_nanos += one.total_nanos
        found.whole, found.saved = found.whole + one.whole, found.saved + one.saved
        _add_rules(rules, one)
        if one.stop is not None:
            found.stop_count += 1
            found.healthy_count += one.went_well is True
    found.rules = sorted(rules.values(), key=lambda row: (-row.stop_count, -row.observed_count, -row.warn_count, row.rule))
    return found


def _add_rules(rules: dict[str, RuleSum], one: Played) -> None:
    for name in {warn.rule for warn in one.warns}:
        rules.setdefault(name, RuleSum(name)).warn_count += 1
    for name in {warn.rule for warn in one.warns if warn.is_observed}:
        rules[name].observed_count += 1
    if one.stop is None:
        return
    row = rules.setdefault(one.stop.rule, RuleSum(one.stop.rule))
    row.stop_count += 1
    row.saved += one.saved
    if one.went_well:
        row.healthy_count += 1
        row.healthy_runs.append(one.run_id)


def sum_json(found: ReplaySum) -> dict[str, Any]:
    """A sum; amounts are strings of USD."""
    return {
        "runs": found.run_count, "events": found.event_count, "stops": found.stop_count, "healthy_runs": found.well_count,
        "judged_runs": found.judged_count, "healthy_hit": found.healthy_count, "calls": found.whole.call_count,
        "calls_saved": found.saved.call_count, "tokens": found.whole.tokens, "tokens_saved": found.saved.tokens,
        "usd_total": usd_text(found.total_nanos), "usd_saved": usd_text(found.saved.nanos),
        "calls_of_unknown_cost": found.whole.untold_count,
        "by_rule": [
            {"rule": row.rule, "stops": row.stop_count, "healthy_hit": row.healthy_count, "warned": row.warn_count,
             "observed": row.observed_count, "calls_saved": row.saved.call_count, "usd_saved": usd_text(row.saved.nanos)}
            for row in found.rules
        ],
    }  # fmt: skip
