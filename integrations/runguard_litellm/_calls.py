"""LiteLLM's calls in progress: reserved before the request, settled by whoever knows the outcome first."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from runguard_core import Guard, Outcome, OutcomeKind, Reservation, StoppedError, read_answer, read_chunks, read_error, safely
from runguard_litellm import _translate as translate

_MAX_OPEN = 20_000
_PAYMENT_REQUIRED = 402


class Signal(BaseException):
    """A stop that must pass through LiteLLM, which swallows every `Exception` raised where this one is."""

    def __init__(self, stop: StoppedError) -> None:
        """Carry the stop to the nearest scope of ours."""
        super().__init__(str(stop))
        self.stop = stop


@dataclass(slots=True)
class Open:
    """A call LiteLLM has begun: its reservation, whether its request has left, whose it is, what came of its stream."""

    reservation: Reservation
    trace: str
    is_sent: bool = False
    owner: Callable[[], Any] = lambda: None
    chunks: Sequence[Any] | None = None


@dataclass(slots=True)
class Scope:
    """What happened inside one call of a user: its attempts, and the stop that may have been swallowed on its way out."""

    stop: StoppedError | None = None
    opened: list[tuple[str, Open]] = field(default_factory=list)


_SCOPE: ContextVar[Scope | None] = ContextVar("runguard_litellm_scope", default=None)


@contextmanager
def scope(calls: Calls | None) -> Iterator[None]:
    """A call of the user: however LiteLLM retries, falls back or wraps, a stop inside leaves it as `StoppedError`."""
    if calls is None or _SCOPE.get() is not None:
        yield
        return
    mine = Scope()
    token = _SCOPE.set(mine)
    try:
        yield
    except Signal as signal:
        raise signal.stop from None
    except StoppedError:
        raise
    except Exception as error:
        if mine.stop is not None:
            raise mine.stop from error
        raise
    except BaseException:  # cancelled: LiteLLM says nothing
        for key, held in mine.opened:
            calls.gone(key, held)
        raise
    finally:
        _SCOPE.reset(token)


class Calls:
    """The open calls of one guard, by LiteLLM's call id."""

    def __init__(self, guard: Guard) -> None:
        """None yet."""
        self.guard = guard
        self._open: dict[str, Open] = {}
        self._failed: dict[str, Reservation] = {}

    # -- before -----------------------------------------------------------------------------------------------------

    def begin(self, kind: str, args: tuple[Any, ...], kwargs: dict[str, Any], owner: Any) -> dict[str, Any]:
        """Set a call aside while LiteLLM sets it up; its keyword arguments, the output limit lowered where that is wanted.

        Args:
            kind: LiteLLM's name of what is called; args, kwargs: of the user's call.
            owner: LiteLLM's logging object: when it dies unheard of, the call is abandoned.
                The proxy asks twice with the same one: that is one call.

        Raises:
            StoppedError: with a `status_code` that no router retries.
        """
        operation, key = translate.OPERATIONS.get(kind), str(kwargs.get("litellm_call_id"))
        before = self._open.get(key)
        if operation is None or (before is not None and before.owner() is owner and not before.reservation.settled):
            return kwargs
        held = self._reserve(operation, kwargs.get("model") or next(iter(args), None), _prompt(args, kwargs), key, kwargs)
        held.owner = weakref.ref(owner)
        self._watch(owner, key, held)
        cap = held.reservation.max_output_tokens
        limit = "max_output_tokens" if kind.endswith("responses") else "max_tokens"
        limit = "max_completion_tokens" if kwargs.get("max_completion_tokens") else limit
        return {**kwargs, limit: min(cap, kwargs.get(limit) or cap)} if cap is not None else kwargs

    def sent(self, details: Mapping[str, Any]) -> None:
        """A request is about to leave: the call's first, or another attempt of it, which is a call of its own.

        Raises:
            Signal: it must not be sent.
        """
        key, operation = str(details.get("litellm_call_id")), translate.OPERATIONS.get(str(details.get("call_type")))
        if operation is None or details.get("litellm_no_upstream_llm_call"):
            return
        held = self._open.get(key)
        error = sys.exc_info()[1]
        if held is not None and held.is_sent and error is not None:  # the attempt whose failure is being handled
            held.reservation.settle(read_error(error))
        if held is None or held.reservation.settled:
            given = {**(details.get("litellm_params") or {}), **(details.get("optional_params") or {})}
            about = {**given, "custom_llm_provider": details.get("custom_llm_provider"), "user": details.get("user")}
            try:
                self._reserve(operation, details.get("model"), details.get("messages") or details.get("input"), key, about)
            except StoppedError as stop:
                raise Signal(stop) from None
        self._open[key].is_sent = True

    def _reserve(self, operation: str, model: Any, prompt: Any, key: str, kwargs: Mapping[str, Any]) -> Open:
        trace = str(kwargs.get("litellm_trace_id") or key)
        before, known = self._failed.pop(trace, None), self._open.get(key)
        if known is not None and not known.reservation.settled:
            known.is_sent = True  # two calls under one id of the program's: nobody can tell their requests apart
        before = before or (known.reservation if known is not None and known.reservation.settled else None)
        retry_of = before.call_id if before is not None else None
        names, providers = translate.router_name(kwargs), getattr(sys.modules["litellm"], "provider_list", ())
        call = safely(lambda: translate.model_call(operation, model, prompt, kwargs, providers, retry_of))
        call = call or translate.model_call(operation, model, "", {}, (), retry_of)  # what cannot be read is paid all the same
        given = (safely(lambda: translate.attribution(kwargs)) or {}) if before is None else {}
        who = before.attribution if before is not None else self.guard.attribution(**given)
        where = _SCOPE.get()
        try:
            reservation = self.guard.reserve(call, who, by="litellm", model_names=names)
        except StoppedError as stop:
            stop.status_code = _PAYMENT_REQUIRED  # type: ignore[attr-defined]  # the one fact that keeps LiteLLM from retrying
            if where is not None:
                where.stop = stop
            raise
        if len(self._open) >= _MAX_OPEN:
            self._open.clear()
        opened = self._open[key] = Open(reservation, trace)
        if where is not None:
            where.stop = None
            where.opened.append((key, opened))
        return opened

    # -- after ------------------------------------------------------------------------------------------------------

    def _settle(self, key: Any, outcome_of: Callable[[str | None], Outcome]) -> None:
        """The outcome is known. The first word counts; a failed attempt is remembered for the one that repeats it."""
        held = self._open.get(str(key))
        if held is None:
            return
        provider = getattr(held.reservation.call, "provider", None)
        outcome = safely(lambda: outcome_of(provider)) or Outcome(kind=OutcomeKind.UNKNOWN)
        if outcome.kind is not OutcomeKind.FAILED:
            self._open.pop(str(key), None)
        else:
            if len(self._failed) >= _MAX_OPEN:
                self._failed.clear()
            self._failed[held.trace] = held.reservation
        held.reservation.settle(outcome)

    def answered(self, key: Any, answer: Any) -> None:
        """A whole answer has come."""
        self._settle(key, lambda provider: read_answer(answer, provider))

    def failed(self, key: Any, error: BaseException) -> None:
        """An attempt has raised."""
        self._settle(key, lambda _: read_error(error))

    def heard(self, key: Any, answer: Any, *, from_cache: bool) -> None:
        """LiteLLM reports a success, late. Not of a stream: it makes the usage up where the provider gave none."""
        held = self._open.get(str(key))
        if from_cache:
            self._settle(key, lambda _: Outcome(from_cache=True))
        elif held is not None and held.chunks is None:
            self.answered(key, answer)

    def stream(self, key: Any, stream: Any) -> None:
        """A stream has begun: its chunks are what is charged should nobody hear its end."""
        held = self._open.get(str(key))
        if held is not None:
            held.chunks = stream.chunks
            self._watch(stream, str(key), held)

    def ended(self, key: Any, stream: Any, error: BaseException | None) -> None:
        """A stream has come to its end, or broken off."""
        whole, chunks = error is None, stream.chunks
        self._settle(key, lambda provider: read_chunks(chunks, provider, is_whole=whole, error=error))

    def _watch(self, owner: Any, key: str, held: Open) -> None:
        """When the object that a call lives in dies, the call is over. Finalizers run anywhere: the work is put off."""
        weakref.finalize(owner, self.guard.defer, lambda: self.gone(key, held)).atexit = False

    def gone(self, key: str, held: Open) -> None:
        """LiteLLM has let go of a call without a word: cancelled, abandoned, or served from somewhere else."""
        if self._open.get(key) is held:
            del self._open[key]
        if held.reservation.settled or held.reservation.by != "litellm":
            return
        if held.chunks:
            held.reservation.settle(read_chunks(held.chunks, is_whole=False))
        elif held.is_sent:
            held.reservation.abandon()
        else:
            held.reservation.void("LiteLLM sent no request")


def _prompt(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    for key in ("messages", "input", "prompt", "query", "contents", "file", "document"):
        if kwargs.get(key) is not None:
            return kwargs[key]
    return args[1] if len(args) > 1 else ""
