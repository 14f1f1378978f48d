"""The state behind the fake: an index of sounds as numpy columns, users, packs, and edits while it is listed.

A row is a place in the index. Rows are only appended; a deleted sound leaves the index (`in_index`) and the
database (`in_db`), a ghost is in the index alone, which the API shows as a null result.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.fakes.freesound import dates, vocabulary
from tests.fakes.freesound.chance import mix_all
from tests.fakes.freesound.stock import Column, Listed, Stock, Synthetic, from_folder
from tests.fakes.freesound.things import Pack, Sound, User
from tests.fakes.freesound.waves import NUM_VARIANTS, Wave

Edit = Callable[["World"], object]
Rows = npt.NDArray[np.int64]


class World:
    """Sounds, users and packs. Every public method may be called from any thread, at any time."""

    def __init__(self, stock: Stock | None = None) -> None:
        self.lock = threading.RLock()
        self.version = 0  # grows with every edit
        self.added: list[int] = []  # ids, in the order of the edits
        self.removed: list[int] = []
        self.packs: dict[int, Pack] = {}
        self.licence_names = {key: licence.name for key, licence in vocabulary.LICENCES.items()}  # in filters
        self.bookmarks: dict[int, dict[str, list[int]]] = {}  # user id → category → sound ids
        self._stock = stock if stock is not None else Listed([], {})
        self._changed: dict[int, Sound] = {}
        self._columns = {name: column.copy() for name, column in self._stock.columns.items()}
        self._columns["in_index"] = np.ones(self._stock.num, dtype=bool)
        self._columns["in_db"] = np.ones(self._stock.num, dtype=bool)
        self._users = dict(self._stock.users)
        self._names = {user.name: user.id for user in self._users.values()}
        self._by_id = np.argsort(self._columns["id"])  # of the stock
        self._later: dict[int, int] = {}  # rows of the sounds added since

    @classmethod
    def from_folder(cls, folder: str | Path) -> World:
        """A folder with sounds.jsonl and audio/ID.TYPE."""
        return cls(from_folder(Path(folder)))

    @classmethod
    def synthetic(
        cls, num: int, *, seed: int = 1, first_id: int = 1000, seconds: tuple[float, ...] = (0.5, 1.0, 2.0)
    ) -> World:
        """`num` sounds made up on the fly; `seconds` are the lengths of their (real) WAV and AIFF files."""
        return cls(Synthetic(num, seed=seed, first_id=first_id, seconds=seconds))

    # Reading

    @property
    def num_rows(self) -> int:
        """Rows ever, deleted ones included."""
        return len(self._columns["id"])

    def at(self, row: int) -> Sound:
        """The sound of a row, deleted or not."""
        changed = self._changed.get(row)
        return self._stock.sound(row) if changed is None else changed

    def sound(self, sound_id: int) -> Sound | None:
        """A sound in the database."""
        row = self._row(sound_id)
        return self.at(row) if row is not None and self.column("in_db")[row] else None

    def ids(self) -> list[int]:
        """Of every sound that is both in the index and in the database, in the order of creation."""
        with self.lock:
            rows = np.flatnonzero(self.column("in_index") & self.column("in_db"))
            order = np.argsort(self.column("created_ms")[rows], kind="stable")
            return [int(each) for each in self.column("id")[rows[order]]]

    def user(self, user_id: int) -> User:
        """The account of an id."""
        return self._users[user_id]

    def user_named(self, name: str) -> User | None:
        """Case-sensitive; old names and deleted accounts are not found."""
        user = self._users.get(self._names.get(name, 0))
        return None if user is None or user.deleted else user

    def users(self) -> list[User]:
        """All accounts that are not deleted."""
        return [user for user in self._users.values() if not user.deleted]

    def pack(self, pack_id: int) -> Pack | None:
        """A pack that was added, or one that a sound says it is in."""
        if pack_id in self.packs:
            return self.packs[pack_id]
        rows = np.flatnonzero((self.column("pack_id") == pack_id) & self.column("in_db"))
        if pack_id <= 0 or not len(rows):
            return None
        owner = self.at(int(rows[0])).user_id
        return Pack(id=pack_id, user_id=owner, name=self.pack_name(pack_id))

    def pack_name(self, pack_id: int) -> str:
        """The name of a pack that exists."""
        return self.packs[pack_id].name if pack_id in self.packs else f"Pack {pack_id}"

    def column(self, name: str) -> Column:
        """One number per row. Columns that are not ready-made are read from the sounds once."""
        column = self._columns.get(name)
        if column is None:
            with self.lock:
                values = [getattr(self.at(row), name) for row in range(self.num_rows)]
                kind = str if values and isinstance(values[0], str) else float
                column = self._columns[name] = np.array([v or kind() for v in values], dtype=kind)
        return column

    def ties(self, salt: int) -> npt.NDArray[np.uint64]:
        """What decides between rows that sort alike: an order that has nothing to do with their age."""
        return mix_all(self.column("id"), salt)

    # Edits

    def add(self, **fields: Any) -> Sound:
        """Add a sound; `username` or `user_id`, and any field of Sound. Bytes are made unless given."""
        with self.lock:
            sound_id = fields.pop("id", None) or int(self.column("id").max(initial=999)) + 1
            if "user_id" not in fields:
                fields["user_id"] = self.ensure_user(fields.pop("username", "someone")).id
            assert fields["user_id"] in self._users, fields["user_id"]
            sound = _complete(sound_id, fields)
            self._append(sound)
            self.added.append(sound_id)
            return sound

    def add_verbatim(self, obj: dict[str, Any]) -> Sound:
        """Add a sound whose API object is `obj`, however hostile; its keys are all that is ever shown."""
        created = dates.read(obj["created"]) if isinstance(obj.get("created"), str) else None
        usable = isinstance(obj.get("id"), int) and 0 < obj["id"] < 2**62 and self._row(obj["id"]) is None
        deed = obj.get("license")
        return self.add(
            id=obj["id"] if usable else None,
            username="someone",
            created_ms=created or 1_400_000_000_000,
            licence=(vocabulary.licence_key(deed) if isinstance(deed, str) else None) or "cc0",
            raw=copy.deepcopy(obj),
        )

    def add_ghosts(self, num: int, *, seed: int = 1) -> list[int]:
        """Add rows that only the index has, spread among the others: null results, 404 on their own."""
        chooser = random.Random(seed)
        with self.lock:
            models = [self.at(chooser.randrange(self.num_rows)) for _ in range(num)]
            ghosts = [self.add(user_id=m.user_id, created_ms=m.created_ms, licence=m.licence) for m in models]
            for ghost in ghosts:
                self.delete(ghost.id, reindexed=False)
            return [ghost.id for ghost in ghosts]

    def edit(self, sound_id: int, **fields: Any) -> None:
        """Change fields of one sound, in the database and the index."""
        with self.lock:
            row = self._row(sound_id)
            assert row is not None, sound_id
            self._store(row, dataclasses.replace(self.at(row), **fields))

    def relicense(self, sound_id: int, licence: str) -> None:
        """Give a sound another licence (a key of vocabulary.LICENCES)."""
        assert licence in vocabulary.LICENCES, licence
        self.edit(sound_id, licence=licence)

    def delete(self, sound_id: int, *, reindexed: bool = True) -> None:
        """Delete a sound; not `reindexed` leaves a ghost in the index."""
        with self.lock:
            row = self._row(sound_id)
            assert row is not None, sound_id
            self.column("in_db")[row] = False
            self.column("in_index")[row] = not reindexed
            self.removed.append(sound_id)
            self.version += 1

    def churn(self, *, adds: int = 1, removes: int = 1, seed: int = 1) -> None:
        """Add new sounds at random dates and delete random ones; `added` and `removed` remember which."""
        with self.lock:
            chooser = random.Random(f"{seed}|{self.version}")
            ids = self.ids()
            for sound_id in chooser.sample(ids, min(removes, len(ids))):
                self.delete(sound_id)
            for _ in range(adds):
                model = self.at(chooser.randrange(self.num_rows))
                self.add(user_id=model.user_id, created_ms=model.created_ms + 1, licence=model.licence)

    def ensure_user(self, name: str) -> User:
        """The user of that name, made if there is none."""
        with self.lock:
            if name not in self._names:
                user_id = self._names[name] = max(self._users, default=0) + 1
                self._users[user_id] = User(id=user_id, name=name)
            return self._users[self._names[name]]

    def rename_user(self, old: str, new: str) -> None:
        """Rename an account; nothing redirects from the old name."""
        with self.lock:
            user = self.ensure_user(old)
            user.name = new
            self._names[new] = self._names.pop(old)
            self.version += 1

    def set_preference(self, name: str, preference: str, *, speech_opt_out: bool = False) -> None:
        """Set what a user wishes for generative AI."""
        with self.lock:
            user = self.ensure_user(name)
            user.preference, user.speech_opt_out = preference, speech_opt_out
            self.version += 1

    def delete_user(self, name: str, *, keep_sounds: bool = True) -> None:
        """Delete an account: its sounds stay under `deleted_user_ID`, or go with it."""
        with self.lock:
            user = self.ensure_user(name)
            self.rename_user(name, f"deleted_user_{user.id}")
            user.deleted = True
            mine = (self.column("user_id") == user.id) & self.column("in_db")
            for sound_id in [] if keep_sounds else self.column("id")[mine]:
                self.delete(int(sound_id))

    # Rows

    def _row(self, sound_id: int) -> int | None:
        if sound_id in self._later:
            return self._later[sound_id]
        if not 0 < sound_id < 2**63 or not self._stock.num:
            return None
        ids = self._stock.columns["id"]
        place = min(int(np.searchsorted(ids, sound_id, sorter=self._by_id)), self._stock.num - 1)
        row = int(self._by_id[place])
        return row if ids[row] == sound_id else None

    def _append(self, sound: Sound) -> None:
        row = self.num_rows
        assert self._row(sound.id) is None, f"sound {sound.id} exists"
        for name, column in self._columns.items():
            value = np.array([_value(sound, name)])
            self._columns[name] = np.concatenate([column, value.astype(_wider(column, value))])
        self._changed[row] = sound
        self._later[sound.id] = row
        self.version += 1

    def _store(self, row: int, sound: Sound) -> None:
        self._changed[row] = sound
        for name, column in self._columns.items():
            if name not in ("in_index", "in_db"):
                value = np.array([_value(sound, name)])
                self._columns[name] = column.astype(_wider(column, value), copy=False)
                self._columns[name][row] = value[0]
        self.version += 1


def _value(sound: Sound, name: str) -> Any:
    if name in ("in_index", "in_db"):
        return True
    if name == "licence":
        return vocabulary.LICENCE_KEYS.index(sound.licence)
    value = getattr(sound, name)
    return 0.0 if value is None else value


def _wider(column: Column, value: Column) -> np.dtype[Any]:
    return np.promote_types(column.dtype, value.dtype) if column.dtype.kind == "U" else column.dtype


def _complete(sound_id: int, fields: dict[str, Any]) -> Sound:
    """Make bytes up where no content was given, and state what describes them unless the caller did."""
    content = fields.get("content")
    if "content" not in fields:
        wave = Wave(sound_id % NUM_VARIANTS, 1.0)
        made = {"content": wave, "type": wave.kind, "channels": wave.channels, "duration": wave.seconds}
        made |= {"filesize": wave.num_bytes, "md5": wave.md5(sound_id), "samplerate": float(wave.rate)}
        fields = made | fields
    elif isinstance(content, bytes):
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        fields = {"filesize": len(content), "md5": md5} | fields
    sound = Sound(id=sound_id, **fields)
    sound.name = sound.name or f"Sound {sound_id}.{sound.type}"
    return sound
