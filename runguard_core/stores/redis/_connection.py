"""The server: opening, checking, asking once more, and its errors in our words."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import redis
from redis import exceptions as theirs
from redis.backoff import NoBackoff
from redis.retry import Retry

from runguard_core.errors import StoreError, StoreUnavailableError
from runguard_core.stores.redis._address import Address
from runguard_core.stores.redis._scripts import Script, script

T = TypeVar("T")
_log = logging.getLogger("runguard")
#: Bounds of every wait for the server; `socket_timeout` and `socket_connect_timeout` in the URL say otherwise.
_TIMEOUTS = {"socket_timeout": 2.0, "socket_connect_timeout": 1.0}
_OLDEST = (7, 0)
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


class Server:
    """One server (or cluster) and this process's connections to it, which a forked child does not share."""

    def __init__(self, address: Address) -> None:
        """Connect and look at the server.

        Raises:
            StoreUnavailableError: it cannot be reached, is too old, is a replica, or would forget or evict.
        """
        self.address = address
        with self.errors():
            self.client: Any = self._connect()
            self._check(self.client.info())

    def _connect(self) -> Any:
        return redis.Redis.from_url(
            self.address.server, decode_responses=True, encoding_errors="replace", protocol=2, retry=Retry(NoBackoff(), 0),
            **_TIMEOUTS,
        )  # fmt: skip

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
            StoreUnavailableError: the server cannot be reached, or does not take it.
        """
        known = script(verb)
        return self.ask(lambda client: _evaluate(client, known, keys, words))

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
                self.client.connection_pool.disconnect(inuse_connections=False)  # those of a server that has gone are all dead
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
