"""What is found of sounds: the works that each is near to, and the baseline it is held against."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sao_model.evaluation.memorisation.judging import OwnBaseline
from sao_model.evaluation.sounds import LeftOutSound
from sao_model.metrics.embedded import Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class NearWork:
    """A work that a sound is near to."""

    embedder: str  # or "fingerprint", where only that found it
    similarity: float | None  # 1 equal; None: only the fingerprint found it
    id: str
    clip: str  # key of the sample
    title: str
    author: str
    license: str
    credit: str
    page_url: str
    at_seconds: float  # where the sound's window begins
    work_seconds: float  # … and the work's, within its clip
    fingerprint: str  # how it agrees; '' = it does not
    row: int  # number of the clip


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedSound:
    """A sound, and what it is near to."""

    key: str
    seconds: float
    sha256: str
    num_windows: int
    is_closer: bool  # by an embedder than the data's own works are to one another
    is_too_near: bool  # that, or a fingerprint agrees
    says: str  # in plain words
    nearest: tuple[NearWork, ...]  # by embedder, the nearest first; then what only fingerprints found
    path: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedderBaseline:
    """A baseline, and of what."""

    embedder: str
    num_windows: int  # of the sounds it is for
    is_scaled: bool  # 1 - squared distance, scaled by the data; else the cosine
    own: OwnBaseline


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorisationFound:
    """Everything that was found."""

    dataset: str
    version: str
    num_clips: int
    num_equal: int  # clips that are byte by byte another one
    num_heard: int  # the other clips were heard before
    embedders: tuple[Identity, ...]
    baselines: tuple[EmbedderBaseline, ...]
    asked: tuple[AskedSound, ...]  # as given
    left_out: tuple[LeftOutSound, ...]  # of the sounds
    unheard: tuple[LeftOutSound, ...]  # of the dataset

    @property
    def too_near(self) -> tuple[AskedSound, ...]:
        return tuple(each for each in self.asked if each.is_too_near)

    @property
    def summary(self) -> str:
        """One sentence or two."""
        told = [each for each in self.baselines if each.own.threshold is not None]
        by_print = sum(any(work.fingerprint for work in each.nearest) for each in self.asked)
        nearer = sum(each.is_closer for each in self.asked)
        closer = f"{nearer} closer than the data's own works are to one another"
        if self.baselines and not told:
            closer = "nobody can say by embeddings, there are too few works"
        return (
            f"{len(self.too_near)} of {len(self.asked)} sounds are too near a work of {self.dataset}: "
            f"fingerprints agree for {by_print}; {closer}."
        )
