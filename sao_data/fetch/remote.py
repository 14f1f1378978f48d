"""What a source over a network is, and making it ready to ask: terms, services, its folder in the dataset.

Quotas and tokens are kept by services that all workers ask; a unit of work carries addresses and proxies,
never a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from sao_data.fetch import credentials
from sao_data.fetch.workspace import Workspace
from sao_data.licences import Release
from sao_data.plugins import Source
from sao_data.records import Offer, Recording, Rendition
from sao_data.storage import layout
from sao_data.storage.backend import Storage

Services = Mapping[str, Any]  # by name: plain objects, or proxies of those on another node
Start = Callable[[str, Callable[[], Any]], Any]  # name, factory → service: Executor.service


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What a source says of the file that it has just transferred."""

    rendition: Rendition = "original"
    suffix: str = ""  # ".wav", of the file's name at the source; '' = not stated


@runtime_checkable
class RemoteSource(Source, Protocol):
    """A source whose files come over a network."""

    def fetch(self, recording: Recording, partial: Path) -> Fetched:
        """Transfer the whole file into `partial`, going on behind what is there already. FileNotFoundError,
        DamagedFile: facts; Stopped: not now; other OSErrors: transient failures."""

    def is_stale(self, recording: Recording) -> bool:
        """Was it read too long ago to fetch it on the strength of that?"""

    def look_up(self, ids: Iterable[str]) -> Iterator[Offer]:
        """What the source says of these works now; those that it no longer offers are left out."""


@runtime_checkable
class AttachableSource(RemoteSource, Protocol):
    """A remote source that is made ready where the run was started, then sent to the workers."""

    remote: ClassVar[bool]  # True

    def check_terms(self, storage: Storage, release: Release, *, accept: bool) -> None:
        """UsageError unless its terms of use were accepted for this release, or are with `accept`."""

    def services(self, storage: Storage | None) -> Mapping[str, Callable[[], Any]]:
        """What all workers share, by name, with how it is made; without a storage nothing is remembered."""

    def attached(self, workspace: Workspace, services: Services) -> AttachableSource:
        """A copy that can ask. It pickles and holds no secret."""


class SourceForecast(Protocol):
    """What a source foresees of itself without being listed."""

    @property
    def num_sounds(self) -> int: ...
    @property
    def seconds(self) -> float: ...
    @property
    def num_bytes(self) -> int: ...
    def lines(self) -> Iterator[str]:
        """For people."""


@runtime_checkable
class ForecastingSource(Protocol):
    """A remote source that can tell what it holds by a question or two."""

    def plan(self) -> SourceForecast:
        """What a run would ask; nothing is written."""

    def attached(self, workspace: Workspace, services: Services, *, only_listing: bool) -> ForecastingSource:
        """A copy that can ask; with `only_listing` one that needs no login."""


def attachable(source: Source) -> AttachableSource | None:
    """The source, if it has to be attached."""
    return source if isinstance(source, AttachableSource) and source.remote else None


def attach(
    source: AttachableSource, workspace: Workspace, start: Start, release: Release, *, accept_terms: bool
) -> AttachableSource:
    """The source ready to ask; UsageError if its terms are not accepted."""
    credentials.from_environment()  # taken out of it before workers start, which would inherit it
    storage = workspace.storage
    source.check_terms(storage, release, accept=accept_terms)
    return source.attached(workspace, _started(source, storage, start))


def attach_to_list(source: AttachableSource, workspace: Workspace, start: Start) -> AttachableSource:
    """The source ready to list and to look up, terms apart; no login is needed for that where it can tell
    these from fetching."""
    credentials.from_environment()
    services = _started(source, workspace.storage, start)
    if isinstance(source, ForecastingSource):
        able = source.attached(workspace, services, only_listing=True)
        assert isinstance(able, AttachableSource)
        return able
    return source.attached(workspace, services)


def forecast(source: AttachableSource, workspace: Workspace, start: Start) -> SourceForecast | None:
    """What the source foresees; None if it cannot tell. Its services remember nothing."""
    if not isinstance(source, ForecastingSource):
        return None
    credentials.from_environment()
    return source.attached(workspace, _started(source, None, start), only_listing=True).plan()


def workspace_of(url: str, place: int, plugin: str) -> Workspace:
    """The folder of a manifest's source in a dataset; its permits are those of its service."""
    return Workspace(url=url, folder=f"{layout.SOURCES}/{place}-{plugin}", permits=_NoPermits())


def _started(source: AttachableSource, storage: Storage | None, start: Start) -> dict[str, Any]:
    return {name: start(name, make) for name, make in source.services(storage).items()}


class _NoPermits:
    """Stands for permits until the source takes those of its service."""

    def ask(self) -> float:
        raise AssertionError("a remote source must take the permits of its service")

    def report_refusal(self, detail: str) -> None:
        self.ask()

    def next_at(self) -> float:
        return self.ask()

    def why(self) -> str:
        return str(self.ask())
