"""Pack: bucket b becomes shard b of each series, a byte copy of the kept FLACs with everything said about
them.

The FLACs come from the bucket's blob; where that is gone, from the shards as they lie (a changed caption
needs no decoding); failing both, the bucket is normalised again. After packing the blob is deleted unless
`work.keep`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from sao_data.attribution.credit import credit, work_from_decision
from sao_data.audio.segments import seconds_start, seconds_total
from sao_data.config import digest as config_digest
from sao_data.ids import sample_key
from sao_data.measures import lufs_text
from sao_data.records import (
    SAMPLE_RATE,
    Caption,
    Clip,
    Decision,
    Objection,
    Recording,
    Sample,
    SampleRow,
    Shard,
)
from sao_data.rights.credits import shown_author_id
from sao_data.stages.base import Bucket, Part, Stage
from sao_data.stages.decide import ALLOWED
from sao_data.stages.flac_reuse import PACK, ClipAudio, parts_on_disk
from sao_data.stages.heard.describe import DESCRIBE, HeardWords
from sao_data.stages.listing import LIST, Listed
from sao_data.storage import layout, shards, tables
from sao_data.storage.backend import Storage
from sao_data.storage.series import Split, series_of

VERSION = 3
_INPUTS = (LIST, "decide", "curate", "caption")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """One bucket's shards."""

    dataset: str
    split: Split
    dropped: tuple[Objection, ...]  # of this bucket, by the comparison of its audio with the others'
    keep_blob: bool
    moved: tuple[str, ...] = ()  # recordings of this bucket that lie on the other side than their author

    def part(self, bucket: Bucket) -> Part:
        """The part this packing publishes; its digest covers all that shows in the shards."""
        inputs = [bucket.parts[name].digest for name in (*_INPUTS, DESCRIBE) if name in bucket.parts]
        moved = [self.moved] if self.moved else []
        digest = config_digest(PACK, VERSION, self.dataset, self.split, self.dropped, inputs, *moved)
        return Part(stage=PACK, bucket=bucket.index, digest=digest)

    def is_complete(self, storage: Storage, part: Part) -> bool:
        """Is the part published, and are its shards still there?"""
        if not storage.exists(part.kept) or not storage.exists(f"{part.stem}.shards.parquet"):
            return False
        names = [
            (f"{layout.SHARD_FOLDER}/{shard.name}", shard.num_bytes) for shard in read_shards(storage, part)
        ]
        return all(storage.exists(name) and storage.size(name) == size for name, size in names)

    def run(self, bucket: Bucket, normalise: Stage) -> Part:
        """Write the shards, then the part. Only one pack part of a bucket ever exists: that of the shards
        there are."""
        storage, part = bucket.storage, self.part(bucket)
        with ClipAudio(bucket, normalise) as flacs:
            flacs.prepare(self._clips(bucket))
            for name in parts_on_disk(storage, bucket.index):
                storage.delete(name)
            rows, packed = self._write(bucket, flacs)
        tables.write(storage, f"{part.stem}.shards.parquet", Shard, packed)
        tables.write(storage, part.kept, SampleRow, rows)
        if not self.keep_blob:
            storage.delete(bucket.parts[normalise.name].blob)
        return part

    def _write(self, bucket: Bucket, flacs: ClipAudio) -> tuple[list[SampleRow], list[Shard]]:
        recordings = {row.recording.id: row.recording for row in bucket.rows(LIST, Listed)}
        decisions = {d.recording_id: d for d in bucket.rows("decide", Decision)}
        captions = {(c.recording_id, c.clip): c for c in bucket.rows("caption", Caption)}
        heard = described(bucket)
        by_series: dict[str, list[Clip]] = defaultdict(list)
        for clip in self._clips(bucket):
            key = clip.recording_id
            moved = key in self.moved
            by_series[series_of(recordings[key], decisions[key], self.split, moved=moved)].append(clip)
        rows: list[SampleRow] = []
        packed: list[Shard] = []
        for series in sorted(by_series):
            name = shards.shard_name(series, bucket.index)
            with bucket.storage.staged(f"{layout.SHARD_FOLDER}/{name}") as path, path.open("wb") as file:
                writer = shards.ShardWriter(file, name, series)
                for clip in by_series[series]:
                    recording = recordings[clip.recording_id]
                    caption = captions[(clip.recording_id, clip.number)]
                    key = sample_key(clip.recording_id, clip.number)
                    sample = make_sample(
                        self.dataset,
                        series,
                        recording,
                        decisions[recording.id],
                        clip,
                        caption,
                        heard.get((clip.recording_id, clip.number)),
                    )
                    writer.add(key, sample, flacs.get(clip), clip.seek_points)
                packed.append(writer.finish())
            rows += writer.rows
        return rows, packed

    def _clips(self, bucket: Bucket) -> list[Clip]:
        dropped = {item.recording_id for item in self.dropped if is_dropped(item)}
        return [clip for clip in bucket.rows("curate", Clip) if clip.recording_id not in dropped]


def is_dropped(objection: Objection) -> bool:
    """Does it keep the recording out? Not if a person answered it."""
    return objection.rule != ALLOWED


def read_shards(storage: Storage, part: Part) -> list[Shard]:
    """The shards of a packed bucket."""
    return tables.read(storage, f"{part.stem}.shards.parquet", Shard)


def all_changes(recording: Recording, clip: Clip) -> tuple[str, ...]:
    """Changes made before the source offered the work, then ours (CC BY 4.0, 3(a)(1)(B) asks for both)."""
    return (*recording.earlier_changes, *clip.changes)


def described(bucket: Bucket) -> dict[tuple[str, int], HeardWords]:
    """What a machine wrote of each clip; nothing where none was asked."""
    rows = bucket.rows(DESCRIBE, HeardWords) if DESCRIBE in bucket.parts else []
    return {(row.recording_id, row.clip): row for row in rows}


def make_sample(
    dataset: str,
    series: str,
    recording: Recording,
    decision: Decision,
    clip: Clip,
    caption: Caption,
    heard: HeardWords | None = None,
) -> Sample:
    """Everything a shard says about one clip."""
    fields = {field.name: field.values for field in caption.fields}
    language = next((field for field in caption.fields if field.name == "language"), None)
    return Sample(
        ai_preference=decision.ai_preference,
        album=recording.album,
        artist=_first(fields.get("artist", ())),
        author=recording.author,
        author_id=shown_author_id(recording),
        author_url=recording.author_url,
        changes=list(all_changes(recording, clip)),
        clip=clip.number,
        copyright_notice=recording.copyright_notice,
        credit=credit(work_from_decision(recording, decision, all_changes(recording, clip))),
        dataset=dataset,
        description=_first(fields.get("description", ())),
        genres=list(fields.get("genres", ())),
        id=recording.id,
        language=language.values[0] if language else "",
        language_by=language.provenance if language else "",
        license=decision.license,
        license_claim=recording.license_url or recording.license_claim,
        license_family=decision.family,
        license_url=decision.license_url,
        license_version=decision.version,
        lufs=lufs_text(clip.measures.lufs),
        machine_caption=heard.text if heard else "",
        machine_caption_by=heard.by if heard else "",
        num_frames=clip.num_frames,
        original_sha256=clip.audio.sha256,
        original_type="/".join(part for part in (clip.audio.container, clip.audio.codec) if part),
        page_url=recording.page_url,
        prompt=caption.prompt,
        recording_frames=clip.recording_frames,
        rendition=clip.audio.rendition,
        retrieved_at=recording.retrieved_at,
        sample_rate=SAMPLE_RATE,
        seconds_start=seconds_start(clip.start_frame),
        seconds_total=seconds_total(clip.recording_frames),
        series=series,
        sha256=clip.flac_sha256,
        source=recording.source,
        start_frame=clip.start_frame,
        tags=list(fields.get("tags", ())),
        title=recording.title,
        year=recording.year,
    )


def _first(values: tuple[str, ...]) -> str:
    return values[0] if values else ""
