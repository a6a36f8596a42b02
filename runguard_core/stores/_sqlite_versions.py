"""Which versions of the program may share a ledger's file.

`meta` says `schema`, what the file is, and `readable_by`, the oldest program that may read and write it. A program shares a newer
file that allows it, and asks for `runguard ledger migrate` where the file is older: nothing else changes a file's version. Rules
for a new version: it adds (tables, columns with a default), and what the version before cannot live with raises `readable_by`.
"""

from __future__ import annotations

import sqlite3
from importlib.resources import files

from runguard_core.errors import StoreSchemaError

SCHEMA_VERSION = 2
#: The oldest program that may share what this one creates.
READABLE_BY = 2
#: Versions that `migrate` converts.
MIGRATABLE = frozenset({1})
_SCRIPTS = ("sqlite.sql", "sqlite_leases.sql", "sqlite_totals.sql", "sqlite_views.sql")


def version_of(connection: sqlite3.Connection) -> tuple[int | None, int | None]:
    """What a file says it is, and the oldest program that may share it; None where it does not say."""
    try:
        said = dict(connection.execute("SELECT key, value FROM meta WHERE key IN ('schema', 'readable_by')").fetchall())
    except sqlite3.OperationalError as error:
        if "no such" not in str(error):
            raise
        return None, None
    schema, readable = (int(said[key]) if said.get(key, "").isdigit() else None for key in ("schema", "readable_by"))
    return schema, readable if readable is not None else schema


def check_version(connection: sqlite3.Connection, path: str, program: int = SCHEMA_VERSION) -> None:
    """Whether this program may use the file.

    Raises:
        StoreSchemaError: naming both versions and what to do.
    """
    schema, readable_by = version_of(connection)
    if schema == program:
        return
    if schema is not None and readable_by is not None and schema > program:
        if readable_by <= program:
            return
        said = f"its schema is version {schema}, for programs of version {readable_by} and later; this program is of {program}"
        raise StoreSchemaError(path, said, "upgrade runguard-core")
    said = f"its schema is version {'none' if schema is None else schema}, this program reads {program}"
    if schema in MIGRATABLE:
        way = f"stop the programs that use it and run `runguard ledger migrate --store sqlite:///{path}`"
        raise StoreSchemaError(path, said, way)
    raise StoreSchemaError(path, said, "name another file, or move this one aside")


def create_tables(connection: sqlite3.Connection) -> None:
    """Make an empty file a ledger, in one transaction."""
    folder = files("runguard_core.stores")
    script = "".join([folder.joinpath(name).read_text("utf-8") for name in _SCRIPTS])
    stamp = (
        f"INSERT INTO meta VALUES ('schema', '{SCHEMA_VERSION}'), ('readable_by', '{READABLE_BY}'), "  # noqa: S608  constants of ours
        "('breaker', '0'), ('lines', '0');"
    )
    connection.executescript(f"BEGIN IMMEDIATE;\n{script}\n{stamp}\nCOMMIT;")
