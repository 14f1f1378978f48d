"""Web addresses in one normal form (RFC 3986, 6.2.2 and 6.2.3), so that equal addresses are equal text.

Case of scheme and host, the scheme's own port, a dot behind the host, percent-encoded letters, dot segments
and an empty path make no difference. A login in front of the host is never dropped: what holds one is an
address of its own, and of no host that is known here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_PARTS = re.compile(r"(?:([a-z][a-z0-9+.-]*):)?//([^/?#\\]*)([^?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_PORTS = {"http": "80", "https": "443"}
_ENCODED = re.compile(r"%([0-9a-f]{2})", re.IGNORECASE)
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An http(s) address in its parts, each in normal form."""

    scheme: str  # '' = not stated ("//host/path")
    host: str  # with its port, where that is not the scheme's own; with the login, if it holds one
    path: str  # begins with a slash
    rest: str  # query and fragment with their signs

    def __str__(self) -> str:
        return f"{self.scheme}{':' if self.scheme else ''}//{self.host}{self.path}{self.rest}"


def split(text: str) -> Address | None:
    """The address in normal form; None for what is none of http or https."""
    match = _PARTS.fullmatch(text.strip())
    scheme = (match[1] or "").lower() if match else ""
    if match is None or scheme not in ("", *_PORTS):
        return None
    authority, path, rest = (_ENCODED.sub(_decoded, part) for part in match.groups()[1:])
    return Address(scheme=scheme, host=host(authority, scheme), path=without_dots(path) or "/", rest=rest)


def normal(text: str) -> str:
    """The address in normal form; other text as it is."""
    address = split(text)
    return text if address is None or not address.host else str(address)


def host_of(text: str) -> str:
    """The host in lower case without "www.", '' = no address; scheme may be left out ("example.org/x")."""
    address = split(text if "//" in text[:10] else f"//{text}")
    return address.host.removeprefix("www.") if address else ""


def without_dots(path: str) -> str:
    """Dot segments removed (RFC 3986, 5.2.4)."""
    if "/." not in path:
        return path
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments[1:]:
        if segment == "..":
            kept = kept[:-1]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


def host(authority: str, scheme: str) -> str:
    """Host, port and login in normal form: without the scheme's own port, and without a dot at the end."""
    login, at, place = authority.rpartition("@")
    name, colon, port = place.partition(":") if not place.startswith("[") else (place, "", "")
    name = name.lower()
    name = name[:-1] if name.endswith(".") and not name.endswith("..") else name
    has_port = bool(colon and port) and port != _PORTS.get(scheme, "")
    return f"{login}{at}{name}{f':{port}' if has_port else ''}"


def _decoded(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if character in _UNRESERVED else match[0].upper()
