"""A freesound_api source that asks the fake server without sockets, on its clock, through the real Web."""

from __future__ import annotations

import dataclasses
import io
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests
import urllib3
from requests.adapters import BaseAdapter

from sao_data.errors import Stopped
from sao_data.fetch.permits import LEVELS, Permits
from sao_data.fetch.web import Web
from sao_data.fetch.workspace import Workspace
from sao_data.records import Offer, Rejection
from sao_data.sources import freesound_api
from sao_data.sources.freesound_api import Config, FreesoundApi
from tests.fakes.freesound import FakeFreesound, Quirks, SimulatedClock, World

ORIGIN, CDN = "http://127.0.0.1:1", "http://127.0.0.1:2"
EVERYTHING: tuple[str, ...] = ()


class InProcess(BaseAdapter):
    """What a connection to the fake would carry."""

    def __init__(self, fake: FakeFreesound, stop_at: int = 0) -> None:
        super().__init__()
        self._fake, self._left = fake, stop_at

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        self._left -= 1
        if self._left == 0:
            raise Stopped("stopped by the test")
        headers: Mapping[str, str] = {name: str(value) for name, value in request.headers.items()}
        try:
            reply = self._fake.handle(str(request.method), str(request.url), headers)
        except ConnectionResetError as error:
            raise requests.ConnectionError("reset") from error
        is_whole = isinstance(reply.body, bytes)
        body = io.BytesIO(reply.body) if is_whole else io.BufferedReader(_Pieces(reply.body))
        raw = urllib3.HTTPResponse(
            body=body,
            headers=reply.headers,
            status=reply.status,
            preload_content=False,
            enforce_content_length=True,
        )
        response = requests.Response()
        response.status_code, response.raw, response.url = reply.status, raw, str(request.url)
        response.headers = requests.structures.CaseInsensitiveDict(reply.headers)
        response.reason, response.request = reply.reason, request
        return response

    def close(self) -> None:
        """Nothing is open."""


class _Pieces(io.RawIOBase):
    """A body that may end too early, or with a reset."""

    def __init__(self, pieces: Any) -> None:
        self._pieces, self._rest = iter(pieces), b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            try:
                self._rest = next(self._pieces)
            except StopIteration:
                return 0
            except ConnectionResetError as error:
                raise urllib3.exceptions.ProtocolError("reset", error) from error
        num = min(len(buffer), len(self._rest))
        buffer[:num], self._rest = self._rest[:num], self._rest[num:]
        return num


class Login:
    """The fake's own key and a login, as a Tokens would give them."""

    def __init__(self, fake: FakeFreesound) -> None:
        self._fake = fake
        self._token = fake.login().access

    def key(self) -> str:
        return self._fake.client.key

    def bearer(self) -> str:
        return self._token

    def expired(self, token: str) -> str:
        self._token = self._fake.login().access
        return self._token


def fake_of(world: World, *, level: int = 99, quirks: Quirks | None = None) -> FakeFreesound:
    clock = SimulatedClock()
    fake = FakeFreesound(world, level=level, quirks=quirks, clock=clock, sleep=clock.sleep)
    fake.origin, fake.cdn = ORIGIN, CDN
    return fake


def source_of(
    fake: FakeFreesound, folder: Path, *, stop_at: int = 0, max_wait_s: float = 1e9, **config: Any
) -> FreesoundApi:
    """A source whose requests go to the fake; the `stop_at`-th of them is not sent, Stopped is raised."""
    settings = {"base_url": f"{ORIGIN}/apiv2/", "cdn_url": f"{CDN}/", "level": fake.client.level, **config}
    permits = Permits(LEVELS[fake.client.level], None, "", fake.clock)
    workspace = Workspace(
        url=str(folder), folder="work/sources/0-freesound_api", permits=permits, tokens=Login(fake)
    )
    wire = InProcess(fake, stop_at)

    def connect(config: Config, work: Workspace) -> Web:
        web = Web(
            config.base_url, work.tokens, work.permits, user_agent="sao-test/1", max_wait_s=max_wait_s,
            clock=fake.clock, sleep=fake.sleep, rng=random.Random(1),
        )  # fmt: skip
        web._pool.mount("http://", wire)
        return web

    made = freesound_api.build(Config(**settings))
    return dataclasses.replace(made, workspace=workspace, connect=connect, clock=fake.clock)


def listed(source: FreesoundApi) -> dict[str, Offer]:
    """All offers by id; each must come once, and nothing be rejected."""
    found: dict[str, Offer] = {}
    for one in source.offers():
        assert isinstance(one, Offer), one
        assert one.recording.id not in found, f"{one.recording.id} twice"
        found[one.recording.id] = one
    return found


def rejected(source: FreesoundApi) -> list[Rejection]:
    return [one for one in source.offers() if isinstance(one, Rejection)]


def ids_of(world: World) -> set[str]:
    return {f"freesound:{number}" for number in world.ids()}
