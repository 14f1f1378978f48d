"""Whose work each sound is near to: all of it, in its order.

A sound is held for too near a work if its fingerprint agrees, or if it is nearer by some embedder than the
dataset's works, of as many windows, are to the works of others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from sao_data.dataset.reader import Dataset
from sao_data.errors import MatchedNothing
from sao_data.records import CatalogueRow
from sao_model.evaluation import sounds
from sao_model.evaluation.embedding import NamedEmbedder
from sao_model.evaluation.memorisation import hearing, judging, prints, spaces
from sao_model.evaluation.memorisation.found import (
    AskedSound,
    EmbedderBaseline,
    MemorisationFound,
    NearWork,
)
from sao_model.evaluation.memorisation.hearing import HeardPrints
from sao_model.evaluation.memorisation.library import Library
from sao_model.evaluation.memorisation.settings import MemorisationSettings
from sao_model.evaluation.memorisation.spaces import HeardSound, LibrarySpace
from sao_model.evaluation.sounds import LeftOutSound, SoundItem
from sao_model.training.loop import RunProgress

BY_PRINT = "fingerprint"
_LONGEST = 3_600.0  # seconds of a sound that are asked about


def ask(
    items: Sequence[SoundItem],
    dataset: Dataset,
    embedders: Sequence[NamedEmbedder],
    settings: MemorisationSettings,
    cache: Path,
    progress: RunProgress,
    *,
    top: int = 5,
) -> MemorisationFound:
    """Hear both sides, search, judge; MatchedNothing where there is nothing to compare."""
    heard, left_out = _hear(items, embedders, settings, progress)
    if not heard:
        some = f", e.g. {left_out[0].key}: {left_out[0].reason}" if left_out else ""
        raise MatchedNothing(f"none of {len(items)} sounds can be used{some}")
    library = Library(dataset, cache, embedders, settings)
    library.update(progress)
    works = {row.id: row for row in dataset.catalogue() if row.kept}
    sample = _sample(library, settings)
    progress.start("comparing", len(embedders) + 1, "passes")
    agreeing, groups = _agreeing(heard, library, works, sample)
    progress.advance(1)
    by_sound, views = _by_sound(heard, library, embedders, sample, groups, works, agreeing, top, progress)
    progress.finish()
    if not views and not agreeing:
        raise MatchedNothing(f"{dataset.storage.url}: no clip to compare with")
    asked = tuple(_judged(each, found, views) for each, found in zip(heard, by_sound, strict=True))
    return MemorisationFound(
        dataset=str(dataset.facts["name"]),
        version=str(dataset.facts.get("version", "")),
        num_clips=len(library.rows),
        num_equal=library.num_equal,
        num_heard=library.num_heard,
        embedders=tuple(each.identity for each in embedders),
        baselines=tuple(_baselines(views)),
        asked=asked,
        left_out=tuple(left_out),
        unheard=tuple(library.left_out),
    )


def _by_sound(
    heard: Sequence[HeardSound],
    library: Library,
    embedders: Sequence[NamedEmbedder],
    sample: dict[int, str],
    groups: dict[str, str],
    works: dict[str, CatalogueRow],
    agreeing: dict[tuple[int, int], str],
    top: int,
    progress: RunProgress,
) -> tuple[list[list[NearWork]], list[LibrarySpace]]:
    """What each sound is near to, by every embedder, then by fingerprint alone; and the embedders' views."""
    found: list[list[NearWork]] = [[] for _ in heard]
    views = []
    for each in embedders:
        view = spaces.space(each, library, heard, sample, groups, library.settings)
        if view is not None:
            views.append(view)
            for near, more in zip(
                found, spaces.near(view, library, heard, works, agreeing, top), strict=True
            ):
                near += more
        progress.advance(1)
    for n, clip in sorted(agreeing):
        if clip not in {work.row for work in found[n]}:
            how = agreeing[n, clip]
            found[n].append(spaces.work(library, works, clip, BY_PRINT, None, (0.0, 0.0), how))
    return found, views


def _baselines(views: Sequence[LibrarySpace]) -> Iterator[EmbedderBaseline]:
    for view in views:
        for num, own in sorted(view.baselines.items()):
            name = view.embedder.identity.name
            yield EmbedderBaseline(embedder=name, num_windows=num, is_scaled=not view.scaled.is_unit, own=own)


def _hear(
    items: Sequence[SoundItem],
    embedders: Sequence[NamedEmbedder],
    settings: MemorisationSettings,
    progress: RunProgress,
) -> tuple[list[HeardSound], list[LeftOutSound]]:
    heard, left_out = [], []
    progress.start("hearing the sounds", len(items), "sounds")
    for item in items:
        read = sounds.read(item, _LONGEST, 0.1)
        progress.advance(1)
        if isinstance(read, LeftOutSound):
            left_out.append(read)
            continue
        made = {each.identity.name: hearing.embedded(read.pcm_TC, settings, each) for each in embedders}
        starts = next(iter(made.values()))[1]
        if not len(starts):  # sound only behind the last window
            left_out.append(LeftOutSound(key=item.key, reason="silent", detail="in every window"))
            continue
        heard.append(
            HeardSound(
                item=item,
                seconds=read.seconds,
                sha256=read.sha256,
                prints=hearing.printed(read.pcm_TC),
                windows={name: windows for name, (windows, _) in made.items()},
                starts=tuple(starts.tolist()),
            )
        )
    progress.finish()
    return heard, left_out


def _sample(library: Library, settings: MemorisationSettings) -> dict[int, str]:
    """The first clips of the works that make the baseline: number and recording."""
    first: dict[str, int] = {}
    for number, row in enumerate(library.rows):
        first.setdefault(row.recording_id, number)
    return {first[key]: key for key in judging.sampled(first, settings.num_baseline)}


def _agreeing(
    heard: Sequence[HeardSound], library: Library, works: dict[str, CatalogueRow], sample: dict[int, str]
) -> tuple[dict[tuple[int, int], str], dict[str, str]]:
    """By sound and clip how fingerprints agree; by recording what it is linked with. Only copies of the
    works in the sample are looked for: only these are asked for their nearest other work."""
    asked = {n: each.prints for n, each in enumerate(heard)}
    offset = len(asked)
    for number, texts, spectral in library.prints():
        if number in sample:
            asked[offset + number] = HeardPrints(prints=texts, spectral_hash=spectral)
    found = prints.agreeing(asked, library.prints())
    ids = [row.recording_id for row in library.rows]
    pairs = [(ids[n - offset], ids[clip]) for n, clip in found if n >= offset]
    groups = judging.groups((works[key] for key in sorted(set(ids) & works.keys())), pairs)
    return {pair: how for pair, how in found.items() if pair[0] < offset}, groups


def _judged(heard: HeardSound, found: list[NearWork], views: Sequence[LibrarySpace]) -> AskedSound:
    said, is_closer = [], False
    for each in (work for work in found if work.fingerprint):
        said.append(f"its fingerprint agrees with {each.id} ({each.fingerprint}): a copy, or a part of one")
    for space in views:
        name, own = space.embedder.identity.name, space.baselines[heard.num_windows]
        best = next((w for w in found if w.embedder == name and w.similarity is not None), None)
        if best is None or best.similarity is None:
            continue
        if own.threshold is None:
            said.append(f"{name}: not judged, {own.num} works are too few for the quantile {own.quantile:g}")
            continue
        is_above = best.similarity > own.threshold
        is_closer |= is_above
        than = "closer than" if is_above else "no closer than"
        said.append(
            f"{name}: {best.similarity:.3f}, {than} the data's own works are to one another "
            f"({own.threshold:.3f} at the quantile {own.quantile:g} of {own.num} works)"
        )
    return AskedSound(
        key=heard.item.key,
        seconds=round(heard.seconds, 3),
        sha256=heard.sha256,
        num_windows=heard.num_windows,
        is_closer=is_closer,
        is_too_near=is_closer or any(work.fingerprint for work in found),
        says="; ".join(dict.fromkeys(said)) + ".",
        nearest=tuple(found),
        path=heard.item.path,
    )
