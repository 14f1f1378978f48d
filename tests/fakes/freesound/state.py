"""All that the fake's endpoints share, and one request as they see it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from tests.fakes.freesound.clock import Clock, Sleep
from tests.fakes.freesound.faults import Faults, Rule
from tests.fakes.freesound.oauth import Client, Credentials
from tests.fakes.freesound.objects import View, loads_category, names, sound_object
from tests.fakes.freesound.quirks import Quirks
from tests.fakes.freesound.record import Record
from tests.fakes.freesound.things import Sound
from tests.fakes.freesound.throttle import Throttle
from tests.fakes.freesound.timeline import Timeline
from tests.fakes.freesound.world import Rows, World

PreviewEncoder = Callable[[Sound, bytes, str], bytes]  # sound, original, "hq-mp3" → preview


@dataclass(slots=True, kw_only=True)
class State:
    """The parts of a fake server."""

    world: World
    origin: str
    cdn: str
    require_https: bool
    quirks: Quirks
    credentials: Credentials
    faults: Faults
    timeline: Timeline
    encode_preview: PreviewEncoder | None = None
    throttle: Throttle = field(default_factory=Throttle)
    record: Record = field(default_factory=Record)
    clock: Clock = time.time
    sleep: Sleep = time.sleep
    searches: dict[tuple[object, ...], Rows] = field(default_factory=dict)  # the last few results
    orders: dict[tuple[object, ...], Rows] = field(default_factory=dict)  # the last order of all rows


@dataclass(slots=True, kw_only=True)
class Call:
    """One request, after routing."""

    state: State
    method: str
    path: str  # decoded
    raw_query: str
    params: dict[str, str]  # decoded once; the last of equal names counts
    headers: dict[str, str]  # names in lower case
    body: bytes
    is_secure: bool
    endpoint: str
    number: int  # within the endpoint, from 1
    groups: tuple[str, ...]  # of the route
    now: float
    rule: Rule | None = None
    client: Client | None = None
    user: str = ""  # of a bearer token

    @property
    def resource(self) -> str:
        """Method and URL."""
        return f"{self.method} {self.path}?{self.raw_query}"

    def form(self) -> dict[str, str]:
        """The body as a submitted form."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))

    @property
    def origin(self) -> str:
        """The scheme and host that were called: list endpoints build their links from it."""
        host = self.headers.get("host")
        return f"{'https' if self.is_secure else 'http'}://{host}" if host else self.state.origin

    def view(self) -> View:
        """How this reply shows things."""
        state = self.state
        return View(world=state.world, quirks=state.quirks, origin=state.origin, cdn=state.cdn)

    def objects(
        self, sounds: Sequence[Sound | None], default: str | None = None, *, is_detail: bool = False
    ) -> list[dict[str, Any] | None]:
        """Sounds as the `fields` parameter wants them."""
        wanted = names(self.params.get("fields") or default)
        view = dataclasses.replace(
            self.view(),
            is_detail=is_detail,
            category_is_loaded=not self.state.quirks.speech_trap or loads_category(wanted),
            score=1.0 if self.endpoint == "search" else None,
        )
        return [None if sound is None else sound_object(view, sound, wanted) for sound in sounds]
