"""Publish: from finished buckets, and what is known of the others, to the dataset that readers see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

from sao_data.attribution.info import DatasetInfo
from sao_data.dataset import catalogue
from sao_data.dataset.catalogue import NOT_YET
from sao_data.dataset.commit import Contents, commit
from sao_data.dataset.measured import measured_clips
from sao_data.dataset.summary import Summary
from sao_data.licences import Release
from sao_data.licences.policy import unused_author_blocks
from sao_data.manifest import Manifest, WorkConfig
from sao_data.matching import decontamination
from sao_data.matching.metadata import forbids
from sao_data.records import AudioFile, CatalogueRow, Clip, Decision, Objection, SampleRow
from sao_data.rights import known_audio, reviews
from sao_data.rights.known_audio import KnownAudio
from sao_data.screening import AuditRow
from sao_data.stages.base import Bucket
from sao_data.stages.decide import ALLOWED, DENIED, question_of
from sao_data.stages.listing import LIST, Listed
from sao_data.stages.originals import Originals
from sao_data.stages.pack import read_shards
from sao_data.storage import evidence, layout, tables
from sao_data.storage.backend import Storage

Finished = tuple[Bucket, tuple[Objection, ...]]
Undone = tuple[Bucket, list[Decision]]


def publish(
    storage: Storage,
    manifest: Manifest,
    finished: list[Finished],
    *,
    undone: Sequence[Undone] = (),
    notes: tuple[str, ...] = (),
    sent: tuple[AuditRow, ...] = (),
) -> Summary:
    """Write tables, evidence, report and card of the finished buckets; then dataset.json; then tidy up.

    Of undone buckets the catalogue and the evidence say what is known; none of their audio is in yet.
    """
    answers = reviews.read(storage)
    rows = [row for bucket, objections in finished for row in catalogue.rows(bucket, objections)]
    rows += [row for bucket, decisions in undone for row in catalogue.undone_rows(bucket, decisions)]
    contents = Contents(
        described=manifest.described(),
        rows=rows,
        shards=[shard for bucket, _ in finished for shard in read_shards(storage, bucket.parts["pack"])],
        samples=[row for bucket, _ in finished for row in bucket.rows("pack", SampleRow)],
        measures=[row for done in finished for row in measured_clips(*done, manifest.caption)],
        evidence=dict(_evidence([bucket for bucket, _ in (*finished, *undone)])),
        fingerprints=dict(_known_audio(storage, finished, manifest.num_buckets))
        | _known_audio_of_undone(storage, undone),
        undone=Counter(buckets=len(undone), recordings=sum(row.reason == NOT_YET for row in rows)),
        audit=sent,
        answers=_used(rows),
        warnings=(*notes, *_without_effect(manifest, rows, answers)),
    )
    info, changed = commit(storage, contents)
    reviews.write(storage, open_questions(rows, manifest.release), answered(rows))
    _tidy(storage, finished, {bucket.index for bucket, _ in undone}, manifest.work)
    return summary_of(info, storage.url, rows, changed=changed)


def summary_of(info: DatasetInfo, url: str, rows: Iterable[CatalogueRow], *, changed: bool) -> Summary:
    """The closing numbers."""
    reasons: Counter[tuple[str, str]] = Counter()
    for row in rows:
        if row.num_offers > 1:
            reasons[(LIST, "duplicate_id")] += row.num_offers - 1
        if not row.kept:
            reasons[(row.stage, row.reason)] += 1
    return Summary(
        name=info.name,
        url=url,
        version=info.version,
        offered=info.offered,
        kept=info.kept,
        rejected=tuple((*key, num) for key, num in sorted(reasons.items(), key=lambda i: (-i[1], i[0]))),
        seconds=info.seconds,
        num_samples=info.num_samples,
        num_shards=len(info.shards),
        num_bytes=sum(shard.num_bytes for shard in info.shards),
        warnings=info.warnings,
        changed=changed,
    )


def _evidence(buckets: list[Bucket]) -> Iterable[tuple[str, bytes]]:
    """What the sources said: of each recording the reading that counts, then others of it."""
    for bucket in buckets:
        said: list[str] = []
        fetched = bucket.rows("fetch", AudioFile) if "fetch" in bucket.parts else []
        confirmed = {file.recording_id: file.confirmed for file in fetched}
        for row in bucket.rows(LIST, Listed):
            said += (row.raw, row.earlier_raw, confirmed.get(row.recording.id, ""))
            said += (offer.raw for offer in row.others)
        raw = [text for text in said if text]
        if raw:
            yield evidence.pack(raw)


def _known_audio_of_undone(storage: Storage, undone: Sequence[Undone]) -> dict[str, bytes]:
    """Fingerprints of buckets that are not done stay as they were."""
    names = [known_audio.name_of(bucket.index) for bucket, _ in undone]
    return {name: storage.read(name) for name in names if storage.exists(name)}


def _known_audio(storage: Storage, finished: list[Finished], num_buckets: int) -> Iterator[tuple[str, bytes]]:
    for bucket, _ in finished:
        listed = {row.recording.id: row.recording for row in bucket.rows(LIST, Listed)}
        decisions = bucket.rows("decide", Decision)
        taken = {d.recording_id for d in decisions if d.rule == "taken_down"}
        new = [
            KnownAudio(
                recording_id=clip.recording_id,
                author_id=listed[clip.recording_id].author_id,
                audio_sha256=clip.audio_sha256,
                original_sha256=clip.audio.sha256,
                md5=listed[clip.recording_id].md5.lower(),
                fingerprint=clip.fingerprint,
                rule="",
                spectral_hash=clip.spectral_hash,
            )
            for clip in bucket.rows("normalise", Clip)
            if clip.number == 0
        ]
        rules = {d.recording_id: forbids(d) for d in decisions}
        rows = known_audio.merged(storage, bucket.index, num_buckets, new, taken, rules)
        if rows:
            yield known_audio.name_of(bucket.index), tables.to_bytes(KnownAudio, rows)


def _used(rows: list[CatalogueRow]) -> dict[str, str]:
    """Answers that decided something."""
    verdicts = {ALLOWED: "allow", DENIED: "deny"}
    return {row.id: verdicts[row.rule] for row in sorted(rows, key=lambda r: r.id) if row.rule in verdicts}


def _without_effect(
    manifest: Manifest, rows: list[CatalogueRow], answers: reviews.Answers
) -> tuple[str, ...]:
    """Answers and block lists that change nothing: most often a typing error, so it is said."""
    rules = {row.id: row.rule for row in rows}
    asked = {row.id for row in rows if row.verdict == "review"}
    idle = [
        f"{layout.REVIEWS}: allow for {key} has no effect: {rules[key]} is not up for review."
        for key, said in answers.items()
        if any(answer.verdict == "allow" for answer in said)
        and key in rules
        and key not in asked
        and rules[key] not in ("allowed_by_review", "allowed")
    ]
    idle += [f"{layout.REVIEWS}: {name} was never offered." for name in answers if name not in rules]
    idle += [
        f"policy.block_ids: {name} was never offered."
        for name in manifest.policy.block_ids
        if name not in rules
    ]
    authors = ((row.source, row.author_id) for row in rows)
    idle += [
        f"policy.block_author_ids: {name} is nobody's who was offered."
        for name in unused_author_blocks(manifest.policy, authors)
    ]
    held_out = (row.detail for row in rows if row.reason == decontamination.RULE)
    idle += decontamination.idle(manifest.decontaminate, held_out)
    return tuple(sorted(idle))


def open_questions(rows: Iterable[CatalogueRow], release: Release) -> list[reviews.OpenQuestion]:
    """What is up for review and not answered."""
    return [
        reviews.OpenQuestion(id=row.id, question=question_of(row, release), note=f"{row.rule}: {row.detail}")
        for row in rows
        if row.verdict == "review"
    ]


def answered(rows: Iterable[CatalogueRow]) -> dict[str, list[str]]:
    """The questions that persons' answers have answered."""
    return {row.id: reviews.questions_in(row.detail) for row in rows if row.rule == ALLOWED}


def _tidy(storage: Storage, finished: list[Finished], undone: Collection[int], work: WorkConfig) -> None:
    """Parts of earlier settings, transferred originals, and blobs: packing deletes them, but may have been
    killed before it did. Of undone buckets nothing goes: the next run builds on it."""
    current = {part.stem for bucket, _ in finished for part in bucket.parts.values()}
    stages = {part.stage for bucket, _ in finished for part in bucket.parts.values()}
    for stage in sorted(stages):
        for name in storage.names(f"{layout.WORK}/{stage}"):
            if _bucket_of(name) in undone:
                continue
            if name.split(".", 1)[0] not in current or (name.endswith(".blob") and not work.keep):
                storage.delete(name)
    if work.keep_originals == "hash_only":
        for bucket, _ in finished:
            Originals(storage=storage, bucket=bucket.index).discard()


def _bucket_of(name: str) -> int:
    """work/STAGE/000012-DIGEST.parquet: 12."""
    return int(name.rsplit("/", 1)[1].split("-", 1)[0])
