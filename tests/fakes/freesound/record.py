"""What was asked of the fake: every request, without secrets, with the questions tests put to the record."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter, deque
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(slots=True, kw_only=True)
class Request:
    """One request and how it was answered."""

    number: int  # 1, 2, … over all endpoints
    time: float  # of the fake's clock
    method: str
    path: str
    query: dict[str, str]  # decoded; a token in it is replaced by "***"
    raw_query: str  # as sent, likewise
    host: str  # "api" or "cdn"
    endpoint: str = "unknown"  # "search", "sound", "download", "preview", …
    auth: str = ""  # "token", "query token", "bearer", "other", '' = none
    fingerprint: str = ""  # of the credential: 8 hex digits of its sha256
    user_agent: str = ""
    range: str = ""
    thing: str = ""  # the id or name in the path
    status: int = 0  # 0: the connection was cut before a status
    fault: str = ""  # the injected fault, if any


@dataclass(slots=True)
class Record:
    """The requests so far. Thread-safe; `entries` is in the order of arrival."""

    path: Path | None = None  # JSON lines are appended here as well
    entries: list[Request] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _by_endpoint: Counter[str] = field(default_factory=Counter)

    def arrive(self, request: Request) -> int:
        """Add a request; its number within its endpoint, from 1."""
        with self._lock:
            self.entries.append(request)
            request.number = len(self.entries)
            self._by_endpoint[request.endpoint] += 1
            return self._by_endpoint[request.endpoint]

    def answered(self, request: Request, status: int) -> None:
        """Note how it went."""
        request.status = status
        if self.path is not None:
            line = json.dumps(asdict(request), ensure_ascii=False)
            with self._lock, self.path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(line + "\n")

    def of(self, *endpoints: str, statuses: Collection[int] = ()) -> list[Request]:
        """Requests to these endpoints (none given: to all), with these statuses (none given: any)."""
        with self._lock:
            return [
                r for r in self.entries
                if (not endpoints or r.endpoint in endpoints) and (not statuses or r.status in statuses)
            ]  # fmt: skip

    def counts(self) -> dict[str, int]:
        """Requests per endpoint."""
        with self._lock:
            return dict(self._by_endpoint)

    def statuses(self, *endpoints: str) -> dict[int, int]:
        """Answers per status."""
        return dict(Counter(request.status for request in self.of(*endpoints)))

    def per_thing(self, endpoint: str) -> dict[str, int]:
        """Requests per sound id, user name or pack id: did anything come twice?"""
        return dict(Counter(request.thing for request in self.of(endpoint)))

    def most_within(self, seconds: float, *, passed_only: bool = False) -> int:
        """The largest number of requests to the API in any window of that length (the CDN is not counted)."""
        window: deque[float] = deque()
        most = 0
        for request in self.of():
            if request.host == "api" and not (passed_only and request.status == 429):
                window.append(request.time)
                while window[0] <= request.time - seconds:
                    window.popleft()
                most = max(most, len(window))
        return most

    @property
    def leaks(self) -> list[Request]:
        """Requests that brought a credential to the CDN."""
        return [request for request in self.of() if request.host == "cdn" and request.auth]

    def clear(self) -> None:
        """Forget everything, counters included."""
        with self._lock:
            self.entries.clear()
            self._by_endpoint.clear()


def fingerprint(secret: str) -> str:
    """Enough to tell credentials apart, too little to use one."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()[:8] if secret else ""
