"""What a dataset will cost: hours of audio, bytes on disk by stage, hours of a core. Rates are rounded.

benchmarks/README.md has the measurements; a machine of one's own may differ by a factor of two.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sao_data.manifest import Manifest

_FLAC_BYTES = 90_000  # per second of 16-bit stereo at 44.1 kHz: half of PCM, typical of music and field noise
_NORMALISED = 220  # seconds of audio a CPU second decodes, resamples, measures, fingerprints and encodes
_TAGGED = 2  # seconds of audio a CPU second of the AST tagger; a GPU has hundreds


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What is expected of the sources."""

    num_recordings: int
    seconds: float
    num_bytes: int  # of files that are transferred; 0 = read in place


def lines(size: Size, manifest: Manifest, num_workers: int = 1) -> Iterator[str]:
    """The costs of a first run, for people."""
    flac = size.seconds * _FLAC_BYTES
    per_bucket = num_workers / manifest.num_buckets
    yield f"audio                {_hours(size.seconds):>12s} in {size.num_recordings:,} recordings"
    if size.num_bytes:
        stay = manifest.work.keep_originals is True
        kept = size.num_bytes if stay else size.num_bytes * per_bucket
        yield f"transferred          {_bytes(size.num_bytes):>12s}"
        why = "all stay" if stay else f"of {num_workers} buckets at a time; work.keep_originals keeps all"
        yield f"disk: originals      {_bytes(kept):>12s} ({why})"
    blobs = flac if manifest.work.keep else flac * max(per_bucket, 0.0)
    yield f"disk: work           {_bytes(blobs):>12s} and the shards until a bucket is packed"
    yield f"disk: shards         {_bytes(flac):>12s}"
    yield f"processor: audio     {_hours(size.seconds / _NORMALISED):>12s} of one core"
    if manifest.screening.needs_tagger:
        most = _hours(size.seconds / _TAGGED)
        yield f"processor: screening {most:>12s} of one core at most without a GPU (screening.device)"


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:,.1f} hours" if seconds >= 3600 else f"{seconds / 60:,.1f} minutes"


def _bytes(number: float) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if number >= size:
            return f"{number / size:,.1f} {unit}"
    return f"{number / 1e3:,.0f} kB"
