"""Where the page listens."""

from __future__ import annotations

import socket

from sao_data.errors import UsageError

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def listen(host: str, port: int) -> socket.socket:
    """A socket on that address, port 0 for any free one; UsageError if it cannot be had."""
    if not 0 <= port <= 65_535:
        raise UsageError(f"--port {port}: give 0 (any free one) to 65535")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise UsageError(
            f"--host {host} --port {port}: {error.strerror or error}; give another --port (0: any free one)"
        ) from error


def url(listening: socket.socket) -> str:
    """The address of a socket as a browser takes it."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def is_loopback(listening: socket.socket) -> bool:
    """Is it for this machine alone?"""
    return listening.getsockname()[0] in LOOPBACK
