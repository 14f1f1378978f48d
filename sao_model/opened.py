"""A model by what lies in its folder: a checkpoint of ours, a training's run, or a published folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from sao_data.storage import checksums
from sao_model import checkpoint, published_config, released, run
from sao_model.checkpoint import Description, StoredPart
from sao_model.model import StableAudio


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A folder that holds a model."""

    folder: Path  # of the checkpoint, where a run was given
    is_published: bool  # in the layout of diffusers or stable-audio-tools

    def describe(self) -> Description:
        """Config, and size, digest and terms of every part; nothing is loaded."""
        return _described(self.folder) if self.is_published else checkpoint.describe(self.folder)

    def load(self) -> StableAudio:
        """The model, on the CPU."""
        return released.load(self.folder) if self.is_published else checkpoint.load(self.folder)


def find(folder: str | Path) -> Opened:
    """The model in a folder; UsageError if there is none."""
    if released.is_published(Path(folder)):
        return Opened(folder=Path(folder), is_published=True)
    return Opened(folder=run.resolve(folder), is_published=False)


def _described(folder: Path) -> Description:
    """Of a published folder: digests are those of the files that hold the parts, '' where several do."""
    config = published_config.read(folder)
    with torch.device("meta"):
        measured = checkpoint.measure(StableAudio(config))
    files = released.files(folder)
    by_part = {"vae": "vae", "dit": "transformer", "conditioners": "projection_model"}
    parts = {}
    for name, part in measured.items():
        path = files.get(by_part.get(name, name), files.get(""))
        stored = path is not None and path.is_file() and name in by_part
        parts[name] = StoredPart(
            file=path.name if stored and path else "",
            sha256=checksums.sha256(path) if stored and path else "",
            parameters=part.parameters,
            bytes=part.bytes,
            dtype=part.dtype,
            terms=released.TERMS if name in by_part else part.terms,
        )
    return Description(config=config, parts=parts, extras={})
