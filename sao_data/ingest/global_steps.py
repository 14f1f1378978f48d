"""Global steps: what a bucket must know of all the others. Small tables only; the driver holds no audio.

`match` compares what the sources say before anything is fetched; `compare` compares the audio itself.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterable, Iterator, Sequence

from sao_data.ingest.plan import Unit, decided, planned
from sao_data.manifest import Manifest
from sao_data.matching import acoustic, alike, metadata
from sao_data.matching.acoustic import ForbiddenSound
from sao_data.matching.alike import Alike
from sao_data.matching.exact import ComparedAudio, ForbiddenAudio, find_duplicates
from sao_data.matching.metadata import Candidate, forbids
from sao_data.records import SAMPLE_RATE, Clip, Decision, Objection
from sao_data.rights import embedded_tags, known_audio
from sao_data.rights.credits import read_credits
from sao_data.rights.takedowns import Tombstones
from sao_data.screening import AuditRow, MusicWork, Screening, Tagged, identify
from sao_data.screening.music import is_music
from sao_data.stages.base import part_of
from sao_data.stages.decide import apply_answer, by_id, objected
from sao_data.stages.judge import JUDGE
from sao_data.stages.listing import LIST, Listed
from sao_data.stages.pack import is_dropped
from sao_data.stages.screen import SCREEN
from sao_data.storage.backend import Storage

_MOST_TAGS = 4  # of one file, in a detail
_CHECKSUM = re.compile(r"[0-9a-f]{32}|[0-9a-f]{64}")


def match(
    units: list[Unit], tombstones: Tombstones, storage: Storage, narrowed: Iterable[Objection] = ()
) -> tuple[Objection, ...]:
    """Objections from what the sources say of each work and of the others.

    Works that were held once, are forbidden and no longer offered are among them. `narrowed`: works whose
    rights were narrowed since they were taken.
    """
    restricted = {item.recording_id: item.rule for item in narrowed}
    works = [candidate for unit in units for candidate in _candidates(unit, restricted)]
    gone = _no_longer_offered(storage, {work.id for work in works})
    return match_candidates([*works, *gone], units[0].plan.manifest, tombstones)


def _no_longer_offered(storage: Storage, offered: set[str]) -> Iterator[Candidate]:
    """Forbidden works that were held once and are offered no more, as far as they are remembered."""
    for row in known_audio.read(storage):
        if row.rule and row.recording_id not in offered:
            yield Candidate(
                id=row.recording_id,
                author="",
                files=tuple(digest for digest in (row.md5, row.original_sha256) if digest),
                title="",
                tenths=-1,
                verdict="deny",
                rule=row.rule,
                family="",
            )


def match_candidates(
    candidates: Iterable[Candidate], manifest: Manifest, tombstones: Tombstones
) -> tuple[Objection, ...]:
    """`match` over candidates at hand."""
    return metadata.objections(
        candidates,
        manifest.matching,
        taken_down=tombstones.checksums,
        blocked=frozenset(_checksums(manifest)),
    )


def compare(
    units: list[Unit], storage: Storage, tombstones: Tombstones, late: Iterable[Unit] = ()
) -> tuple[list[Objection], list[Alike]]:
    """Objections from the audio itself, persons' answers to them included, at most one to each recording; and
    which recordings sound alike, if that is asked for, by the comparison or by the split.

    `late`: units whose audio is not there yet; what was decided about them counts.
    """
    manifest = units[0].plan.manifest
    compared: dict[str, ComparedAudio] = {}
    decisions: dict[str, Decision] = {}
    for unit in units:
        bucket = planned(unit)
        decisions |= {d.recording_id: d for d in bucket.rows("decide", Decision)}
        authors = {r.recording.id: r.recording.author for r in bucket.rows(LIST, Listed)}
        for item in _compared_audio(
            bucket.rows("curate", Clip), bucket.rows("normalise", Clip), decisions, authors
        ):
            compared[item.id] = item
    known = decisions | {d.recording_id: d for unit in late for d in decided(unit)}
    unwanted, forbidden = _forbidden(manifest, storage, tombstones, known)
    exact = find_duplicates(compared.values(), manifest.dedupe, unwanted)
    gone = {item.recording_id for item in exact}
    left = {key: item for key, item in sorted(compared.items()) if key not in gone}
    is_asked = manifest.matching.fingerprint == "review"
    pairs = alike.find_alike(left) if is_asked or manifest.split.validation_share else []
    by_sound = acoustic.objections(left, pairs, forbidden) if is_asked else []
    return _answered((*exact, *by_sound), decisions, units), pairs


def screen(
    units: list[Unit], storage: Storage, dropped: Collection[Objection]
) -> tuple[list[Objection], tuple[AuditRow, ...]]:
    """Ask the screening's provider about what may be somebody's music: objections and the audit."""
    screening = units[0].plan.manifest.screening
    if screening.provider == "off":
        return [], ()
    out = {item.recording_id for item in dropped if is_dropped(item)}
    works = (work for unit in units for work in _works(unit, screening) if work.recording_id not in out)
    found, sent = identify(works, screening, storage)
    return _answered(found, _decisions_after(units, dropped), units), sent


def compare_tags(units: list[Unit], storage: Storage, found: Collection[Objection]) -> list[Objection]:
    """Objections from what files' own tags say against their sources, persons' answers included.

    `found`: those from the audio. An author credited otherwise since is not held to the name in the file.
    """
    if units[0].plan.manifest.rights.embedded_tags == "off":
        return []
    asked = read_credits(storage)
    objections, decisions = [], _decisions_after(units, found)
    out = {item.recording_id for item in found if is_dropped(item)}
    for unit in units:
        bucket = planned(unit)
        tags = {clip.recording_id: clip.audio.tags for clip in bucket.rows("curate", Clip)}
        for row in bucket.rows(LIST, Listed):
            key, recording = row.recording.id, row.recording
            if not tags.get(key) or key in out:
                continue
            if asked.find(recording):
                recording = dataclasses.replace(recording, author="")
            names = [offer.recording.author for offer in row.others]
            said = embedded_tags.contradictions(tags[key], recording, decisions[key], names)
            if said:
                objections.append(_by_tags(key, said))
    return _answered(objections, decisions, units)


def _by_tags(recording_id: str, said: Sequence[str]) -> Objection:
    detail = "; ".join(said[:_MOST_TAGS])
    return Objection(
        recording_id=recording_id,
        stage="tags",
        verdict="review",
        rule="embedded_tags_contradict",
        detail=detail,
    )


def _decisions_after(units: list[Unit], found: Iterable[Objection]) -> dict[str, Decision]:
    """The decisions as answered objections leave them."""
    decisions = {d.recording_id: d for unit in units for d in planned(unit).rows("decide", Decision)}
    for item in found:
        if not is_dropped(item):
            decisions[item.recording_id] = objected(decisions[item.recording_id], item)
    return decisions


def _works(unit: Unit, screening: Screening) -> Iterator[MusicWork]:
    """What is music; for a comparison of titles everything that is kept."""
    bucket = planned(unit)
    recordings = {row.recording.id: row.recording for row in bucket.rows(LIST, Listed)}
    prints = {
        clip.recording_id: clip.fingerprint for clip in bucket.rows("normalise", Clip) if clip.number == 0
    }
    music = None
    if screening.needs_tagger:
        music = {t.recording_id for t in bucket.rows(SCREEN, Tagged) if is_music(t, screening)}
    for key, clip in {clip.recording_id: clip for clip in bucket.rows("curate", Clip)}.items():
        if music is None or key in music:
            yield MusicWork(
                recording_id=key,
                title=recordings[key].title,
                author=recordings[key].author,
                seconds=clip.recording_frames // SAMPLE_RATE,
                fingerprint=prints.get(key, ""),
            )


def _candidates(unit: Unit, restricted: dict[str, str]) -> Iterator[Candidate]:
    bucket = unit.bucket()
    bucket.parts[JUDGE] = part_of(unit.judge(), bucket)
    judged = {d.recording_id: d for d in bucket.rows(JUDGE, Decision)}
    denied = {a.id: a for a in unit.answers if a.verdict == "deny"}
    for row in bucket.rows(LIST, Listed):
        decision = judged[row.recording.id]
        if row.recording.id in denied:  # what a person denied must not come in as a copy either
            decision = dataclasses.replace(decision, verdict="deny", rule="denied_by_review")
        elif rule := restricted.get(row.recording.id):  # it may stay or wait; a copy of it may not come in
            decision = dataclasses.replace(decision, verdict="deny", rule=rule)
        yield metadata.candidate(row.recording, decision)


def _compared_audio(
    kept: list[Clip], normalised: list[Clip], decisions: dict[str, Decision], authors: dict[str, str]
) -> Iterator[ComparedAudio]:
    first = {clip.recording_id: clip for clip in normalised if clip.number == 0}
    originals = {clip.recording_id: clip.audio.sha256 for clip in kept}
    for recording_id, audio_sha256 in {clip.recording_id: clip.audio_sha256 for clip in kept}.items():
        yield ComparedAudio(
            id=recording_id,
            author=metadata.author_key(authors[recording_id]),
            family=decisions[recording_id].family,
            preference=decisions[recording_id].ai_preference,
            audio_sha256=audio_sha256,
            original_sha256=originals[recording_id],
            fingerprint=first[recording_id].fingerprint,
            spectral_hash=first[recording_id].spectral_hash,
        )


def _forbidden(
    manifest: Manifest, storage: Storage, tombstones: Tombstones, decisions: dict[str, Decision]
) -> tuple[dict[str, ForbiddenAudio], dict[str, ForbiddenSound]]:
    """Audio taken down, blocked, or held before it was denied: by its hashes and by its sound."""
    unwanted: dict[str, ForbiddenAudio] = {}
    known: dict[str, ForbiddenSound] = {}
    for row in known_audio.read(storage):
        key = row.recording_id
        if rule := forbids(decisions[key]) if key in decisions else row.rule:
            detail = f"{key}, which is denied ({rule})"
            why = ForbiddenAudio(rule="same_audio_as_denied", detail=f"same audio as {detail}", owner=key)
            unwanted |= {row.audio_sha256: why, row.original_sha256: why}
            known[key] = ForbiddenSound(
                fingerprint=row.fingerprint,
                spectral_hash=row.spectral_hash,
                rule="sounds_like_denied",
                detail=detail,
            )
    for checksum in _checksums(manifest):
        unwanted[checksum] = ForbiddenAudio(rule="blocked_fingerprint", detail="the policy blocks this audio")
    for number, text in enumerate(
        f for f in manifest.policy.block_fingerprints if not _CHECKSUM.fullmatch(f)
    ):
        known[f"policy.block_fingerprints.{number}"] = ForbiddenSound(
            fingerprint=text, rule="sounds_like_blocked", detail=f"policy.block_fingerprints.{number}"
        )
    for digest in tombstones.audio | tombstones.checksums:
        unwanted[digest] = ForbiddenAudio(rule="taken_down", detail="the audio of a work taken down")
    for stone in tombstones.sounds:
        known[stone.id] = ForbiddenSound(
            fingerprint=stone.fingerprint,
            spectral_hash=stone.spectral_hash,
            rule="sounds_like_taken_down",
            detail=f"{stone.id}, taken down",
        )
    return unwanted, known


def _checksums(manifest: Manifest) -> list[str]:
    return [text for text in manifest.policy.block_fingerprints if _CHECKSUM.fullmatch(text)]


def _answered(
    found: Iterable[Objection], decisions: dict[str, Decision], units: list[Unit]
) -> list[Objection]:
    """Objections as persons' answers leave them; `decisions`: those that stood before."""
    answers = by_id(answer for unit in units for answer in unit.answers)
    release = units[0].plan.manifest.release
    settled = []
    for item in found:
        before = decisions[item.recording_id]
        after = apply_answer(
            objected(before, item), answers.get(item.recording_id, ()), release, before=before
        )
        settled.append(dataclasses.replace(item, verdict=after.verdict, rule=after.rule, detail=after.detail))
    return settled
