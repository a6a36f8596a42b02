"""Connections: a few a process, each borrowed for one verb; none survives a fork; what is lost in mid-call is said again once."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterator
from typing import Any, TypeVar

import psycopg
from psycopg import conninfo
from psycopg.rows import namedtuple_row

from runguard_core.errors import StoreSchemaError, StoreUnavailableError
from runguard_core.stores.postgres._address import Address
from runguard_core.stores.postgres._errors import explained

T = TypeVar("T")
Link = psycopg.Connection[Any]

#: The server gives up waiting for a lock, a statement, and a client that left a transaction open.
_SERVER_SETTINGS = {"lock_timeout": "5s", "statement_timeout": "30s", "idle_in_transaction_session_timeout": "30s"}
#: libpq's own, where the URL says nothing: a dead peer is noticed in about ten seconds.
_DRIVER_SETTINGS = {
    "connect_timeout": "5", "application_name": "runguard", "keepalives_idle": "5", "keepalives_interval": "2",
    "keepalives_count": "3", "tcp_user_timeout": "10000",
}  # fmt: skip
#: Replies that do not come: a server that is stopped, or a network that swallows. Longer than the server's own limits.
REPLY_SECONDS = 40.0
#: A server that was there a moment ago may be restarting.
RETURN_SECONDS, _PAUSE_SECONDS = 10.0, 0.05
_MOST_LINKS = 8


class _Link(psycopg.Connection[Any]):
    """A connection whose replies are waited for within a bound."""

    reply_seconds = REPLY_SECONDS
    generation = 0

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        """As the driver does; past the bound the connection is closed."""
        return super().wait(_within(self, gen, time.monotonic() + self.reply_seconds), *args, **kwargs)


def _within(link: _Link, gen: Any, until: float) -> Generator[Any, Any, Any]:
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() > until:
                link.pgconn.finish()
                raise psycopg.OperationalError(f"no reply within {link.reply_seconds:g} seconds (timeout)")
            wanted = gen.send(ready)
    except StopIteration as done:
        return done.value


class Connections:
    """The connections of one ledger in one process."""

    def __init__(
        self, address: Address, check: Callable[[Link], None], *, most: int = _MOST_LINKS, reply_seconds: float = REPLY_SECONDS
    ) -> None:
        """Open none yet. `check` looks at each new connection and raises what is wrong with it."""
        self.address = address
        self._check, self._most, self._reply_seconds = check, most, reply_seconds
        self.return_seconds = RETURN_SECONDS
        self._generation = 0
        self.start_afresh()
        _every.add(self)

    def start_afresh(self) -> None:
        """Nothing open; in a forked child the parent's connections stay untouched, for closing them would end the parent's."""
        _inherited.extend(getattr(self, "_idle", []))
        _inherited.extend(getattr(self, "_lent", []))
        self._idle: list[_Link] = []
        self._lent: list[_Link] = []
        self._lock = threading.Lock()
        self._room = threading.BoundedSemaphore(self._most)

    def run(self, step: Callable[[Link], T]) -> T:
        """One step on a borrowed connection. When the connection is lost in the middle nobody knows whether the step was done:
        it is said again, once, on a new one; steps carry ids, so that it is done once.

        Raises:
            StoreUnavailableError: naming the server, what it said, and the way out.
        """
        begun = False

        def begin(link: Link) -> T:
            nonlocal begun
            begun = True
            return step(link)

        with self._errors():
            try:
                return self._once(begin)
            except psycopg.Error as error:
                if not begun or not _may_be_said_again(error):
                    raise
            return self._once(step, until=time.monotonic() + self.return_seconds)

    def _once(self, step: Callable[[Link], T], until: float | None = None) -> T:
        with self._borrowed(until) as link:
            return step(link)

    @contextlib.contextmanager
    def _borrowed(self, until: float | None) -> Iterator[_Link]:
        room = self._room
        with room:
            with self._lock:
                link = self._idle.pop() if self._idle else None
            if link is None:
                link = self._open(until)
            self._lent.append(link)
            try:
                yield link
            finally:
                self._give_back(link)

    def _give_back(self, link: _Link) -> None:
        with self._lock:
            if link in self._lent:
                self._lent.remove(link)
            if link.closed or link.broken:  # whoever else was connected has probably been cut off too
                self._generation += 1
                gone, self._idle = [*self._idle, link], []
            elif link.generation != self._generation or link.info.transaction_status is not psycopg.pq.TransactionStatus.IDLE:
                gone = [link]
            else:
                self._idle.append(link)
                gone = []
        for one in gone:
            one.close()

    def _open(self, until: float | None) -> _Link:
        """A new connection, checked. `until`: so long (monotonic seconds) a server that was there before is waited for."""
        while True:
            try:
                link = self._connect()
                break
            except psycopg.OperationalError as error:
                if until is None or time.monotonic() >= until or not _may_return(error):
                    raise
                time.sleep(_PAUSE_SECONDS)
        try:
            self._check(link)
        except BaseException:
            link.close()
            raise
        return link

    def _connect(self) -> _Link:
        asked = conninfo.conninfo_to_dict(self.address.conninfo)
        settings = " ".join(f"-c {name}={value}" for name, value in _SERVER_SETTINGS.items())
        options = f"-c search_path={self.address.schema} {settings} {asked.pop('options', '') or ''}"
        link = _Link.connect(
            **{**_DRIVER_SETTINGS, **asked, "options": options},  # type: ignore[arg-type]  # libpq's own names
            autocommit=True, prepare_threshold=0, row_factory=namedtuple_row,
        )  # fmt: skip
        link.reply_seconds, link.generation = self._reply_seconds, self._generation
        # what is acknowledged is on disk; where the server waits for more (a standby), it goes on doing so
        if link.execute("SHOW synchronous_commit").fetchone()[0] in {"off", "local", "remote_write"}:  # type: ignore[index]
            link.execute("SET synchronous_commit = on")
        return link

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (StoreUnavailableError, StoreSchemaError):
            raise
        except psycopg.Error as error:
            raise explained(error, self.address) from error

    def close(self) -> None:
        """Close those nobody uses; the others close when they come back."""
        with self._lock:
            mine, self._idle = self._idle, []
            self._generation += 1
        for link in mine:
            link.close()


def _may_be_said_again(error: psycopg.Error) -> bool:
    """Whether the step was undone (a deadlock, a plan of an older schema) or its outcome is unknown (the connection is lost)."""
    if isinstance(error, (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)):
        return True
    if isinstance(error, psycopg.errors.FeatureNotSupported):
        return "cached plan" in str(error)
    return isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)) and (
        error.sqlstate is None or error.sqlstate.startswith(("08", "57P"))
    )


def _may_return(error: psycopg.OperationalError) -> bool:
    """Whether a server that was there a moment ago may answer in a moment: not when it says no to us."""
    text = str(error)
    return not any(word in text for word in ("authentication", "pg_hba", "does not exist", "too many", "reserved"))


_every: weakref.WeakSet[Connections] = weakref.WeakSet()
#: Connections of the parent, in a forked child: kept for ever.
_inherited: list[_Link] = []


def _after_fork() -> None:
    for connections in tuple(_every):
        connections.start_afresh()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
