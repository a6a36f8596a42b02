"""An adapter's calls in progress, by its framework's ids: reserved, settled by whoever knows the outcome first, given up.

Frameworks retry, fall back, wrap errors and let go of calls without a word. `OpenCalls` holds what has to survive that: which
attempt a call repeats, what came of its stream, and the stop that was raised inside.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from runguard_core.attribution import Attribution
from runguard_core.calls import ModelCall, Outcome, OutcomeKind
from runguard_core.errors import StoppedError
from runguard_core.guard import Guard, Reservation
from runguard_core.hooking._safely import safely
from runguard_core.wire import read_chunks

_MAX_OPEN = 20_000


class StopSignal(BaseException):
    """A stop that must pass through code that swallows every `Exception`; the nearest `OpenCalls.scope` turns it back."""

    def __init__(self, stop: StoppedError) -> None:
        """Carry the stop."""
        super().__init__(str(stop))
        self.stop = stop


@dataclass(slots=True, eq=False, weakref_slot=True)
class OpenCall:
    """A call in progress.

    Attributes:
        reservation: what was set aside; key: the framework's id; group: of calls that may repeat each other, None for no such.
        is_sent: a request has left.
        seen_chars: of the answer so far; chunks: the pieces themselves, where the framework keeps them.
        outer: the layer of the framework around this one that reports the same request; is_passed_on: there is one inside.
    """

    reservation: Reservation
    key: Hashable = None
    group: Hashable = None
    is_sent: bool = False
    seen_chars: int = 0
    chunks: Sequence[Any] | None = None
    outer: OpenCall | None = None
    is_passed_on: bool = False

    @property
    def is_over(self) -> bool:
        """Whether the outcome is known."""
        return self.reservation.settled


@dataclass(slots=True)
class _Scope:
    """What happened inside one call of the program: its attempts, and the stop that may be swallowed on its way out."""

    stop: StoppedError | None = None
    opened: list[OpenCall] = field(default_factory=list)


_SCOPE: ContextVar[_Scope | None] = ContextVar("runguard_scope", default=None)


class OpenCalls:
    """The calls of one guard that one adapter has open, by the framework's ids."""

    def __init__(self, guard: Guard, by: str) -> None:
        """None yet; `by` is the adapter's name."""
        self.guard, self.by = guard, by
        self._open: dict[Hashable, OpenCall] = {}
        self._failed: dict[Hashable, Reservation] = {}

    def find(self, key: Hashable) -> OpenCall | None:
        """The call of that id; None when it is not open. One that has failed stays until it is repeated."""
        return self._open.get(key)

    # -- before -----------------------------------------------------------------------------------------------------

    def repeated(self, key: Hashable, group: Hashable) -> Reservation | None:
        """The failed attempt that a call about to be made repeats: the last one of its group or its id. Asked once.

        A call of that id that is still open counts as sent from now on: nobody can tell the requests of the two apart.
        """
        before = self._failed.pop(group, None)
        held = self._open.get(key)
        if held is not None and not held.is_over:
            held.is_sent = True
        return before or (held.reservation if held is not None and held.is_over else None)

    def reserve(
        self, key: Hashable, call: ModelCall, who: Attribution, *, group: Hashable = None, model_names: tuple[str, ...] = ()
    ) -> OpenCall:
        """Set a call aside.

        Raises:
            StoppedError: it must not be sent.
        """
        where = _SCOPE.get()
        try:
            reservation = self.guard.reserve(call, who, by=self.by, model_names=model_names)
        except StoppedError as stop:
            if where is not None:
                where.stop = stop
            raise
        held = self._add(OpenCall(reservation, key, group))
        if where is not None:
            where.stop = None
            where.opened.append(held)
        return held

    def pass_on(self, key: Hashable, outer: OpenCall) -> OpenCall:
        """A layer inside reports the very request that one around it has reserved: it knows better how the request ends."""
        outer.is_passed_on = True
        return self._add(OpenCall(outer.reservation, key, outer=outer))

    def _add(self, held: OpenCall) -> OpenCall:
        if len(self._open) >= _MAX_OPEN:  # a framework that ends nothing must not fill the memory
            self._open.clear()
        self._open[held.key] = held
        return held

    @contextmanager
    def scope(self) -> Iterator[None]:
        """A call of the program: however the framework retries, falls back or wraps, a stop inside leaves it as `StoppedError`.

        What was opened inside is given up when the block is cancelled. Scopes inside a scope do nothing.
        """
        if _SCOPE.get() is not None:
            yield
            return
        mine = _Scope()
        token = _SCOPE.set(mine)
        try:
            yield
        except StopSignal as signal:
            raise signal.stop from None
        except StoppedError:
            raise
        except Exception as error:
            if mine.stop is not None:
                raise mine.stop from error
            raise
        except BaseException:  # cancelled: the framework may say nothing
            for held in mine.opened:
                self.give_up(held)
            raise
        finally:
            _SCOPE.reset(token)

    # -- after ------------------------------------------------------------------------------------------------------

    def settle(self, key: Hashable, outcome_of: Callable[[OpenCall], Outcome]) -> None:
        """The outcome is known. The first word counts; a failed attempt is remembered for the one of its group that repeats it.

        A layer inside that was answered and saw no usage leaves the word to the one around it.

        Args:
            key: a call that is not open is passed over.
            outcome_of: reads the outcome; what it raises is logged, and the outcome unknown.
        """
        held = self._open.get(key)
        if held is None:
            return
        outcome = safely(lambda: outcome_of(held)) or Outcome(kind=OutcomeKind.UNKNOWN)
        if outcome.kind is OutcomeKind.FAILED and held.group is not None:
            if len(self._failed) >= _MAX_OPEN:
                self._failed.clear()
            self._failed[held.group] = held.reservation
        else:
            self._open.pop(key, None)
        if held.outer is None or outcome.usage is not None or outcome.kind is not OutcomeKind.COMPLETED:
            held.reservation.settle(outcome)

    def watch(self, owner: object, held: OpenCall) -> None:
        """When the object that a call lives in dies, the call is over. Finalizers run anywhere: the work is put off."""
        weakref.finalize(owner, self.guard.defer, lambda: self.give_up(held)).atexit = False

    def give_up(self, held: OpenCall) -> None:
        """The framework has let go of a call without a word: cancelled, abandoned, or served from somewhere else.

        Charged by the pieces that came, else at its quote if its request has left; another adapter's call is its own to settle.
        """
        if self._open.get(held.key) is held:
            del self._open[held.key]
        if held.is_over or held.reservation.by != self.by:
            return
        if held.chunks:
            held.reservation.settle(read_chunks(held.chunks, is_whole=False))
        elif held.is_sent:
            held.reservation.abandon(held.seen_chars)
        else:
            held.reservation.void("no request was sent")
