"""Does a work bear the title and artist of one in a catalogue? The paper's check of FMA (2.2).

The catalogue is a CSV file with a header, e.g. Kaggle's maharshipandya/-spotify-tracks-dataset (`track_name`,
`artists` separated by semicolons). The score is the lesser likeness of title and artist; where one side names
no artist, the title's alone. A hit is a question for a person, not a finding: names are shared.
"""

from __future__ import annotations

import csv
import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sao_data.errors import UsageError
from sao_data.licences.words import unescaped
from sao_data.screening.rows import Hit
from sao_data.screening.titles import artist_parts, plain_artist, plain_title, similarity
from sao_data.storage import delimited
from sao_data.storage.backend import open_storage

TITLES = ("title", "track_name", "track_title", "track", "song", "name")
ARTISTS = ("artist", "artists", "artist_name", "track_artist", "performer", "author")

_MAX_HITS = 5  # of one work
_MAX_CANDIDATES = 200  # by words of the title; its rarest word may bring more

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    title: str  # plain
    artists: tuple[str, ...]  # plain
    shown_title: str
    shown_artist: str
    row: int  # 1 = the first under the header


class KnownTitles:
    """A catalogue in memory, indexed by the words of its titles and by its artists."""

    def __init__(self, location: str, min_score: float) -> None:
        data = _bytes(location)
        self.sha256 = hashlib.sha256(data).hexdigest()
        self._min_score = min_score
        self._entries: list[_Entry] = []
        self._by_word: dict[str, list[int]] = {}
        self._by_artist: dict[str, list[int]] = {}
        num_rows, seen = 0, set()
        for entry in _entries(location, data):
            num_rows += 1
            if entry.title and (key := (entry.title, entry.artists)) not in seen:
                seen.add(key)
                self._add(entry)
        log.info("%s: %d works in %d rows", location, len(self._entries), num_rows)

    def find(self, title: str, author: str) -> tuple[Hit, ...]:
        """The works that this title and author may be, best first, five at most."""
        scores: dict[int, float] = {}
        for plain, artists in _readings(title, author):
            likeness_to: dict[str, float] = {}  # artists recur among the candidates
            for number in self._candidates(plain, artists):
                score = self._score(self._entries[number], plain, artists, likeness_to)
                if score > scores.get(number, 0.0):
                    scores[number] = score
        best = sorted(scores, key=lambda number: (-scores[number], self._entries[number].row))
        return tuple(self._hit(number, scores[number]) for number in best[:_MAX_HITS])

    def _add(self, entry: _Entry) -> None:
        number = len(self._entries)
        self._entries.append(entry)
        for word in set(entry.title.split()):
            self._by_word.setdefault(word, []).append(number)
        for artist in entry.artists:
            self._by_artist.setdefault(artist, []).append(number)

    def _candidates(self, title: str, artists: tuple[str, ...]) -> set[int]:
        """Entries by the same artist, and those with the title's rarest known words."""
        found: set[int] = set()
        by_word = [self._by_word[word] for word in set(title.split()) if word in self._by_word]
        for numbers in sorted(by_word, key=lambda numbers: (len(numbers), numbers)):
            if found and len(found) + len(numbers) > _MAX_CANDIDATES:
                break
            found.update(numbers)
        return found.union(*(self._by_artist[artist] for artist in artists if artist in self._by_artist))

    def _score(
        self, entry: _Entry, title: str, artists: tuple[str, ...], likeness_to: dict[str, float]
    ) -> float:
        score = similarity(title, entry.title, self._min_score)
        if not score or not artists or not entry.artists:
            return score
        for artist in entry.artists:
            if artist not in likeness_to:
                likeness_to[artist] = max(similarity(ours, artist, self._min_score) for ours in artists)
        return min(score, max(likeness_to[artist] for artist in entry.artists))

    def _hit(self, number: int, score: float) -> Hit:
        entry = self._entries[number]
        return Hit(
            title=entry.shown_title, artist=entry.shown_artist, score=score, reference=f"row {entry.row}"
        )


def check_catalogue(location: str) -> None:
    """Raise UsageError unless the catalogue is there, has the columns and names a work."""
    if not location:
        raise UsageError(
            "screening.catalogue: name a CSV file with title and artist columns "
            '(or choose screening.provider = "dry-run")'
        )
    if not any(entry.title for entry in _entries(location, _bytes(location))):
        raise UsageError(
            f"screening.catalogue: {location}: no row has a title, so nothing would be found; give a file "
            'with works in it (or choose screening.provider = "dry-run")'
        )


def _readings(title: str, author: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Title and artists as stated, and as "Artist - Title" in the title alone, as files are often called."""
    plain = plain_title(title)
    if plain:
        yield plain, artist_parts(author)
    left, dash, right = title.partition(" - ")
    if dash and (right_plain := plain_title(right)) and (left_parts := artist_parts(left)):
        yield right_plain, left_parts


def _bytes(location: str) -> bytes:
    folder, _, name = location.rpartition("/") if "://" in location else ("", "", "")
    if not name:
        path = Path(location).absolute()
        folder, name = str(path.parent), path.name
    try:
        return open_storage(folder).read(name)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise UsageError(f"screening.catalogue: {location}: no such file") from error


def _entries(location: str, data: bytes) -> Iterator[_Entry]:
    where = f"screening.catalogue: {location}"
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{where}: not UTF-8 (byte {error.start}); save it as CSV UTF-8") from error
    reader = delimited.named_rows(text)
    try:
        title_column = _column(reader, TITLES, where)
        artist_column = _column(reader, ARTISTS, where)
        for number, row in enumerate(reader, 1):
            yield _Entry(
                title=plain_title(unescaped(row[title_column])),
                artists=tuple(
                    p for part in unescaped(row[artist_column]).split(";") if (p := plain_artist(part))
                ),
                shown_title=row[title_column],
                shown_artist=row[artist_column],
                row=number,
            )
    except csv.Error as error:
        raise UsageError(f"{where}: line {reader.line_num}: {error}") from error


def _column(reader: csv.DictReader[str], aliases: tuple[str, ...], where: str) -> str:
    """The column under the first of these names, in any case."""
    found = {name.strip().casefold(): name for name in reader.fieldnames or () if name}
    for alias in aliases:
        if alias in found:
            return found[alias]
    raise UsageError(f"{where}: no column {' or '.join(aliases)}; found {', '.join(found) or 'none'}")
