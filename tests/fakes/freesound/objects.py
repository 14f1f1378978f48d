"""JSON objects of the API: which fields there are, in which order, and what stands in them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from tests.fakes.freesound import dates, descriptors, match, vocabulary
from tests.fakes.freesound.quirks import Quirks
from tests.fakes.freesound.things import Pack, Sound, User
from tests.fakes.freesound.world import World

SITE = "https://freesound.org"  # web pages, which the fake does not have
DEFAULT_FIELDS = "id,name,tags,username,license"
_PREFERENCE = "gen_ai_preference"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What a reply knows while it writes sounds."""

    world: World
    quirks: Quirks
    origin: str  # of the API
    cdn: str
    is_detail: bool = False
    category_is_loaded: bool = True
    score: float | None = None


Field = Callable[[View, Sound], Any]


def names(fields: str | None) -> tuple[str, ...]:
    """The known names among a `fields` parameter, in the server's order. Spaces are not stripped."""
    wanted = set((fields or DEFAULT_FIELDS).split(","))
    if "*" in wanted:
        wanted |= {*FIELDS, "all_descriptors", "all_similarity_spaces"}
    if "all_descriptors" in wanted:
        wanted |= {*descriptors.NAMES}
    if "all_similarity_spaces" in wanted:
        wanted |= {*descriptors.SPACES}
    return tuple(name for name in (*FIELDS, *descriptors.NAMES, *descriptors.SPACES) if name in wanted)


def sound_object(view: View, sound: Sound, wanted: tuple[str, ...]) -> dict[str, Any]:
    """A sound, restricted to the wanted fields."""
    if sound.raw is not None:
        return {key: value for key, value in sound.raw.items() if key in wanted or key not in FIELDS}
    obj = {}
    for name in wanted:
        if name not in FIELDS:
            obj[name] = descriptors.value(sound, name)
        elif (field := FIELDS[name]) is None:
            obj[name] = getattr(sound, name)
        else:
            obj[name] = field(view, sound)
    if _PREFERENCE in obj:
        quirks = view.quirks
        if quirks.concerns(quirks.missing_preference, sound.id, "missing_preference"):
            del obj[_PREFERENCE]
        elif quirks.old_preference_field:
            obj = {"ai_preference" if name == _PREFERENCE else name: obj[name] for name in obj}
    return obj


def loads_category(wanted: tuple[str, ...]) -> bool:
    """The trap: asking for a descriptor loads the analysis, of which the category is loaded only if asked."""
    asked = set(wanted)
    return not asked & set(descriptors.NAMES) or bool(asked & {"category", "category_code"})


def user_object(view: View, user: User, num_sounds: int, num_packs: int) -> dict[str, Any]:
    """users/NAME/."""
    base = f"{view.origin}/apiv2/users/{quote(user.name)}"
    avatar = f"{view.cdn}/avatars/{user.id // 1000}/{user.id}"
    return {
        "url": f"{SITE}/people/{quote(user.name)}/",
        "username": user.name,
        "about": user.about,
        "home_page": None,
        "avatar": {size.lower(): f"{avatar}_{size[0]}.jpg" for size in ("Small", "Medium", "Large")},
        "date_joined": dates.shown(user.joined_ms) + "Z",
        "num_sounds": num_sounds,
        "sounds": f"{base}/sounds/",
        "num_packs": num_packs,
        "packs": f"{base}/packs/",
        "num_posts": 0,
        "num_comments": 0,
    }


def pack_object(view: View, pack: Pack, num_sounds: int) -> dict[str, Any]:
    """packs/ID/."""
    name = view.world.user(pack.user_id).name
    return {
        "id": pack.id,
        "url": f"{SITE}/people/{quote(name)}/packs/{pack.id}/",
        "description": pack.description,
        "created": dates.shown(pack.created_ms) + "Z",
        "name": pack.name,
        "username": name,
        "num_sounds": num_sounds,
        "sounds": f"{view.origin}/apiv2/packs/{pack.id}/sounds/",
        "num_downloads": 0,
    }


def slug(text: str) -> str:
    """Lower-case ASCII words joined by hyphens."""
    return "-".join(re.findall(r"[a-z0-9]+", text.lower())) or "sound"


def preview_names(sound: Sound) -> dict[str, str]:
    """The key of each preview and its path on the CDN. The official client relies on the hyphens."""
    stem = f"/previews/{sound.id // 1000}/{sound.id}_{sound.user_id}-"
    return {
        f"preview-{end.replace('.', '-')}": stem + end for end in ("hq.mp3", "hq.ogg", "lq.mp3", "lq.ogg")
    }


def _created(view: View, sound: Sound) -> str:
    quirks, text = view.quirks, dates.shown(sound.created_ms)
    if quirks.concerns(quirks.fraction_dates, sound.id, "fraction_dates"):
        text += f".{sound.created_ms % 1000:03d}"
    return text if quirks.concerns(quirks.naive_dates, sound.id, "naive_dates") else text + "Z"


def _license(view: View, sound: Sound) -> str:
    quirks, key = view.quirks, sound.licence
    if view.is_detail and quirks.concerns(quirks.relicensed_in_detail, sound.id, "relicensed_in_detail"):
        key = "cc0" if key == "by-nc4" else "by-nc4"
    scheme = ""
    if quirks.concerns(quirks.http_deeds, sound.id, "http_deeds"):
        scheme = "http"
    elif quirks.concerns(quirks.https_deeds, sound.id, "https_deeds"):
        scheme = "https"
    deed = vocabulary.LICENCES[key].deed(scheme)
    return deed.rstrip("/") if quirks.concerns(quirks.bare_deeds, sound.id, "bare_deeds") else deed


def _samplerate(view: View, sound: Sound) -> float | int:
    quirks = view.quirks
    whole = quirks.concerns(quirks.whole_samplerate, sound.id, "whole_samplerate")
    return int(sound.samplerate) if whole else sound.samplerate


def _bitdepth(view: View, sound: Sound) -> int | None:
    quirks = view.quirks
    return None if quirks.concerns(quirks.null_bitdepth, sound.id, "null_bitdepth") else sound.bitdepth


def _images(view: View, sound: Sound) -> dict[str, str]:
    stem = f"{view.cdn}/displays/{sound.id // 1000}/{sound.id}_{sound.user_id}"
    kinds = [f"{kind}{bw}_{size}" for kind in ("wave", "spec") for bw in ("", "_bw") for size in "ML"]
    long_names = {"wave": "waveform", "spec": "spectral"}
    return {
        k.replace(k[:4], long_names[k[:4]]).lower(): f"{stem}_{k}.{'png' if k[0] == 'w' else 'jpg'}"
        for k in kinds
    }


def _link(end: str) -> Field:
    return lambda view, sound: f"{view.origin}/apiv2/sounds/{sound.id}/{end}/"


def _pack(view: View, sound: Sound) -> str | None:
    return f"{view.origin}/apiv2/packs/{sound.pack_id}/" if sound.pack_id else None


def _pack_name(view: View, sound: Sound) -> str | None:
    return match.pack_grouping(view.world, sound).partition("_")[2] or None


def _username(view: View, sound: Sound) -> str:
    return view.world.user(sound.user_id).name


def _url(view: View, sound: Sound) -> str:
    return f"{SITE}/people/{_in_path(_username(view, sound))}/sounds/{sound.id}/"


@lru_cache(maxsize=4096)
def _in_path(name: str) -> str:
    return quote(name, safe="", errors="replace")


# In the server's order. None: the attribute of that name, as it is.
FIELDS: dict[str, Field | None] = {
    "id": None,
    "url": _url,
    "name": None,
    "tags": lambda view, sound: list(sound.tags),
    "description": None,
    "category": lambda view, sound: vocabulary.category_names(sound.category_code)[0],
    "subcategory": lambda view, sound: vocabulary.category_names(sound.category_code)[1],
    "category_code": None,
    "category_is_user_provided": None,
    "geotag": lambda view, sound: None if sound.geotag is None else "{} {}".format(*sound.geotag),
    "is_geotagged": lambda view, sound: sound.geotag is not None,
    "created": _created,
    "license": _license,
    _PREFERENCE: lambda view, sound: match.preference(
        view.world, sound, category_is_loaded=view.category_is_loaded
    ),
    "type": None,
    "channels": None,
    "filesize": None,
    "bitrate": None,
    "bitdepth": _bitdepth,
    "duration": None,
    "samplerate": _samplerate,
    "username": _username,
    "pack": _pack,
    "pack_name": _pack_name,
    "download": _link("download"),
    "bookmark": _link("bookmark"),
    "rate": _link("rate"),
    "comment": _link("comment"),
    "previews": lambda view, sound: {key: view.cdn + path for key, path in preview_names(sound).items()},
    "images": _images,
    "num_downloads": None,
    "num_ratings": None,
    "num_comments": None,
    "avg_rating": None,
    "comments": _link("comments"),
    "similar_sounds": lambda view, sound: _link("similar")(view, sound) if sound.category_code else None,
    "is_explicit": None,
    "score": lambda view, sound: view.score,
    "is_remix": None,
    "was_remixed": None,
    "md5": None,
}
