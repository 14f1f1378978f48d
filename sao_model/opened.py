"""A model by what lies in its folder: a checkpoint of ours, a training's run, or a published folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sao_data.errors import UsageError
from sao_data.storage import checksums
from sao_model import checkpoint, declared, published_config, recognised, released, run, weights
from sao_model.checkpoint import Description, StoredPart
from sao_model.codec import Codec
from sao_model.model import StableAudioModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A folder that holds a model."""

    folder: Path  # of the checkpoint, where a run was given
    is_published: bool  # in the layout of diffusers or stable-audio-tools

    def describe(self) -> Description:
        """Config, and size, digest and terms of every part; nothing is loaded."""
        return _described(self.folder) if self.is_published else checkpoint.describe(self.folder)

    def load(self) -> StableAudioModel:
        """The model, on the CPU."""
        return released.load(self.folder) if self.is_published else checkpoint.load(self.folder)

    def load_codec(self) -> Codec:
        """Only its codec, on the CPU."""
        return (released.load_codec if self.is_published else checkpoint.load_codec)(self.folder)

    def codec_digest(self) -> str:
        """Sha256 of the codec as a checkpoint of ours stores it, whatever the layout here."""
        if self.is_published:
            return weights.sha256(dict(self.load_codec().named_parameters()))
        return checkpoint.describe(self.folder).parts["vae"].sha256

    def origins(self, *parts: str) -> list[dict[str, Any]]:
        """What `pretrained` of a training_data.json says of parts that come from here: digest, terms, and at
        the first of them what the training that made them had seen (None where it is not known)."""
        described = self.describe().parts
        facts: list[dict[str, Any]] = [
            {"part": part, "sha256": described[part].sha256, "terms": described[part].terms} for part in parts
        ]
        facts[0]["training_data"] = declared.read(self.folder)
        return facts


def find(folder: str | Path) -> Opened:
    """The model in a folder; UsageError if there is none, saying what the weights there are instead."""
    path = Path(folder)
    if released.is_published(path):
        return Opened(folder=path, is_published=True)
    if not (path / checkpoint.FILE).is_file() and not run.checkpoints(path):
        for file in sorted(path.glob("*.safetensors")):
            if guess := recognised.looks_like(weights.shapes(file, fix=published_config.AGAIN)):
                raise UsageError(f"{file}: no model that can be opened here; it looks like {guess}")
    folder = run.resolve(path)
    if (folder / run.ADAPTER).is_file():
        raise UsageError(
            f"{folder}: an adapter, which changes a model and is none; give the model that it was made for, "
            f"and the adapter with --lora {folder}"
        )
    return Opened(folder=folder, is_published=False)


def _described(folder: Path) -> Description:
    """Of a published folder: digests are those of the files that hold the parts, '' where several do."""
    config = published_config.read(folder)
    with torch.device("meta"):
        measured = checkpoint.measure(StableAudioModel(config))
    files, stated = released.files(folder), released.terms(folder)
    digests = {path: checksums.sha256(path) for path in files.values() if path.is_file()}
    by_part = {"vae": "vae", "dit": "transformer", "conditioners": "projection_model"}
    parts = {}
    for name, part in measured.items():
        path = files.get(by_part.get(name, name), files.get(""))
        stored = path if name in by_part and path in digests else None
        types = _types(stored) if stored else []
        parts[name] = StoredPart(
            file=stored.name if stored else "",
            sha256=digests[stored] if stored else "",
            parameters=part.parameters,
            bytes=part.parameters * types[0].itemsize if len(types) == 1 else part.bytes,
            dtype="+".join(str(each).removeprefix("torch.") for each in types) or part.dtype,
            terms=stated.get(name, part.terms),
        )
    return Description(config=config, parts=parts, extras={})


def _types(path: Path) -> list[torch.dtype]:
    """The types of a file's numbers, from its header; IntegrityError if that is not whole."""
    named = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
    found = {shape.dtype for shape in weights.shapes(path, fix=published_config.AGAIN).values()}
    return [named[name] for name in sorted(found) if name in named]
