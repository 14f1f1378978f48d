"""Free Music Archive dumps (Defferrard et al., ISMIR 2017): `fma_metadata.zip` with `fma_full.zip`.

Facts about the source, from its README, code and published archives, checked 2026-07-30:

- Terms: metadata CC BY 4.0 (credit its authors, see `notes`); audio under the licence each artist chose, on
  which the dataset's authors hold and grant no rights. No rate limits: archives are downloaded whole.
- Licences: 114 spellings. Of 106,574 tracks about 6,960 are BY, many without version, and 1,014 CC0. The
  licence's URL in raw_tracks.csv counts more than its picture (a badge), and that more than its title; all
  are handed on where they name different licences, so that a person decides.
- Generative-AI preference: none is on record ('').
- Collections: fma_full holds whole tracks; large, medium and small hold 30 s cut from the middle.

Tables are joined on track_id; columns are found by name. What only raw_tracks.csv lists has no audio and is
not offered. Audio is `000/000002.mp3` for track 2, read where it lies, crc32 checked. Tracks known to be
broken are rejected as `known_defect`; further reasons: `bad_metadata` (a row cannot be read, or its other
half is missing), `bad_id`, `bad_path` (a zip member leads out of its archive), `not_offered` (a track of
`ids_file` that the dump does not have).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Literal

from sao_data.config import Location
from sao_data.errors import UsageError
from sao_data.records import Offer, Recording, Rejection
from sao_data.sources._common import rows, work_list
from sao_data.sources._common.archive import Archive
from sao_data.sources._common.cells import Remarks
from sao_data.sources._common.columns import Cells, Csv, TableLine
from sao_data.sources._fma.defects import defect_of
from sao_data.sources._fma.rows import (
    ALSO,
    GENRES,
    NEEDED,
    RAW_TRACKS,
    TRACKS,
    Genres,
    audio_url,
    genre_id_of,
    id_problem,
    joined,
    recording_of,
)

_COLLECTION = re.compile(r"fma_(?:full|large|medium|small)")
_FOLDER = "[0-9][0-9][0-9]"  # of up to a thousand tracks


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Which archives."""

    metadata: Location  # fma_metadata.zip, or the folder it was unpacked to
    audio: Location  # fma_full.zip (or large, medium, small), or the folder it was unpacked to
    clips: Literal["auto", True, False] = "auto"  # are they 30 s excerpts? auto: unless called fma_full
    ids_file: Location = ""  # only these tracks: a list of works (CSV) that names them by id


@dataclass(frozen=True, slots=True, kw_only=True)
class Fma:
    """The Source over one metadata archive and one collection of audio."""

    config: Config
    tally: Remarks = field(default_factory=Remarks, compare=False, repr=False)

    def check(self) -> None:
        """Raise UsageError unless both archives are whole and the tables have the columns that are needed."""
        for table in self._tables():
            table.require(NEEDED[posixpath.basename(table.name)])
        self._collection()
        self._wanted()

    def offers(self) -> Iterator[Offer | Rejection]:
        """Every row of tracks.csv in its order (of a list of works, those on it, then those that are not in
        the dump); then members that lead out of their archive."""
        self.check()
        self.tally.clear()
        tracks, raw_tracks, genres = self._tables()
        by_id = {genre_id_of(line.cells.get("genre_id", "")): line.cells for line in genres.rows()}
        collection, details, root = self._collection(), _Lookup(raw_tracks), self._root()
        wanted = self._wanted()
        missing = dict.fromkeys(wanted or ())
        for line in tracks.rows():
            number = line.cells.get("track_id", "")
            if wanted is None or number in wanted:
                missing.pop(number, None)
                yield self._offer(line, details, by_id, collection, root)
        for number in missing:
            detail = f"track {number} of the list is not in {TRACKS}"
            yield Rejection(id=f"fma:{number}", stage="list", reason="not_offered", detail=detail)
        for archive in (self._metadata, self._audio):
            for name in archive.refused():
                detail = f"the zip member {name[:200]!r} leads out of the archive"
                yield rows.reject_row("fma", name.encode(errors="replace"), "bad_path", detail)

    def open(self, recording: Recording) -> BinaryIO:
        """Stream the MP3; DamagedFile where its bytes are not what the zip's directory says."""
        return self._audio.open(posixpath.join(self._root(), recording.audio_url))

    def remarks(self) -> tuple[str, ...]:
        """What is to be said of the rows once they are read."""
        return self.tally.sentences("fma")

    def notes(self) -> tuple[str, ...]:
        """What a reader of the dataset should know of this source."""
        notes = [
            "Metadata of FMA tracks: M. Defferrard, K. Benzi, P. Vandergheynst, X. Bresson, "
            "FMA: A Dataset For Music Analysis (ISMIR 2017), https://github.com/mdeff/fma, CC BY 4.0 "
            "(https://creativecommons.org/licenses/by/4.0/); joined, selected and cleaned here.",
            "Licences of FMA tracks are those of the dump of 2017; its authors grant no rights in the audio.",
        ]
        if self._are_clips(self._collection()):
            notes.append(
                "These FMA tracks are excerpts of 30 s, without beginning and end; fma_full is whole."
            )
        return tuple(notes)

    def _wanted(self) -> dict[str, None] | None:
        """Ids of the tracks on the list, in its order; None: all are wanted."""
        if not self.config.ids_file:
            return None
        return dict.fromkeys(map(str, work_list.wanted(self.config.ids_file, "fma")))

    @property
    def _metadata(self) -> Archive:
        return Archive(path=self.config.metadata, key="metadata", plugin="fma")

    @property
    def _audio(self) -> Archive:
        return Archive(path=self.config.audio, key="audio", plugin="fma")

    def _tables(self) -> tuple[Csv, Csv, Csv]:
        archive = self._metadata
        archive.check()
        found = archive.files(TRACKS) or archive.files(f"*/{TRACKS}")
        if len(found) != 1:
            raise UsageError(
                f"fma: {self.config.metadata}: {len(found) or 'no'} tracks.csv in it; "
                "set source.metadata to fma_metadata.zip or to its folder"
            )
        folder = posixpath.dirname(found[0])
        names = {table: (*NEEDED[table], *ALSO[table]) for table in NEEDED}
        tracks, raw_tracks, genres = (
            Csv(archive=archive, name=posixpath.join(folder, table), names=names[table], header_lines=lines)
            for table, lines in ((TRACKS, 3), (RAW_TRACKS, 1), (GENRES, 1))
        )
        return tracks, raw_tracks, genres

    def _root(self) -> str:
        """The folder within the audio archive that holds 000/, 001/, …: '' or "fma_full"."""
        roots = {posixpath.dirname(name) for name in self._audio.folders(_FOLDER, f"*/{_FOLDER}")}
        if len(roots) != 1:
            what = f"several collections ({', '.join(sorted(roots))})" if roots else "no folders 000, 001, …"
            raise UsageError(
                f"fma: {self.config.audio}: {what} in it; set source.audio to fma_full.zip or to its folder"
            )
        return roots.pop()

    def _collection(self) -> str:
        """ "fma_full" and the like, by the name of folder or archive; UsageError if it matters and is not
        told."""
        self._audio.check()
        names = (self._root(), posixpath.basename(self.config.audio.replace("\\", "/").rstrip("/")))
        found = next((match[0] for name in names if (match := _COLLECTION.match(name))), "")
        if not found and self.config.clips == "auto":
            raise UsageError(
                f"fma: {self.config.audio}: not called fma_full, fma_large, fma_medium or fma_small; "
                "say whether these are the excerpts of 30 s: set source.clips = true or false"
            )
        return found

    def _are_clips(self, collection: str) -> bool:
        return collection != "fma_full" if self.config.clips == "auto" else self.config.clips

    def _offer(
        self, line: TableLine, details: _Lookup, genres: Genres, collection: str, root: str
    ) -> Offer | Rejection:
        cells = line.cells
        own = rows.canonical_json(dict(cells)).encode()
        if line.problem:
            return rows.reject_row("fma", own, "bad_metadata", f"{line.where}: {line.problem}")
        track_id = cells["track_id"]
        if problem := id_problem(track_id):
            return rows.reject_row("fma", own, "bad_id", f"{line.where}: {problem}")
        defect = defect_of(int(track_id), clips=self._are_clips(collection))
        if defect:
            return Rejection(id=f"fma:{track_id}", stage="list", reason="known_defect", detail=defect)
        raw_track = details.take(track_id)
        if raw_track is None:  # without it neither the licence's URL nor the notices to keep are known
            detail = f"{line.where}: no row of track {track_id} in {RAW_TRACKS} that can be read"
            return Rejection(id=f"fma:{track_id}", stage="list", reason="bad_metadata", detail=detail)
        facts = self._audio.facts(posixpath.join(root, audio_url(int(track_id))))
        raw = joined(cells, raw_track, genres, collection, facts and facts._asdict())
        if line.num_missing:
            self.tally.say("fewer cells than the header names columns; the missing are taken as not stated")
        return Offer(recording=recording(raw, self.config, self.tally), raw=raw)


class _Lookup:
    """Rows of raw_tracks.csv by track_id, read alongside tracks.csv: both are sorted, so that few wait."""

    def __init__(self, table: Csv) -> None:
        self._rows = table.rows()
        self._waiting: dict[str, Cells] = {}

    def take(self, track_id: str) -> Cells | None:
        """The row of a track; None if there is none that can be read."""
        if track_id in self._waiting:
            return self._waiting.pop(track_id)
        for line in self._rows:
            if line.problem:
                continue
            if line.cells["track_id"] == track_id:
                return line.cells
            self._waiting[line.cells["track_id"]] = line.cells
        return None


def build(config: Config) -> Fma:
    """Make the source."""
    return Fma(config=config)


def recording(raw: str, config: Config, tally: Remarks | None = None) -> Recording:
    """Read a track from the joined rows kept as evidence; ValueError if they are none of this source."""
    return recording_of(raw, clips=None if config.clips == "auto" else config.clips, tally=tally)
