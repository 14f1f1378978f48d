"""manifests/music_classes.toml, read once and checked: which classes of AudioSet are music."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass

from sao_data.errors import UsageError
from sao_data.shipped import manifests_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class MusicClass:
    """One class of AudioSet."""

    index: int  # in the list of 527
    id: str  # "/m/04rlf"
    name: str  # display name


@dataclass(frozen=True, slots=True, kw_only=True)
class MusicClasses:
    """The classes under Music, and the singing that is not."""

    source: str
    checked: str
    num_labels: int
    music: tuple[MusicClass, ...]
    singing: tuple[MusicClass, ...]

    def names(self, *, singing: bool = False) -> tuple[str, ...]:
        """Display names of what counts as music."""
        return tuple(item.name for item in (*self.music, *(self.singing if singing else ())))


@functools.cache
def music_classes() -> MusicClasses:
    """The classes of this installation."""
    return read((manifests_folder() / "music_classes.toml").read_bytes())


def read(raw: bytes) -> MusicClasses:
    """Build the list from TOML; a malformed one raises, because nothing can be screened without it."""
    data = tomllib.loads(raw.decode())
    return MusicClasses(
        source=data["source"],
        checked=data["checked"],
        num_labels=data["num_labels"],
        music=_rows(data["music"]),
        singing=_rows(data["singing"]),
    )


def columns_of(names: tuple[str, ...], labels: tuple[str, ...], *, where: str) -> list[int]:
    """Where a tagger has these classes, by name; UsageError names the first one that it lacks."""
    places = {_plain(label): column for column, label in enumerate(labels)}
    missing = [name for name in names if _plain(name) not in places]
    if missing:
        raise UsageError(
            f"{where}: {len(missing)} of {len(names)} music classes are missing among its {len(labels)} "
            f"labels, {missing[0]!r} for one; screening.tagger wants one trained on AudioSet's 527 classes"
        )
    return [places[_plain(name)] for name in names]


def _rows(rows: list[tuple[int, str, str]]) -> tuple[MusicClass, ...]:
    return tuple(MusicClass(index=index, id=own_id, name=name) for index, own_id, name in rows)


def _plain(label: str) -> str:
    """Some label lists write Marimba,_xylophone."""
    return label.replace("_", " ").casefold()
