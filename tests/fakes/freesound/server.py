"""The fake on real sockets: two ports of 127.0.0.1, one for the API and one for the CDN."""

from __future__ import annotations

import socket
import struct
import sys
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.fakes.freesound.reply import Reply

Handle = Callable[[str, str, Mapping[str, str], bytes], Reply]
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with RST


class Server:
    """One listening port; each connection has a thread."""

    def __init__(self, port: int = 0) -> None:
        self._http = _Http(("127.0.0.1", port), _Handler)
        self._thread: threading.Thread | None = None

    @property
    def origin(self) -> str:
        """http://127.0.0.1:PORT."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def start(self, handle: Handle) -> None:
        """Answer requests until `close`."""
        self._http.handle_call, self._http.origin = handle, self.origin
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, name=self.origin, daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening and cut the connections that are still open."""
        if self._thread is not None:
            self._http.shutdown()
            self._thread.join()
        self._http.cut()
        self._http.server_close()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    handle_call: Handle
    origin: str

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self._open: set[Any] = set()
        self._lock = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error of ours; anything else is a defect of the fake."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    def cut(self) -> None:
        with self._lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:  # it is gone already
                    continue


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "nginx", ""
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Http

    def _do(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        url = self.path if "://" in self.path.partition("?")[0] else self.server.origin + self.path
        try:
            reply = self.server.handle_call(self.command, url, dict(self.headers.items()), body)
        except ConnectionResetError:
            self._reset()
            return
        self._send(reply)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _do

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status, reply.reason)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if isinstance(reply.body, bytes):
            self.wfile.write(reply.body)
            return
        try:
            for piece in reply.body:
                self.wfile.write(piece)
                self.wfile.flush()
        except ConnectionResetError:
            self._reset()
        self.close_connection = True  # a body in pieces may have ended too early

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.connection.close()

    def log_message(self, *_: Any) -> None:
        """Say nothing: the record has it all."""
