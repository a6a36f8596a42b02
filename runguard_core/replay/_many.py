"""Many recordings under one policy, or several: which recordings share a guard, and how they are spread over processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby, islice
from multiprocessing import get_context

from runguard_core.guard import Rules
from runguard_core.replay._money import recorded_prices
from runguard_core.replay._played import Played
from runguard_core.replay._playing import play
from runguard_core.replay._recording import Recording
from runguard_core.replay._timeline import noon

#: Fewer plays than this are done before other processes have started.
_WORTH_PROCESSES = 1000
_CHUNK = 50


def scenes(recordings: Iterable[Recording], *, together: bool = False) -> Iterator[list[Recording]]:
    """Recordings that share a guard: all of them, or neighbours of one session; others have one of their own.

    Args:
        recordings: in order. together: all in one guard, in the order of their beginnings where they are known, so that
            budgets of a day or a feature fill up over all runs.
    """
    if together:
        yield sorted(recordings, key=lambda one: began(one) or datetime.max.replace(tzinfo=UTC))
        return
    for session, group in groupby(recordings, key=lambda one: one.session):
        if session is not None:
            yield list(group)
        else:
            for one in group:
                yield [one]


def began(recording: Recording) -> datetime | None:
    """When a run began, as far as it says."""
    return recording.started_at or next((event.at for event in recording.events if event.at is not None), None)


def play_many(recordings: Iterable[Recording], rules: Rules, *, together: bool = False) -> Iterator[Played]:
    """Play recordings under a policy, each alone unless they share a session or `together` is asked for; in order."""
    begin, rules = noon(datetime.now(UTC)), replace(rules, prices=recorded_prices(rules))
    for scene in scenes(recordings, together=together):
        yield from play(scene, rules, begin=begin)


def play_each(
    recordings: Sequence[Recording], policies: Sequence[Rules], *, together: bool = False
) -> Iterator[tuple[int, list[Played]]]:
    """Play the same recordings under several policies; pieces of (number of the policy, results), each policy's in order.

    From a thousand plays on the work is spread over the machine's processors.
    """
    begin = noon(datetime.now(UTC))
    acts = list(scenes(recordings, together=together))
    pieces = [acts] if together else list(_chunks(acts))
    workers = min(os.cpu_count() or 1, len(pieces) * len(policies))
    if len(recordings) * len(policies) < _WORTH_PROCESSES or workers < 2:
        for number, rules in enumerate(policies):
            for piece in pieces:
                yield number, _play_piece(piece, rules, begin)
        return
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_leave_interrupts_to_the_parent)
    try:
        waiting = [
            (number, pool.submit(_play_piece, piece, rules, begin)) for number, rules in enumerate(policies) for piece in pieces
        ]
        for number, future in waiting:
            yield number, future.result()
    finally:
        pool.shutdown(cancel_futures=True)  # who is interrupted does not wait for what has not begun


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _play_piece(piece: Sequence[Sequence[Recording]], rules: Rules, begin: datetime) -> list[Played]:
    rules = replace(rules, prices=recorded_prices(rules))
    return [played for scene in piece for played in play(scene, rules, begin=begin)]


def _chunks(acts: Iterable[list[Recording]]) -> Iterator[list[list[Recording]]]:
    rest = iter(acts)
    while piece := list(islice(rest, _CHUNK)):
        yield piece
