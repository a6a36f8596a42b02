"""`runguard demo --weeks`: a ledger of many weeks, with incidents whose truth is known, to try everything on."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from runguard_core.anomalies import What, look_back
from runguard_core.attribution import Attribution
from runguard_core.cli._app import Exit, err, errors, fail, say, write_file
from runguard_core.cli._bars import bar
from runguard_core.cli._demo_shop import SHOP, release_of, shop_features, shop_incidents, shop_policy, shop_releases
from runguard_core.cli._demo_stops import stopped_sessions
from runguard_core.cli._loading import default_url, open_for_loading
from runguard_core.cli._text import shown
from runguard_core.events import DEMO_MADE, NOTICE, event
from runguard_core.guard import anomaly_event
from runguard_core.ledger import CallFilter, Event, EventFilter, Store
from runguard_core.money import usd_text
from runguard_core.policy import load_policy
from runguard_core.stores import default_path
from runguard_core.testing import Incident, Release, Traffic, make_traffic, write_traffic


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked for.

    Attributes:
        start, end: midnights (UTC), the second exclusive.
        seed, scale: see `make_traffic`. has_incidents: whether anything goes wrong.
    """

    start: datetime
    end: datetime
    seed: int
    scale: float
    has_incidents: bool

    def facts(self) -> dict[str, Any]:
        """As the ledger notes it: the same demo is made once, another one is not mixed into it."""
        return {
            "start": f"{self.start:%Y-%m-%d}", "end": f"{self.end:%Y-%m-%d}", "seed": self.seed, "scale": str(self.scale),
            "incidents": self.has_incidents,
        }  # fmt: skip


def wanted_of(weeks: int, until: str | None, seed: int, scale: float, now: datetime, *, has_incidents: bool) -> Wanted:
    """The demo of some whole weeks: they end with the day `until`, else with the last Sunday."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    end = today - timedelta(days=today.weekday())
    if until is not None:
        try:
            end = datetime.fromisoformat(until).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC) + timedelta(days=1)
        except ValueError:
            raise fail(f"--until expects a date such as 2026-11-22, got {until!r:.40}", Exit.USAGE) from None
    return Wanted(start=end - timedelta(weeks=weeks), end=end, seed=seed, scale=scale, has_incidents=has_incidents)


def run_weeks(wanted: Wanted, store: str | None, truth: Path | None) -> int:
    """Make the ledger, its policy and the truth about it; say what to try next."""
    with errors():
        url = store or default_url(SHOP)
        policy = _policy_beside(url, wanted.scale)
        incidents = shop_incidents(wanted.start, wanted.end, wanted.seed) if wanted.has_incidents else []
        releases = shop_releases(wanted.start, wanted.end, incidents)
        opened = open_for_loading(url)
        try:
            is_there = _is_there(opened, wanted)
            if not is_there or truth is not None:
                traffic = _made(wanted, incidents)
            if not is_there:
                _fill(opened, traffic, releases, wanted, policy)
            if truth is not None:
                write_file(truth, json.dumps(truth_of(wanted, traffic.incidents, releases), indent=2) + "\n")
            _say(opened, policy, is_there=is_there)
        finally:
            opened.close()
    return Exit.OK


def _policy_beside(url: str, scale: float) -> Path:
    """The policy file next to the ledger's file, else in the state directory; one that somebody has changed is left alone."""
    name = url.removeprefix("sqlite:///").partition("?")[0] if url.startswith("sqlite:///") else str(default_path(SHOP))
    path, text = Path(name).with_suffix(".toml"), shop_policy(url, scale)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, text)
    elif path.read_text(encoding="utf-8") != text:
        err.print(f"{shown(str(path))} has been changed and stays as it is.", soft_wrap=True)
    return path


def _is_there(store: Store, wanted: Wanted) -> bool:
    """Whether the ledger holds all of this very demo already; one that was begun and not finished is gone on with."""
    notes = {one.facts["step"]: one.facts for one in store.events(EventFilter(app=SHOP, kinds={DEMO_MADE}))}
    begun = notes.get("begun")
    if begun is None and store.calls(CallFilter(limit=1)):
        raise fail(f"{store.url} is the ledger of something else: name another one with --store", Exit.USAGE)
    if begun is not None and begun != {"step": "begun", **wanted.facts()}:
        day = datetime.fromisoformat(begun["end"]) - timedelta(days=1)
        raise fail(
            f"{store.url} holds another demo ({begun['start']} to {day:%Y-%m-%d}, seed {begun['seed']}, scale {begun['scale']}"
            f"{'' if begun['incidents'] else ', no incidents'}): remove it, or name another ledger with --store",
            Exit.USAGE,
        )
    return "done" in notes


def _note(wanted: Wanted, step: str) -> Event:
    who, message = Attribution(app=SHOP), f"a demo of the weeks from {wanted.start:%Y-%m-%d} was {step}"
    return replace(event(DEMO_MADE, NOTICE, message, who, wanted.start, step=step, **wanted.facts()), id=f"demo-{step}")


def _made(wanted: Wanted, incidents: Sequence[Incident]) -> Traffic:
    with err.status("making the traffic"):
        days = (wanted.end - wanted.start).days
        traffic = make_traffic(
            wanted.start, days, seed=wanted.seed, scale=wanted.scale, features=shop_features(), incidents=incidents
        )
        traffic.calls = [call for call in traffic.calls if call.at < wanted.end]  # a session of the last night may last longer
        return traffic


def _fill(store: Store, traffic: Traffic, releases: Sequence[Release], wanted: Wanted, policy: Path) -> None:
    """Calls, then the episodes as a guard would have announced them at their times; noted before and after."""
    store.announce([_note(wanted, "begun")])
    before = 0
    with bar("writing", len(traffic.calls)) as moved:

        def further(count: int) -> None:
            nonlocal before
            moved(count - before)
            before = count

        write_traffic(store, traffic.calls, SHOP, releases=releases, progress=further)
    if wanted.has_incidents:
        _write_stops(store, releases, wanted)
    with err.status("looking for spend that stands out"):
        store.announce([*_announced(store, wanted, policy), _note(wanted, "done")])


def _write_stops(store: Store, releases: Sequence[Release], wanted: Wanted) -> None:
    rows, events = stopped_sessions(wanted.start, wanted.end, wanted.seed, shop_features(), releases, wanted.scale)
    for record, settlement in rows:
        store.reserve(record, (), expires_at=record.started_at + timedelta(minutes=10), owner="demo")
        store.post(record.id, settlement)
    store.announce(events)


def _announced(store: Store, wanted: Wanted, policy: Path) -> list[Event]:
    rules = load_policy(policy).rules
    calls = store.calls(CallFilter(app=SHOP))
    changes = look_back(SHOP, calls, rules.anomalies.watch, rules.zone, None, wanted.end.timestamp())
    return [anomaly_event(change, SHOP) for change in changes if change.what is not What.JOINED]


def truth_of(wanted: Wanted, incidents: Sequence[Incident], releases: Sequence[Release]) -> dict[str, Any]:
    """What was put into the ledger: the incidents with what each cost beyond the same traffic without it, and the versions."""
    owners = {feature.feature: feature.owner or None for feature in shop_features()}
    return {
        "app": SHOP, **wanted.facts(),
        "incidents": [
            {
                "kind": one.kind.value, "feature": one.feature, "owner": owners[one.feature],
                "started_at": one.started_at.isoformat(), "ended_at": one.ended_at.isoformat(),
                "excess_nanos": str(one.excess_nanos), "excess_usd": usd_text(one.excess_nanos),
                "release": release_of(one, releases),
            }
            for one in incidents
        ],
        "releases": [{"name": one.name, "at": one.at.isoformat()} for one in releases],
    }  # fmt: skip


def _say(store: Store, policy: Path, *, is_there: bool) -> None:
    total = store.totals((), CallFilter(app=SHOP)).get(())
    count = total.call_count + total.tool_count if total is not None else 0
    spent = usd_text(total.cost_nanos // 10**7 * 10**7) if total is not None else "0"
    say(f"{'It is there already' if is_there else 'Made'}: {count:,} calls, {spent} USD, in {store.url}")
    say("Try, with its policy:")
    say(f"  export RUNGUARD_POLICY={shlex.quote(str(policy))}")
    for line in ("review weekly", "anomalies --since 60d", "report --by feature", "owners --check", "plan check", "forecast"):
        say(f"  runguard {line}")
