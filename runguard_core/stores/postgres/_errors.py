"""The one place where the driver's errors become ours: what, where, and what to do."""

from __future__ import annotations

import psycopg

from runguard_core.errors import StoreUnavailableError
from runguard_core.stores.postgres._address import Address

_CHECK_URL = "check the URL of the store"
#: By the first characters of SQLSTATE (the longest that fits).
_WAYS = {
    "08": "check that the server runs and can be reached from here; the same call may be tried again",
    "22003": "an amount left the range of 0 to 2**62; run `runguard verify`",
    "23514": "an amount left the range of 0 to 2**62; run `runguard verify`",
    "25006": "this server is a read-only standby: name the primary, or add target_session_attrs=read-write to the URL",
    "28": "check the user and the password (PGPASSWORD, ~/.pgpass or the URL), and pg_hba.conf of the server",
    "3D000": "create the database, or name another one in the URL",
    "3F000": "the schema is gone; restore it, or restart the program to begin a new ledger",
    "40": "too many programs were changing the same rows; the same call may be tried again",
    "42": "the ledger's schema is not what this program expects: run `runguard ledger migrate --store URL`, or restore it",
    "42501": "let an administrator grant it: CREATE on the database for the first use, then USAGE on the schema and its tables",
    "42P01": "the ledger's tables are gone; restore them, or restart the program to begin a new ledger",
    "42883": "the ledger's functions are gone or older; run `runguard ledger migrate --store URL`",
    "53100": "free some space on the disk of the server; what was recorded is safe",
    "53200": "the server has no memory left; see its log",
    "53300": "the server takes no more connections: raise max_connections, or put fewer programs on it",
    "53": "the server is short of something; see its log",
    "55P03": "somebody holds the same rows; see pg_stat_activity, or wait",
    "57014": "the statement took too long; see pg_stat_activity, or wait",
    "57P01": "the server is being shut down; the same call may be tried again when it is back",
    "57P02": "the server has crashed and restarts; the same call may be tried again when it is back",
    "57P03": "the server is starting or stopping; the same call may be tried again when it is back",
    "58": "the server cannot read or write its files; see its log",
    "XX": "the server's files may be damaged; see its log",
}
#: Errors of connecting carry no SQLSTATE, only libpq's words.
_WORDS = {
    "password": _WAYS["28"],
    "authentication": _WAYS["28"],
    "pg_hba": _WAYS["28"],
    "does not exist": "create it, or name another one in the URL",
    "too many": _WAYS["53300"],
    "remaining connection slots": _WAYS["53300"],
    "starting up": _WAYS["57P03"],
    "shutting down": _WAYS["57P03"],
    "recovery": _WAYS["57P03"],
    "refused": "start the server, or check host and port in the URL",
    "No such file": "start the server, or check host and port in the URL",
    "resolve": _CHECK_URL,
    "could not translate": _CHECK_URL,
    "timeout": "check that the server runs and can be reached from here",
    "invalid": _CHECK_URL,
    "SSL": "check sslmode and the certificates",
}


def explained(error: psycopg.Error, address: Address) -> StoreUnavailableError:
    """What the driver said as one sentence with a way out. It may quote parts of the URL: secrets are taken out."""
    text = " ".join(str(error).split()) or type(error).__name__
    for secret in address.secrets:
        text = text.replace(secret, "***")
    text = text[:300]
    return StoreUnavailableError(address.shown, text, _way_out(error.sqlstate or "", text))


def _way_out(state: str, text: str) -> str:
    for length in (5, 2):
        if state[:length] in _WAYS:
            return _WAYS[state[:length]]
    return next((way for word, way in _WORDS.items() if word in text), _WAYS["08"])
