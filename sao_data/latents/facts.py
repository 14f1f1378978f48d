"""What a folder of latents says of itself: its files, the rows of its table, and latents.json.

latents.json       the last file written: what was encoded by what, and the sha256 of all that follows
samples.parquet    a row for each sample: where its latents and its JSON lie (`LatentRow`)
silence.npy        the posterior of a window of silence
shards/            tar files: KEY.npy and KEY.json for each sample; the name ends in what they follow from
parts/             what is known of each finished shard, so that it is not made again
owner.json         the first file written: which codec, which settings, where the dataset lay
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from sao_data import config
from sao_data.forms import Count, Digest, FileName, Form, Key, Positive, RecordingId, ShardName

FORMAT: Literal["sao-latents"] = "sao-latents"
FORMAT_VERSION: Literal[1] = 1
FACTS = "latents.json"
SILENCE = "silence.npy"
PARTS = "parts"

LatentShardName = Annotated[str, Form(r"^[a-z0-9]+(-[a-z0-9]+)*-[0-9]{6,}-[0-9a-f]{16}[.]tar$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentRow:
    """Where one sample's latents lie (samples.parquet)."""

    key: Key
    recording_id: RecordingId
    dataset_shard: ShardName  # of the dataset, that holds the audio
    shard: LatentShardName
    latents_offset: Count  # byte offset of the `.npy` member's data in the tar
    latents_size: Count  # bytes, the header of the `.npy` included
    json_offset: Count
    json_size: Count
    sha256: Digest  # of the `.npy` member
    json_sha256: Digest
    audio_sha256: Digest  # of the FLAC member that was encoded
    num_latents: Count  # stored, padding included
    num_frames: Count  # of the clip
    start_frame: Count  # first frame of the clip in its recording
    recording_frames: Count  # of the whole recording
    peak: float  # largest sample of the clip, 0 to 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentShard:
    """One tar of latents, and the dataset's shard that it was made from."""

    name: LatentShardName
    sha256: Digest
    num_bytes: Count
    num_samples: Count
    series: str
    dataset_shard: ShardName
    dataset_sha256: Digest
    dataset_bytes: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class PartFacts:
    """A finished shard (parts/NAME.json), and the sums that the statistics are made of."""

    shard: LatentShard
    rows_sha256: Digest  # of parts/NAME.parquet
    num_latents: Count  # that hold sound
    num_frames: Count
    sums: list[float]  # of the means of each channel
    squares: list[float]  # of mean² + std²


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecFacts:
    """The codec that encoded."""

    sha256: Digest  # as a checkpoint stores it
    terms: str  # licence of its weights; '' = not stated
    training_data: dict[str, Any] | None  # what it was trained on itself; null = it does not say


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingFacts:
    """How was encoded."""

    codec: CodecFacts
    settings: dict[str, Any]  # with the kind of device
    sample_rate: Positive
    hop: Positive  # frames a latent
    latent_dim: Positive
    window_latents: Positive  # of the trainings that it is made for
    reach: Count  # latents behind a clip's end that still depend on it
    latent_scale: float
    silence_sha256: Digest

    @property
    def digest(self) -> str:
        """sha256 of all that latents depend on beside the audio."""
        numbers = (self.sample_rate, self.hop, self.latent_dim, self.window_latents, self.reach)
        return config.digest(FORMAT_VERSION, self.codec.sha256, self.settings, *numbers, self.latent_scale)


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentsOwner:
    """owner.json of a folder of latents."""

    format: Literal["sao-latents"]
    format_version: Literal[1]
    name: str  # of the dataset
    data: str  # where it lay: relative to this folder where both are on a disk
    encoding: EncodingFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetIdentity:
    """The version of the dataset that was encoded."""

    name: str
    version: str
    root_digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelStatistics:
    """Of the latents that hold sound, drawn from their posteriors; as float64 sums, rounded."""

    num_latents: Count
    mean: list[float]
    std: list[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesTerms:
    """What the works of one series ask of a release; `conditions` as training_data.json has them."""

    series: str
    conditions: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentsFacts:
    """latents.json."""

    format: Literal["sao-latents"]
    format_version: Literal[1]
    dataset: DatasetIdentity
    dataset_release: dict[str, bool]  # that its works were decided for
    terms: list[SeriesTerms]
    encoding: EncodingFacts
    num_samples: Count
    num_frames: Count
    channels: ChannelStatistics
    shards: list[LatentShard]
    files: dict[FileName, Digest]
    root_digest: Digest  # sha256 of all the rest


def root_digest(table: dict[str, Any]) -> str:
    """Of latents.json: over all of it but itself."""
    return config.digest({key: value for key, value in table.items() if key != "root_digest"})
