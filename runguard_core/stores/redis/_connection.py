"""The server: opening, checking, asking once more, and its errors in our words."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import redis
from redis import exceptions as theirs
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.retry import Retry

from runguard_core.errors import StoreError, StoreUnavailableError
from runguard_core.stores.redis._address import Address
from runguard_core.stores.redis._recent import Recent, say_again
from runguard_core.stores.redis._scripts import Script, script

T = TypeVar("T")
_log = logging.getLogger("runguard")
#: Bounds of every wait for the server; `socket_timeout` and `socket_connect_timeout` in the URL say otherwise.
_TIMEOUTS = {"socket_timeout": 2.0, "socket_connect_timeout": 1.0}
_OLDEST = (7, 0)
#: What must survive the primary, where replicas are asked for: who sets aside goes on to spend.
_REPLICATED = frozenset({"reserve", "grant"})
#: How long replicas are waited for.
_REPLICAS_MILLIS = 500
#: What the server says, and what to do.
_WAYS = {
    "OOM": "raise the server's maxmemory; calls that are in flight can still be settled",
    "NOREPLICAS": "the server waits for its replicas (min-replicas-to-write): bring one back",
    "MISCONF": "the server cannot write to its disk: free some space there",
    "LOADING": "the server is reading its data: wait until it has",
    "READONLY": "this is a replica: name the primary",
    "CLUSTERDOWN": "some of the cluster's slots have no node: see `CLUSTER INFO`",
    "NOAUTH": "put the password into the URL: redis://USER:PASSWORD@HOST:PORT/DB",
    "WRONGPASS": "check user and password in the URL",
    "NOPERM": "the user needs @read, @write, @scripting, INFO and WAIT on keys ~rg:*",
}


class NotReplicatedError(StoreUnavailableError):
    """The primary has it, but not as many replicas as were asked for."""


class Server:
    """One server (or cluster) and this process's connections to it, which a forked child does not share."""

    def __init__(self, address: Address) -> None:
        """Connect and look at the server.

        Raises:
            StoreUnavailableError: it cannot be reached, is too old, is a replica, or would forget or evict.
        """
        self.address, self.recent = address, Recent()
        self._primaries: set[str] = set()
        self._is_cluster = False
        with self.errors():
            self.client: Any = self._connect(redis.Redis, retry=Retry(NoBackoff(), 0))
            info = self.client.info()
            self._check(info)
            if info.get("cluster_enabled"):
                self._enter_cluster()

    def _connect(self, kind: Any, **more: Any) -> Any:
        return kind.from_url(
            self.address.server, decode_responses=True, encoding_errors="replace", protocol=2, redis_connect_func=self._greet,
            **_TIMEOUTS, **more,
        )  # fmt: skip

    def _enter_cluster(self) -> None:
        """One tenant lies in one slot, and the client finds the node that has it."""
        if self.address.replica_count:
            raise self.unavailable("replicas=N cannot be asked for in a cluster", "leave it out; see docs/stores-redis.md")
        self.client.close()
        self._is_cluster = True
        self.client = self._connect(RedisCluster)

    def _greet(self, connection: Any) -> None:
        """On every new connection: is this still the primary, and has it heard what was said lately?"""
        if not self._is_cluster:
            connection.on_connect()
        connection.send_command("INFO", "replication")
        told = dict(line.split(":", 1) for line in connection.read_response().splitlines() if ":" in line)
        if told.get("role") != "master":
            if self._is_cluster:
                return
            raise theirs.ReadOnlyError("this is a replica")
        with self.recent.lock:
            primary = told.get("master_replid", "")
            if primary not in self._primaries:
                self._say_again(connection)
                self._primaries.add(primary)

    def _say_again(self, connection: Any) -> None:
        recent = self.recent.all()
        if recent:
            taken = say_again(connection, recent)
            place = self.address.shown
            _log.warning("RunGuard found another primary at %s and told it the last %d of %d steps", place, taken, len(recent))

    def _check(self, info: dict[str, Any]) -> None:
        """Whether money may be kept here."""
        version = str(info.get("redis_version", "0"))
        if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < _OLDEST:
            raise self.unavailable(f"the server is version {version}", "use Redis 7.0 or newer, or Valkey")
        if info.get("role") != "master":
            raise self.unavailable("the server is a replica", _WAYS["READONLY"])
        if self.address.is_weak:
            return
        missing = []
        if not info.get("aof_enabled"):
            missing.append("appendonly yes\nappendfsync everysec")
        if info.get("maxmemory_policy") != "noeviction":
            missing.append("maxmemory-policy noeviction")
        if missing:
            reason = "the server may forget what was spent: " + (
                "it keeps no append-only file" if len(missing[0]) > 30 else "it evicts keys"
            )
            lines = "\n".join(missing)
            way = f"set in its configuration:\n{lines}\n(or accept it knowingly: ?durability=weak in the URL)"
            raise self.unavailable(reason, way)

    def unavailable(self, reason: str, way_out: str) -> StoreUnavailableError:
        """An error that names this server, without its password."""
        return StoreUnavailableError(self.address.shown, reason, way_out)

    def run(self, verb: str, keys: Sequence[str], *words: object) -> list[Any]:
        """Run a verb's script. Every verb may be said twice, so that `ask` may ask once more.

        Raises:
            NotReplicatedError: fewer replicas have it than the address asks for.
            StoreUnavailableError: the server cannot be reached, or does not take it.
        """
        known, count = script(verb), self.address.replica_count
        if not count or verb not in _REPLICATED:
            return self.ask(lambda client: _evaluate(client, known, keys, words))
        found, reached = self.ask(lambda client: _evaluate_and_wait(client, known, keys, words, count))
        if reached < count:
            reason = f"{reached} of the {count} replicas asked for (replicas={count}) have what was set aside"
            raise NotReplicatedError(self.address.shown, reason, "bring a replica back; nothing was spent")
        return found

    def ask(self, question: Callable[[Any], T]) -> T:
        """Ask the server; when the answer is lost, which says nothing about what happened, ask once more.

        Raises:
            StoreUnavailableError: the server cannot be reached, or does not take it.
        """
        with self.errors():
            try:
                return question(self.client)
            except (theirs.ConnectionError, theirs.TimeoutError, theirs.ReadOnlyError) as lost:
                _log.info("RunGuard asks %s once more: %s", self.address.shown, lost)
                if not self._is_cluster:  # those of a server that has gone are all dead
                    self.client.connection_pool.disconnect(inuse_connections=False)
                return question(self.client)

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """The one place where the client's errors become ours."""
        try:
            yield
        except StoreError:
            raise
        except theirs.RedisError as error:
            raise self._explained(error) from error
        except (OSError, ValueError) as error:
            raise self.unavailable(
                f"{type(error).__name__}: {error}", "check the URL: redis://HOST:PORT/DB?tenant=NAME"
            ) from error

    def _explained(self, error: Exception) -> StoreUnavailableError:
        text = str(error) or type(error).__name__
        named = {theirs.OutOfMemoryError: "OOM", theirs.ReadOnlyError: "READONLY", theirs.BusyLoadingError: "LOADING",
                 theirs.NoPermissionError: "NOPERM", theirs.AuthenticationError: "WRONGPASS"}  # fmt: skip
        word = next((word for kind, word in named.items() if isinstance(error, kind)), text.partition(" ")[0])
        if isinstance(error, theirs.ConnectionError | theirs.TimeoutError) and word not in _WAYS:
            return self.unavailable(text, "see that the server is up and can be reached from here")
        return self.unavailable(text, _WAYS.get(word, "see the server's log"))

    def close(self) -> None:
        """Let go of the connections."""
        self.client.close()


def _evaluate(client: Any, known: Script, keys: Sequence[str], words: Sequence[object]) -> list[Any]:
    try:
        found: list[Any] = client.execute_command("EVALSHA", known.digest, len(keys), *keys, *words)
    except theirs.NoScriptError:
        found = client.execute_command("EVAL", known.text, len(keys), *keys, *words)
    return found


def _evaluate_and_wait(
    client: Any, known: Script, keys: Sequence[str], words: Sequence[object], count: int
) -> tuple[list[Any], int]:
    """Both in one round trip, on one connection."""
    for command, name in (("EVALSHA", known.digest), ("EVAL", known.text)):
        with client.pipeline(transaction=False) as both:
            both.execute_command(command, name, len(keys), *keys, *words)
            both.execute_command("WAIT", count, _REPLICAS_MILLIS)
            found, reached = both.execute(raise_on_error=False)
        if not isinstance(found, theirs.NoScriptError):
            break
    for one in (found, reached):
        if isinstance(one, Exception):
            raise one
    return found, int(reached)
