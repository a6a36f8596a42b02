"""From a URL, or from nothing, to a store."""

from __future__ import annotations

import os
import re
import warnings
from hashlib import blake2b
from pathlib import Path

from runguard_core.errors import StoreError, StoreUnavailableError
from runguard_core.ledger import Store
from runguard_core.stores._memory import MemoryStore
from runguard_core.stores._sqlite import SqliteStore

_SCHEMES = "memory://, sqlite:///FILE, redis://HOST:PORT/DB?tenant=NAME or postgresql://HOST/DATABASE?schema=NAME"


def open_store(url: str) -> Store:
    """The store that a URL names: "memory://", "sqlite:///relative.db", "sqlite:////absolute.db", "postgresql://...?schema=NAME",
    "redis://HOST:PORT/DB?tenant=NAME" (also rediss://, valkey://, valkeys://).

    Raises:
        StoreUnavailableError: another scheme, a file that cannot be opened, a server that cannot be used.
    """
    if url == "memory://":
        return MemoryStore()
    scheme, colon, rest = url.partition("://")
    if scheme == "sqlite" and colon and rest.startswith("/") and len(rest) > 1:
        return SqliteStore(rest[1:])
    if scheme in {"postgres", "postgresql"}:
        return _postgres(url)
    if scheme in {"redis", "rediss", "valkey", "valkeys"} and colon:
        return _redis(url)
    hint = f"; for a file: sqlite:///{Path(url).absolute()}" if not colon else ""
    raise StoreUnavailableError(url, "not the URL of a store", f"expected {_SCHEMES}{hint}")


def _postgres(url: str) -> Store:
    try:
        from runguard_core.stores.postgres import PostgresStore  # noqa: PLC0415  its driver is an extra
    except ImportError as error:
        shown = f"{url.partition(':')[0]}://"
        raise StoreUnavailableError(shown, f"needs psycopg ({error})", "pip install 'runguard-core[postgres]'") from None
    return PostgresStore(url)


def _redis(url: str) -> Store:
    try:
        from runguard_core.stores.redis import RedisStore  # noqa: PLC0415  its driver is an extra
    except ImportError as error:
        shown = f"{url.partition(':')[0]}://"
        raise StoreUnavailableError(shown, f"needs redis ({error})", "pip install 'runguard-core[redis]'") from None

    try:
        folder = state_directory()
    except StoreUnavailableError:
        folder = None  # nowhere to remember which book was seen: the store goes without
    return RedisStore(url, folder=folder)


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
        return SqliteStore(str(path))
    except (StoreError, OSError) as error:
        message = f"RunGuard keeps its ledger in memory, spend is forgotten at exit: {error}"
        warnings.warn(message, RuntimeWarning, stacklevel=2)
        return MemoryStore()
