"""Checking the sound itself (`sao verify --full`): each FLAC decoded; frames, hash and peak taken again."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator

import numpy as np
import soundfile

from sao_data.dataset.reader import Dataset
from sao_data.errors import IntegrityError
from sao_data.ids import clip_id, parse_key
from sao_data.measures import MeasuredClip
from sao_data.records import NUM_CHANNELS, SAMPLE_RATE, CatalogueRow, SampleRow
from sao_data.storage import shards

_PEAK = 0.011  # dB that a peak may be off: it is stored rounded to 0.01
_FLOOR = 1e-5


def findings(dataset: Dataset, advance: Callable[[int], None] = lambda _: None) -> Iterator[str]:
    """Sounds that are not what is said of them."""
    works = {row.id: row for row in dataset.catalogue() if row.kept}
    measured = {row.id: row for row in dataset.measures() if row.kept}
    for row in dataset.samples():
        try:
            yield from _of_sample(dataset, row, works.get(row.recording_id), measured)
        except (IntegrityError, soundfile.LibsndfileError) as error:
            yield f"{row.shard}: {row.key}.flac: cannot be decoded ({error})"
        advance(1)


def _of_sample(
    dataset: Dataset, row: SampleRow, work: CatalogueRow | None, measured: dict[str, MeasuredClip]
) -> Iterator[str]:
    where = f"{row.shard}: {row.key}.flac"
    flac, _ = shards.read_sample(dataset.storage, row)
    pcm_TC, rate = soundfile.read(io.BytesIO(flac), dtype="int16", always_2d=True)
    if (rate, pcm_TC.shape[1]) != (SAMPLE_RATE, NUM_CHANNELS):
        yield f"{where}: {rate} Hz and {pcm_TC.shape[1]} channels; want {SAMPLE_RATE} and {NUM_CHANNELS}"
    if len(pcm_TC) != row.num_frames:
        yield f"{where}: {len(pcm_TC)} frames, its index says {row.num_frames}"
    if work and work.num_clips == 1 and not work.num_clips_rejected:
        heard = hashlib.sha256(pcm_TC.tobytes()).hexdigest()
        if heard != work.audio_sha256:
            said = f"{work.audio_sha256[:12]}… in the catalogue, the sound has {heard[:12]}…"
            yield f"{where}: audio_sha256 is {said}"
    clip = measured.get(clip_id(*parse_key(row.key)))
    if clip is not None:
        peak = int(np.abs(pcm_TC.astype(np.int32)).max(initial=0))
        level = 20 * float(np.log10(max(peak / 32_768, _FLOOR)))
        if (clip.peak_dbfs is None) != (peak == 0) or abs((clip.peak_dbfs or level) - level) > _PEAK:
            yield f"{where}: peak_dbfs is {clip.peak_dbfs} in the measures, the sound has {level:.2f}"
