"""What was heard of a dataset, kept by the sha256 of each clip's FLAC: asked again, only new clips are read.

    CACHE/memorisation/NAME-DIGEST/PACK.npz    sha256 (N,), lengths (N,), starts (W,), windows (W, D)
    CACHE/memorisation/prints-1/PACK.npz       sha256 (N,), prints (N,), hashes (N,)

A pack appears whole or not at all, so a kill loses one pack's work; its name is a digest of what is in it. Of
clips that are not in the dataset (any more) nothing is used.
"""

from __future__ import annotations

import io
import logging
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sao_data import config as settings_file
from sao_data.dataset.reader import Dataset
from sao_data.loading import stream
from sao_data.records import SampleRow
from sao_data.storage import shards
from sao_model.evaluation import embeddings, sounds
from sao_model.evaluation.embedding import NamedEmbedder
from sao_model.evaluation.memorisation import hearing
from sao_model.evaluation.memorisation.settings import MemorisationSettings
from sao_model.evaluation.sounds import LeftOutSound, SoundItem
from sao_model.training.loop import RunProgress

log = logging.getLogger(__name__)

Arrays = Mapping[str, npt.NDArray[Any]]

PACK = 64  # clips in a file
_LONGEST = 86_400.0  # seconds: a clip is heard whole
PRINTS = "prints"


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryPack:
    """Some clips of the dataset by one embedder."""

    rows: npt.NDArray[np.int64]  # (N,) numbers of the clips among the library's
    lengths: npt.NDArray[np.int64]  # (N,) windows of each, 1 or more
    starts: npt.NDArray[np.float64]  # (W,) seconds
    windows: npt.NDArray[np.float32]  # (W, D)


class PackFolder:
    """Packs of one kind; knows which clips are in them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: list[tuple[str, dict[str, npt.NDArray[Any]]]] = []
        self.there: set[str] = set()
        self.packs: list[Path] = []
        for path in sorted(folder.glob("[!.]*.npz")):
            held = self.read(path, ("sha256",))
            if held is not None:
                self.there.update(held["sha256"].tolist())
                self.packs.append(path)

    def read(self, path: Path, names: Sequence[str]) -> dict[str, npt.NDArray[Any]] | None:
        """These arrays of a pack; None, said, if it is damaged."""
        try:
            with path.open("rb") as held, np.load(held, allow_pickle=False) as file:
                return {name: file[name] for name in names}
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
            log.warning("%s: damaged (%s); its clips are heard again", path, error)
            path.unlink(missing_ok=True)
            return None

    def add(self, sha256: str, arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Keep one clip; written with others."""
        self._waiting.append((sha256, arrays))
        self.there.add(sha256)
        if len(self._waiting) >= PACK:
            self.flush()

    def flush(self) -> None:
        if not self._waiting:
            return
        keys = [sha256 for sha256, _ in self._waiting]
        joined = {
            name: np.concatenate([each[name] for _, each in self._waiting]) for name in self._waiting[0][1]
        }
        path = self._folder / f"{settings_file.digest(keys)[:24]}.npz"
        embeddings.publish(path, {"sha256": np.array(keys), **joined}, is_cache=True)
        self.packs.append(path)
        self._waiting = []


class Library:
    """A dataset's clips, without those taken down, each audio once; `update` hears what is new."""

    def __init__(
        self,
        dataset: Dataset,
        cache: Path,
        embedders: Sequence[NamedEmbedder],
        settings: MemorisationSettings,
    ) -> None:
        self.dataset, self.settings, self._embedders = dataset, settings, embedders
        gone = stream.taken_down(dataset)
        rows = sorted((r for r in dataset.samples() if r.recording_id not in gone), key=lambda r: r.key)
        self.rows: list[SampleRow] = list({row.sha256: row for row in reversed(rows)}.values())[::-1]
        self.num_equal = len(rows) - len(self.rows)  # clips whose audio another clip has, byte by byte
        self._number = {row.sha256: n for n, row in enumerate(self.rows)}
        base, cut = cache / "memorisation", (hearing.VERSION, settings.window_seconds, settings.hop_seconds)
        self._folders = {
            each.identity.name: PackFolder(
                base / f"{each.identity.name}-{settings_file.digest(each.identity, cut)[:16]}"
            )
            for each in embedders
        }
        self._folders[PRINTS] = PackFolder(base / f"{PRINTS}-1")
        self.left_out: list[LeftOutSound] = []
        self.num_heard = 0  # the rest was in the cache

    def update(self, progress: RunProgress) -> None:
        """Hear every clip that some pack lacks; in the order of shards."""
        new = [
            row for row in self.rows if any(row.sha256 not in each.there for each in self._folders.values())
        ]
        progress.start("hearing the dataset", len(new), "clips")
        for row in sorted(new, key=lambda row: (row.shard, row.flac_offset)):
            self._hear(row)
            progress.advance(1)
        for each in self._folders.values():
            each.flush()
        progress.finish()

    def packs(self, embedder: str) -> Iterator[LibraryPack]:
        """All that was heard by an embedder, pack by pack; each clip once."""
        seen: set[int] = set()
        folder = self._folders[embedder]
        for path in sorted(folder.packs):
            arrays = folder.read(path, ("sha256", "lengths", "starts", "windows"))
            if arrays is not None:
                yield self._kept(arrays, seen)

    def prints(self) -> Iterator[tuple[int, tuple[str, ...], str]]:
        """(number, fingerprints, spectral hash) of every clip."""
        seen: set[int] = set()
        folder = self._folders[PRINTS]
        for path in sorted(folder.packs):
            arrays = folder.read(path, ("sha256", "prints", "hashes")) or {"sha256": np.array([])}
            for place, sha256 in enumerate(arrays["sha256"].tolist()):
                number = self._number.get(sha256, -1)
                if number >= 0 and number not in seen:
                    seen.add(number)
                    said = str(arrays["prints"][place])
                    yield number, tuple(said.split()), str(arrays["hashes"][place])

    def pcm(self, number: int) -> hearing.Pcm | None:
        """A clip's audio; None if it cannot be used."""
        read = sounds.read(self._item(self.rows[number]), _LONGEST, 0.0)
        return None if isinstance(read, LeftOutSound) else read.pcm_TC

    def _hear(self, row: SampleRow) -> None:
        read = sounds.read(self._item(row), _LONGEST, 0.0)
        if isinstance(read, LeftOutSound):
            self.left_out.append(read)
            return
        self.num_heard += 1
        for each in self._embedders:
            folder = self._folders[each.identity.name]
            if row.sha256 not in folder.there:
                made, starts = hearing.embedded(read.pcm_TC, self.settings, each)
                folder.add(row.sha256, {"lengths": np.array([len(made)]), "starts": starts, "windows": made})
        if row.sha256 not in self._folders[PRINTS].there:
            heard = hearing.printed(read.pcm_TC)
            arrays = {"prints": np.array([" ".join(heard.prints)]), "hashes": np.array([heard.spectral_hash])}
            self._folders[PRINTS].add(row.sha256, arrays)

    def _item(self, row: SampleRow) -> SoundItem:
        def opened() -> io.BytesIO:
            return io.BytesIO(shards.read_sample(self.dataset.storage, row)[0])

        return SoundItem(key=row.key, prompt="", group="", open=opened)

    def _kept(self, arrays: Arrays, seen: set[int]) -> LibraryPack:
        """A pack without what is of no use here: strange clips, silent ones, and those seen before."""
        rows = np.array([self._number.get(each, -1) for each in arrays["sha256"].tolist()], np.int64)
        lengths = arrays["lengths"].astype(np.int64)
        usable = np.array([n >= 0 and n not in seen for n in rows.tolist()], bool) & (lengths > 0)
        seen.update(rows[usable].tolist())
        inside = np.repeat(usable, lengths)
        return LibraryPack(
            rows=rows[usable],
            lengths=lengths[usable],
            starts=arrays["starts"][inside],
            windows=arrays["windows"][inside],
        )
