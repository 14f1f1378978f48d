"""Where a stranger's list may send us: public addresses over http and https, nothing else, no credentials.

An address is looked at twice: its spelling before anything is sent, and the machine at the other end once the
connection stands and before a byte goes over it, so that no name in anybody's DNS leads into the network that
this runs in (the metadata service of a cloud, a router, a printer). Behind a proxy the proxy resolves names,
and only the spelling is looked at. Hosts of the operator's own network are let through by name.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Collection
from typing import Any

import requests.adapters
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from sao_data.plugins import DamagedFile

_URL = re.compile(
    r"(https?)://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:[/?][^\s\\\x00-\x1f\x7f]*)?",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_INNER = ("localhost", "local", "lan", "internal", "intranet", "home.arpa", "home", "corp")  # no public names
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # an IPv4 address in its last 32 bits (RFC 6052)
_MOST = 4000  # characters


def is_url(location: str) -> bool:
    """Is it an address rather than a path ("C:\\x" is neither)?"""
    return "://" in location or bool(_SCHEME.match(location) and location[1:2] != ":")


def problem(url: str, private_hosts: Collection[str]) -> str:
    """Why nothing must be sent there, as far as the spelling tells; '' if it may."""
    match = _URL.fullmatch(url)
    if match is None or len(url) > _MOST:
        scheme = url.partition(":")[0][:20]
        if scheme.lower() not in ("http", "https"):
            return f"{scheme!r} is not http or https"
        if "@" in url.partition("://")[2].partition("/")[0]:
            return "the address holds a login; nothing that holds one is sent"
        return "no address that can be asked: blanks are written %20, other alphabets in the host as xn--…"
    host = match[2].lower().strip("[]").rstrip(".")
    if host in map(str.lower, private_hosts) or not _is_inner(host):
        return ""
    return f"{host!r} is no public address; add it to source.private_hosts if it is one of yours"


def mount(pool: requests.Session, private_hosts: Collection[str]) -> None:
    """Let the session connect to public addresses and to `private_hosts` only."""
    for scheme in ("http://", "https://"):
        pool.mount(scheme, _Adapter(frozenset(private_hosts)))


def is_public(address: str) -> bool:
    """Is this the IP address of a machine on the public network?"""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        nat64 = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None
        if within := ip.ipv4_mapped or ip.sixtofour or nat64:
            return is_public(str(within))
    return ip.is_global and not ip.is_multicast


class _Adapter(requests.adapters.HTTPAdapter):
    def __init__(self, private_hosts: frozenset[str]) -> None:
        self._private_hosts = private_hosts
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        """Make the pools' connections look at the machine they reached. Proxies have a manager of their
        own."""
        super().init_poolmanager(*arguments, **named)
        self.poolmanager.pool_classes_by_scheme = _pools(self._private_hosts)


def _pools(private_hosts: frozenset[str]) -> dict[str, type[HTTPConnectionPool]]:
    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return _looked_at(super()._new_conn(), self.host, private_hosts)

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return _looked_at(super()._new_conn(), self.host, private_hosts)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def _looked_at(connected: socket.socket, host: str, private_hosts: frozenset[str]) -> socket.socket:
    """The connection, if it may be used; closed, and a DamagedFile, if it leads inwards."""
    address = connected.getpeername()[0]
    if host.strip("[]").rstrip(".").lower() in map(str.lower, private_hosts) or is_public(address):
        return connected
    connected.close()
    raise DamagedFile(
        f"{host!r} leads to {address}, which is no public address; nothing was sent "
        "(add the host to source.private_hosts if it is one of yours)"
    )


def _is_inner(host: str) -> bool:
    try:
        return not is_public(host)
    except ValueError:
        pass
    return "." not in host or any(host == name or host.endswith(f".{name}") for name in _INNER)
