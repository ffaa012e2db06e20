"""Which addresses of the network are public, so that a URL from anywhere cannot reach into one's own network.

The lists are those of IANA's registries of special-purpose addresses (RFC 6890 and what updates it). They stand here,
and not as `ipaddress.is_global`, because what that says has changed between versions of Python.
"""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

_NOT_PUBLIC = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
    *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
    *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
)
"""This network, private, shared by carriers, loopback, link-local, documentation, benchmarks, multicast, reserved."""
_NOT_PUBLIC_6 = ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
"""Of 2000::/3: protocols (Teredo among them), documentation, and 6to4: these tunnels carry IPv4 addresses, and nobody
serves pictures through them any more."""
_NETWORKS = tuple(IPv4Network(text) for text in _NOT_PUBLIC)
_NETWORKS_6 = tuple(IPv6Network(text) for text in _NOT_PUBLIC_6)
_UNICAST_6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether an IP address, as text, is a public one. Raises ValueError for what is none."""
    known = ipaddress.ip_address(address)
    if isinstance(known, IPv6Address):
        inner = _inner(known)
        if inner is None:
            return known in _UNICAST_6 and not any(known in network for network in _NETWORKS_6)
        known = inner
    return not any(known in network for network in _NETWORKS)


def _inner(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that a mapped one stands for, or one of a network that reaches IPv4 by translation (NAT64)."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None
