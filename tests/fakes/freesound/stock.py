"""Where a world's first sounds come from: a folder with sounds.jsonl, or thin air (any number, by index)."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tests.fakes.freesound import dates, vocabulary
from tests.fakes.freesound.chance import mix
from tests.fakes.freesound.things import Sound, User
from tests.fakes.freesound.waves import NUM_VARIANTS, Wave

Column = npt.NDArray[Any]
START, END = 1_112_659_200_000, 1_780_000_000_000  # ms: 2005-04-05, 2026-05-28

_WORDS = (
    "rain",
    "glass",
    "drone",
    "kick",
    "bird",
    "door",
    "river",
    "synth",
    "crowd",
    "engine",
    "piano",
    "wind",
)
_CODES = tuple(vocabulary.SUBCATEGORIES)
_LICENCE_SHARES = (0.53, 0.16, 0.18, 0.05, 0.06, 0.02)  # about as on the site


class Stock(Protocol):
    """Rows 0 … num - 1, in the order of their creation."""

    num: int
    users: dict[int, User]
    columns: dict[str, Column]  # ready-made ones: id, created_ms, licence (number), user_id

    def sound(self, row: int) -> Sound:
        """The sound of a row."""
        ...


class Listed:
    """Sounds held as values."""

    def __init__(self, sounds: list[Sound], users: dict[int, User]) -> None:
        self.sounds = sorted(sounds, key=lambda sound: (sound.created_ms, sound.id))
        self.users = users
        self.num = len(sounds)
        self.columns: dict[str, Column] = {
            "id": np.array([s.id for s in self.sounds], dtype=np.int64),
            "created_ms": np.array([s.created_ms for s in self.sounds], dtype=np.int64),
            "licence": np.array(
                [vocabulary.LICENCE_KEYS.index(s.licence) for s in self.sounds], dtype=np.int8
            ),
            "user_id": np.array([s.user_id for s in self.sounds], dtype=np.int32),
        }

    def sound(self, row: int) -> Sound:
        """The sound of a row."""
        return self.sounds[row]


class Synthetic:
    """Sounds made up from their index: half a million of them cost four columns of memory.

    Ids are not in the order of creation, bulk uploads share a second, and one second holds 400 sounds where
    there are 2,000 or more.
    """

    def __init__(self, num: int, *, seed: int = 1, first_id: int = 1000, seconds: tuple[float, ...]) -> None:
        rng = np.random.default_rng(seed)
        self.num, self.seed, self.first_id, self.seconds = num, seed, first_id, seconds
        num_users = max(1, num // 30)
        self.users = {user + 1: _synthetic_user(user + 1, seed) for user in range(num_users)}
        rows = np.arange(num, dtype=np.int64)
        self.columns: dict[str, Column] = {
            "id": first_id + (rows ^ 1),
            "created_ms": _created(num, rng),
            "licence": rng.choice(len(_LICENCE_SHARES), size=num, p=_LICENCE_SHARES).astype(np.int8),
            "user_id": rng.integers(1, num_users + 1, size=num, dtype=np.int32),
        }

    def sound(self, row: int) -> Sound:
        """The sound of a row."""
        columns = self.columns
        sound_id = self.first_id + (row ^ 1)
        bits = mix(sound_id, self.seed)
        wave = Wave(bits % NUM_VARIANTS, self.seconds[(bits >> 8) % len(self.seconds)])
        user_id = int(columns["user_id"][row])
        word, other = _WORDS[(bits >> 16) % 12], _WORDS[(bits >> 20) % 12]
        num_ratings = (bits >> 24) % 12
        return Sound(
            id=sound_id,
            user_id=user_id,
            name=f"{word.capitalize()} {other} #{row % 100}.{wave.kind}",
            tags=(word, other, "field-recording", *(("GenAI",) if (bits >> 28) % 50 == 0 else ())),
            description=f"{word.capitalize()} and <b>{other}</b>, take {row}.\r\nRecorded &amp; edited.",
            category_code=None if (bits >> 30) % 20 == 0 else _CODES[(bits >> 32) % len(_CODES)],
            category_is_user_provided=(bits >> 36) % 4 == 0,
            geotag=((bits >> 40) % 90 + 0.5, (bits >> 41) % 180 + 0.25) if (bits >> 38) % 10 == 0 else None,
            created_ms=int(columns["created_ms"][row]),
            licence=vocabulary.LICENCE_KEYS[columns["licence"][row]],
            type=wave.kind,
            channels=wave.channels,
            filesize=wave.num_bytes,
            bitrate=wave.rate * wave.channels * 16 // 1000,
            duration=wave.num_frames / wave.rate,
            samplerate=float(wave.rate),
            pack_id=user_id * 4 + (bits >> 44) % 4 if (bits >> 46) % 3 == 0 else 0,
            num_downloads=(bits >> 48) % 5000,
            num_ratings=num_ratings,
            num_comments=(bits >> 52) % 4,
            avg_rating=round((bits >> 54) % 500 / 100, 2) if num_ratings >= 3 else 0.0,
            is_explicit=(bits >> 56) % 100 == 0,
            is_remix=(bits >> 58) % 30 == 0,
            was_remixed=(bits >> 59) % 30 == 1,
            md5=wave.md5(sound_id),
            content=wave,
        )


def from_folder(folder: Path) -> Listed:
    """Read sounds.jsonl and audio/ID.TYPE; what the rows do not state is filled in, by id."""
    users: dict[str, User] = {}
    rows = [json.loads(line) for line in (folder / "sounds.jsonl").read_text("utf-8").splitlines() if line]
    sounds = [_listed(folder, row, users) for row in rows]
    return Listed(sounds, {user.id: user for user in users.values()})


def _listed(folder: Path, row: dict[str, Any], users: dict[str, User]) -> Sound:
    user = users.setdefault(row["username"], User(id=len(users) + 1, name=row["username"]))
    user.preference = row.get("gen_ai_preference") or user.preference
    key = vocabulary.licence_key(row["license"])
    assert key is not None, row["license"]
    path = folder / "audio" / f"{row['id']}.{row['type']}"
    content = path.read_bytes() if not row.get("md5") and path.is_file() else b""
    plain = ("id", "name", "description", "type", "channels", "bitrate", "bitdepth", "duration")
    flags = ("is_explicit", "is_remix", "was_remixed", "category_code", "category_is_user_provided")
    return Sound(
        user_id=user.id,
        tags=tuple(row.get("tags") or ()),
        created_ms=dates.read(row.get("created") or "") or _guessed_date(row["id"]),
        licence=key,
        filesize=row.get("filesize") or len(content),
        samplerate=float(row.get("samplerate") or 44100),
        md5=row.get("md5") or hashlib.md5(content, usedforsecurity=False).hexdigest(),
        content=path,
        **{name: row[name] for name in (*plain, *flags) if row.get(name) is not None},
    )


def _guessed_date(sound_id: int) -> int:
    """Ids grew from 2005 to about 860,000 in 2026; the fraction is there to be hidden by the API."""
    return START + min(sound_id, 860_000) * ((END - START) // 860_000) + mix(sound_id) % 1000


def _synthetic_user(user_id: int, seed: int) -> User:
    bits = mix(user_id, seed + 1)
    shapes = ("user{}", "Ana B. {}", "noise+{}", "-hero_{}-", "josé.{}", "cognito perceptu {}", "dj{}")
    return User(
        id=user_id,
        name=shapes[bits % len(shapes)].format(user_id),
        preference=vocabulary.PREFERENCES[max(0, (bits >> 8) % 20 - 16)],
        speech_opt_out=(bits >> 16) % 12 == 0,
    )


def _created(num: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    created = np.sort(rng.integers(START, END, size=num, dtype=np.int64))
    for first in range(0, num, 500):  # bulk uploads: 30 sounds in the same second
        last = min(first + 30, num)
        created[first:last] = created[first] // 1000 * 1000 + np.arange(last - first) * 30
    if num >= 2000:
        middle = num // 2
        created[middle : middle + 400] = created[middle] // 1000 * 1000 + np.arange(400) * 2
    return np.sort(created)
