"""Freesound over its API (v2): lists by filters or ids, reads claims again, fetches originals or previews.

Facts about the source, from its server code and documentation, checked 2026-07-30:

- Terms: https://freesound.org/help/tos_api/ (free for non-commercial use, else ask mtg@upf.edu; do not
  replicate Freesound; credit it and its users; one key per application). Sounds keep their own licences.
- Licences: the filter takes a name without a version ("Attribution" is BY 3.0 or 4.0), the reply has the
  deed's URL, which is what counts. A licence may change later: the reply kept as evidence is the proof.
- Generative-AI preference: `gen_ai_preference`, per uploader, since July 2026; wrong for speech unless the
  category is asked for with it, which is always done.
- Rate limits: level 1 60 requests a minute and 2,000 a day, level 2 300 and 5,000, level 3 300 and 15,000. A
  page of 150 sounds is a request, an original is one. Previews (Ogg, about 192 kbit/s) are not limited.

A listing may take days: every answer is kept in the source's workspace and never asked for again, so the same
command continues it. Its end is pinned when it begins. A finished one is used as it is; `listing` says
when to list anew. Within `ids` and `ids_file` nothing else is listed and licences are not looked at: that
is left to the policy, and what is not offered (any more) is rejected as `not_offered`.
Other rejections: `bad_metadata`, `bad_id`, `bad_type`, as of the source freesound.
"""

from __future__ import annotations

import dataclasses
import functools
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from sao_data import __version__
from sao_data.errors import Stopped, UsageError
from sao_data.fetch import credentials, terms
from sao_data.fetch.permits import Permits
from sao_data.fetch.remote import Fetched, Services
from sao_data.fetch.tokens import Tokens
from sao_data.fetch.web import Web
from sao_data.fetch.wire import TransientError, checked_base
from sao_data.fetch.workspace import Workspace
from sao_data.licences import Release
from sao_data.records import Offer, Recording, Rejection
from sao_data.sources._common import work_list
from sao_data.sources._common.cells import Remarks
from sao_data.sources._freesound import config as _freesound_config
from sao_data.sources._freesound import files, offers
from sao_data.sources._freesound.config import FreesoundConfig
from sao_data.sources._freesound.forecast import Forecast, forecast
from sao_data.sources._freesound.listing import Pin, Pins, Scope, by_ids, numbers_of, walk
from sao_data.sources._freesound.search import Api, ResponseCache, ResultPage, Search
from sao_data.storage import layout
from sao_data.storage.backend import Storage

VERSION = 1
PERMITS, TOKENS = "freesound-permits", "freesound-tokens"  # services


Config = FreesoundConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class FreesoundApi:
    """The Source over the API; `attached` gives it a workspace, without which nothing can be asked."""

    config: Config
    workspace: Workspace | None = None
    connect: Callable[[Config, Workspace], Api] | None = None  # None: over the network
    clock: Callable[[], float] = time.time
    tally: Remarks = field(default_factory=Remarks, compare=False, repr=False)

    remote: ClassVar[bool] = True

    def check(self) -> None:
        """Raise UsageError unless the configuration makes sense. Sends nothing, needs no key."""
        _freesound_config.check(self.config)
        _freesound_config.check_date(
            self.config, datetime.fromtimestamp(self.clock(), UTC).date().isoformat()
        )
        if self.config.ids_file and self.workspace is None:  # attached: a worker, which does not list
            work_list.read(self.config.ids_file)

    def check_terms(self, storage: Storage, release: Release, *, accept: bool) -> None:
        """UsageError unless the API's terms of use were accepted for this release, or are with `accept`."""
        terms.check(storage, release, permission=self.config.permission, accept=accept, clock=self.clock)

    def services(self, storage: Storage | None) -> Mapping[str, Callable[[], Any]]:
        """What all workers share, for executor.service: the permits of the one API key, and its secrets."""
        windows = _freesound_config.windows(self.config)
        return {
            PERMITS: functools.partial(Permits, windows, storage, f"{layout.SOURCES}/{PERMITS}.json"),
            TOKENS: functools.partial(Tokens, checked_base(self.config.base_url)),
        }

    def attached(
        self, workspace: Workspace, services: Services, *, only_listing: bool = False
    ) -> FreesoundApi:
        """The same source, able to ask; it pickles. Call it where the run was started: the secrets are there.

        UsageError if there is no API key, or no login although originals are wanted (not asked for with
        `only_listing`).
        """
        _freesound_config.check(self.config)
        login = self.config.rendition == "original" and not only_listing
        secrets = credentials.require(login=login, base_url=checked_base(self.config.base_url))
        services[TOKENS].set_credential(secrets)
        able = dataclasses.replace(workspace, permits=services[PERMITS], tokens=services[TOKENS])
        return dataclasses.replace(self, workspace=able)

    def offers(self) -> Iterator[Offer | Rejection]:
        """Every sound once; goes on where an earlier listing stopped. Stopped: run the same command again."""
        self.check()
        self.tally.clear()
        try:
            yield from self._named() if self._is_named else self._listed()
        except TransientError as error:
            raise Stopped(f"{error}; what was listed is kept: run the same command again") from error

    def remarks(self) -> tuple[str, ...]:
        """What is to be said of the sounds once they are listed."""
        return self.tally.sentences("freesound_api")

    def is_stale(self, recording: Recording) -> bool:
        """Was it read longer ago than `max_claim_age_hours`?"""
        return recording.retrieved_at < self._oldest()

    def look_up(self, ids: Iterable[str]) -> Iterator[Offer]:
        """What the API says now of these ids (at most `max_claim_age_hours` ago), 150 a request; withdrawn
        ones and those of other sources are passed over."""
        search = self._search("looked_up", not_before=self._oldest())
        for found in by_ids(search, numbers_of(ids), self.config.page_size):
            offer = None if isinstance(found, int) else self._offer(*found)
            if isinstance(offer, Offer):
                yield offer

    def fetch(self, recording: Recording, partial: Path) -> Fetched:
        """Fetch a sound's bytes to `partial`, going on from what is there, and check them. FileNotFoundError
        and DamagedFile are facts; Stopped: quota, full disk; other OSErrors are transient."""
        return files.fetch(self._web(), recording, partial, self.config.rendition)

    def open(self, recording: Recording) -> BinaryIO:
        """Fetch a sound's bytes and open them; the file has no name and is gone when closed."""
        with tempfile.TemporaryDirectory(prefix="sao-freesound-") as folder:
            path = Path(folder, "sound")
            self.fetch(recording, path)
            return path.open("rb")

    def plan(self) -> Forecast:
        """What a run would ask, by one request per licence; nothing is written."""
        self.check()
        scope, work = self._scope(), self._work
        pin = Pins(work.storage, work.name("listing.json")).find(scope)
        return forecast(
            Search(self._web(), None),
            {} if self._is_named else _freesound_config.filters_by_licence(self.config, self.clock()),
            scope.text,
            num_named=len(self._numbers()),
            rendition=self.config.rendition,
            page_size=self.config.page_size,
            listed=ResponseCache(work.storage, work.name("pages", str(pin.number if pin else 1))).num(),
        )

    def notes(self) -> tuple[str, ...]:
        """What a reader of the dataset should know of this source."""
        notes = ["Sounds come from Freesound (https://freesound.org) and its users, listed over its API."]
        if self.config.rendition == "preview":
            notes.append(
                "Audio is Freesound's preview of each sound (lossy, about 192 kbit/s), not the file uploaded."
            )
        pin = self._pin() if self.workspace else None
        if pin and pin.num_null:
            notes.append(f"Freesound's index had {pin.num_null} places without a sound when it was listed.")
        return tuple(notes)

    def _listed(self) -> Iterator[Offer | Rejection]:
        config, scope = self.config, self._scope()
        pins = Pins(self._work.storage, self._work.name("listing.json"))
        first, last = _freesound_config.span(config)
        pin = pins.begin(scope, last, _freesound_config.relist_before(config), self.clock())
        going = walk(self._search(f"pages/{pin.number}"), scope, first, pin.last, config.page_size)
        for found in going.rows():
            yield self._offer(*found)
        done = dataclasses.replace(pin, found=len(going.seen), stated=going.count, num_null=going.num_null)
        if done != pin:
            pins.keep(scope, done)

    def _named(self) -> Iterator[Offer | Rejection]:
        """The sounds asked for by their ids; those that are not there as Rejections."""
        pins = Pins(self._work.storage, self._work.name("listing.json"))
        pin = pins.begin("ids", 0, _freesound_config.relist_before(self.config), self.clock())
        search = self._search(f"pages/{pin.number}")
        for found in by_ids(search, self._numbers(), self.config.page_size):
            if isinstance(found, int):
                detail = f"Freesound does not list sound {found} (any more)"
                yield Rejection(id=f"freesound:{found}", stage="list", reason="not_offered", detail=detail)
            else:
                yield self._offer(*found)

    @property
    def _is_named(self) -> bool:
        return bool(self.config.ids or self.config.ids_file)

    def _numbers(self) -> tuple[int, ...]:
        named = self.config.ids
        if self.config.ids_file:
            named += work_list.wanted(self.config.ids_file, "freesound")
        return tuple(dict.fromkeys(named))

    def _scope(self) -> Scope:
        return _freesound_config.scope(self.config)

    def _pin(self) -> Pin | None:
        return Pins(self._work.storage, self._work.name("listing.json")).find(self._scope())

    def _offer(self, sound: dict[str, object], page: ResultPage) -> Offer | Rejection:
        return offers.offer(sound, page, *_places(self.config), self.tally)

    def _search(self, folder: str, *, not_before: str = "") -> Search:
        cache = ResponseCache(self._work.storage, self._work.name(folder))
        return Search(self._web(), cache, not_before=not_before)

    def _oldest(self) -> str:
        """When a claim that counts as today's was read at the earliest."""
        moment = datetime.fromtimestamp(self.clock() - 3600 * self.config.max_claim_age_hours, UTC)
        return f"{moment:%Y-%m-%dT%H:%M:%SZ}"

    def _web(self) -> Api:
        if self.connect:
            return self.connect(self.config, self._work)
        work, agent = self._work, f"sao/{__version__}"
        return Web(self.config.base_url, work.tokens, work.permits, user_agent=agent)

    @property
    def _work(self) -> Workspace:
        if self.workspace is None:
            raise UsageError("freesound_api: not attached to a dataset; this command cannot ask the API")
        return self.workspace


def build(config: Config) -> FreesoundApi:
    """Make the source."""
    return FreesoundApi(config=config)


def recording(raw: str, config: Config) -> Recording:
    """Read a sound from the raw text of its Offer; ValueError if it is none."""
    return offers.recording(raw, *_places(config))


def forget(storage: Storage, folder: str, ids: Collection[str]) -> None:
    """Take these recordings out of what is remembered in a workspace's folder: of a sound only its id and
    date are left, which a listing needs to go on."""
    for name in (
        "looked_up",
        *(f"pages/{number}" for number in Pins(storage, f"{folder}/listing.json").numbers()),
    ):
        ResponseCache(storage, f"{folder}/{name}").forget(frozenset(numbers_of(ids)))


def _places(config: Config) -> tuple[str, str]:
    """Where previews lie, and originals ('' where previews are wanted)."""
    original = config.base_url + "sounds/{}/download/"
    return config.cdn_url, original if config.rendition == "original" else ""
