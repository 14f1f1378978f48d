"""The remote sources of a manifest, made ready: for a run, for asking again, for a forecast."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from sao_data.execution.executor import Executor, LocalExecutor
from sao_data.fetch.remote import (
    AttachableSource,
    SourceForecast,
    attach,
    attach_to_list,
    attachable,
    forecast,
    workspace_of,
)
from sao_data.ingest.plan import Plan
from sao_data.licences import Release
from sao_data.plugins import Source
from sao_data.records import Offer, Recording, Rejection
from sao_data.storage.backend import open_storage

log = logging.getLogger(__name__)


def attached(plan: Plan, sources: Sequence[Source], executor: Executor, *, accept_terms: bool) -> Plan:
    """The plan with its remote sources ready to ask; UsageError if their terms are not accepted."""
    ready: list[tuple[int, Source]] = []
    for place, source in _attachable(sources):
        workspace = workspace_of(plan.url, place, plan.manifest.source[place].plugin)
        release = plan.manifest.release
        able = attach(source, workspace, executor.service, release, accept_terms=accept_terms)
        ready.append((place, able))
    if accept_terms and not ready:
        log.warning("--accept-terms: no source of %s asks for terms to be accepted", plan.manifest.name)
    return dataclasses.replace(plan, attached=tuple(ready)) if ready else plan


def to_ask(
    sources: Sequence[tuple[str, Source]], release: Release, url: str, *, accept_terms: bool = False
) -> tuple[Source, ...]:
    """Sources by plugin name, remote ones able to list and look up from this process; their answers and
    permits are kept in the dataset at `url`."""
    start, ready = LocalExecutor().service, [source for _, source in sources]
    for place, source in _attachable(ready):
        source.check_terms(open_storage(url), release, accept=accept_terms)
        ready[place] = attach_to_list(source, workspace_of(url, place, sources[place][0]), start)
    return tuple(ready)


def forecasts(plan: Plan, sources: Sequence[Source]) -> Iterator[tuple[int, SourceForecast]]:
    """(place in the manifest, what it foresees) of every remote source that can tell. Writes nothing: its
    services are in this process and remember nothing."""
    start = LocalExecutor().service
    for place, source in _attachable(sources):
        workspace = workspace_of(plan.url, place, plan.manifest.source[place].plugin)
        if (foreseen := forecast(source, workspace, start)) is not None:
            yield place, foreseen


class SkippedSource:
    """A source that is not asked now."""

    def check(self) -> None:
        """Nothing to look for."""

    def offers(self) -> Iterator[Offer | Rejection]:
        """Nothing."""
        yield from ()

    def open(self, recording: Recording) -> BinaryIO:
        raise FileNotFoundError(recording.audio_url)


def _attachable(sources: Sequence[Source]) -> list[tuple[int, AttachableSource]]:
    found = ((place, attachable(source)) for place, source in enumerate(sources))
    return [(place, source) for place, source in found if source is not None]
