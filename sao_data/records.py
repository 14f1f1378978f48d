"""The values that pass from stage to stage: frozen records, no behaviour beyond their own spelling, no I/O.

Frames (integers at 44.1 kHz after normalisation) are the truth; seconds are for people. A string that a
source does not state is '' here, a null in Parquet and '' in a shard; a number that may be unknown is None.
Which stage makes which of which: docs/design.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sao_data.embedded_tag import EmbeddedTag
from sao_data.forms import Count, Key, RecordingId, Sha256, ShardName
from sao_data.measures import Measures, SourceMeasures

SAMPLE_RATE = 44_100  # Hz, everything after normalisation (paper 3.1)
NUM_CHANNELS = 2

Verdict = Literal["allow", "deny", "review"]
Rendition = Literal["original", "preview"]
Family = Literal[
    "CC0", "BY", "BY-SA", "BY-NC", "BY-ND", "BY-NC-SA", "BY-NC-ND",
    "SAMPLING+", "NC-SAMPLING+", "SAMPLING", "PDM", "OTHER", "UNKNOWN",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFacts:
    """What a source claims of its file; never trusted over the decoded audio. None = not stated."""

    container: str = ""  # "wav", "ogg", …, as the source spells it
    num_bytes: int | None = None
    seconds: float | None = None
    sample_rate: int | None = None  # Hz
    num_channels: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What a source says of one work, verbatim. Nothing here is cleaned, guessed or judged."""

    id: str  # "freesound:12345": source name, colon, the source's own id
    source: str
    title: str = ""
    author: str = ""
    author_id: str = ""  # stable id where the source has one: names change
    author_url: str = ""
    page_url: str = ""
    audio_url: str = ""  # a URL, or a path relative to the source's folder
    license_claim: str = ""  # the licence in words, if words were given
    license_url: str = ""  # the licence as a URL, if a URL was given
    ai_preference: str = ""  # uploader's generative-AI preference; '' = unknown
    description: str = ""
    tags: tuple[str, ...] = ()
    genres: tuple[str, ...] = ()
    album: str = ""
    year: str = ""
    copyright_notice: str = ""
    requested_credit: str = ""  # the credit line the author asks for
    earlier_changes: tuple[str, ...] = ()  # made before the source offered it ("30 s excerpt cut by …")
    category: str = ""  # the source's own class of sound; Freesound: BST code, "sp-s" is solo speech
    is_explicit: bool = False
    is_remix: bool = False
    media: MediaFacts = MediaFacts()
    md5: str = ""  # of the original file, as the source states it
    sha256: str = ""
    retrieved_at: str = ""  # ISO 8601 UTC, from the stored response; '' if it has none
    evidence: str = ""  # sha256 of the raw metadata row these fields were read from
    from_tags: tuple[str, ...] = ()  # fields taken from the file's own tags: "license_claim: ID3 TCOP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a source hands over: the recording, and the raw metadata it was read from (kept as evidence)."""

    recording: Recording
    raw: str  # the source's own row or object, verbatim JSON text, no secrets


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a decision rests on: the words judged, the field they stood in, the raw row, the date."""

    claim: str = ""
    field: str = ""
    response_sha256: str = ""
    retrieved_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """May this recording be used? `review` means kept out until a person answers."""

    recording_id: str
    license: str  # SPDX id or LicenseRef; '' if none could be told
    family: Family
    version: str = ""  # '' = the source states none; never invented
    license_url: str = ""  # canonical deed URL, '' if the version is unknown
    verdict: Verdict
    rule: str  # stable snake_case name of the rule that decided
    detail: str = ""
    ai_preference: str = ""  # normalised; '' = unknown
    evidence: Evidence = Evidence()


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFile:
    """Bytes we hold, and what they turned out to be: 0 or '' until they have been decoded."""

    recording_id: str
    sha256: str
    num_bytes: int
    stated: str = ""  # digest of what the source stated of the file; '' = nothing to tell it by
    confirmed: str = ""  # a later reading of the source that said the same, just before the file was taken
    rendition: Rendition = "original"
    container: str = ""
    codec: str = ""
    decoder: str = ""  # "soundfile" or "pyav"
    sample_rate: int = 0  # Hz
    num_channels: int = 0
    num_frames: int = 0  # at sample_rate
    tags: tuple[EmbeddedTag, ...] = ()  # the file's own, about rights


@dataclass(frozen=True, slots=True, kw_only=True)
class SeekPoint:
    """Where decoding can start: byte `byte` of the FLAC member holds the frame header of frame `frame`."""

    frame: int
    byte: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A stretch of a recording at 44.1 kHz stereo, stored as FLAC in its bucket's blob."""

    recording_id: str
    number: int  # 0, 1, … within the recording
    start_frame: int  # in the normalised recording
    num_frames: int
    recording_frames: int  # of the whole normalised recording, after end-trim
    audio: AudioFile
    measures: Measures
    source: SourceMeasures  # of the whole file
    changes: tuple[str, ...]  # every change made to the original, one sentence each
    audio_sha256: str  # of the whole normalised recording's 16-bit PCM: equal audio, equal hash
    flac_sha256: str
    flac_bytes: int
    blob_offset: int  # -1: the bytes are not here (known from an earlier part); normalise again if needed
    seek_points: tuple[SeekPoint, ...] = ()  # every 10 s
    fingerprint: str = ""  # of the recording's first 120 s, on clip 0 only; '' = too short for one
    spectral_hash: str = ""  # of a short or steady recording, on clip 0 only; '' = silent, or neither


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionField:
    """One thing a prompt may be drawn from. List-valued fields (tags, genres) keep their items apart."""

    name: str  # "title", "description", "tags", "year", "genres", "album", "artist"; "language", never drawn
    values: tuple[str, ...]
    provenance: str  # the Recording field it came from, or the model that wrote it


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """The caption fields of one clip (paper 3.2)."""

    recording_id: str
    clip: int
    fields: tuple[CaptionField, ...]
    prompt: str  # one fixed rendering, for trainers that want a single string


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The JSON beside each FLAC in a shard: fixed keys and types, '' where nothing is stated."""

    ai_preference: str  #: uploader's generative-AI preference, normalised; '' = unknown
    album: str  #: album or pack
    artist: str  #: the caption field `artist` (music sources); '' where it is not one
    author: str  #: name to credit
    author_id: str  #: the source's stable id of the author
    author_url: str  #: the author's page
    changes: list[str]  #: every change made to the original
    clip: Count  #: number of this clip within the recording
    copyright_notice: str  #: copyright line supplied by the author
    credit: str  #: ready attribution sentence: title, author, source, licence, changes
    dataset: str  #: name of the dataset
    description: str  #: caption field: natural-language description, cleaned
    genres: list[str]  #: caption field
    id: str  #: recording id, "freesound:12345"
    language: str = ""  #: of title and description, ISO 639-1 where it has a code; '' = not known (too short)
    language_by: str = ""  #: what told the language, with its version
    license: str  #: SPDX id or LicenseRef
    license_claim: str  #: the licence in the source's own words or URL, verbatim
    license_family: str  #: CC0, BY, SAMPLING+ … (docs/licences.md)
    license_url: str  #: canonical URL of the licence
    license_version: str  #: '' = the source states none
    lufs: str  #: integrated loudness, LUFS; '' if silent or shorter than 0.4 s
    machine_caption: str = ""  #: what a model says is heard, not the author's words; '' = none was asked
    machine_caption_by: str = ""  #: made by a machine: the model, its revision, the sha256 of its weights
    num_frames: Count  #: frames in this clip at 44,100 Hz
    original_sha256: str  #: of the file as received
    original_type: str  #: container/codec of the file as received
    page_url: str  #: where the work is published
    prompt: str  #: one fixed caption string, for trainers that want one
    recording_frames: Count  #: frames of the whole recording at 44,100 Hz
    rendition: str  #: "original" or "preview"
    retrieved_at: str  #: when the metadata were retrieved; '' = not recorded
    sample_rate: int  #: Hz, always 44100
    seconds_start: Count  #: floor of the clip's start in the recording
    seconds_total: Count  #: ceil of the recording's length, at most 512
    series: str  #: the shard series this sample belongs to
    sha256: str  #: of the FLAC member
    source: str  #: where it came from: the part of the id before the colon
    start_frame: Count  #: first frame of this clip in the recording
    tags: list[str]  #: caption field
    title: str  #: caption field, as published
    year: str  #: caption field


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRow:
    """Where a sample lies, so that it can be read without reading the rest (samples.parquet)."""

    key: Key
    recording_id: RecordingId
    shard: ShardName
    flac_offset: Count  # byte offset of the member's data in the tar
    flac_size: Count
    json_offset: Count
    json_size: Count
    sha256: Sha256  # of the FLAC member
    json_sha256: Sha256
    num_frames: Count
    seek_points: tuple[SeekPoint, ...]
    credit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One tar of a series (shards.parquet)."""

    name: ShardName  # "train-000000.tar"
    series: str
    sha256: Sha256
    num_samples: Count
    num_bytes: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """Why something offered is not used: a fact about it, with the measured value and the threshold."""

    id: str  # a recording id, or a clip id "freesound:12345#1"
    stage: str
    reason: str  # stable snake_case
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """What others, a screening or its file's tags say of a recording; `allow`: it is merely not needed."""

    recording_id: str
    stage: str
    verdict: Verdict
    rule: str  # stable snake_case
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueRow:
    """One recording ever offered and how it ended (catalogue.parquet)."""

    id: RecordingId
    source: str
    title: str
    author: str
    author_id: str
    author_url: str
    page_url: str
    copyright_notice: str
    requested_credit: str
    license: str
    license_family: str
    license_version: str
    license_url: str
    license_claim: str
    license_field: str  # where the claim stood
    ai_preference: str
    category: str  # the source's own class of sound
    is_explicit: bool  # as the source marks it
    is_remix: bool  # contains material from other works, by the source
    media_seconds: float | None  # as the source states it
    md5: str  # as the source states it
    verdict: str
    rule: str
    kept: bool
    stage: str  # where it was rejected; '' if kept
    reason: str
    detail: str
    num_offers: Count  # by the sources, of this id; each beyond the first is `duplicate_id`
    num_clips: Count  # clips in the dataset
    num_clips_rejected: Count
    seconds: float | None  # of the kept clips, 0.001 s
    changes: tuple[str, ...]
    shards: tuple[ShardName, ...]
    original_sha256: Sha256
    audio_sha256: Sha256  # of the normalised audio; '' if it was not normalised
    evidence: Sha256
    confirmed: Sha256  # sha256 of a later reading that said the same, before the file was taken
    retrieved_at: str
