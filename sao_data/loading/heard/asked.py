"""What a report is asked about: a shard, checkpoints, or the weights behind a generated sound."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sao_data.dataset.reader import Dataset
from sao_data.errors import IntegrityError, MatchedNothing, UsageError
from sao_data.loading import training_data
from sao_data.loading.heard import works
from sao_data.loading.heard.works import SeenSamples
from sao_data.storage import checksums, documents

log = logging.getLogger(__name__)

_FIX = "generate the sound again, or give its own file"


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedWorks:
    """The works meant, and what a report has to say of that."""

    heard: SeenSamples
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _AdapterUsed:
    sha256: str
    strength: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """What is read of the FILE.json beside a generated sound."""

    sha256: str
    prompt: str = ""
    model_digest: dict[str, str] = field(default_factory=dict)
    loras: list[_AdapterUsed] = field(default_factory=list)


def of_shard(dataset: Dataset, name: str) -> AskedWorks:
    """The works of one shard; MatchedNothing where there is none of that name."""
    named = name if name.endswith(".tar") else f"{name}.tar"
    shard = next((each for each in dataset.shards() if each.name == named), None)
    if shard is None:
        there = ", ".join(each.name for each in dataset.shards()[:5])
        raise MatchedNothing(
            f"--shard {name}: {dataset.storage.url} has none of that name (it has {there} …)"
        )
    rows = training_data.in_order(row for row in dataset.samples() if row.shard == named).get(named, [])
    clips = tuple(works.clip(row, place) for place, row in enumerate(rows))
    return AskedWorks(
        heard=SeenSamples(samples=clips, step=0, elsewhere=(), reason="in_other_shards"),
        remarks=(f"Only the works in the shard {named} (sha256 {shard.sha256}).",),
    )


def of_checkpoints(dataset: Dataset, checkpoints: Sequence[Path]) -> AskedWorks:
    """The works that any of the checkpoints has heard."""
    every = [works.seen_samples(dataset, path) for path in checkpoints]
    remarks = [
        line for path, each in zip(checkpoints, every, strict=True) for line in each.remarks(path.name)
    ]
    return AskedWorks(heard=_together(every), remarks=tuple(dict.fromkeys(remarks)))


def of_sound(dataset: Dataset, sound: Path, folders: Sequence[Path]) -> AskedWorks:
    """The works that the weights behind a generated sound have heard. The weights are looked for below the
    folders by their digests, which FILE.json beside the sound names: UsageError where they are not there."""
    said = _said(sound)
    used = [each.sha256 for each in said.loras if each.strength]
    wanted = {"dit": said.model_digest.get("dit", "")}
    wanted |= {f"adapter {n}": digest for n, digest in enumerate(used, 1)}
    found = {what: _made_by(digest, folders) for what, digest in wanted.items()}
    missing = [f"{what} {wanted[what][:16] or 'not stated'}" for what, path in found.items() if not path]
    if missing:
        where = f"not below {', '.join(map(str, folders))}" if folders else "and no --checkpoint is given"
        raise UsageError(
            f"{sound}: made by {', '.join(missing)} (sha256), {where}; give --checkpoint a folder "
            "with the checkpoints that may have made it"
        )
    paths = list(dict.fromkeys(path for path in found.values() if path))
    asked = of_checkpoints(dataset, paths)
    prompt = f" to the prompt “{said.prompt}”" if said.prompt else ""
    names = ", ".join(path.name for path in paths)
    first = f"The works behind {sound.name} (sha256 {said.sha256}), made by {names}{prompt}."
    return AskedWorks(heard=asked.heard, remarks=(first, *asked.remarks))


def _said(sound: Path) -> _Said:
    """UsageError for a sound of which nothing is said, IntegrityError where another one is spoken of."""
    beside = sound.with_suffix(".json")
    if not sound.is_file():
        raise UsageError(f"--sound {sound}: no such file; give a sound that was generated")
    if not beside.is_file():
        raise UsageError(f"--sound {sound}: no {beside.name} beside it, which generating writes; {_FIX}")
    said = documents.checked(_Said, beside.read_bytes(), where=str(beside), fix=_FIX, error=UsageError)
    read = _Said(
        sha256=said["sha256"],
        prompt=str(said.get("prompt", "")),
        model_digest=said.get("model_digest", {}),
        loras=[_AdapterUsed(sha256=a["sha256"], strength=a["strength"]) for a in said.get("loras", [])],
    )
    if checksums.sha256(sound) != read.sha256:
        raise IntegrityError(f"{sound}: not the sound that {beside.name} speaks of, changed since; {_FIX}")
    return read


def _made_by(digest: str, folders: Iterable[Path]) -> Path | None:
    """The checkpoint whose SHA256SUMS names these weights."""
    for folder in _checkpoints(folders) if digest else ():
        try:
            if digest in checksums.read(folder).values():
                return folder
        except IntegrityError as error:
            log.warning("%s: passed over", error)
    return None


def _checkpoints(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"--checkpoint {folder}: no such folder; give one with checkpoints below it")
        found = {path.parent for path in folder.rglob(training_data.FILE)}
        yield from sorted(path for path in found if (path / checksums.FILE).is_file())


def _together(every: Sequence[SeenSamples]) -> SeenSamples:
    """What several have heard, each clip once."""
    first = every[0]
    if len(every) == 1:
        return first
    return dataclasses.replace(
        first,
        samples=tuple(dict.fromkeys(clip for each in every for clip in each.samples)),
        step=max(each.step for each in every),
        past=tuple({row.id: row for each in every for row in each.past}.values()),
        past_shards=tuple(dict.fromkeys(shard for each in every for shard in each.past_shards)),
        num_forgotten=max(each.num_forgotten for each in every),
    )
