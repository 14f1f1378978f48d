"""The catalogue: one row for every recording ever offered, and how it ended."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

from sao_data.records import (
    SAMPLE_RATE,
    AudioFile,
    CatalogueRow,
    Clip,
    Decision,
    Objection,
    Recording,
    Rejection,
    SampleRow,
)
from sao_data.stages.base import Bucket, recording_of
from sao_data.stages.listing import LIST, Listed
from sao_data.stages.pack import all_changes, is_dropped
from sao_data.stages.refresh import digest_of

NOT_YET = "not_done_yet"
_STAGES = ("decide", "fetch", "normalise", "curate")


def rows(bucket: Bucket, objections: Collection[Objection]) -> Iterator[CatalogueRow]:
    """Catalogue rows of one finished bucket; objections are those found when its audio was compared."""
    decisions = {d.recording_id: d for d in bucket.rows("decide", Decision)}
    for item in objections:
        decisions[item.recording_id] = _objected(decisions[item.recording_id], item)
    rejections = _by_recording(bucket, objections)
    confirmed = {file.recording_id: file.confirmed for file in bucket.rows("fetch", AudioFile)}
    clips: dict[str, list[Clip]] = defaultdict(list)
    for clip in bucket.rows("curate", Clip):
        clips[clip.recording_id].append(clip)
    packed: dict[str, list[SampleRow]] = defaultdict(list)
    for sample in bucket.rows("pack", SampleRow):
        packed[sample.recording_id].append(sample)
    for listed in bucket.rows(LIST, Listed):
        recording_id = listed.recording.id
        clips_here, samples = clips[recording_id], packed[recording_id]
        row = _row(listed, decisions[recording_id], rejections[recording_id], clips_here, samples)
        yield dataclasses.replace(row, confirmed=digest_of(confirmed.get(recording_id, "")))
    yield from _all_unlisted(bucket)


def undone_rows(bucket: Bucket, decisions: Iterable[Decision]) -> Iterator[CatalogueRow]:
    """Catalogue rows of a bucket that was listed and decided, and waits for its audio."""
    by_id = {d.recording_id: d for d in decisions}
    for listed in bucket.rows(LIST, Listed):
        decision = by_id[listed.recording.id]
        stage, why = ("fetch", NOT_YET) if decision.verdict == "allow" else ("decide", decision.rule)
        detail = "its bucket is not complete; the next run goes on" if why == NOT_YET else decision.detail
        ended = Rejection(id=listed.recording.id, stage=stage, reason=why, detail=detail)
        yield _row(listed, decision, [ended], [], [])
    yield from _all_unlisted(bucket)


def _all_unlisted(bucket: Bucket) -> Iterator[CatalogueRow]:
    """Rows that name no usable recording, equal ones together."""
    unlisted: dict[str, list[Rejection]] = defaultdict(list)
    for rejection in bucket.rejections(LIST):
        unlisted[rejection.id].append(rejection)
    for same in unlisted.values():
        yield _unlisted(same[0], len(same))


def _objected(decision: Decision, objection: Objection) -> Decision:
    """The decision as an objection leaves it; a mere duplicate's rights are as they were."""
    if objection.verdict == "allow" and is_dropped(objection):
        return decision
    return dataclasses.replace(
        decision, verdict=objection.verdict, rule=objection.rule, detail=objection.detail
    )


def _by_recording(bucket: Bucket, objections: Iterable[Objection]) -> dict[str, list[Rejection]]:
    found: dict[str, list[Rejection]] = defaultdict(list)
    for stage in _STAGES:
        for rejection in bucket.rejections(stage):
            found[recording_of(rejection.id)].append(rejection)
    for item in objections:
        if is_dropped(item):
            found[item.recording_id].append(_rejection(item))
    return found


def _rejection(objection: Objection) -> Rejection:
    item = objection
    return Rejection(id=item.recording_id, stage=item.stage, reason=item.rule, detail=item.detail)


def _row(
    listed: Listed,
    decision: Decision,
    rejections: list[Rejection],
    clips: list[Clip],
    packed: list[SampleRow],
) -> CatalogueRow:
    recording = listed.recording
    assert bool(packed) or rejections, f"{recording.id} is neither kept nor rejected"
    why = None if packed else rejections[-1]  # the stages run in order: the last one is what ended it
    num_frames = sum(sample.num_frames for sample in packed)
    return CatalogueRow(
        id=recording.id,
        source=recording.source,
        title=recording.title,
        author=recording.author,
        author_id=recording.author_id,
        author_url=recording.author_url,
        page_url=recording.page_url,
        copyright_notice=recording.copyright_notice,
        requested_credit=recording.requested_credit,
        license=decision.license,
        license_family=decision.family,
        license_version=decision.version,
        license_url=decision.license_url,
        license_claim=recording.license_url or recording.license_claim,
        license_field=decision.evidence.field,
        ai_preference=decision.ai_preference,
        category=recording.category,
        is_explicit=recording.is_explicit,
        is_remix=recording.is_remix,
        media_seconds=recording.media.seconds,
        md5=recording.md5,
        verdict=decision.verdict,
        rule=decision.rule,
        kept=bool(packed),
        stage=why.stage if why else "",
        reason=why.reason if why else "",
        detail=why.detail if why else _remarks(recording, decision, rejections),
        num_offers=listed.num_offers,
        num_clips=len(packed),
        num_clips_rejected=sum(1 for r in rejections if r.stage == "curate"),
        seconds=round(num_frames / SAMPLE_RATE, 3) if packed else None,
        changes=all_changes(recording, clips[0]) if packed else (),
        shards=tuple(sorted({sample.shard for sample in packed})),
        original_sha256=clips[0].audio.sha256 if clips else "",
        audio_sha256=clips[0].audio_sha256 if clips else "",
        evidence=recording.evidence,
        confirmed="",
        retrieved_at=recording.retrieved_at,
    )


def _remarks(recording: Recording, decision: Decision, rejections: list[Rejection]) -> str:
    """What is to be said of a kept recording: why no rule of the policy let it in, what its own tags had to
    say, and clips left out."""
    remarks = [decision.detail] if decision.rule != "allowed" else []
    remarks += [f"from the file's own tags: {', '.join(recording.from_tags)}"] if recording.from_tags else []
    remarks += [f"clip {r.id.partition('#')[2] or 0} left out: {r.reason} ({r.detail})" for r in rejections]
    return "; ".join(remarks)


def _unlisted(rejection: Rejection, num_offers: int) -> CatalogueRow:
    """A row that names no usable recording is still something that was offered."""
    return CatalogueRow(
        id=rejection.id,
        source=rejection.id.split(":", 1)[0],
        title="",
        author="",
        author_id="",
        author_url="",
        page_url="",
        copyright_notice="",
        requested_credit="",
        license="",
        license_family="UNKNOWN",
        license_version="",
        license_url="",
        license_claim="",
        license_field="",
        ai_preference="",
        category="",
        is_explicit=False,
        is_remix=False,
        media_seconds=None,
        md5="",
        verdict="deny",
        rule=rejection.reason,
        kept=False,
        stage=LIST,
        reason=rejection.reason,
        detail=rejection.detail,
        num_offers=num_offers,
        num_clips=0,
        num_clips_rejected=0,
        seconds=None,
        changes=(),
        shards=(),
        original_sha256="",
        audio_sha256="",
        evidence="",
        confirmed="",
        retrieved_at="",
    )
