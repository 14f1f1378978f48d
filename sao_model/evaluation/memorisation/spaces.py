"""Embedders' views of a library: the data's own baseline in each, and the works that sounds are near to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sao_data.records import CatalogueRow
from sao_model.evaluation.embedding import NamedEmbedder
from sao_model.evaluation.memorisation import judging, nearest
from sao_model.evaluation.memorisation.found import NearWork
from sao_model.evaluation.memorisation.hearing import HeardPrints
from sao_model.evaluation.memorisation.judging import OwnBaseline
from sao_model.evaluation.memorisation.library import Library
from sao_model.evaluation.memorisation.settings import MemorisationSettings
from sao_model.evaluation.sounds import SoundItem

Floats = npt.NDArray[np.float32]

_SPARE = 4  # clips kept for each work shown, since a long work has several


@dataclass(frozen=True, slots=True, kw_only=True)
class LibrarySpace:
    """An embedder's view of the library."""

    embedder: NamedEmbedder
    scaled: nearest.SpaceScale
    baselines: dict[int, OwnBaseline]  # by number of windows


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardSound:
    item: SoundItem
    seconds: float
    sha256: str
    prints: HeardPrints
    windows: dict[str, Floats]  # by embedder, (W, D)
    starts: tuple[float, ...]

    @property
    def num_windows(self) -> int:
        return len(self.starts)


def space(
    embedder: NamedEmbedder,
    library: Library,
    heard: Sequence[HeardSound],
    sample: dict[int, str],
    groups: dict[str, str],
    settings: MemorisationSettings,
) -> LibrarySpace | None:
    """How an embedder's numbers are compared, and the data's own baseline; None where it heard nothing."""
    name = embedder.identity.name
    scaled = nearest.scale(library.packs(name), embedder.identity.num_dimensions)
    if not scaled.num_windows:
        return None
    most = max(each.num_windows for each in heard)
    clips, windows = _sampled_windows(library, name, sample, most)
    numbers = {group: n for n, group in enumerate(sorted(set(groups.values())))}
    of_rows = np.array([numbers.get(groups.get(row.recording_id, ""), -1) for row in library.rows], np.int64)
    lengths = np.array([len(each) for each in windows], np.int64)
    found = nearest.search(
        scaled.asked(np.concatenate(windows)),
        np.ones(int(lengths.sum()), np.int64),
        library.packs(name),
        scaled,
        1,
        excluded=(np.repeat(of_rows[clips], lengths), of_rows),
    )
    by_work = np.split(found.similarity[:, 0], np.cumsum(lengths)[:-1])
    baselines = {
        num: judging.baseline(np.array([each[:num].max() for each in by_work]), settings.quantile)
        for num in sorted({each.num_windows for each in heard})
    }
    return LibrarySpace(embedder=embedder, scaled=scaled, baselines=baselines)


def _sampled_windows(
    library: Library, name: str, sample: dict[int, str], most: int
) -> tuple[list[int], list[Floats]]:
    """Of each work in the sample that has any, its first windows."""
    clips, windows = [], []
    for pack in library.packs(name):
        edges = np.concatenate([[0], np.cumsum(pack.lengths)])
        for place, row in enumerate(pack.rows.tolist()):
            if row in sample:
                clips.append(row)
                windows.append(pack.windows[edges[place] : min(edges[place + 1], edges[place] + most)])
    return clips, windows or [np.empty((0, 1), np.float32)]


def near(
    space: LibrarySpace,
    library: Library,
    heard: Sequence[HeardSound],
    works: dict[str, CatalogueRow],
    agreeing: dict[tuple[int, int], str],
    top: int,
) -> list[list[NearWork]]:
    """The nearest works of each sound, each work once, with the windows that are nearest."""
    name = space.embedder.identity.name
    asked = [space.scaled.asked(each.windows[name]) for each in heard]
    lengths = np.array([len(each) for each in asked], np.int64)
    found = nearest.search(
        np.concatenate(asked), lengths, library.packs(name), space.scaled, top * _SPARE, None
    )
    chosen: list[dict[int, float]] = []
    for similarity, rows in zip(found.similarity, found.rows, strict=True):
        best: dict[str, tuple[int, float]] = {}
        for value, row in zip(similarity.tolist(), rows.tolist(), strict=True):
            if row >= 0 and len(best) < top:
                best.setdefault(library.rows[row].recording_id, (row, value))
        chosen.append(dict(best.values()))
    places = _places(space, library, asked, chosen)
    return [
        [
            work(
                library,
                works,
                row,
                name,
                value,
                (heard[n].starts[places[n, row][0]], places[n, row][1]),
                agreeing.get((n, row), ""),
            )
            for row, value in rows.items()
        ]
        for n, rows in enumerate(chosen)
    ]


def _places(
    space: LibrarySpace, library: Library, asked: Sequence[Floats], chosen: Sequence[dict[int, float]]
) -> dict[tuple[int, int], tuple[int, float]]:
    """By sound and clip which window of the sound, and at which second of the clip, are nearest."""
    wanted: dict[int, list[int]] = {}
    for n, rows in enumerate(chosen):
        for row in rows:
            wanted.setdefault(row, []).append(n)
    found = {}
    for pack in library.packs(space.embedder.identity.name):
        edges = np.concatenate([[0], np.cumsum(pack.lengths)])
        for place, row in enumerate(pack.rows.tolist()):
            inside = slice(edges[place], edges[place + 1])
            for n in wanted.get(row, ()):
                products = asked[n] @ space.scaled.held(pack.windows[inside]).T
                ours, theirs = np.unravel_index(int(products.argmax()), products.shape)
                found[n, row] = int(ours), float(pack.starts[inside][theirs])
    return found


def work(
    library: Library,
    works: dict[str, CatalogueRow],
    row: int,
    embedder: str,
    similarity: float | None,
    seconds: tuple[float, float],
    fingerprint: str,
) -> NearWork:
    sample = library.rows[row]
    work = works[sample.recording_id]
    return NearWork(
        embedder=embedder,
        similarity=None if similarity is None else round(similarity, judging.DIGITS),
        id=work.id,
        clip=sample.key,
        title=work.title,
        author=work.author,
        license=work.license,
        credit=sample.credit,
        page_url=work.page_url,
        at_seconds=round(seconds[0], 3),
        work_seconds=round(seconds[1], 3),
        fingerprint=fingerprint,
        row=row,
    )
