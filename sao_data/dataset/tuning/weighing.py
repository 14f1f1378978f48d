"""Weighing thresholds: what each would drop, from the measured values alone; nothing is decoded.

All measured clips count, whatever became of them; `num_kept_dropped` says how many of the dataset's own
would go.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from sao_data import plugins
from sao_data.dataset.reader import Dataset
from sao_data.dataset.tuning.restored import caption_of, clip_of, recording_of_row, with_works
from sao_data.dataset.tuning.results import (
    CountedWord,
    NearClip,
    TriedThreshold,
    TunedKnob,
    TunedWords,
    Tuning,
)
from sao_data.dataset.tuning.scales import Floats, grid, histogram
from sao_data.errors import MatchedNothing, UsageError
from sao_data.measures import MeasuredClip
from sao_data.plugins import Knob
from sao_data.records import SAMPLE_RATE, CatalogueRow

NUM_NEAR = 5  # sounds on either side of a threshold
Flags = npt.NDArray[np.bool_]
Configured = dict[str, list[dict[str, Any]]]  # settings of every filter in the manifest, by its name


def tune(dataset: Dataset, name: str = "") -> Tuning:
    """Weigh every threshold of the filters that ship with this package, or of one filter (by name or dotted
    path: another's code runs only if it is named here)."""
    if not dataset.has_measures:
        raise UsageError(
            f"{dataset.storage.url}: made before measures were published (no measures.parquet); run its "
            "ingest again: what is done already is not done anew"
        )
    names = (name,) if name else plugins.names("filters")
    modules = {each: plugins.load("filters", each, where="tune") for each in names}
    if name and not (hasattr(modules[name], "KNOBS") or hasattr(modules[name], "categories")):
        raise UsageError(f"filter {name}: has neither KNOBS nor categories (docs/adding_a_plugin.md)")
    table = _Table(dataset, modules)
    if not table.ids:
        raise MatchedNothing(f"{dataset.storage.url}: no clip was measured")
    configured = _configured(dataset)
    others = [] if name else sorted(configured.keys() - modules.keys())
    why = "is configured, and its code is not of this package: name it to run it"
    return Tuning(
        num_clips=len(table.ids),
        num_kept=int(table.is_kept.sum()),
        seconds=_seconds(table.frames),
        knobs=tuple(_weighed(table, configured)),
        words=tuple(table.counted(each, configured) for each in modules if each in table.words),
        notes=tuple(f"{each} {why}" for each in others),
    )


class _Table:
    """The values of every knob for every measured clip, and what there is of every word."""

    def __init__(self, dataset: Dataset, modules: dict[str, ModuleType]) -> None:
        self.dataset = dataset
        self.modules = modules
        self.knobs: list[tuple[str, Knob]] = [
            (each, knob) for each, module in modules.items() for knob in getattr(module, "KNOBS", ())
        ]
        self.words: dict[str, dict[str, list[int]]] = {
            each: {} for each, module in modules.items() if hasattr(module, "categories")
        }
        self.ids: list[str] = []
        frames, kept = [], []
        columns: list[list[float]] = [[] for _ in self.knobs]
        for row, work in with_works(dataset):
            self.ids.append(row.id)
            frames.append(row.num_frames)
            kept.append(row.kept)
            self._count(row)
            clip, recording = clip_of(row), recording_of_row(work, row)
            for column, (_, knob) in zip(columns, self.knobs, strict=True):
                value = knob.value(clip, recording)
                column.append(np.nan if value is None else value)
        self.frames = np.array(frames, np.int64)
        self.is_kept = np.array(kept, np.bool_)
        self.values: list[Floats] = [np.array(column, np.float64) for column in columns]

    def counted(self, name: str, configured: Configured) -> TunedWords:
        """The words of a filter, most first."""
        words = sorted(self.words[name].items(), key=lambda item: (-item[1][0], item[0]))
        return TunedWords(
            filter=name,
            configured=tuple(configured.get(name, ())),
            words=tuple(
                CountedWord(
                    word=word, num_clips=num, seconds=round(frames / SAMPLE_RATE, 3), num_kept=num_kept
                )
                for word, (num, frames, num_kept) in words
            ),
        )

    def nearest(self, values: Floats, among: Flags, threshold: float) -> list[int]:
        """Places of the clips nearest to a threshold, nearest first, of each recording one."""
        places = np.flatnonzero(among)
        order = np.argsort(np.abs(values[places] - threshold), kind="stable")
        found: dict[str, int] = {}
        for place in places[order].tolist():
            found.setdefault(_recording(self.ids[place]), place)
            if len(found) == NUM_NEAR:
                break
        return list(found.values())

    def _count(self, row: MeasuredClip) -> None:
        fields = caption_of(row)
        for each, found in self.words.items():
            for word in self.modules[each].categories(fields):
                nums = found.setdefault(word, [0, 0, 0])
                nums[0] += 1
                nums[1] += row.num_frames
                nums[2] += row.kept


def _weighed(table: _Table, configured: Configured) -> list[TunedKnob]:
    """Every knob; the catalogue is read once for the sounds near all thresholds."""
    near: list[tuple[float, list[int], list[int]]] = []
    for (name, knob), values in zip(table.knobs, table.values, strict=True):
        chosen = _chosen(configured, name, knob)
        threshold = chosen[0] if chosen else _default(table, name, knob)
        out = _dropped(knob, values, threshold)
        kept = table.nearest(values, ~out & ~np.isnan(values), threshold)
        near.append((threshold, kept, table.nearest(values, out, threshold)))
    ids = {_recording(table.ids[place]) for _, *sides in near for side in sides for place in side}
    works = {row.id: row for row in table.dataset.catalogue() if row.id in ids}
    return [_knob(table, n, configured, *found, works) for n, found in enumerate(near)]


def _knob(
    table: _Table,
    number: int,
    configured: Configured,
    near: float,
    kept: list[int],
    dropped: list[int],
    works: dict[str, CatalogueRow],
) -> TunedKnob:
    (name, knob), values = table.knobs[number], table.values[number]
    is_there = ~np.isnan(values)
    default, chosen = _default(table, name, knob), _chosen(configured, name, knob)
    thresholds = sorted({*grid(values[is_there], is_log=knob.is_log), *chosen, default})

    def shown(places: Iterable[int]) -> tuple[NearClip, ...]:
        return tuple(_near(table, values, place, works) for place in places)

    return TunedKnob(
        filter=name,
        field=knob.field,
        unit=knob.unit,
        keeps=knob.keeps,
        configured=chosen,
        default=default,
        num_clips=int(is_there.sum()),
        seconds=_seconds(table.frames[is_there]),
        num_without=int((~is_there).sum()),
        tried=tuple(_tried(table, knob, values, each, chosen, default) for each in thresholds),
        bars=tuple(histogram(values[is_there], is_log=knob.is_log)),
        near=near,
        just_kept=shown(kept),
        just_dropped=shown(dropped),
    )


def _tried(
    table: _Table, knob: Knob, values: Floats, threshold: float, chosen: tuple[float, ...], default: float
) -> TriedThreshold:
    out = _dropped(knob, values, threshold)
    return TriedThreshold(
        threshold=threshold,
        is_configured=threshold in chosen,
        is_default=threshold == default,
        num_dropped=int(out.sum()),
        seconds_dropped=_seconds(table.frames[out]),
        num_kept_dropped=int((out & table.is_kept).sum()),
    )


def _near(table: _Table, values: Floats, place: int, works: dict[str, CatalogueRow]) -> NearClip:
    key = table.ids[place]
    work = works[_recording(key)]
    return NearClip(
        id=key,
        title=work.title,
        value=round(float(values[place]), 6),
        page=work.page_url,
        is_kept=bool(table.is_kept[place]),
    )


def _dropped(knob: Knob, values: Floats, threshold: float) -> Flags:
    """NaN, no value, is never dropped."""
    found: Flags = values < threshold if knob.keeps == "at least" else values > threshold
    return found


def _default(table: _Table, name: str, knob: Knob) -> float:
    return float(getattr(table.modules[name].Config(), knob.field))


def _chosen(configured: Configured, name: str, knob: Knob) -> tuple[float, ...]:
    return tuple(float(table[knob.field]) for table in configured.get(name, ()) if knob.field in table)


def _configured(dataset: Dataset) -> Configured:
    found: Configured = {}
    for item in dataset.facts["manifest"].get("filter", ()):
        found.setdefault(str(item["plugin"]), []).append(dict(item["config"]))
    return found


def _recording(key: str) -> str:
    return key.split("#", 1)[0]


def _seconds(frames: npt.NDArray[np.int64]) -> float:
    return round(int(frames.sum()) / SAMPLE_RATE, 3)
