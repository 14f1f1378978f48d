"""Sets of sounds embedded by every embedder at hand; what was embedded before comes from the cache.

The cache is by embedder and by the audio itself: sha256 of the cut PCM. CACHE/NAME-DIGEST/SHA256.npz
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from sao_data import config as settings
from sao_data.errors import UsageError
from sao_model.evaluation import embeddings, sounds
from sao_model.evaluation.embedding import (
    MapUnits,
    NamedEmbedder,
    TaggingEmbedder,
    TextEmbedder,
    in_this_process,
)
from sao_model.evaluation.protocol import EvaluationProtocol
from sao_model.evaluation.sounds import LeftOutSound, ReadSound, SoundItem
from sao_model.metrics.embedded import EmbeddedSet, Floats, Identity
from sao_model.training.loop import RunProgress

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatedClip:
    """What is kept of a sound that was read."""

    key: str
    prompt: str
    group: str
    seconds: float
    sha256: str
    path: Path | None


@dataclass(slots=True, kw_only=True)
class EmbeddedSounds:
    """A set of sounds, embedded by all."""

    clips: list[EvaluatedClip] = field(default_factory=list)
    left_out: list[LeftOutSound] = field(default_factory=list)
    sets: dict[str, EmbeddedSet] = field(default_factory=dict)  # by the embedder's name
    num_embedded: int = 0  # the rest was in the cache

    @property
    def digest(self) -> str:
        """sha256 of the keys and the audio: equal sets, equal digest."""
        return settings.digest([(clip.key, clip.sha256) for clip in self.clips])


class Cache:
    """A folder of embeddings."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def place(self, identity: Identity, sha256: str) -> Path:
        return self._folder / f"{identity.name}-{settings.digest(identity)[:16]}" / f"{sha256}.npz"

    def find(self, path: Path, dimensions: int) -> Floats | None:
        """(W, D), if it is there and whole."""
        try:
            with np.load(path, allow_pickle=False) as file:
                found = np.asarray(file["windows"], np.float32)
        except (FileNotFoundError, ValueError, KeyError, OSError, EOFError) as error:
            if not isinstance(error, FileNotFoundError):
                log.warning("%s: damaged (%s), made again", path, error)
            return None
        return found if found.ndim == 2 and found.shape[1] == dimensions and len(found) else None

    def keep(self, new: Mapping[Path, Floats]) -> None:
        """Put what was made in its places."""
        for place, windows in new.items():
            embeddings.publish(place, {"windows": windows}, is_cache=True)


def embed(
    items: Sequence[SoundItem],
    embedders: Sequence[NamedEmbedder],
    protocol: EvaluationProtocol,
    cache: Cache,
    progress: RunProgress,
    *,
    what: str,
    seconds: float,
    map_units: MapUnits = in_this_process,
) -> EmbeddedSounds:
    """Read every sound once, and embed it by each embedder that has not heard it."""
    unit = EmbedSound(tuple(embedders), cache, seconds, protocol.least_seconds)
    done: dict[int, EmbeddedClip] = {}
    progress.start(f"reading and embedding: {what}", len(items), "sounds")
    for each in map_units(unit, list(enumerate(items))):
        cache.keep(each.new)
        done[each.number] = each
        progress.advance(1)
    progress.finish()
    found = EmbeddedSounds()
    windows: dict[str, list[Floats]] = {each.identity.name: [] for each in embedders}
    for number, item in enumerate(items):
        each = done[number]
        if isinstance(each.read, LeftOutSound):
            found.left_out.append(each.read)
            continue
        for name in windows:
            windows[name].append(each.windows[name])
        found.num_embedded += len(each.new)
        found.clips.append(replace(each.read, path=item.path))
    if found.clips:
        for one in embedders:
            name = one.identity.name
            found.sets[name] = _set(one, found.clips, windows[name], cache, with_texts=what == "measured")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedClip:
    """What a unit gives back of one sound."""

    number: int
    read: EvaluatedClip | LeftOutSound
    windows: dict[str, Floats]  # by the embedder's name
    new: dict[Path, Floats]  # those of them that were not in the cache, by their place there


@dataclass(frozen=True, slots=True)
class EmbedSound:
    """Runs on a worker: one sound read, and embedded by those that have not heard it. It writes nothing."""

    embedders: tuple[NamedEmbedder, ...]
    cache: Cache
    seconds: float
    least_seconds: float

    def __call__(self, job: tuple[int, SoundItem]) -> EmbeddedClip:
        number, item = job
        if item.path and not item.path.exists():
            raise UsageError(
                f"cannot see {item.path}; give folders that every node mounts, or --executor local"
            )
        read = sounds.read(item, self.seconds, self.least_seconds)
        if isinstance(read, LeftOutSound):
            return EmbeddedClip(number=number, read=read, windows={}, new={})
        windows, new = {}, {}
        for each in self.embedders:
            place = self.cache.place(each.identity, read.sha256)
            there = self.cache.find(place, each.identity.num_dimensions)
            if there is None:
                new[place] = there = _embedded(read, each)
            windows[each.identity.name] = there
        clip = EvaluatedClip(
            key=item.key,
            prompt=item.prompt,
            group=item.group,
            seconds=read.seconds,
            sha256=read.sha256,
            path=None,
        )
        return EmbeddedClip(number=number, read=clip, windows=windows, new=new)


def _embedded(read: ReadSound, each: NamedEmbedder) -> Floats:
    made = np.asarray(each.embedder.embed(read.at(each.embedder.sample_rate)), np.float32)
    assert made.ndim == 2 and made.shape[1] == each.identity.num_dimensions, made.shape  # noqa: PT018
    assert np.isfinite(made).all(), (each.identity.name, read.item.key)
    return made


def _set(
    each: NamedEmbedder,
    clips: Sequence[EvaluatedClip],
    windows: list[Floats],
    cache: Cache,
    *,
    with_texts: bool,
) -> EmbeddedSet:
    logits: tuple[Floats, ...] = ()
    if isinstance(each.embedder, TaggingEmbedder):
        logits = tuple(each.embedder.logits(one) for one in windows)
    texts: tuple[Floats, ...] = ()
    if with_texts and isinstance(each.embedder, TextEmbedder):
        texts = _texts(each, [clip.prompt for clip in clips], cache)
    return EmbeddedSet(
        identity=each.identity,
        keys=tuple(clip.key for clip in clips),
        groups=tuple(clip.group for clip in clips),
        windows=tuple(windows),
        logits=logits,
        texts=texts,
    )


def _texts(each: NamedEmbedder, prompts: Sequence[str], cache: Cache) -> tuple[Floats, ...]:
    """(D,) of each prompt, each text once; (0,) where there is none."""
    assert isinstance(each.embedder, TextEmbedder)
    dimensions = each.identity.num_dimensions
    places = {
        text: cache.place(each.identity, hashlib.sha256(f"text:{text}".encode()).hexdigest())
        for text in dict.fromkeys(prompts)
        if text
    }
    found = {text: cache.find(path, dimensions) for text, path in places.items()}
    new = [text for text, there in found.items() if there is None]
    for text, made in zip(new, each.embedder.embed_texts(new) if new else [], strict=True):
        found[text] = row = np.asarray(made, np.float32)[None]
        embeddings.publish(places[text], {"windows": row}, is_cache=True)
    none = np.empty(0, np.float32)
    return tuple(there[0] if (there := found.get(text)) is not None else none for text in prompts)
