"""Which network addresses a fetch may connect to."""

import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import TypeAlias

Resolver: TypeAlias = Callable[[str, int], Sequence[str]]
"""Takes a host and a port, and returns IP addresses as text; raises OSError if there are none."""

_NEVER = tuple(
    ipaddress.ip_network(network)
    for network in (
        # The special-purpose blocks of IANA's IPv4 registry (RFC 6890). `is_global` knows most of
        # them too, but which ones depends on the patch release of Python.
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT (RFC 6598); some clouds keep metadata there
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local; most clouds keep metadata at 169.254.169.254
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # 6to4 relays (RFC 7526)
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "168.63.129.16/32",  # public by number, but on Azure it is the host's own service
        # What IANA's IPv6 registry sets apart within 2000::/3.
        "2001::/23",  # with Teredo, which carries an IPv4 address inside
        "2001:db8::/32",
        "2002::/16",  # 6to4 (RFC 3056), which carries an IPv4 address inside
        "3fff::/20",  # documentation (RFC 9637)
    )
)

_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
"""All that IANA has assigned for global unicast so far (RFC 4291 section 2.4).

So loopback, link-local, unique-local and multicast are outside, and so are the blocks that carry an
IPv4 address inside: mapped (::ffff:0:0/96) and NAT64 (64:ff9b::/96 and 64:ff9b:1::/48).
"""


def is_public(address: str) -> bool:
    """Tell whether this IP address belongs to a host of the public internet.

    Raises:
        ValueError: when it is not an IP address.

    """
    ip = ipaddress.ip_address(address)
    if ip.version == 6 and ip not in _GLOBAL_UNICAST:
        return False
    return ip.is_global and not any(ip in network for network in _NEVER)


def is_loopback_name(host: str) -> bool:
    """Tell whether the name means this machine, whatever a name server says (RFC 6761, 6.3)."""
    return host == "localhost" or host.endswith(".localhost")


def resolve(host: str, port: int) -> list[str]:
    """Ask the system for the addresses of a host, without doubles, in the order to try them.

    It understands every way in which the system writes an address: `2130706433`, `0x7f.1` and
    `127.1` all are 127.0.0.1.

    Raises:
        OSError: when there are none.

    """
    # As bytes, because Python's own encoding of names raises UnicodeError for odd ones.
    found = socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
