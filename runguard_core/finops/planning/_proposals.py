"""Session limits taken from the past: high enough for nearly all healthy sessions, and what each would have stopped.

A session is *healthy* when every run of it that says how it ended went well, at least one does, and none lies within an episode
of unusual spend that nobody called normal: else a week of retries would teach the limit that is to stop the next one.

The limit is a percentile of what healthy sessions cost, by nearest rank, rounded up to two digits. A percentile asks for
sessions above it: P99 for a hundred healthy ones, P99.9 for a thousand; with fewer, P99 instead of P99.9, and from 30 on the
dearest healthy one. Below 30 nothing is proposed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from runguard_core.finops._session_costs import percentile
from runguard_core.finops.planning._health import Health, together
from runguard_core.money import usd_text
from runguard_core.replay import Played, Recording

_LEAST_HEALTHY = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class PastSession:
    """A session of the past; nano-USD."""

    feature: str
    session: str
    nanos: int
    health: Health


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A session limit for a feature.

    Attributes:
        session_count: of the past; healthy_count: of these. median_nanos, dearest_nanos: of the healthy ones, None without any.
        limit_nanos: proposed, None where too few sessions are known. rule: how it was found, or why there is none.
    """

    feature: str
    session_count: int
    healthy_count: int
    median_nanos: int | None
    dearest_nanos: int | None
    limit_nanos: int | None
    rule: str

    @property
    def budget(self) -> str:
        """Name of its budget."""
        return f"session-{self.feature}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """What a limit would have stopped, in sessions.

    Attributes:
        session_count: all. healthy_count: of these; stood_out_count: that ended well and stood out. The rest did not go well,
            or nothing says so.
        saved_nanos: what would not have been spent, nano-USD. healthy_sessions: ids of the healthy ones.
    """

    session_count: int = 0
    healthy_count: int = 0
    stood_out_count: int = 0
    saved_nanos: int = 0
    healthy_sessions: tuple[str, ...] = ()


def recorded_nanos(recording: Recording) -> int | None:
    """What a run cost, where every model call of it carries its charge (as a ledger's do); else None: it must be played."""
    paid = [event for event in recording.events if event.kind == "llm" and not event.was_refused]
    if any(event.cost_nanos is None and event.error is None for event in paid):
        return None
    return sum(event.cost_nanos or 0 for event in paid)


def past_sessions(
    recordings: Sequence[Recording], costs: Sequence[int], health: Sequence[Health], default: str
) -> list[PastSession]:
    """Recorded runs as sessions.

    Args:
        recordings, costs, health: in the same order; nano-USD. default: the feature of runs that name none.
    """
    found: dict[tuple[str, str], PastSession] = {}
    for one, nanos, its in zip(recordings, costs, health, strict=True):
        feature, session = one.who.get("feature") or default, one.session or one.run_id
        before = found.get((feature, session), PastSession(feature=feature, session=session, nanos=0, health=Health.UNTOLD))
        found[feature, session] = replace(before, nanos=before.nanos + nanos, health=together((before.health, its)))
    return list(found.values())


def proposals(sessions: Iterable[PastSession], share: Fraction) -> list[Proposal]:
    """A limit for each feature, by name.

    Args:
        share: of the healthy sessions that a limit lets pass, 99/100 or 999/1000.
    """
    by_feature: dict[str, list[PastSession]] = {}
    for one in sessions:
        by_feature.setdefault(one.feature, []).append(one)
    return [_proposal(feature, its, share) for feature, its in sorted(by_feature.items())]


def _proposal(feature: str, sessions: Sequence[PastSession], share: Fraction) -> Proposal:
    healthy = sorted(one.nanos for one in sessions if one.health is Health.WELL and one.nanos > 0)
    used = next((one for one in (share, Fraction(99, 100)) if one <= share and len(healthy) * (1 - one) >= 1), Fraction(1))
    top = percentile(healthy, float(used))
    if len(healthy) < _LEAST_HEALTHY or top is None:
        limit, rule = None, f"{len(healthy)} healthy sessions, at least {_LEAST_HEALTHY} are asked for"
    else:
        limit = rounded_up(top)
        name = f"P{float(used * 100):g}" if used < 1 else "dearest"
        rule = f"{name} of {len(healthy):,} healthy"
    return Proposal(
        feature=feature, session_count=len(sessions), healthy_count=len(healthy), median_nanos=percentile(healthy, 0.5),
        dearest_nanos=healthy[-1] if healthy else None, limit_nanos=limit, rule=rule,
    )  # fmt: skip


def rounded_up(nanos: int) -> int:
    """To two digits, upwards: 0.01234 USD is 0.013."""
    step = int(10 ** max(len(str(nanos)) - 2, 0))
    return -(-nanos // step) * step


def stopped_by(
    recordings: Sequence[Recording], played: Sequence[Played], health: Sequence[Health], proposal: Proposal
) -> Stopped:
    """What a proposal's budget stopped, when the same recordings were played under it; all in the same order."""
    rule, hit, saved = f"budget {proposal.budget}", set[str](), 0
    healths: dict[str, Health] = {}
    for recording, one, its in zip(recordings, played, health, strict=True):
        session = recording.session or recording.run_id
        healths[session] = together((healths.get(session, Health.UNTOLD), its))
        if one.stop is not None and one.stop.rule == rule:
            hit.add(session)
            saved += one.saved.nanos
    well = tuple(sorted(session for session in hit if healths[session] is Health.WELL))
    return Stopped(
        session_count=len(hit), healthy_count=len(well), saved_nanos=saved, healthy_sessions=well,
        stood_out_count=sum(healths[session] is Health.STOOD_OUT for session in hit),
    )  # fmt: skip


def proposal_toml(found: Sequence[tuple[Proposal, Stopped]], base: str | None, app: str) -> str:
    """The proposals as a policy file.

    Args:
        base: the file it is laid over, relative to itself; None where there is none. app: named where there is no base.
    """
    head = f"extends = {toml_text(base)}" if base is not None else f"app = {toml_text(app)}"
    parts = ["# Session limits proposed from past sessions; see what they change before they hold: runguard policy diff", head]
    for one, stopped in found:
        if one.limit_nanos is None:
            continue
        hit = (
            f"would have stopped {stopped.session_count} of {one.session_count} sessions, {stopped.healthy_count} of them healthy"
        )
        parts += [
            "", f"# {one.rule} sessions; {hit}", "[[budgets]]", f"name = {toml_text(one.budget)}",
            f'limit = "{usd_text(one.limit_nanos)} USD"', 'per = ["session"]',
            f"where = {{ feature = {toml_text(one.feature)} }}",
        ]  # fmt: skip
    return "\n".join(parts) + "\n"


def toml_text(text: str) -> str:
    """A TOML string."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
