"""A server or a ledger that cannot be used: what, where, what to do; never a secret, never half a verb."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from runguard_core.errors import StoreSchemaError, StoreUnavailableError
from runguard_core.ledger import Balance, CallFilter, Reserved
from runguard_core.stores import open_store
from runguard_core.stores.postgres import PostgresStore, migrate
from runguard_core.stores.postgres._address import parse_address
from runguard_core.stores.postgres._errors import explained
from runguard_core.stores.postgres._schema import SCHEMA_VERSION
from runguard_core.testing._ledger_values import DAY, LATER, a_call, a_settlement, an_event, holds
from tests.servers import PostgresServer


@pytest.fixture
def schema(ledger_url: str) -> str:
    """Of the test's ledger."""
    return ledger_url.rpartition("=")[2]


@pytest.fixture
def root(postgres_url: str) -> Iterator[psycopg.Connection]:
    """Somebody who may do everything."""
    with psycopg.connect(postgres_url, autocommit=True) as link:
        yield link


def stamp(root: psycopg.Connection, place: str, **values: int) -> None:
    """Make the ledger of another version."""
    for key, value in values.items():
        root.execute(f"UPDATE {place}.meta SET value = %s WHERE key = %s", (str(value), key))


def test_a_newer_ledger_is_shared_when_it_says_so_and_refused_when_not(
    store: PostgresStore, ledger_url: str, root: Any, schema: str
) -> None:
    """Two versions side by side while a deployment rolls."""
    stamp(root, schema, schema=SCHEMA_VERSION + 1)
    newer = PostgresStore(ledger_url)
    assert isinstance(newer.reserve(a_call(), holds(1), expires_at=LATER, owner="t"), Reserved)
    newer.close()
    stamp(root, schema, readable_by=SCHEMA_VERSION + 1)
    with pytest.raises(StoreSchemaError, match=rf"version {SCHEMA_VERSION + 1}, this program reads {SCHEMA_VERSION}.*upgrade"):
        PostgresStore(ledger_url)


def test_an_older_ledger_is_migrated_by_the_command_only(store: PostgresStore, ledger_url: str, root: Any, schema: str) -> None:
    """And the sentence names the command; afterwards everything is there."""
    store.reserve(a_call(), holds(3), expires_at=LATER, owner="t")
    for name in ("ship", "copy_calls", "copy_lines"):  # what the last file makes
        root.execute(f"DROP FUNCTION {schema}.{name}")
    stamp(root, schema, schema=SCHEMA_VERSION - 1)
    with pytest.raises(StoreSchemaError, match=rf"version {SCHEMA_VERSION - 1}.*runguard ledger migrate --store"):
        PostgresStore(ledger_url)
    assert migrate(ledger_url) == (SCHEMA_VERSION - 1, SCHEMA_VERSION)
    migrated = PostgresStore(ledger_url)
    assert len(migrated.calls(CallFilter())) == 1
    assert migrated.verify() == ()
    migrated.close()


def test_migrating_twice_is_harmless_and_an_empty_place_is_set_up(ledger_url: str) -> None:
    """0 is what was not there."""
    assert migrate(ledger_url) == (0, SCHEMA_VERSION)
    assert migrate(ledger_url) == (SCHEMA_VERSION, SCHEMA_VERSION)


def test_a_read_only_standby_is_read_and_says_where_to_write(store: PostgresStore, ledger_url: str) -> None:
    """Reports may run there."""
    store.reserve(a_call(), holds(3), expires_at=LATER, owner="t")
    standby = PostgresStore(f"{ledger_url}&options=-c%20default_transaction_read_only%3Don")
    with pytest.raises(StoreUnavailableError, match=r"read-only.*name the primary"):
        standby.reserve(a_call(), holds(3), expires_at=LATER, owner="t")
    assert len(standby.calls(CallFilter())) == 1
    assert standby.balances([DAY.key])[DAY.key] == Balance(0, 3)
    standby.close()


def test_missing_rights_are_named_with_who_may_grant_them(root: Any, postgres_url: str, ledger_url: str) -> None:
    """For the first use, which makes the schema, and for a schema that is there."""
    root.execute("DROP ROLE IF EXISTS guest")
    root.execute("CREATE ROLE guest LOGIN")
    try:
        guest = ledger_url.replace("postgres@", "guest@")
        with pytest.raises(StoreUnavailableError, match=r"permission denied.*CREATE on the database"):
            PostgresStore(guest)
        PostgresStore(ledger_url).close()
        with pytest.raises(StoreUnavailableError, match=r"permission denied.*grant it"):
            PostgresStore(guest)
        place = ledger_url.rpartition("=")[2]
        root.execute(f"GRANT USAGE ON SCHEMA {place} TO guest")
        root.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {place} TO guest")
        granted, call = PostgresStore(guest), a_call()  # as docs/stores-postgres.md says
        granted.reserve(call, holds(1), expires_at=LATER, owner="t", events=[an_event()])
        granted.post(call.id, a_settlement(1))
        granted._ask("SELECT gather_totals(1)")
        assert granted.verify() == ()
        granted.close()
    finally:
        root.execute("DROP OWNED BY guest")
        root.execute("DROP ROLE guest")


def test_a_row_that_somebody_holds_is_waited_for_within_a_bound(
    store: PostgresStore, ledger_url: str, root: Any, schema: str
) -> None:
    """Then nothing has been written, and the same id works later."""
    store.reserve(a_call(), holds(1), expires_at=LATER, owner="t")
    hasty, call = PostgresStore(f"{ledger_url}&options=-c%20lock_timeout%3D50ms"), a_call()
    with root.transaction():
        root.execute(f"SELECT FROM {schema}.account FOR UPDATE")
        with pytest.raises(StoreUnavailableError, match=r"lock timeout.*somebody holds the same rows"):
            hasty.reserve(call, holds(10), expires_at=LATER, owner="t")
    assert store.call(call.id) is None
    assert isinstance(hasty.reserve(call, holds(10), expires_at=LATER, owner="t"), Reserved)
    hasty.close()


def test_a_ledger_that_was_dropped_or_replaced_is_not_taken_for_an_empty_one(
    store: PostgresStore, ledger_url: str, root: Any, schema: str
) -> None:
    """An empty book would let everything pass."""
    store.reserve(a_call(), holds(1), expires_at=LATER, owner="t")
    root.execute(f"DROP SCHEMA {schema} CASCADE")
    with pytest.raises(StoreUnavailableError, match="gone"):
        store.reserve(a_call(), holds(1), expires_at=LATER, owner="t")
    PostgresStore(ledger_url).close()
    store._connections.close()  # as after any loss of the connection
    with pytest.raises(StoreUnavailableError, match="replaced by another one while it was open"):
        store.reserve(a_call(), holds(1), expires_at=LATER, owner="t")


@pytest.mark.parametrize(
    ("error", "way"),
    [
        (psycopg.errors.DiskFull, "free some space on the disk of the server"),
        (psycopg.errors.TooManyConnections, "max_connections"),
        (psycopg.errors.OutOfMemory, "no memory"),
        (psycopg.errors.AdminShutdown, "when it is back"),
        (psycopg.errors.QueryCanceled, "took too long"),
        (psycopg.errors.NumericValueOutOfRange, "runguard verify"),
        (psycopg.errors.DataCorrupted, "damaged"),
        (psycopg.errors.IoError, "its log"),
    ],
)
def test_what_the_server_says_comes_with_a_way_out(error: type[psycopg.Error], way: str) -> None:
    """Those that a test cannot bring about."""
    found = explained(error("could not extend file"), parse_address("postgresql://u:hidden@h/db"))
    assert "could not extend file" in str(found)
    assert way in found.way_out
    assert "hidden" not in str(found)


def test_no_password_is_ever_shown(postgres_server: PostgresServer) -> None:
    """Not in the URL that reports name, not in an error, not where the driver quotes what it could not read."""
    refused = "postgresql://ann:s3cr%24t@127.0.0.1:1/db?schema=x&sslpassword=s3cr%24t"
    for url in (
        refused,
        "postgresql://ann:s3cr%24t@h:notaport/db",
        "postgresql://ann:s3cr@t@h/db",
        "postgresql://ann:s3cr%zz@h/db",
    ):
        with pytest.raises(StoreUnavailableError) as caught:
            PostgresStore(url)
        assert "s3cr" not in str(caught.value)
        assert "s3cr" not in repr(caught.value.__dict__)
    assert "s3cr" not in repr(parse_address(refused))


def test_a_wrong_password_says_where_passwords_come_from(started_servers: None) -> None:
    """With a server that asks for one."""
    server = PostgresServer(fsync="off")
    try:
        (server._data / "pg_hba.conf").write_text("local all all scram-sha-256\n")
        with psycopg.connect(server.url, autocommit=True) as link:
            link.execute("SET password_encryption = 'scram-sha-256'")
            link.execute("ALTER ROLE postgres PASSWORD 'right'")
        server.restart()
        with pytest.raises(StoreUnavailableError, match=r"password authentication failed.*PGPASSWORD, ~/.pgpass") as caught:
            PostgresStore(server.url.replace("postgres@", "postgres:wrong1@"))
        assert "wrong1" not in str(caught.value)
        PostgresStore(server.url.replace("postgres@", "postgres:right@")).close()
    finally:
        server.close()


@pytest.mark.parametrize("name", ["Upper", "pg_x", "a-b", "a;drop", "x" * 64, ""])
def test_a_schema_that_would_need_quoting_is_refused(name: str) -> None:
    """Before anything is asked of a server."""
    with pytest.raises(StoreUnavailableError, match="cannot be the schema"):
        PostgresStore(f"postgresql://h/db?schema={name}")


def test_a_missing_driver_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which names the extra."""
    for name in [name for name in sys.modules if name.startswith("runguard_core.stores.postgres")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreUnavailableError, match=r"pip install 'runguard-core\[postgres\]'"):
        open_store("postgresql://h/db")


def test_urls_open_the_store(ledger_url: str, open_ledger: Callable[..., PostgresStore]) -> None:
    """Under both names of the scheme."""
    for url in (ledger_url, ledger_url.replace("postgresql:", "postgres:")):
        store = open_store(url)
        assert store.calls(CallFilter()) == ()
        store.close()
        store.close()
