"""Stands in for AcoustID on 127.0.0.1: plays a list of answers, the last for ever; notes what it heard."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

KEY = "sEcReT0Key"  # what the client is given in tests


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One response."""

    status: int = 200
    body: str = ""
    content_type: str = "application/json"
    location: str = ""
    is_slow: bool = False  # nothing is said until the server closes


@dataclass(slots=True)
class FakeAcoustId:
    """The running server."""

    url: str
    requests: list[dict[str, str]] = field(default_factory=list)  # the forms, in order
    paths: list[str] = field(default_factory=list)


def ok(*results: dict[str, object]) -> Answer:
    """Status ok; no results unless given."""
    return Answer(body=json.dumps({"status": "ok", "results": results}))


def result(score: float, *recordings: dict[str, object], track: str = "track-1") -> dict[str, object]:
    """One result, named by these recordings."""
    return {"id": track, "score": score} | ({"recordings": list(recordings)} if recordings else {})


def recording(title: str, *artists: str, own_id: str = "mbid-1") -> dict[str, object]:
    """A MusicBrainz recording as AcoustID gives it."""
    return {"id": own_id, "title": title, "artists": [{"id": name, "name": name} for name in artists]}


def error(code: int, message: str, status: int = 400) -> Answer:
    """An error as AcoustID words it."""
    body = json.dumps({"status": "error", "error": {"code": code, "message": message}})
    return Answer(status=status, body=body)


RATE_LIMITED = error(14, "rate limit exceeded", 429)
INTERNAL = error(5, "internal error", 500)
WRONG_KEY = error(4, f"invalid API key {KEY}")
BAD_GATEWAY = Answer(status=502, body="<html><h1>502 Bad Gateway</h1></html>", content_type="text/html")
SLOW = Answer(is_slow=True)


@contextlib.contextmanager
def running(*answers: Answer) -> Iterator[FakeAcoustId]:
    """Serve these answers, one a request."""
    closing = threading.Event()
    waiting = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            fake.requests.append({key: values[0] for key, values in parse_qs(body).items()})
            self._answer()

        def do_GET(self) -> None:
            fake.requests.append({})
            self._answer()

        def _answer(self) -> None:
            fake.paths.append(self.path)
            answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            if answer.is_slow:
                closing.wait()
                return
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            if answer.location:
                self.send_header("Location", answer.location)
            self.send_header("Content-Length", str(len(answer.body.encode())))
            self.end_headers()
            self.wfile.write(answer.body.encode())

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake = FakeAcoustId(f"http://127.0.0.1:{server.server_address[1]}/v2/lookup")
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01))
    thread.start()
    try:
        yield fake
    finally:
        closing.set()
        server.shutdown()
        thread.join()
        server.server_close()
