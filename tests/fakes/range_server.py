"""Stands in for an object store on 127.0.0.1: a folder over HTTP, with byte ranges; notes what is asked."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, and how many bytes of a file went back."""

    method: str
    path: str
    num_bytes: int


@dataclass(slots=True)
class RangeServer:
    """The running server."""

    url: str
    requests: list[Request] = field(default_factory=list)


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[RangeServer]:
    """Serve a folder until left."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(is_body=False)

        def do_GET(self) -> None:
            self.answer(is_body=True)

        def answer(self, *, is_body: bool) -> None:
            path = folder / self.path.strip("/")
            status, data, said = 200, b"", {}
            if path.is_dir():
                data = "".join(f'<a href="{each.name}">{each.name}</a>' for each in path.iterdir()).encode()
            elif not path.is_file():
                status = 404
            else:
                data = path.read_bytes()
                said = {"Accept-Ranges": "bytes"}
                if wanted := re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", "")):
                    first, last = int(wanted[1]), min(int(wanted[2]), len(data) - 1)
                    said |= {"Content-Range": f"bytes {first}-{last}/{len(data)}"}
                    status, data = 206, data[first : last + 1]
            noted.requests.append(Request(method=self.command, path=self.path, num_bytes=len(data) * is_body))
            self.send_response(status)
            for name, value in (said | {"Content-Length": str(len(data))}).items():
                self.send_header(name, value)
            self.end_headers()
            if is_body:
                self.wfile.write(data)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    noted = RangeServer(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield noted
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
