"""An HTTP answer before it is on the wire, and the errors that become one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, NamedTuple


class Reply(NamedTuple):
    """What `handle` returns. Iterating over the body may raise ConnectionResetError or end too early."""

    status: int
    reason: str  # the standard phrase: the official client shows it instead of the body
    headers: dict[str, str]
    body: bytes | Iterator[bytes]

    def read(self) -> bytes:
        """The whole body."""
        return self.body if isinstance(self.body, bytes) else b"".join(self.body)

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.read())


class ApiError(Exception):
    """An error of the API, answered as {"detail": …}."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers or {}


def make(status: int, kind: str, body: bytes, headers: dict[str, str] | None = None) -> Reply:
    """A reply with its Content-Type and Content-Length."""
    fixed = {"Content-Type": kind, "Content-Length": str(len(body))}
    return Reply(status, HTTPStatus(status).phrase, fixed | (headers or {}), body)


def as_json(obj: object, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    """A JSON reply, compact and in UTF-8 as the server writes it."""
    try:
        body = json.dumps(obj, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # a lone surrogate in a hostile object
        body = json.dumps(obj, separators=(",", ":")).encode()
    return make(status, "application/json", body, {"Vary": "Accept"} | (headers or {}))


def html(status: int, title: str, text: str = "") -> Reply:
    """A web page, as nginx and Django's own errors are."""
    head = f"<head><title>{title}</title></head>"
    page = f"<html>\n{head}\n<body>\n<h1>{title}</h1>\n<p>{text}</p>\n</body>\n</html>\n"
    return make(status, "text/html; charset=utf-8", page.encode())


def redirect(location: str, status: int = 302) -> Reply:
    """A redirect without a body."""
    return make(status, "text/html; charset=utf-8", b"", {"Location": location})
