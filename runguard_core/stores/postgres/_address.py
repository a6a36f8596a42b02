"""From a URL to what the driver wants, and to what people may read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from runguard_core.errors import StoreUnavailableError

DEFAULT_SCHEMA = "runguard"
_SCHEMES = {"postgres", "postgresql"}
_SECRETS = {"password", "sslpassword", "passfile", "sslkey"}
#: What a URL says to RunGuard and not to the driver.
_OURS = {"schema", "leases"}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a ledger is.

    Attributes:
        conninfo: the URL for the driver, its secrets included: never shown.
        schema: the schema of the ledger's tables.
        shown: the URL without secrets.
        secrets: what must not be shown, as it stands in the URL and as it is meant.
    """

    conninfo: str
    schema: str
    shown: str
    secrets: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Without secrets."""
        return f"Address({self.shown!r})"


def parse_address(url: str) -> Address:
    """Take a `postgresql://` URL apart; whatever it does not say the driver takes from PGHOST, PGPASSWORD, ~/.pgpass and so on.

    Raises:
        StoreUnavailableError: another scheme, or a schema that cannot be named without quoting.
    """
    parts = urlsplit(url)
    shown = _shown(url)
    if parts.scheme not in _SCHEMES:
        raise StoreUnavailableError(shown, "not a PostgreSQL URL", "expected postgresql://USER@HOST/DATABASE?schema=NAME")
    if parts.netloc.count("@") > 1:
        raise StoreUnavailableError(shown, "more than one @ before the host", "write an @ of the password as %40")
    options = parse_qsl(parts.query, keep_blank_values=True)
    schema = dict(options).get("schema", DEFAULT_SCHEMA)
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", schema) or schema.startswith("pg_"):
        raise StoreUnavailableError(shown, f"{schema!r} cannot be the schema", "use small letters, digits and _, at most 63")
    rest = _query([(name, value) for name, value in options if name not in _OURS])
    return Address(urlunsplit(("postgresql", parts.netloc, parts.path, rest, "")), schema, shown, _secrets(url))


def _secrets(url: str) -> tuple[str, ...]:
    parts = urlsplit(url)
    password = parts.netloc.rpartition("@")[0].partition(":")[2]
    named = [value for name, value in parse_qsl(parts.query) if name in _SECRETS]
    return tuple(secret for secret in dict.fromkeys([password, unquote(password), *named]) if secret)


def _shown(url: str) -> str:
    parts = urlsplit(url)
    user, at, hosts = parts.netloc.rpartition("@")
    options = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in _SECRETS]
    return urlunsplit((parts.scheme, user.partition(":")[0] + at + hosts, parts.path, _query(options), ""))


def _query(options: list[tuple[str, str]]) -> str:
    """As libpq reads it, for which a + is a +."""
    return urlencode(options, quote_via=quote, safe="/")
