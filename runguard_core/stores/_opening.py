"""From a URL, or from nothing, to a store."""

from __future__ import annotations

import os
import re
import warnings
from hashlib import blake2b
from pathlib import Path

from runguard_core.errors import StoreError, StoreUnavailableError
from runguard_core.ledger import FleetStore, ForgettingStore, KeepingStore, LeaseBackend, Store
from runguard_core.stores._memory import MemoryStore
from runguard_core.stores._sqlite import SqliteStore
from runguard_core.stores._sqlite_fleet import SqliteFleet
from runguard_core.stores._sqlite_keeping import SqliteKeeper
from runguard_core.stores._sqlite_leasing import SqliteLeases
from runguard_core.stores.leases import Leased

_SCHEMES = "memory://, sqlite:///FILE, redis://HOST:PORT/DB?tenant=NAME or postgresql://HOST/DATABASE?schema=NAME"
_POSTGRES_EXTRA = "pip install 'runguard-core[postgres]'"


def open_store(url: str) -> Store:
    """The store that a URL names: "memory://", "sqlite:///relative.db", "sqlite:////absolute.db", "postgresql://...?schema=NAME",
    "redis://HOST:PORT/DB?tenant=NAME" (also rediss://, valkey://, valkeys://).

    `?leases=off` makes every call a transaction of its own; without it a process that makes many spends leases.

    Raises:
        StoreUnavailableError: another scheme, a file that cannot be opened, a server that cannot be used.
    """
    if url == "memory://":
        return MemoryStore()
    url, leases = _without_leases(url)
    scheme, colon, rest = url.partition("://")
    if scheme == "sqlite" and colon and rest.startswith("/") and len(rest) > 1:
        return _sqlite(rest[1:]) if leases else SqliteStore(rest[1:])
    if scheme in {"postgres", "postgresql"}:
        return _postgres(url, leases=leases)
    if scheme in {"redis", "rediss", "valkey", "valkeys"} and colon:
        return _redis(url, leases=leases)
    hint = f"; for a file: sqlite:///{Path(url).absolute()}" if not colon else ""
    raise StoreUnavailableError(url, "not the URL of a store", f"expected {_SCHEMES}{hint}")


def _without_leases(url: str) -> tuple[str, bool]:
    """The URL without its word on leases, and whether they are wanted."""
    found = re.search(r"[?&]leases=(on|off)(?=&|$)", url)
    if found is None:
        return url, True
    rest = url[: found.start()] + url[found.end() :]
    if found.group().startswith("?") and "&" in url[found.end() : found.end() + 1]:
        rest = f"{url[: found.start()]}?{url[found.end() + 1 :]}"
    return rest, found.group(1) == "on"


def _sqlite(path: str) -> Leased:
    """A ledger in a file; journals lie beside it."""
    backend = SqliteLeases(path)
    return Leased(backend, f"{backend.url.removeprefix('sqlite:///')}.leases")


def _elsewhere(backend: LeaseBackend, *, leases: bool) -> Store:
    """A store on a server; journals lie in the user's state directory."""
    folder = _folder_for(backend.url) if leases else None
    return backend if folder is None else Leased(backend, str(folder))


def _folder_for(url: str) -> Path | None:
    """Where the journals of a store elsewhere are; None for a user without a home."""
    try:
        return state_directory() / "leases" / blake2b(url.encode("utf-8", "replace"), digest_size=8).hexdigest()
    except StoreUnavailableError:
        return None


def _postgres(url: str, *, leases: bool) -> Store:
    try:
        from runguard_core.stores.postgres import PostgresLeases  # noqa: PLC0415  its driver is an extra
    except ImportError as error:
        shown = f"{url.partition(':')[0]}://"
        raise StoreUnavailableError(shown, f"needs psycopg ({error})", _POSTGRES_EXTRA) from None
    return _elsewhere(PostgresLeases(url), leases=leases)


def open_fleet(url: str) -> FleetStore:
    """The store that a URL names, as one that takes other ledgers in: a file or PostgreSQL.

    Raises:
        StoreUnavailableError: as for `open_store`; or a store that does not take other ledgers in.
    """
    scheme, _, rest = _without_leases(url)[0].partition("://")
    if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
        return SqliteFleet(rest[1:].partition("?")[0])
    if scheme in {"postgres", "postgresql"}:
        try:
            from runguard_core.stores.postgres import PostgresFleet  # noqa: PLC0415  its driver is an extra
        except ImportError as error:
            raise StoreUnavailableError(f"{scheme}://", f"needs psycopg ({error})", _POSTGRES_EXTRA) from None
        return PostgresFleet(url)
    open_store(url).close()  # what is no URL at all says so
    raise StoreUnavailableError(
        f"{scheme}://", "takes no other ledgers in", "name a PostgreSQL database or a file (sqlite:///FILE)"
    )


def open_keeping(url: str) -> KeepingStore:
    """The store that a URL names, as one that can drop the rows of old calls: a file (or memory).

    Raises:
        StoreUnavailableError: as for `open_store`; or a store that keeps all of them.
    """
    scheme, _, rest = _without_leases(url)[0].partition("://")
    if scheme == "memory":
        return MemoryStore()
    if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
        return SqliteKeeper(rest[1:].partition("?")[0])
    open_store(url).close()  # what is no URL at all says so
    raise StoreUnavailableError(f"{scheme}://", "drops no rows of old calls", "only a file does (sqlite:///FILE)")


def open_forgetting(url: str) -> ForgettingStore:
    """The store that a URL names, as one that can forget a user: a file (or memory).

    Raises:
        StoreUnavailableError: as for `open_store`; or a store that forgets nobody.
    """
    scheme = url.partition("://")[0]
    if scheme in {"redis", "rediss", "valkey", "valkeys", "postgres", "postgresql"}:
        open_store(url).close()
        raise StoreUnavailableError(f"{scheme}://", "forgets nobody", "set hash_users under [privacy] from the beginning")
    return open_keeping(url)


def _redis(url: str, *, leases: bool) -> Store:
    try:
        from runguard_core.stores.redis import RedisLeases  # noqa: PLC0415  its driver is an extra
    except ImportError as error:
        shown = f"{url.partition(':')[0]}://"
        raise StoreUnavailableError(shown, f"needs redis ({error})", "pip install 'runguard-core[redis]'") from None
    try:
        folder = state_directory()
    except StoreUnavailableError:
        folder = None  # nowhere to remember which book was seen: the store goes without
    return _elsewhere(RedisLeases(url, folder=folder), leases=leases)


def state_directory() -> Path:
    """Where default ledgers live: RUNGUARD_STATE_DIR, or the user's state directory.

    Raises:
        StoreUnavailableError: the user has no home (a container's numbered user, for example).
    """
    named = os.environ.get("RUNGUARD_STATE_DIR")
    if named:
        return Path(named)
    try:
        return _users_own()
    except RuntimeError as error:
        raise StoreUnavailableError("the default ledger", str(error), "set RUNGUARD_STATE_DIR or name a store") from None


def _users_own() -> Path:
    try:
        from platformdirs import user_state_path  # noqa: PLC0415  only where the default is used
    except ImportError:
        return Path.home() / ".local" / "state" / "runguard"
    return user_state_path("runguard", appauthor=False)


def default_path(app: str) -> Path:
    """The ledger of an app; a name that is no file name is made one, and stays different from others."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", app).strip("-.")[:80] or "app"
    if safe != app:
        safe = f"{safe}-{blake2b(app.encode('utf-8', 'replace'), digest_size=4).hexdigest()}"
    return state_directory() / f"{safe}.db"


def open_default(app: str) -> Store:
    """The app's own file; memory, with a warning, where it cannot be written."""
    try:
        path = default_path(app)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _sqlite(str(path))
    except (StoreError, OSError) as error:
        message = f"RunGuard keeps its ledger in memory, spend is forgotten at exit: {error}"
        warnings.warn(message, RuntimeWarning, stacklevel=2)
        return MemoryStore()
