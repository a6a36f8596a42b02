"""Which addresses a message may be sent to: the public ones, unless the policy says otherwise.

The name is resolved here, and the connection is made to the very address that was checked: a name server that answers
differently the second time is not asked a second time.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))


class AddressRefusedError(Exception):
    """All addresses of a host are private ones."""


def is_public(address: str) -> bool:
    """Whether an IP address is a public host's: not loopback, private, link-local, shared, reserved or a group.

    An IPv4 address inside an IPv6 one (mapped, NAT64, 6to4, Teredo) is judged as what it is: Python calls some of them global.
    """
    return all(_is_public(one) for one in _unwrapped(ip_address(address.partition("%")[0])))


def _unwrapped(address: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    if isinstance(address, IPv4Address):
        return [address]
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and any(address in network for network in _NAT64):
        inner = IPv4Address(int(address) & 0xFFFFFFFF)
    if inner is not None:
        return [inner]
    return list(address.teredo) if address.teredo is not None else [address]


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    is_local = isinstance(address, IPv6Address) and address.is_site_local
    return address.is_global and not (address.is_multicast or address.is_reserved or is_local)


def resolved(host: str, port: int, *, allow_private: bool) -> list[str]:
    """The addresses of a host that may be spoken to, in the resolver's order.

    Raises:
        OSError: the name has no address. AddressRefusedError: it has private ones only, and those are not allowed.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    allowed = [address for address in addresses if allow_private or is_public(address)]
    if not allowed:
        raise AddressRefusedError(f"{host} is at {', '.join(addresses)}, which is no public address")
    return allowed
