"""What samples can be drawn from: a dataset's audio, or the same samples in another form, as latents are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from sao_data.loading.chunks import Chunks
from sao_data.loading.sampler import PlannedSample
from sao_data.loading.samples import StreamConfig, StreamedSample, Window
from sao_data.records import Shard
from sao_data.storage.backend import Storage


class TrainingSource(Protocol):
    """What trainings ask of the data that they learn from."""

    @property
    def storage(self) -> Storage: ...
    @property
    def facts(self) -> dict[str, Any]:
        """Name, version and root digest of the dataset, among others."""
        ...

    def shards(self) -> list[Shard]:
        """Those of the dataset."""
        ...


class StreamIndex(Protocol):
    """The samples of some series, sorted by the dataset's shards and place in the shard."""

    @property
    def url(self) -> str: ...
    @property
    def shards(self) -> tuple[Shard, ...]: ...
    @property
    def shard_sizes(self) -> tuple[int, ...]: ...
    @property
    def digest(self) -> str: ...
    def __len__(self) -> int: ...
    def of_recordings(self, ids: Iterable[str]) -> dict[str, list[int]]: ...


class WindowMaker(Protocol):
    """Makes windows of samples; may be used by several threads."""

    @property
    def index(self) -> StreamIndex: ...
    @property
    def chunks(self) -> Chunks | None: ...
    @property
    def num_in_part(self) -> int:
        """Windows whose member was not read whole, and so not hashed."""
        ...

    def empty(self, num: int) -> Window:
        """Room for `num` windows."""
        ...

    def make(self, planned: PlannedSample, out: Window) -> StreamedSample:
        """A window, read into its room."""
        ...

    def close(self) -> None: ...


class EncodedSource(TrainingSource, Protocol):
    """Samples that are no audio any more: they know how windows of them are made."""

    def windows(self, config: StreamConfig) -> WindowMaker: ...
    def taken_down(self) -> frozenset[str]:
        """Recordings that are not to be drawn."""
        ...
