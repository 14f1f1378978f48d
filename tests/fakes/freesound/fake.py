"""The facade: a whole fake Freesound, in process or on two ports of 127.0.0.1."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.fakes.freesound import app
from tests.fakes.freesound.clock import Clock, Sleep
from tests.fakes.freesound.faults import Faults
from tests.fakes.freesound.oauth import Credentials, Token
from tests.fakes.freesound.quirks import Quirks
from tests.fakes.freesound.record import Record
from tests.fakes.freesound.reply import Reply
from tests.fakes.freesound.server import Server
from tests.fakes.freesound.state import PreviewEncoder, State
from tests.fakes.freesound.timeline import Timeline
from tests.fakes.freesound.world import World


class FakeFreesound(State):
    """A Freesound of its own. `with FakeFreesound(world) as fake:` listens; `fake.handle(…)` needs no socket.

    `level` is the throttling level of the one credential it starts with (99: no limits).
    """

    def __init__(
        self,
        world: World | None = None,
        *,
        level: int = 1,
        quirks: Quirks | None = None,
        seed: int = 1,
        clock: Clock = time.time,
        sleep: Sleep = time.sleep,
        require_https: bool = False,
        port: int = 0,
        cdn_port: int = 0,
        client_id: str = "",
        key: str = "",
        encode_preview: PreviewEncoder | None = None,
        record_path: Path | None = None,
    ) -> None:
        world = world if world is not None else World()
        super().__init__(
            world=world,
            origin="https://freesound.org",
            cdn="https://cdn.freesound.org",
            require_https=require_https,
            quirks=quirks if quirks is not None else Quirks(seed=seed),
            credentials=Credentials(clock),
            faults=Faults(seed),
            timeline=Timeline(world),
            encode_preview=encode_preview,
            record=Record(record_path),
            clock=clock,
            sleep=sleep,
        )
        self.client = self.credentials.add_client(client_id=client_id, key=key, level=level)
        self._ports = (port, cdn_port)
        self._servers: list[Server] = []

    @property
    def base(self) -> str:
        """What a client is given instead of https://freesound.org/apiv2/."""
        return f"{self.origin}/apiv2/"

    def handle(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Reply:
        """Answer a request in process; `url` is absolute, or a path on the API host."""
        return app.handle(self, method, url, headers or {}, body)

    def get(self, url: str, params: str = "", *, bearer: Token | None = None) -> Reply:
        """GET in process with this fake's key, or as a bearer; `url` may be "search/", `params` is raw."""
        header = f"Bearer {bearer.access}" if bearer else f"Token {self.client.key}"
        full = url if url.startswith(("/", "http")) else "/apiv2/" + url
        return self.handle("GET", full + ("?" + params if params else ""), {"Authorization": header})

    def login(self, user: str = "operator") -> Token:
        """A live access token of this user for the fake's own application."""
        self.world.ensure_user(user)
        return self.credentials.issue(self.client.client_id, user)

    def start(self) -> Self:
        """Listen; `origin` and `cdn` become the addresses of the two ports."""
        self._servers = [Server(port) for port in self._ports]
        self.origin, self.cdn = (server.origin for server in self._servers)
        for server in self._servers:
            server.start(self.handle)
        return self

    def close(self) -> None:
        """Stop listening. The record and the world stay readable."""
        for server in self._servers:
            server.close()
        self._servers = []

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
