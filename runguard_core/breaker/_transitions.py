"""Who is stopped, and how that changes: one table of pure functions over latches.

===========  ==========================================  =====================================================
state        comes from                                  leaves by
===========  ==========================================  =====================================================
(no latch)   CLOSED                                      a stop verdict or a final refusal; a person's kill
OPEN         a stop verdict latches the *run*            reset by a person, `until`, or a raised limit
HALF_OPEN    the tripped run's session                   next run shows a mark: OPEN for that run, HALF_OPEN stays;
                                                         next run ends without one: closed
FORCED_OPEN  a person's kill switch, any scope           reset by a person, or `until` where the person set one
===========  ==========================================  =====================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from runguard_core.attribution import Attribution
from runguard_core.detectors import Verdict
from runguard_core.ledger import Latch, LatchState

#: A run does not last longer; a conversation is not resumed as a probe after so long.
RUN_LATCH_AGE = timedelta(days=7)
SESSION_LATCH_AGE = timedelta(days=30)
Latches = Mapping[tuple[str, str], Latch]

#: Scopes a latch can stop, widest first.
SCOPES = ("app", "feature", "agent", "session", "run")


def blocking(latches: Latches, who: Attribution, at: datetime) -> Latch | None:
    """The widest latch that stops this call now; None when it may pass. HALF_OPEN stops nothing by itself."""
    if not latches:
        return None
    for kind in SCOPES:
        value = getattr(who, kind)
        latch = latches.get((kind, value)) if value is not None else None
        if latch is not None and latch.state is not LatchState.HALF_OPEN and not has_ended(latch, at):
            return latch
    return None


def blocking_above(latches: Latches, runs: Iterable[str], at: datetime) -> Latch | None:
    """The latch of a run above a sub-agent's that stops the sub-agent too; None when it may pass.

    Not one that a budget has set: the parent may be out of money, its sub-agents have their parts.
    """
    found = [latches.get(("run", run)) for run in runs] if latches else []
    stops = (latch for latch in found if latch is not None and latch.state is not LatchState.HALF_OPEN)
    return next((latch for latch in stops if latch.account_key is None and not has_ended(latch, at)), None)


def has_ended(latch: Latch, at: datetime) -> bool:
    """Whether its time is over."""
    return latch.until is not None and at >= latch.until


def trip(verdict: Verdict, who: Attribution, at: datetime) -> list[Latch]:
    """A stop verdict: the run is stopped, the next run of its session will be a probe."""
    run = who.run or who.session or who.app
    latches = [
        Latch(
            scope_kind="run", scope_id=run, state=LatchState.OPEN, rule=verdict.rule, reason=verdict.evidence,
            since=at, marks=verdict.marks, session=who.session,
        )
    ]  # fmt: skip
    if who.session is not None:
        latches.append(
            Latch(
                scope_kind="session", scope_id=who.session, state=LatchState.HALF_OPEN, rule=verdict.rule,
                reason=verdict.evidence, since=at, marks=verdict.marks, session=who.session,
            )
        )  # fmt: skip
    return latches


def refuse(account_key: str, sentence: str, who: Attribution, at: datetime, until: datetime | None) -> Latch:
    """A refusal that waiting for pending calls cannot lift: the run is stopped for that account."""
    return Latch(
        scope_kind="run", scope_id=who.run or who.session or who.app, state=LatchState.OPEN, rule="budget",
        reason=sentence, since=at, until=until, account_key=account_key, session=who.session,
    )  # fmt: skip


def kill(scope_kind: str, scope_id: str, reason: str, by: str, at: datetime, until: datetime | None = None) -> Latch:
    """A person stops a scope until a person resets it, or until a time."""
    return Latch(
        scope_kind=scope_kind, scope_id=scope_id, state=LatchState.FORCED_OPEN, rule="kill", reason=reason,
        since=at, until=until, by=by,
    )  # fmt: skip


def probe(latches: Latches, who: Attribution) -> Latch | None:
    """The HALF_OPEN latch that makes this run a probe; None for ordinary runs."""
    latch = latches.get(("session", who.session)) if who.session is not None else None
    return latch if latch is not None and latch.state is LatchState.HALF_OPEN else None


def shows(latch: Latch, marks: Iterable[str]) -> bool:
    """Whether a probe shows what tripped its predecessor."""
    return not set(latch.marks).isdisjoint(marks)


def cleared_by_limit(latches: Latches, account_key: str) -> list[Latch]:
    """The latches that a raised limit of this account lifts."""
    return [latch for latch in latches.values() if latch.account_key == account_key]


def is_stale(latch: Latch, at: datetime) -> bool:
    """Whether a latch stops nothing any more: its time is over, or its run or session is long past."""
    if latch.state is LatchState.FORCED_OPEN:
        return has_ended(latch, at)
    age = at - latch.since
    return has_ended(latch, at) or age > (RUN_LATCH_AGE if latch.scope_kind == "run" else SESSION_LATCH_AGE)


def how_to_clear(latch: Latch) -> str:
    """What a person can do about it, one sentence."""
    target = f"{latch.scope_kind}:{latch.scope_id}"
    if latch.account_key is not None:
        return "raise the limit (`runguard raise`, session.raise_limit) or start a new run when the budget frees"
    if latch.state is LatchState.FORCED_OPEN:
        return f"`runguard reset {target} --reason ...` lets it run again"
    return f"a new run may go on (as a probe); `runguard reset {target} --reason ...` clears it"
