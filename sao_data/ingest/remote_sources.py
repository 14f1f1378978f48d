"""Remote sources: their terms accepted, their services started, their folder in the dataset named.

Quotas and tokens live in services of the executor, which all workers ask; a unit of work carries addresses
and proxies, never a secret.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from sao_data.execution.executor import Executor, LocalExecutor
from sao_data.fetch import credentials
from sao_data.fetch.workspace import Workspace
from sao_data.ingest.plan import Plan
from sao_data.licences import Release
from sao_data.plugins import Source
from sao_data.records import Offer, Recording, Rejection
from sao_data.storage import layout
from sao_data.storage.backend import Storage, open_storage

log = logging.getLogger(__name__)


def to_ask(
    sources: Sequence[tuple[str, Source]], release: Release, url: str, *, accept_terms: bool = False
) -> tuple[Source, ...]:
    """Sources by plugin name, remote ones able to list and look up from this process (no login is needed for
    that); their answers and permits are kept in the dataset at `url`."""
    storage, executor, ready = open_storage(url), LocalExecutor(), []
    for place, (plugin, source) in enumerate(sources):
        remote: Any = source
        if getattr(source, "remote", False):
            credentials.from_environment()
            remote.check_terms(storage, release, accept=accept_terms)
            services = {name: executor.service(name, make) for name, make in remote.services(storage).items()}
            workspace = Workspace(url=url, folder=f"{layout.SOURCES}/{place}-{plugin}", permits=_Nobody())
            listing = {"only_listing": True} if hasattr(remote, "plan") else {}
            remote = remote.attached(workspace, services, **listing)
        ready.append(remote)
    return tuple(ready)


class Silent:
    """A source that is not asked now."""

    def check(self) -> None:
        """Nothing to look for."""

    def offers(self) -> Iterator[Offer | Rejection]:
        """Nothing."""
        yield from ()

    def open(self, recording: Recording) -> BinaryIO:
        raise FileNotFoundError(recording.audio_url)


def forecasts(plan: Plan, sources: tuple[Source, ...]) -> Iterator[tuple[int, Any]]:
    """(place in the manifest, what its `plan()` foresees) of every remote source that can tell.

    Writes nothing: its services live in this process and remember nothing.
    """
    executor = LocalExecutor()
    for place, source in enumerate(sources):
        remote: Any = source
        if not getattr(source, "remote", False) or not hasattr(source, "plan"):
            continue
        credentials.from_environment()
        services = {name: executor.service(name, make) for name, make in remote.services(None).items()}
        folder = f"{layout.SOURCES}/{place}-{plan.manifest.source[place].plugin}"
        workspace = Workspace(url=plan.url, folder=folder, permits=_Nobody())
        yield place, remote.attached(workspace, services, only_listing=True).plan()


class _Nobody:
    """Stands for permits until the source takes those of its service."""

    def ask(self) -> float:
        raise AssertionError("a remote source must take the permits of its service")

    def told(self, detail: str) -> None:
        self.ask()

    def next_at(self) -> float:
        return self.ask()

    def why(self) -> str:
        return str(self.ask())


def attach(
    plan: Plan, sources: tuple[Source, ...], storage: Storage, executor: Executor, *, accept_terms: bool
) -> Plan:
    """The plan with its remote sources ready to ask; UsageError if their terms are not accepted."""
    attached = []
    if any(getattr(source, "remote", False) for source in sources):
        credentials.from_environment()  # taken out of it before workers start, which would inherit it
    for place, source in enumerate(sources):
        remote: Any = source
        if not getattr(source, "remote", False):
            continue
        remote.check_terms(storage, plan.manifest.release, accept=accept_terms)
        services = {name: executor.service(name, make) for name, make in remote.services(storage).items()}
        folder = f"{layout.SOURCES}/{place}-{plan.manifest.source[place].plugin}"
        workspace = Workspace(url=plan.url, folder=folder, permits=_Nobody())
        attached.append((place, remote.attached(workspace, services)))
    if accept_terms and not attached:
        log.warning("--accept-terms: no source of %s asks for terms to be accepted", plan.manifest.name)
    return dataclasses.replace(plan, attached=tuple(attached)) if attached else plan
