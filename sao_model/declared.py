"""The release that a training or a generation declares, held against all that the weights learned from.

A training: its dataset, the parts it starts with, the run it continues. A generation: what the checkpoint's
training_data.json says of the works behind it and behind its parts. Weights without such a record cannot be
checked; the log says so.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sao_data import config
from sao_data.dataset.reader import Dataset
from sao_data.dataset.release import (
    Release,
    Terms,
    check_release,
    check_terms,
    terms_from,
    terms_of,
    wider_flags,
)
from sao_data.errors import IntegrityError, UsageError
from sao_data.latents.reader import Latents
from sao_data.loading import training_data
from sao_data.loading.source import TrainingSource
from sao_data.storage import checksums

log = logging.getLogger(__name__)

DATA = training_data.FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What becomes of a generated sound; a flag that is left out is as the model's training declared it."""

    open_source: bool | None = None  # not given: as the checkpoint says
    freely_available: bool | None = None  # likewise
    commercial_use: bool | None = None  # likewise
    commercial_training: bool | None = None  # likewise


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """A training's release, what its works ask, and the parts trained before: for training_data.json."""

    release: Release
    terms: Terms | None  # None: on processes that write nothing
    pretrained: list[dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        terms = config.canonical(self.terms)
        assert isinstance(terms, dict)
        return {"release": config.canonical(self.release), **terms, "pretrained": self.pretrained}

    def terms_of_parts(self) -> dict[str, str]:
        """Licence of the weights that each part began with, where it is stated."""
        return {part["part"]: part["terms"] for part in self.pretrained if part.get("terms")}


def declare(
    release: Release,
    dataset: TrainingSource,
    series: tuple[str, ...],
    *,
    pretrained: list[dict[str, Any]],
    found: Path | None,
    is_main: bool,
) -> Declared:
    """Hold a training's release against its data, its parts and the checkpoint (`found`) that it continues.

    Every process does so, and all end alike.
    """
    if isinstance(dataset, Dataset):
        check_release(dataset, release, "the training", series)
    elif isinstance(dataset, Latents):
        check_terms(dataset.terms(series), release, "the training", dataset.storage.url)
    for part in pretrained:
        if "training_data" in part:
            _check(part["training_data"], release, "the training", f"the {part['part']} that it starts with")
    if found:
        _check_resume(found, release)
    terms = _asked(dataset, series) if is_main else None
    return Declared(release=release, terms=terms, pretrained=pretrained)


def _asked(source: TrainingSource, series: tuple[str, ...]) -> Terms:
    """What works ask; of a dataset the whole catalogue is read for it."""
    if isinstance(source, Latents):
        return source.terms(series)
    assert isinstance(source, Dataset), source
    return terms_of(source, series)


def check_use(checkpoint: Path, use: Use, adapters: Sequence[Path] = ()) -> dict[str, Any]:
    """Hold a generation's release against the records of the checkpoint and of the adapters in its weights;
    return the facts for its JSON."""
    facts = facts_of_use(checkpoint, use, adapters)
    for folder in (checkpoint, *adapters):
        data = read(folder) or {}
        if not data.get("release"):
            log.warning("%s: does not say what it was trained on; its release cannot be checked", folder)
        else:
            release = config.parse(Release, facts["release"], where="release")
            _check(data, release, "the generation", str(folder))
    return facts


def facts_of_use(checkpoint: Path, use: Use, adapters: Sequence[Path] = ()) -> dict[str, Any]:
    """The release of a sound, and whether it could be held against all works behind the weights."""
    records = [(folder, read(folder) or {}) for folder in (checkpoint, *adapters)]
    narrow = narrowest([folder for folder, _ in records])
    own = config.canonical(narrow) if narrow else {}
    assert isinstance(own, dict)
    asked = {flag: value for flag, value in dataclasses.asdict(use).items() if value is not None or not own}
    known = all(
        bool(data.get("release")) and all(terms is not None for _, terms in _histories(data, str(folder)))
        for folder, data in records
    )
    return {"release": own | asked, "release_checked": known}


def narrowest(folders: Sequence[Path]) -> Release | None:
    """The release that is as narrow as every training's that made these weights; None = none says."""
    found: Release | None = None
    for folder in folders:
        said = (read(folder) or {}).get("release")
        if not said:
            continue
        other = config.parse(Release, said, where=f"{folder / DATA}: release")
        wider = () if found is None else wider_flags(found, other)
        found = replace(other, **{flag: getattr(found, flag) for flag in wider})
    return found


def read(checkpoint: Path) -> dict[str, Any] | None:
    """What a checkpoint's weights were trained on; None = it does not say."""
    path = checkpoint / DATA
    if path.is_file():
        return training_data.read(path)
    if (checkpoint / checksums.FILE).is_file() and DATA in checksums.read(checkpoint):
        raise IntegrityError(f"{path}: missing, though {checksums.FILE} names it; restore it from a copy")
    return None


def pretrained(checkpoint: Path) -> list[dict[str, Any]]:
    """The parts trained before, as a checkpoint names them: what it began with need not be there any more."""
    parts: list[dict[str, Any]] = (read(checkpoint) or {}).get("pretrained", [])
    return parts


def files(checkpoint: Path) -> dict[str, bytes]:
    """The file about the works behind some weights, by its name, for a copy of them elsewhere."""
    path = checkpoint / DATA
    return {} if read(checkpoint) is None else {DATA: path.read_bytes()}


def _check(data: dict[str, Any] | None, release: Release, what: str, where: str) -> None:
    """Hold a release against every training behind some weights."""
    for place, terms in _histories(data, where):
        if terms is None:
            log.warning("%s: does not say what its works ask of a release; it cannot be checked", place)
        else:
            check_terms(terms, release, what, place)


def _histories(data: dict[str, Any] | None, where: str) -> Iterator[tuple[str, Terms | None]]:
    """The terms of a training and of those that its parts come from, each with its place in words."""
    facts = data or {}
    of = f" ({facts['dataset']} {facts['version']})" if "dataset" in facts and "version" in facts else ""
    yield where + of, terms_from(facts, where)
    for part in facts.get("pretrained", []):
        if "training_data" in part:
            yield from _histories(part["training_data"], f"{where}, its {part['part']}")


def _check_resume(found: Path, release: Release) -> None:
    """A run's release may grow narrower, never wider: its earlier checkpoints promise what they say."""
    before = config.parse(Release, (read(found) or {}).get("release") or {}, where=f"{found / DATA}: release")
    flags = wider_flags(before, release)
    if flags:
        raise UsageError(
            f"{found}: made for release.{flags[0]} = {str(getattr(before, flags[0])).lower()}, "
            f"now {str(getattr(release, flags[0])).lower()}: a run's release does not grow wider; "
            "leave it, or train into another --out"
        )
