"""Which rows of the index a filter and a query select, field by field as Solr's schema types them."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Callable

import numpy as np

from tests.fakes.freesound import dates, descriptors, vocabulary
from tests.fakes.freesound.query import BadFilter, Clause, Exact, Range
from tests.fakes.freesound.stock import Column
from tests.fakes.freesound.things import Sound
from tests.fakes.freesound.world import World

NUMBERS = {
    name: name
    for name in (
        "duration", "filesize", "samplerate", "channels", "bitrate", "bitdepth", "num_downloads",
        "num_ratings", "num_comments",
    )
}  # fmt: skip
FLAGS = ("is_explicit", "is_remix", "was_remixed")
_LATIN = re.compile(r"[^\W\d_]+")
_TEXT = re.compile(r"[^\W_]+")
_MARKUP = re.compile(r"<[^>]*>")


def select(
    world: World, clauses: tuple[Clause, ...], words: tuple[tuple[str, str], ...], now: float
) -> Column:
    """True for every row that satisfies all clauses and words."""
    mask: Column = world.column("in_index").copy()
    for clause in clauses:
        held = _clause(world, clause, mask, now)
        mask &= ~held if clause.negated else held
    for sign, word in words:
        held = _scan(world, mask, _mentions(world, word))
        mask &= ~held if sign == "-" else held
    return mask


def _mentions(world: World, word: str) -> Callable[[Sound], bool]:
    return lambda sound: _contains(_everything(world, sound), word)


def _clause(world: World, clause: Clause, mask: Column, now: float) -> Column:
    held = np.zeros(len(mask), dtype=bool)
    for value in clause.values:
        held |= _value(world, clause.name, value, mask, now)
    return held


def _value(world: World, name: str, value: Exact | Range, mask: Column, now: float) -> Column:
    if name in ("created", "created_range"):
        return _created(world, value, now)
    if name == "license":
        return _licence(world, value)
    if name == "id":
        return _id(world, value, mask)
    if name == "avg_rating":  # indexed 0–10
        return _between(world.column("avg_rating") * 2, value)
    if name in NUMBERS:
        return _between(world.column(name), value)
    if name == "type" and isinstance(value, Exact):
        return np.asarray(world.column("type") == value.text.lower())
    return _scan(world, mask, _predicate(world, name, value))


def _created(world: World, value: Exact | Range, now: float) -> Column:
    low, high = (value.low, value.high) if isinstance(value, Range) else (value.text, value.text)
    try:
        first = dates.EARLIEST if low == "*" else dates.span(low, now)[0]
        last = dates.LATEST if high == "*" else dates.span(high, now)[1]
    except dates.BadDate as error:
        raise BadFilter(str(error)) from error
    created = world.column("created_ms")
    return np.asarray((created >= first) & (created <= last))


def _licence(world: World, value: Exact | Range) -> Column:
    wanted = [_string(world.licence_names[key], value) for key in vocabulary.LICENCE_KEYS]
    return np.asarray(np.array(wanted)[world.column("licence")])


def _id(world: World, value: Exact | Range, mask: Column) -> Column:
    """The field is a string: equality is exact, ranges compare as text."""
    if isinstance(value, Exact) and value.text != "*":
        number = int(value.text) if re.fullmatch(r"[1-9]\d{0,18}", value.text) else 0
        return np.asarray(world.column("id") == number)
    return _scan(world, mask, lambda sound: _string(str(sound.id), value))


def _between(column: Column | np.float64, value: Exact | Range) -> Column:
    low, high = (value.low, value.high) if isinstance(value, Range) else (value.text, value.text)
    first = -math.inf if low == "*" else _number(low)
    last = math.inf if high == "*" else _number(high)
    return np.asarray((column >= first) & (column <= last))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise BadFilter(f"Invalid Number: {text}") from error


def _scan(world: World, mask: Column, holds: Callable[[Sound], bool]) -> Column:
    """Look at every row that is still in question."""
    held = np.zeros(len(mask), dtype=bool)
    for row in np.flatnonzero(mask):
        held[row] = holds(world.at(int(row)))
    return held


def _predicate(world: World, name: str, value: Exact | Range) -> Callable[[Sound], bool]:
    if name == "geotag":
        return _geotag(value)
    if name == "is_geotagged":
        return lambda sound: str(sound.geotag is not None).lower() == _text(value).lower()
    if name in FLAGS:
        return lambda sound: str(getattr(sound, name)).lower() == _text(value).lower()
    if name in ("category", "subcategory"):
        part = ("category", "subcategory").index(name)
        return lambda sound: _string(vocabulary.category_names(sound.category_code)[part] or "", value)
    if name == "tag":
        return lambda sound: any(_string(tag.lower(), value) for tag in sound.tags)
    if name == "username":
        wanted = _LATIN.findall(_text(value).lower())
        return lambda sound: _run(_LATIN.findall(world.user(sound.user_id).name.lower()), wanted)
    if name in ("name", "original_filename", "description", "pack", "comment"):
        return lambda sound: _contains(_field_text(world, sound, name), _text(value))
    if name in descriptors.NUMERIC:
        return lambda sound: bool(_between(np.float64(descriptors.number(sound, name)), value))
    exact: dict[str, Callable[[Sound], str]] = {
        "md5": lambda sound: sound.md5,
        "type": lambda sound: sound.type,
        "pack_grouping": lambda sound: pack_grouping(world, sound),
        "gen_ai_preference": lambda sound: preference(world, sound),
    }
    if name not in exact:
        raise BadFilter(f"undefined field {name}")
    return lambda sound: _string(exact[name](sound), value)


def preference(world: World, sound: Sound, *, category_is_loaded: bool = True) -> str:
    """The uploader's wish. A speech opt-out is missed where the estimated category has not been loaded."""
    user = world.user(sound.user_id)
    known = category_is_loaded or sound.category_is_user_provided
    opted_out = user.speech_opt_out and known and sound.category_code == "sp-s"
    return "no-gen-ai" if opted_out else user.preference


def pack_grouping(world: World, sound: Sound) -> str:
    """ "ID_NAME", '' outside packs."""
    return f"{sound.pack_id}_{world.pack_name(sound.pack_id)}" if sound.pack_id else ""


def _string(text: str, value: Exact | Range) -> bool:
    if isinstance(value, Range):
        return (value.low == "*" or value.low <= text) and (value.high == "*" or text <= value.high)
    return text == value.text or (value.text == "*" and text != "")


def _text(value: Exact | Range) -> str:
    if isinstance(value, Range):
        raise BadFilter("Can't run range query on a field of this type")
    return value.text


def _field_text(world: World, sound: Sound, name: str) -> str:
    if name == "pack":
        return pack_grouping(world, sound).partition("_")[2]
    return {"description": sound.description, "comment": ""}.get(name, sound.name)


def _everything(world: World, sound: Sound) -> str:
    names = [sound.name, sound.description, world.user(sound.user_id).name, str(sound.id), *sound.tags]
    return " ".join(names)


def _contains(text: str, wanted: str) -> bool:
    return _run(_stems(_MARKUP.sub(" ", html.unescape(text))), _stems(wanted))


def _stems(text: str) -> list[str]:
    """Much simpler than Porter's, but plural and -ing forms meet."""
    return [re.sub(r"(?<=\w\w\w)(ing|es|s|e)$", "", word) for word in _TEXT.findall(text.lower())]


def _run(have: list[str], wanted: list[str]) -> bool:
    num = len(wanted)
    return num > 0 and any(have[i : i + num] == wanted for i in range(len(have) - num + 1))


def _geotag(value: Exact | Range) -> Callable[[Sound], bool]:
    text = _text(value)
    if box := re.fullmatch(r"Intersects\((\S+) (\S+) (\S+) (\S+)\)", text):
        west, south, east, north = map(_number, box.groups())
        return lambda s: (
            s.geotag is not None and south <= s.geotag[0] <= north and west <= s.geotag[1] <= east
        )
    if circle := re.search(r"pt=([^,\s]+),(\S+)\s+d=([^\s}]+)", text):
        lat, lon, kilometres = map(_number, circle.groups())
        return lambda s: s.geotag is not None and _distance(s.geotag, (lat, lon)) <= kilometres
    raise BadFilter(f"Couldn't parse shape '{text}'")


def _distance(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Kilometres on a sphere (haversine)."""
    (lat1, lon1), (lat2, lon2) = ((math.radians(a), math.radians(b)) for a, b in (one, other))
    chord = math.sin((lat2 - lat1) / 2) ** 2
    chord += math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 12742.0 * math.asin(math.sqrt(chord))
