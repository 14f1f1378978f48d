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
    num_unstated: int = 0  # recordings whose source states no length


def lines(size: Size, manifest: Manifest, num_workers: int = 1) -> Iterator[str]:
    """The costs of a first run, for people."""
    per_bucket = num_workers / manifest.num_buckets
    yield f"audio                {_audio(size)}"
    if size.num_bytes:
        stay = manifest.work.keep_originals is True
        kept = size.num_bytes if stay else size.num_bytes * per_bucket
        yield f"transferred          {_bytes(size.num_bytes):>12s}"
        why = "all stay" if stay else f"of {num_workers} buckets at a time; work.keep_originals keeps all"
        yield f"disk: originals      {_bytes(kept):>12s} ({why})"
    if not size.seconds and size.num_unstated:
        yield "disk, processor      not known: they follow from the lengths"
        return
    flac = size.seconds * _FLAC_BYTES
    blobs = flac if manifest.work.keep else flac * max(per_bucket, 0.0)
    yield f"disk: work           {_bytes(blobs):>12s} and the shards until a bucket is packed"
    yield f"disk: shards         {_bytes(flac):>12s}"
    yield f"processor: audio     {_hours(size.seconds / _NORMALISED):>12s} of one core"
    if manifest.screening.needs_tagger:
        most = _hours(size.seconds / _TAGGED)
        yield f"processor: screening {most:>12s} of one core at most without a GPU (screening.device)"


def _audio(size: Size) -> str:
    """The sum of the stated lengths, and how many recordings it leaves out."""
    recordings = f"{size.num_recordings:,} recordings"
    if not size.num_unstated:
        return f"{_hours(size.seconds):>12s} in {recordings}"
    if not size.seconds:
        return f"lengths not stated, in {recordings}"
    return f"{_hours(size.seconds):>12s} in {recordings}, lengths of {size.num_unstated:,} not stated"


def _hours(seconds: float) -> str:
    for unit, size in (("hours", 3600), ("minutes", 60)):
        if seconds >= size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:.1f} seconds"


def _bytes(number: float) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= size:
            return f"{number / size:,.1f} {unit}"
    return f"{number:.0f} bytes"
