"""A folder of made works that changes in every way a source can, and the datasets built before and after."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from sao_data.dataset.reader import Dataset, open_dataset
from tests.datasets_made import BY, CC0, NC, SAMPLING, build, load, tone_wav

BY3 = "http://creativecommons.org/licenses/by/3.0/"
ND = "https://creativecommons.org/licenses/by-nd/4.0/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One row of the folder's metadata, and its sound."""

    name: str
    license: str = BY
    title: str = "A tone"
    author: str = "Ada"
    ai_preference: str = ""
    tags: str = "tone"
    hz: float = 0.0  # 0 = follows from the name

    @property
    def id(self) -> str:
        return f"folder:{self.name}-wav"


BEFORE = tuple(
    Work(name=name, license=license_, hz=200.0 + 10 * number)
    for number, (name, license_) in enumerate(
        (
            ("same", BY), ("upgraded", BY3), ("moved", BY), ("narrowed", BY), ("widened", NC), ("gone", CC0),
            ("goneout", NC), ("optout", BY), ("wish", BY), ("renamed", BY), ("revoiced", CC0),
            ("stillout", NC), ("retagged", BY),
        )
    )
)  # fmt: skip

_CHANGES: dict[str, Callable[[Work], Work | None]] = {
    "upgraded": lambda w: dataclasses.replace(w, license=BY),
    "moved": lambda w: dataclasses.replace(w, license=SAMPLING),
    "narrowed": lambda w: dataclasses.replace(w, license=NC),
    "widened": lambda w: dataclasses.replace(w, license=CC0),
    "gone": lambda _: None,
    "goneout": lambda _: None,
    "optout": lambda w: dataclasses.replace(w, ai_preference="no-gen-ai"),
    "wish": lambda w: dataclasses.replace(w, ai_preference="open-source-models"),
    "renamed": lambda w: dataclasses.replace(w, author="Ada L.", title="The tone"),
    "revoiced": lambda w: dataclasses.replace(w, hz=777.0),
    "stillout": lambda w: dataclasses.replace(w, ai_preference="no-gen-ai"),
    "retagged": lambda w: dataclasses.replace(w, tags="tone,sine"),
}
NEW = (Work(name="new", hz=500.0), Work(name="newout", license=NC, hz=510.0))
AFTER = (
    *(later for work in BEFORE if (later := _CHANGES.get(work.name, lambda w: w)(work)) is not None),
    *NEW,
)


def write_works(folder: Path, works: Iterable[Work]) -> Path:
    """The folder with exactly these works."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    columns = ("file_name", "title", "author", "license", "url", "ai_preference", "tags")
    with (folder / "metadata.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for w in works:
            (folder / f"{w.name}.wav").write_bytes(tone_wav(w.hz))
            url = f"https://example.org/{w.name}"
            writer.writerow([f"{w.name}.wav", w.title, w.author, w.license, url, w.ai_preference, w.tags])
    return folder


def version(tmp: Path, works: Iterable[Work], out: str, extra: str = "", *, folder: str = "in") -> Dataset:
    """The dataset of these works, in tmp/OUT."""
    build(load(tmp, write_works(tmp / folder, works), extra), tmp / out)
    return open_dataset(str(tmp / out))


__all__ = [
    "AFTER",
    "BEFORE",
    "BY",
    "BY3",
    "CC0",
    "NC",
    "ND",
    "NEW",
    "SAMPLING",
    "Work",
    "version",
    "write_works",
]
