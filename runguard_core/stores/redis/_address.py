"""What a URL says: where the server is, which book in it, and what is given up knowingly."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from runguard_core.errors import StoreUnavailableError

#: Schemes and what the client calls them; the second of a pair is encrypted.
SCHEMES = {"redis": "redis", "rediss": "rediss", "valkey": "redis", "valkeys": "rediss"}
#: The book that programs share which do not name one.
DEFAULT_TENANT = "runguard"
_OURS = ("tenant", "durability", "create", "replicas", "leases")
_EXAMPLE = "redis://HOST:PORT/DB?tenant=NAME"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a book is.

    Attributes:
        server: the URL for the client, with its password and its own parameters.
        shown: the URL for people: no password.
        name: what the book is called on this host: the server's place and the tenant.
        tenant: whose book; the accounts of one tenant lie in one slot of a cluster.
        is_weak: `durability=weak`: a server that forgets at a restart, or evicts, is accepted.
        may_create: not with `create=no`: the book must be there already.
        has_leases: not with `leases=off`: processes spend slices in memory.
        replica_count: `replicas=N`: a reserve counts when so many replicas have it.
    """

    server: str
    shown: str
    name: str
    tenant: str = DEFAULT_TENANT
    is_weak: bool = False
    may_create: bool = True
    has_leases: bool = True
    replica_count: int = 0

    @classmethod
    def of(cls, url: str) -> Address:
        """Read a URL.

        Raises:
            StoreUnavailableError: a parameter of ours with a value that it cannot have.
        """
        parts = urlsplit(url)
        given = dict(parse_qsl(parts.query, keep_blank_values=True))
        ours: dict[str, str] = {name: given.pop(name) for name in _OURS if name in given}
        scheme, place = SCHEMES[parts.scheme], parts.netloc.rpartition("@")[2]
        shown = urlunsplit((parts.scheme, place, parts.path, urlencode(ours, quote_via=quote), ""))
        server = urlunsplit((scheme, parts.netloc, parts.path, urlencode(given), ""))
        tenant = ours.get("tenant") or DEFAULT_TENANT
        return cls(
            server=server, shown=shown, name=f"{place}{parts.path}?tenant={tenant}", tenant=tenant,
            is_weak=_one_of(shown, ours, "durability", no="full", yes="weak"),
            may_create=not _one_of(shown, ours, "create", no="yes", yes="no"), replica_count=_count(shown, ours),
            has_leases=not _one_of(shown, ours, "leases", no="on", yes="off"),
        )  # fmt: skip


def _one_of(shown: str, given: dict[str, str], name: str, *, no: str, yes: str) -> bool:
    value = given.get(name, no)
    if value not in {no, yes}:
        raise StoreUnavailableError(shown, f"{name}={value} means nothing", f"expected {name}={no} or {name}={yes}")
    return value == yes


def _count(shown: str, given: dict[str, str]) -> int:
    value = given.get("replicas", "0")
    if not value.isdigit():
        raise StoreUnavailableError(shown, f"replicas={value} is no number", f"expected {_EXAMPLE}&replicas=1, for example")
    return int(value)
