"""What dataset.json and owner.json hold: the keys that their readers rely on, and the form of each value.

Values are checked where the files are read; other keys (of a later version, say) pass. The parts of the
manifest that say how was decided are read by those who decide (config.parse names what is wrong in them).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from sao_data.forms import Count, Digest, FileName, Form, Positive


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """owner.json of this format."""

    format: Literal["sao-dataset"]
    format_version: Literal[1]
    name: str
    sources: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedPlugin:
    """A plugin as the manifest in dataset.json describes it."""

    plugin: str
    config: dict[str, Any]
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """The manifest as far as dataset.json needs it whole."""

    name: str
    description: str
    contact: str
    num_buckets: Positive
    source: list[DescribedPlugin]
    caption: DescribedPlugin
    policy: dict[str, Any]
    release: dict[str, Any]
    matching: dict[str, Any]
    screening: dict[str, Any]
    cut: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many there are of each."""

    offered: Count
    kept: Count
    rejected: Count
    clips: Count
    samples: Count
    shards: Count
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    """What is left for the next run."""

    buckets: Count
    recordings: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenceReader:
    """The licence table that claims were read with."""

    version: int
    table: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceFacts:
    """The seal of the evidence."""

    num_files: Count
    merkle_root: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetFacts:
    """dataset.json."""

    name: str
    version: Annotated[str, Form(r"^[0-9a-f]{12}$")]
    root_digest: Digest
    manifest: Described
    counts: Counts
    rejected_by_reason: dict[str, Count]
    answers: dict[str, Literal["allow", "deny"]]
    licence_reader: LicenceReader
    evidence: EvidenceFacts
    files: dict[FileName, Digest]
    warnings: list[str]
    undone: Undone
