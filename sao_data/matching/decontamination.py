"""Works that stand in an evaluation list, by their ids: trained on, they make its figures worth nothing.

Nothing is downloaded: the lists are the user's own copies. Of the usual ones it is known which of their files
and which column names the works; should one be published otherwise, the manifest says it, as of any other.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from sao_data.config import Location
from sao_data.errors import UsageError
from sao_data.records import Objection, Recording
from sao_data.storage import delimited

STAGE = "decontaminate"
RULE = "decontaminated"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationList:
    """What is not to be trained on: ids, audio, or both."""

    name: str  # esc50, fsd50k and others are known; any other needs `column`, if it is no TXT
    ids: Location = ""  # a CSV or TSV file with a header, or TXT, one id a line
    audio: Location = ""  # a local folder; what sounds like a file in it is left out
    column: str = ""  # '' = as the list is known to have it
    source: str = ""  # as recording ids begin ("freesound"); '' = as known, else works of any source
    rows: dict[str, str] = field(default_factory=dict)  # only rows with these values: { fold = "5" }


class _Published(NamedTuple):
    """Where a list names its works."""

    file: str
    column: str
    source: str
    home: str


# ESC-50 and UrbanSound8K have folds and no test part; of Song Describer all is for evaluation.
PUBLISHED = {
    "esc50": _Published("meta/esc50.csv", "src_file", "freesound", "https://github.com/karolpiczak/ESC-50"),
    "urbansound8k": _Published(
        "metadata/UrbanSound8K.csv", "fsID", "freesound", "https://urbansounddataset.weebly.com"
    ),
    "fsd50k": _Published(
        "FSD50K.ground_truth/eval.csv", "fname", "freesound", "https://zenodo.org/records/4060432"
    ),
    "clotho": _Published(
        "clotho_metadata_evaluation.csv", "sound_id", "freesound", "https://zenodo.org/records/4783391"
    ),
    "song_describer": _Published(
        "song_describer.csv", "track_id", "jamendo", "https://github.com/mulab-mir/song-describer-dataset"
    ),
    "audiocaps": _Published("test.csv", "youtube_id", "", "https://github.com/cdjkim/audiocaps"),
}


def check(lists: Sequence[EvaluationList]) -> None:
    """Raise UsageError for a list that says nothing, is not there or has not the column that names works."""
    seen: set[str] = set()
    for item in lists:
        where = f"decontaminate: {item.name or '(no name)'}"
        if not item.name or not (item.ids or item.audio):
            raise UsageError(f"{where}: give each list a name, and ids (a file), audio (a folder) or both")
        if item.name in seen:
            raise UsageError(f"{where}: stands there twice; give the second another name")
        seen.add(item.name)
        if item.audio and not Path(item.audio).is_dir():
            raise UsageError(f"{where}: audio: no folder {item.audio}; {_advice(item)}")
        if item.ids and not read_ids(item):
            raise UsageError(
                f"{where}: ids: {item.ids} names no work{_kept_rows(item)}, so nothing would be left out"
            )


def read_ids(item: EvaluationList) -> frozenset[str]:
    """The works' own ids, without a source; none if the list has no file of ids."""
    if not item.ids:
        return frozenset()
    text = _text(item)
    if Path(item.ids).suffix.casefold() == ".txt":
        lines = (line.partition("#")[0].strip() for line in text.splitlines())
        return frozenset(filter(None, lines))
    try:
        return frozenset(filter(None, _cells(item, text)))
    except csv.Error as error:
        raise UsageError(f"decontaminate: {item.name}: ids: {item.ids}: {error}") from error


def by_id(
    recordings: Iterable[Recording], lists: Sequence[tuple[EvaluationList, frozenset[str]]]
) -> Iterator[Objection]:
    """A denial of every work that a list names: by its id, or for a file of a folder by the file's name."""
    for recording in recordings:
        names = _names(recording)
        said = [
            f"{item.name} (id {found})"
            for item, ids in lists
            if recording.source in (_source(item) or recording.source, "")
            and (found := next((name for name in names if name in ids), ""))
        ]
        if said:
            yield denial(recording.id, said)


def denial(recording_id: str, said: Iterable[str]) -> Objection:
    """`said`: each list that has the work, and how that is known."""
    return Objection(
        recording_id=recording_id, stage=STAGE, verdict="deny", rule=RULE, detail="; ".join(said)
    )


def idle(lists: Iterable[EvaluationList], details: Iterable[str]) -> list[str]:
    """A sentence for each list that left nothing out, given the details of all that was left out."""
    said = {part.partition(" (")[0] for detail in details for part in detail.split("; ")}
    return [
        f"decontaminate: {item.name}: nothing that was offered is in it; is it the right file?"
        for item in lists
        if item.name not in said
    ]


def _names(recording: Recording) -> list[str]:
    """What a list may call it: its own id, and its file's name up to the first dot."""
    own = recording.id.partition(":")[2]
    file = (
        recording.audio_url.rpartition("/")[2].partition(".")[0] if "://" not in recording.audio_url else ""
    )
    return [own, file] if file else [own]


def _source(item: EvaluationList) -> str:
    known = PUBLISHED.get(item.name)
    return item.source or (known.source if known else "")


def _text(item: EvaluationList) -> str:
    try:
        data = Path(item.ids).read_bytes()
    except (FileNotFoundError, IsADirectoryError) as error:
        raise UsageError(f"decontaminate: {item.name}: ids: no file {item.ids}; {_advice(item)}") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:  # Clotho's titles; ids are ASCII
        return data.decode("latin-1")


def _cells(item: EvaluationList, text: str) -> Iterator[str]:
    known = PUBLISHED.get(item.name)
    column = item.column or (known.column if known else "")
    rows = delimited.sniffed(io.StringIO(text, newline=""), lambda name: name == column)
    header = [name.strip() for name in next(rows, [])]
    places = {name: header.index(name) for name in (column, *item.rows) if name in header}
    for name in (column, *item.rows):
        if name not in places:
            raise UsageError(
                f"decontaminate: {item.name}: ids: {item.ids} has no column {name or '(column is not set)'}; "
                f"it has {', '.join(header) or 'none'}. {_advice(item)}"
            )
    for row in rows:
        cells = {name: row[place].strip() if place < len(row) else "" for name, place in places.items()}
        if all(cells[name] == value for name, value in item.rows.items()):
            yield cells[column]


def _kept_rows(item: EvaluationList) -> str:
    return f" in rows with {dict(item.rows)}" if item.rows else ""


def _advice(item: EvaluationList) -> str:
    if known := PUBLISHED.get(item.name):
        return f"{known.home} has it as {known.file}, column {known.column}"
    shown = ", ".join(sorted(PUBLISHED))
    return f"known lists are {shown}; of another, say its column and source"
