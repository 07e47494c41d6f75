"""Where webhooks may go: a request made by the daemon must not reach what only this machine can reach.

Owns which URLs and addresses are refused. Names are resolved by the caller, and the connection is made to
the very address that was checked, so that a name which changes its mind gains nothing.
"""

import ipaddress
from collections.abc import Iterable
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import attrs

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_METADATA_NAMES: Final = frozenset(
    {"metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"}
)
_METADATA: Final = tuple(
    map(
        ipaddress.ip_address,
        (
            "100.100.100.200",  # Alibaba Cloud
            "168.63.129.16",  # Azure's WireServer
            "192.0.0.192",  # Oracle Cloud
            "fd00:ec2::254",  # AWS
            "fd20:ce::254",  # Google Cloud
        ),
    )
)
_EMBEDDING: Final = (
    (ipaddress.IPv6Network("64:ff9b::/96"), 0),  # NAT64, RFC 6052
    (ipaddress.IPv6Network("2002::/16"), 80),  # 6to4, RFC 3056
    (ipaddress.IPv6Network("::/96"), 0),  # IPv4-compatible, RFC 4291
)
"""Networks whose addresses hold an IPv4 address, and how many bits stand behind it."""


class Refused(Exception):
    """A webhook may not go there; the text says why."""


@attrs.frozen(kw_only=True)
class Policy:
    """What the administrator allows beyond the rules."""

    allow_http: bool = False
    allow_addresses: tuple[Network, ...] = ()


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return addresses and networks for their texts. Raises ValueError."""
    return tuple(ipaddress.ip_network(text) for text in texts)


def check_url(url: str, policy: Policy) -> None:
    """Refuse a URL for what can be seen of it without asking anybody.

    Raises:
        Refused: not http or https, no host, a user in it, plain http to another machine, an address or a
            name that is not allowed.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise Refused(f"Expected a URL: {error}") from None
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise Refused("Expected an http or https URL")
    if not url.isascii() or not url.isprintable() or set(url) & set(' <>"{}|\\^`'):
        raise Refused("Expected a URL of plain ASCII, what is not escaped")
    if parts.username is not None or parts.password is not None:
        raise Refused("Expected a URL without a user and password: put them into a header")
    name = host.rstrip(".").lower()
    address = literal(host)
    if address is not None:
        check_address(address, policy, plain=parts.scheme == "http")
        return
    if name in _METADATA_NAMES and not policy.allow_addresses:
        raise Refused(f"{name} is where a cloud keeps a machine's secrets")
    if parts.scheme == "http" and not policy.allow_http and not _is_localhost(name):
        raise Refused("Expected https, as the host is another machine")


def check_address(address: Address, policy: Policy, *, plain: bool) -> None:
    """Refuse an address; `plain`: it would be spoken to without TLS.

    Raises:
        Refused: link-local, a cloud's metadata, no single machine's; or plain http to another machine.
    """
    found = _embedded(address)
    if plain and not policy.allow_http and not found.is_loopback:
        raise Refused("Expected https, as the host is another machine")
    if any(found in network or address in network for network in policy.allow_addresses):
        return
    if found.is_link_local:
        raise Refused("The address is link-local")
    if found in _METADATA:
        raise Refused("The address is that of a cloud's metadata")
    if found.is_multicast or found.is_unspecified or found == ipaddress.IPv4Address("255.255.255.255"):
        raise Refused("The address is not one machine's")


def literal(host: str) -> Address | None:
    """Return the address that a host is written as, None for a name."""
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def _is_localhost(name: str) -> bool:
    return name == "localhost" or name.endswith(".localhost")


def _embedded(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for, else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    for network, behind in _EMBEDDING:
        inner = int(address) >> behind & 0xFFFF_FFFF
        if address in network and inner > 1:  # :: and ::1 are themselves
            return ipaddress.IPv4Address(inner)
    return address
