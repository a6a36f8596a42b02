"""The schema's version: an empty database is set up at first use, an older one is migrated by `migrate` only.

Each numbered `.sql` file beside this one is a version; its first line says which versions of the program may share what it
leaves behind. Rules for a new file: it adds, and changes no function's arguments; what the version before cannot live with raises
`readable_by`.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import psycopg
from psycopg import sql

from runguard_core.errors import StoreSchemaError, StoreUnavailableError
from runguard_core.stores.postgres._address import Address, parse_address
from runguard_core.stores.postgres._errors import explained

Link = psycopg.Connection[Any]


def migrations() -> list[tuple[int, int, str]]:
    """Every file as (version, oldest program that may share it, SQL), in order."""
    found = []
    for file in sorted(files("runguard_core.stores.postgres").iterdir(), key=lambda file: file.name):
        name = re.fullmatch(r"(\d{4})_\w+\.sql", file.name)
        if name:
            text = file.read_text("utf-8")
            readable = re.match(r"-- readable_by: (\d+)\n", text)
            assert readable is not None, file.name
            found.append((int(name[1]), int(readable[1]), text))
    return found


SCHEMA_VERSION = migrations()[-1][0]


def check(link: Link, address: Address) -> str:
    """Look whether this program may use the ledger; set an empty one up. The ledger's id.

    Raises:
        StoreSchemaError: naming both versions and what to do.
    """
    found = _read(link)
    if found is None:
        _check_rights(link, address)
        apply(link, address, only_if_empty=True)
        found = _read(link)
        assert found is not None, "a schema without its version"
    version, readable_by = int(found["schema"]), int(found["readable_by"])
    said = f"its schema is version {version}, this program reads {SCHEMA_VERSION}"
    if version < SCHEMA_VERSION:
        raise StoreSchemaError(address.shown, said, f"run `runguard ledger migrate --store '{address.shown}'`")
    if readable_by > SCHEMA_VERSION:
        raise StoreSchemaError(address.shown, f"{said} and at least {readable_by} is asked for", "upgrade runguard-core")
    return found["ledger"]


def _check_rights(link: Link, address: Address) -> None:
    """A schema that one may not use looks as if it were empty."""
    rights = "SELECT has_schema_privilege(nspname, 'USAGE') FROM pg_namespace WHERE nspname = %s"
    found = link.execute(rights, (address.schema,)).fetchone()
    if found is not None and not found[0]:
        way = f"let its owner grant it: GRANT USAGE ON SCHEMA {address.schema}, and rights on its tables"
        raise StoreUnavailableError(address.shown, f"permission denied for schema {address.schema}", way)


def _read(link: Link) -> dict[str, str] | None:
    try:
        found = {row[0]: row[1] for row in link.execute("SELECT key, value FROM meta").fetchall()}
    except psycopg.errors.UndefinedTable:
        return None
    return found if "schema" in found else None


def migrate(url: str) -> tuple[int, int]:
    """Bring a ledger to this program's schema; the versions before (0: there was none) and after.

    Raises:
        StoreError: it cannot be reached, may not be changed, or is newer than this program.
    """
    address = parse_address(url)
    with _opened(address) as link:
        found = _read(link)
        before = int(found["schema"]) if found else 0
        apply(link, address)
        check(link, address)
        return before, max(before, SCHEMA_VERSION)


@contextlib.contextmanager
def _opened(address: Address) -> Iterator[Link]:
    try:
        link = psycopg.connect(address.conninfo, autocommit=True)
        try:
            link.execute(sql.SQL("SET search_path = {}").format(sql.Identifier(address.schema)))
            yield link
        finally:
            link.close()
    except psycopg.Error as error:
        raise explained(error, address) from error


def apply(link: Link, address: Address, *, only_if_empty: bool = False) -> None:
    """Run the files that are missing, all in one transaction; whoever else wants to waits and finds it done."""
    schema = sql.Identifier(address.schema)
    with link.transaction():
        link.execute("SET LOCAL lock_timeout = 0")
        link.execute("SET LOCAL statement_timeout = 0")
        link.execute("SELECT pg_advisory_xact_lock(hashtextextended('runguard ' || %s, 0))", (address.schema,))
        # rights to make schemas are asked for only where there is something to make
        if link.execute("SELECT FROM pg_namespace WHERE nspname = %s", (address.schema,)).fetchone() is None:
            link.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
        link.execute(sql.SQL("SET LOCAL search_path = {}").format(schema))
        has_meta = link.execute("SELECT to_regclass('meta')").fetchone()[0] is not None  # type: ignore[index]
        found = _read(link) if has_meta else None
        if found is not None and only_if_empty:
            return
        at = int(found["schema"]) if found else 0
        for version, readable_by, text in migrations():
            if version > at:
                link.execute(text.encode(), prepare=False)
                stamp = "INSERT INTO meta VALUES (%s, %s) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
                for key, value in (("schema", version), ("readable_by", readable_by)):
                    link.execute(stamp, (key, str(value)))
