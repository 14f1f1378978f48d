"""One track of the Free Music Archive dataset: the rows of its tables joined into evidence, and read from it.

The evidence is one JSON object: `tracks.csv` and `raw_tracks.csv` (the rows, cells that are empty left out),
`genres.csv` (rows of the genres it names, with those above them), `collection` ("fma_full", '' if it cannot
be told) and `audio_file` (what the zip's directory says of the file). Left out: the artist's coordinates,
often a home, and biography, from which nothing is read. Integers of -1 mean "not stated" there.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from sao_data.licences import parse
from sao_data.records import MediaFacts, Recording
from sao_data.sources._common import preference, rows
from sao_data.sources._common.cells import Remarks, first, text
from sao_data.sources._common.columns import Cells
from sao_data.sources._fma.defects import WRONG_SECONDS

TRACKS = "tracks.csv"  # three header lines: "track.title" is `title` under `track`
RAW_TRACKS = "raw_tracks.csv"
GENRES = "genres.csv"
NEEDED = {
    TRACKS: (
        "track_id", "track.title", "track.license", "track.genres", "track.genres_all", "track.duration",
        "album.title", "artist.name", "artist.id",
    ),
    RAW_TRACKS: (
        "track_id", "license_url", "license_image_file", "license_title", "track_copyright_c",
        "track_copyright_p", "track_url", "track_explicit",
    ),
    GENRES: ("genre_id", "parent", "title"),
}  # fmt: skip
ALSO = {  # read where they are there
    TRACKS: (
        "track.tags", "track.information", "track.date_recorded", "track.genre_top", "album.date_released",
    ),
    RAW_TRACKS: (
        "track_title", "artist_name", "artist_id", "artist_url", "track_information", "album_title",
        "track_date_recorded", "track_genres",
    ),
    GENRES: (),
}  # fmt: skip
NOT_KEPT = frozenset(("artist.bio", "artist.latitude", "artist.longitude"))
EXCERPT = "30 s excerpt cut from the middle by the FMA dataset's authors"

_LOOKED_AT = {"title": "track.title", "author": "artist.name", "album": "album.title", "tags": "track.tags"}
_MERGED_GENRES = {"806": "21"}  # by the dataset's authors
_ID = re.compile(r"[1-9][0-9]{0,8}")
_MOST_LITERAL = 20_000  # characters of a list cell
_DATE = re.compile(r"(?:\d{1,2}/\d{1,2}/)?((?:18[789]|19\d|20\d)\d)(-\d\d-\d\d)?\b")
_NO_DATES = ("1900-01-01", "1970-01-01", "01/01/1970")  # what programs write for no date

Genres = dict[str, Cells]


def joined(track: Cells, raw_track: Cells, genres: Genres, collection: str, file: object) -> str:
    """The evidence of one track: canonical JSON of all that is said of it."""
    named = {genre_id: _stated(genres[genre_id]) for genre_id in _with_parents(_genre_ids(track), genres)}
    return rows.canonical_json(
        {
            TRACKS: _stated(track),
            RAW_TRACKS: _stated(raw_track),
            GENRES: named,
            "collection": collection,
            "audio_file": file,
        }
    )


def recording_of(raw: str, *, clips: bool | None, tally: Remarks | None = None) -> Recording:
    """Read a track from its evidence; BadRow if it is none. `clips` None: as the collection's name has it."""
    said = rows.parse_object(raw.encode())
    track, own = _object(said, TRACKS), _object(said, RAW_TRACKS)
    genres = {
        genre_id: _object(_any_object(said, GENRES), genre_id) for genre_id in _any_object(said, GENRES)
    }
    if problem := id_problem(track.get("track_id", "")):
        raise rows.BadRow(problem)
    note = (tally or Remarks()).note_word
    for key, column in _LOOKED_AT.items():
        note(column, track.get(column, ""), key)
    track_id, seconds = int(track["track_id"]), _positive(track, "track.duration")
    is_cut = rows.text(said, "collection") not in ("", "fma_full") if clips is None else clips
    return Recording(
        id=f"fma:{track_id}",
        source="fma",
        title=first("title", track.get("track.title"), own.get("track_title")),
        author=first("author", track.get("artist.name"), own.get("artist_name")),
        author_id=_whole(first("author_id", track.get("artist.id"), own.get("artist_id"))),
        author_url=text(own.get("artist_url"), "author_url"),
        page_url=text(own.get("track_url"), "page_url"),
        audio_url=audio_url(track_id),
        license_claim=_both(track.get("track.license", ""), own.get("license_title", ""), " / "),
        license_url=_both(own.get("license_url", ""), _badge(own), " "),
        ai_preference=preference.stated(own | track),
        description=first("description", track.get("track.information"), own.get("track_information")),
        tags=tuple(
            tag
            for each in _list(track.get("track.tags", ""))
            if isinstance(each, str) and (tag := text(each, "tags"))
        ),
        genres=_genre_names(track, own, genres),
        album=first("album", track.get("album.title"), own.get("album_title")),
        year=_year(
            track.get("album.date_released"), track.get("track.date_recorded"), own.get("track_date_recorded")
        ),
        copyright_notice=_copyright(own),
        earlier_changes=(EXCERPT,) if is_cut and (seconds is None or seconds > 30) else (),
        is_explicit=_is_explicit(own.get("track_explicit", "")),
        media=MediaFacts(container="mp3", seconds=None if track_id in WRONG_SECONDS else seconds),
        evidence=rows.sha256_of(raw),
    )


def audio_url(track_id: int) -> str:
    """Where a track lies in its collection: track 2 is 000/000002.mp3."""
    number = f"{track_id:06d}"
    return f"{number[:3]}/{number}.mp3"


def id_problem(track_id: str) -> str:
    """Why this is no track's id; '' if it is one."""
    return "" if _ID.fullmatch(track_id) else f"id {track_id[:80]!r} is no integer > 0"


def genre_id_of(cell: str) -> str:
    """A genre's id as the tables are joined by it."""
    return _whole(cell)


def _any_object(said: rows.Row, key: str) -> rows.Row:
    value = said.get(key)
    if not isinstance(value, dict):
        raise rows.BadRow(f"want an object at {key!r}")
    return value


def _object(said: rows.Row, key: str) -> Cells:
    value = _any_object(said, key)
    cells = {name: cell for name, cell in value.items() if isinstance(cell, str)}
    if len(cells) < len(value):
        raise rows.BadRow(f"want strings alone at {key!r}")
    return cells


def _stated(cells: Cells) -> Cells:
    return {name: cell for name, cell in cells.items() if cell and name not in NOT_KEPT}


def _both(one: str, other: str, joint: str) -> str:
    """The first of two fields; the other in its place, or beside it where they are of different families."""
    if not one.strip() or not other.strip():
        return one if one.strip() else other
    return one if parse(one).family == parse(other).family else f"{one}{joint}{other}"


def _badge(own: Cells) -> str:
    """The picture of the licence, if its address names one: FMA's own pictures do not."""
    address = own.get("license_image_file", "")
    return "" if parse(address).family == "UNKNOWN" else address


def _whole(cell: str) -> str:
    """An integer >= 0 as its digits, also where pandas made it 7.0; '' for -1 and all else."""
    match = re.fullmatch(r"0*(\d{1,18})(?:\.0+)?", cell.strip())
    return match[1] if match else ""


def _positive(cells: Cells, name: str) -> float | None:
    return float(_whole(cells.get(name, "")) or 0) or None


def _list(cell: str) -> list[object]:
    """A list written as a Python literal; [] for anything else."""
    if len(cell) > _MOST_LITERAL:
        return []
    try:
        value = ast.literal_eval(cell.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return []
    return value if isinstance(value, list) else []


def _genre_ids(track: Cells) -> list[str]:
    """Ids of the track's own genres, then of all it belongs to."""
    cells = (track.get("track.genres", ""), track.get("track.genres_all", ""))
    ids = [_whole(str(item)) for cell in cells for item in _list(cell)]
    return list(dict.fromkeys(_MERGED_GENRES.get(genre_id, genre_id) for genre_id in ids))


def _with_parents(ids: list[str], genres: Genres) -> Iterator[str]:
    """Ids that the table knows, in their order, then those above them."""
    known = dict.fromkeys(genre_id for genre_id in ids if genre_id in genres)
    for genre_id in list(known):
        above = _whole(genres[genre_id].get("parent", ""))
        while above in genres and above not in known:
            known[above] = None
            above = _whole(genres[above].get("parent", ""))
    yield from known


def _genre_names(track: Cells, own: Cells, genres: Genres) -> tuple[str, ...]:
    """Titles of the track's genres, its own first; as its page had them where the table knows none."""
    titles = [genres[each].get("title", "") for each in _with_parents(_genre_ids(track), genres)]
    if not titles:
        dumped = (item for item in _list(own.get("track_genres", "")) if isinstance(item, dict))
        titles = [title for item in dumped if isinstance(title := item.get("genre_title"), str)]
    titles.append(track.get("track.genre_top", ""))
    return tuple(dict.fromkeys(said for title in titles if (said := text(title, "genres"))))


def _year(*dates: str | None) -> str:
    """The first date's year; dates that programs write for no date are none."""
    for date in dates:
        match = _DATE.match(date or "")
        if match and date is not None and not date.startswith(_NO_DATES):
            return match[1]
    return ""


def _copyright(own: Cells) -> str:
    """ "(c) Ana 2009; (p) Label 2010", the signs added where the notice does not begin with one."""
    notices = []
    for sign, other_sign, column in (("(c)", "©", "track_copyright_c"), ("(p)", "℗", "track_copyright_p")):
        notice = text(own.get(column), "copyright_notice").strip()
        if notice:
            has_sign = notice.casefold().startswith((sign, other_sign, "copyright"))
            notices.append(notice if has_sign else f"{sign} {notice}")
    return "; ".join(notices)


def _is_explicit(cell: str) -> bool:
    """The site's words are Radio-Safe, Radio-Unsafe and Adults-Only; others count as explicit."""
    return re.sub(r"[^a-z]", "", cell.casefold()) not in ("", "radiosafe", "no", "none", "nan")
