"""What trainings draw of a dataset: of one recording in full, of all in numbers.

What rules took out is not stored: it is derived again from the raw rows that are kept as evidence, by the
caption builder of the manifest. Where these cannot be read here, a note says so and the rest stands.
"""

from __future__ import annotations

import contextlib
import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sao_data import config, plugins
from sao_data.dataset import explain
from sao_data.dataset.checks.evidence_reader import Replayed, readers, replayed
from sao_data.dataset.reader import Dataset
from sao_data.errors import MatchedNothing, UsageError
from sao_data.loading.prompts import PromptConfig, Words, choose_of, words_of
from sao_data.loading.sampler import generator
from sao_data.loading.t5_length import MOST_TOKENS, TokenCounter
from sao_data.records import CatalogueRow, Recording, Sample, SampleRow
from sao_data.rights.credits import without_withheld_names
from sao_data.storage import layout, shards

NUM_DRAWS = 8  # shown of one recording
_NUM_EACH = 4  # drawn of each sample of a dataset
_NUM_EXAMPLES = 3
_NUM_LONGEST = 5
_MOST_OPEN = 64  # shards open at a time
_SHOWN = 120  # characters of an example


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownField:
    """A field that prompts may hold, and where its values are from."""

    name: str
    values: tuple[str, ...]
    provenance: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownDraw:
    """A prompt, the seed it was drawn with, its probability and length."""

    seed: int
    text: str
    probability: float  # 0..1
    num_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRemoval:
    """What a rule took out of a field."""

    rule: str
    field: str
    text: str
    id: str = ""  # of the recording, in a summary


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingPrompts:
    """All that prompts of one recording are made of."""

    id: str
    key: str  # of its first clip
    language: str
    language_by: str
    machine_caption: str  # not drawn here; '' = has none
    machine_caption_by: str
    fields: tuple[ShownField, ...]
    left_out: tuple[ShownRemoval, ...]
    draws: tuple[ShownDraw, ...]
    notes: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class DatasetPrompts:
    """What prompts of all samples are made of, in numbers."""

    num_samples: int = 0
    num_drawn: int = 0
    num_too_long: int = 0  # of these, longer than T5 reads
    fields: dict[str, int] = field(default_factory=dict)  # samples that have it
    languages: dict[str, int] = field(default_factory=dict)  # samples; '' = not known
    machine_captions: dict[str, int] = field(default_factory=dict)  # samples that have one, by model
    rules: dict[str, int] = field(default_factory=dict)  # recordings of which the rule took something
    examples: dict[str, list[ShownRemoval]] = field(default_factory=dict)
    longest: list[tuple[int, str, str]] = field(default_factory=list)  # (tokens, recording id, prompt)
    notes: tuple[str, ...] = ()


def of_recording(
    dataset: Dataset, text: str, counter: TokenCounter, settings: PromptConfig
) -> RecordingPrompts:
    """The prompts of the recording meant by an id, a title or the like (dataset/explain.py)."""
    rows = [row for row in explain.find(dataset, text) if row.kept]
    if len(rows) != 1:
        found = ", ".join(row.id for row in rows[:5]) or "none of them is in the dataset (`sao why` says why)"
        raise MatchedNothing(
            f"{dataset.storage.url}: {text!r} is no one recording of it: {found}; give one id"
        )
    row = rows[0]
    clip = next(sample for sample in dataset.samples() if sample.recording_id == row.id)
    sample = next(said for _, said in _samples(dataset, iter([clip])))
    words = words_of(sample, settings)
    drawn = [choose_of(words, _rng(seed, clip.key), settings) for seed in range(NUM_DRAWS)]
    lengths = counter.count([each.text for each in drawn])
    builder, notes = _builder(dataset)
    recording, more = _recording(dataset, row)
    told = _provenance(builder, recording)
    removed = _left_out(builder, recording)
    return RecordingPrompts(
        id=row.id,
        key=clip.key,
        language=sample.language,
        language_by=sample.language_by,
        machine_caption=sample.machine_caption,
        machine_caption_by=sample.machine_caption_by,
        fields=tuple(
            ShownField(name=name, values=values, provenance=told.get(name, "not known"))
            for name, values in words.drawable
        ),
        left_out=tuple(ShownRemoval(rule=rule, field=name, text=said) for name, rule, said in removed),
        draws=tuple(
            ShownDraw(seed=seed, text=each.text, probability=each.probability, num_tokens=length)
            for seed, (each, length) in enumerate(zip(drawn, lengths, strict=True))
        ),
        notes=(*notes, *more),
    )


def of_dataset(dataset: Dataset, counter: TokenCounter, settings: PromptConfig) -> DatasetPrompts:
    """Every sample drawn `_NUM_EACH` times, every raw row cleaned again."""
    found = DatasetPrompts()
    known: dict[str, Words] = {}
    for row, sample in _samples(dataset, dataset.samples()):
        words = known.get(row.recording_id) or words_of(sample, settings)
        known = {row.recording_id: words}  # clips of a recording stand together
        found.num_samples += 1
        _count(found.fields, (name for name, _ in words.drawable))
        _count(found.languages, [sample.language])
        _count(found.machine_captions, [sample.machine_caption_by] if sample.machine_caption else [])
        drawn = [choose_of(words, _rng(seed, row.key), settings).text for seed in range(_NUM_EACH)]
        for text, length in zip(drawn, counter.count(drawn), strict=True):
            found.num_drawn += 1
            found.num_too_long += length > MOST_TOKENS
            _keep_longest(found.longest, (length, row.recording_id, text))
    found.longest.sort(reverse=True)
    found.notes = _count_rules(dataset, found)
    return found


def _count(counts: dict[str, int], names: Iterable[str]) -> None:
    for name in names:
        counts[name] = counts.get(name, 0) + 1


def _keep_longest(longest: list[tuple[int, str, str]], item: tuple[int, str, str]) -> None:
    """One prompt a recording, the longest of it."""
    same = next((n for n, (_, recording_id, _) in enumerate(longest) if recording_id == item[1]), None)
    if same is not None:
        longest[same] = max(longest[same], item)
        heapq.heapify(longest)
    elif len(longest) < _NUM_LONGEST:
        heapq.heappush(longest, item)
    else:
        heapq.heappushpop(longest, item)


def _count_rules(dataset: Dataset, found: DatasetPrompts) -> tuple[str, ...]:
    """Which rules fire on the recordings that were kept; what stands in the way of telling."""
    builder, notes = _builder(dataset)
    using, others = readers(dataset.facts)
    num_unread = 0
    for item in replayed(dataset.storage, dataset.facts, using) if builder and using else ():
        if not isinstance(item, Replayed) or not item.row.kept:
            continue
        num_unread += item.recording is None
        removed = _left_out(builder, item.recording)
        _count(found.rules, {rule for _, rule, _ in removed})
        for name, rule, text in removed:
            shown = found.examples.setdefault(rule, [])
            if len(shown) < _NUM_EXAMPLES and text not in {each.text for each in shown}:
                shown.append(ShownRemoval(rule=rule, field=name, text=text[:_SHOWN], id=item.row.id))
    unread = f"{num_unread} recordings cannot be read back from their evidence"
    return (*notes, *others, *([unread] if num_unread else []))


def _samples(dataset: Dataset, rows: Iterator[SampleRow]) -> Iterator[tuple[SampleRow, Sample]]:
    """Each sample's JSON, without its audio."""
    with contextlib.ExitStack() as stack:
        files: dict[str, Any] = {}
        for row in rows:
            name = f"{layout.SHARD_FOLDER}/{row.shard}"
            if name not in files:
                if len(files) == _MOST_OPEN:
                    stack.pop_all().close()
                    files.clear()
                files[name] = stack.enter_context(dataset.storage.open(name))
            text = shards.read_member(files[name], row.json_offset, row.json_size)
            yield row, shards.parse_sample(text, f"{dataset.storage.url}/{name}: {row.key}.json")


def _builder(dataset: Dataset) -> tuple[Any, tuple[str, ...]]:
    """The caption builder of the manifest, and why there is none that can say what it leaves out."""
    table: Mapping[str, Any] = dataset.facts["manifest"]["caption"]
    name = table["plugin"]
    if "." in name:  # a stranger's dataset must not choose what code runs here
        return None, (f"what rules took out is not shown: the caption builder {name} is not one of ours",)
    module = plugins.load("captions", name, where=layout.DATASET)
    try:
        made = module.build(config.parse(module.Config, table["config"], where="dataset.json: caption"))
    except UsageError as error:
        return None, (f"what rules took out is not shown: {error}",)
    return made, ()


def _recording(dataset: Dataset, row: CatalogueRow) -> tuple[Recording | None, tuple[str, ...]]:
    """What the raw row says, as captions may see it."""
    using, notes = readers(dataset.facts)
    raw = explain.raw_row(dataset, row) if row.evidence else ""
    for reader in using if raw else ():
        with contextlib.suppress(ValueError):  # another source's row
            recording = reader.read(raw)
            if recording.id == row.id:
                return without_withheld_names(recording), notes
    return None, (*notes, "what rules took out is not shown: the raw row cannot be read back")


def _left_out(builder: Any, recording: Recording | None) -> list[tuple[str, str, str]]:
    """(field, rule, text)."""
    if builder is None or recording is None or not hasattr(builder, "left_out"):
        return []
    seen = without_withheld_names(recording)
    return [(name, item.rule, item.text) for name, item in builder.left_out(seen)]


def _provenance(builder: Any, recording: Recording | None) -> dict[str, str]:
    if builder is None or recording is None:
        return {}
    return {each.name: each.provenance for each in builder.fields(recording)}


def _rng(seed: int, key: str) -> Any:
    return generator("prompts", seed, key)
