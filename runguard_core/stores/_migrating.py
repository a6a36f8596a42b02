"""From a URL to a ledger of today's version."""

from __future__ import annotations

from runguard_core.errors import StoreUnavailableError
from runguard_core.ledger import Tell
from runguard_core.stores._sqlite_migrating import Migrated as Migrated  # noqa: PLC0414  handed on
from runguard_core.stores._sqlite_migrating import migrate as migrate_file


def migrate(url: str, *, dry_run: bool = False, backup: bool = False, tell: Tell | None = None) -> Migrated:
    """Bring a ledger to this program's version; one that is of it already is left alone.

    Args:
        url: a file or a PostgreSQL database. dry_run, backup, tell: as in a file's `migrate`; for files only.

    Raises:
        StoreSchemaError: it is newer, or of no known version. StoreUnavailableError: it is in use, or has no versions.
    """
    scheme = url.partition("://")[0]
    if scheme == "sqlite":
        return migrate_file(url.removeprefix("sqlite:///"), dry_run=dry_run, backup=backup, tell=tell)
    if scheme not in {"postgres", "postgresql"}:
        raise StoreUnavailableError(url, "such a ledger has no versions", "name a file or a PostgreSQL database")
    if dry_run or backup:
        raise StoreUnavailableError(url, "--dry-run and --backup are for files", "use the database's own backup, e.g. pg_dump")
    try:
        from runguard_core.stores.postgres import migrate as migrate_schema  # noqa: PLC0415  its driver is an extra
    except ImportError as error:
        raise StoreUnavailableError(
            "postgresql://", f"needs psycopg ({error})", "pip install 'runguard-core[postgres]'"
        ) from None
    before, after = migrate_schema(url)
    return Migrated(before, after, 0, 0, 0)
