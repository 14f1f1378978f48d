"""What the fake holds: sounds, users, packs. Plain mutable values: a world is there to be changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fakes.freesound.vocabulary import PREFERENCES
from tests.fakes.freesound.waves import Wave

Content = bytes | Path | Wave | None  # None: the file is missing on the server


@dataclass(slots=True, kw_only=True)
class Sound:
    """One sound as the server's tables hold it. `raw` replaces the object the API returns, key by key."""

    id: int
    user_id: int
    name: str = ""
    tags: tuple[str, ...] = ()
    description: str = ""
    category_code: str | None = None  # None: not analysed; its descriptors are null too
    category_is_user_provided: bool = False
    geotag: tuple[float, float] | None = None  # latitude, longitude
    created_ms: int = (
        1_400_000_000_000  # 2014-05-13T16:53:20Z; the index has the fraction, the API does not show it
    )
    licence: str = "cc0"  # key of vocabulary.LICENCES
    type: str = "wav"
    channels: int = 1
    filesize: int = 0
    bitrate: int = 0
    bitdepth: int | None = 16
    duration: float = 0.0
    samplerate: float = 44100.0
    pack_id: int = 0  # 0: in no pack
    num_downloads: int = 0
    num_ratings: int = 0
    num_comments: int = 0
    avg_rating: float = 0.0  # 0–5 as the API returns it
    is_explicit: bool = False
    is_remix: bool = False
    was_remixed: bool = False
    md5: str = ""
    content: Content = None
    raw: dict[str, Any] | None = None


@dataclass(slots=True, kw_only=True)
class User:
    """An account. Its preferences hold for all of its sounds."""

    id: int
    name: str
    preference: str = PREFERENCES[0]
    speech_opt_out: bool = False
    about: str = ""
    joined_ms: int = 1_112_659_200_000  # 2005-04-05
    deleted: bool = False


@dataclass(slots=True, kw_only=True)
class Pack:
    """A named collection of one user's sounds."""

    id: int
    user_id: int
    name: str
    description: str = ""
    created_ms: int = 1_112_659_200_000


def file_bytes(sound: Sound) -> bytes | None:
    """The original; None if the server has lost it."""
    match sound.content:
        case bytes() as data:
            return data
        case Path() as path:
            return path.read_bytes() if path.is_file() else None
        case Wave() as wave:
            return wave.file(sound.id)
    return None
