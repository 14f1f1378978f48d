"""An audio dataset of the Hugging Face Hub, or a folder in one of its layouts, read by `datasets`.

Files are taken as they are stored (nothing is decoded here, no code of the dataset runs) from the column
`audio_column`: Parquet, AudioFolder and WebDataset layouts. Other columns are found by their usual names
(`KNOWN_AS` in _common/reader.py) or named in `fields`: `fields = {author = "by"}`; all of them stay in the
evidence. Ids: the id column; without one the first 20 hex digits of the file's sha256, since paths in such
datasets are often not unique. An id that has the form `source:id` already is kept.

A folder in an object store (`path = "s3://…"`) is copied once to every machine that takes part, as a dataset
of the Hub is: the library maps files.

Terms: the Hub's (https://huggingface.co/terms-of-service), and those of each dataset, which its card states.
Many cards state one licence for all works, often that of the compilation: give it as `license` only if it is
what the authors of the works granted. It is taken for rows without a licence of their own, and their
evidence says that it was (`license_of_dataset`). Gated datasets need `hf auth login`. The Hub limits
requests, not files; every machine that takes part downloads the dataset once. Name a `revision`: a branch
moves.
A row is rejected as `bad_path` (its audio lies outside of the dataset), `no_audio` or `bad_checksum`.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from sao_data.config import Location
from sao_data.errors import UsageError
from sao_data.licences import parse_fields
from sao_data.records import Offer, Recording, Rejection
from sao_data.sources._common import fields, rows
from sao_data.sources._common.cells import Remarks
from sao_data.sources._common.fields import Refused
from sao_data.sources._hub import files

_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_NUM_HEX = 20  # of the sha256 that names a file without an id
_BATCH = 16  # rows held at once, with their audio
_KEYS = {"audio", "row"}
_BLANKET = "license_of_dataset"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Which dataset, and what its columns are called."""

    dataset: str = ""  # on the Hub: "organisation/name"
    path: Location = ""  # or here: a folder with Parquet files, or an AudioFolder; s3://… as well
    config_name: str = ""  # '' = the dataset's only one
    split: str = "train"
    revision: str = ""  # branch, tag or commit; '' = what the branch main is now
    audio_column: str = "audio"
    fields: dict[str, str] = field(default_factory=dict)  # our name = "their column"; '' = nowhere
    license: str = ""  # of all works whose row states none, as the dataset's card has it
    name: str = "hub"  # prefix of the ids, so that two datasets can be told apart
    # where the library keeps what it prepared, and copies of s3://…; '' = its own place (HF_HOME)
    cache: Location = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """The Source over one split of one dataset."""

    config: Config
    tally: Remarks = field(default_factory=Remarks, compare=False, repr=False)

    def check(self) -> None:
        """Raise UsageError unless the dataset is here, or can be had from the Hub."""
        where = self.config.path or self.config.dataset
        try:
            columns = _loaded(_spec(self.config)).columns
        except OSError as error:
            raise UsageError(
                f"hub: {where}: cannot be had from the Hub ({error}); try again, or on a machine that "
                f"reaches it: hf download {where} --repo-type dataset --local-dir DIR, then set "
                "source.path = DIR and leave out source.dataset"
            ) from error
        fields.require(columns, self.config.fields, where=f"hub: {where}")

    def offers(self) -> Iterator[Offer | Rejection]:
        """Every row of the split, in its order."""
        self.tally.clear()
        _loaded.cache_clear()  # a folder may have changed since
        self.check()
        loaded = _loaded(_spec(self.config))
        index = 0
        for batch in loaded.table.iter(batch_size=_BATCH):
            for cells in batch.to_pylist():
                yield self._offer(index, cells, loaded)
                index += 1

    def open(self, recording: Recording) -> BinaryIO:
        """The bytes of a row's audio."""
        split, _, index = recording.audio_url.rpartition("/")
        loaded = _loaded(_spec(self.config))
        if split != self.config.split or not index.isdecimal() or int(index) >= len(loaded.table):
            raise FileNotFoundError(f"{recording.audio_url}: no such row in the dataset")
        (cells,) = loaded.table[int(index)].to_pylist()
        return files.opened(cells[self.config.audio_column], loaded.places)

    def remarks(self) -> tuple[str, ...]:
        """What is to be said of the rows once they are read."""
        return self.tally.sentences(
            self.config.name, fields.unread(tuple(self.tally.seen), self.config.fields)
        )

    def notes(self) -> tuple[str, ...]:
        """What a reader of the dataset should know of this source."""
        config, notes = self.config, []
        if config.license:
            notes.append(
                f"{config.dataset or config.name}: works without a licence of their own are under the one "
                f"that the dataset's card states for all of them ({config.license})."
            )
        if config.dataset and not config.revision:
            notes.append(f"{config.dataset} was read from the Hub at no named revision; it may change there.")
        return tuple(notes)

    def _offer(self, index: int, cells: dict[str, Any], loaded: files.Loaded) -> Offer | Rejection:
        config = self.config
        where = f"{config.split}/{index}"
        audio = cells.pop(config.audio_column)
        row = {name: fields.as_json(loaded.named(name, cell)) for name, cell in cells.items()}
        try:
            said = files.facts(audio, loaded.places)
            kept: rows.Row = {"audio": said, "row": row}
            if config.license and not _states_licence(row, config):
                kept[_BLANKET] = config.license
            raw = rows.canonical_json(kept)
            stated = _recording(kept, raw, config, self.tally)
        except Refused as refused:
            raw = rows.canonical_json(row)
            return rows.reject_row(config.name, raw.encode(), refused.reason, f"{where}: {refused}")
        sha256 = stated.sha256 or str(said["sha256"])
        return Offer(recording=dataclasses.replace(stated, audio_url=where, sha256=sha256), raw=raw)


def build(config: Config) -> Hub:
    """Make the source; UsageError for settings that make no sense."""
    fields.check(config.name, config.fields, plugin="hub")
    if "audio" in config.fields:
        raise UsageError("source hub: fields: name the column of the audio as audio_column")
    if bool(config.dataset) == bool(config.path):
        raise UsageError(
            'source hub: want one of dataset = "organisation/name" (on the Hub) and path = "…" (a folder)'
        )
    if config.dataset and not _ID.fullmatch(config.dataset):
        raise UsageError(
            f'source hub: dataset {config.dataset!r}: want "organisation/name"; a folder goes into path'
        )
    if "://" in config.cache:
        raise UsageError(f"source hub: cache {config.cache}: the library maps files; want a folder here")
    if config.path and config.revision:
        raise UsageError("source hub: revision has no effect on a folder")
    return Hub(config=config)


def recording(raw: str, config: Config) -> Recording:
    """Read a recording from its row and what was found of its audio; ValueError if it is none."""
    return _recording(rows.parse_object(raw.encode()), raw, config)


def _recording(kept: rows.Row, raw: str, config: Config, tally: Remarks | None = None) -> Recording:
    audio, row = kept.get("audio"), kept.get("row")
    if not kept.keys() >= _KEYS or not isinstance(audio, dict) or not isinstance(row, dict):
        raise rows.BadRow(f"want an object of {' and '.join(sorted(_KEYS))}")
    own = fields.text(row, "id", config.fields).strip() or rows.text(audio, "sha256")[:_NUM_HEX]
    if not own:
        raise Refused("no_audio", "the row has neither an id nor audio")
    return fields.recording(
        row,
        config.fields,
        key=fields.recording_id(own, config.name),
        raw=raw,
        audio_url="",
        file_name=rows.text(audio, "path"),
        blanket=rows.text(kept, _BLANKET),
        page_url=f"https://huggingface.co/datasets/{config.dataset}" if config.dataset else "",
        tally=tally,
    )


def _states_licence(row: rows.Row, config: Config) -> bool:
    claim, url = fields.RowReader(row, config.fields).licence()
    return not parse_fields(url, claim).silent


def _spec(config: Config) -> files.Spec:
    names = (each.name for each in dataclasses.fields(files.Spec))
    return files.Spec(**{name: getattr(config, name) for name in names})


@functools.lru_cache(maxsize=4)
def _loaded(spec: files.Spec) -> files.Loaded:
    """Once a process: a source holds no open files."""
    return files.load(spec)
