"""A model with adapters put into its weights: checked, loaded, and what is said of them afterwards."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sao_data.config import canonical
from sao_model import declared, recognised
from sao_model.adapters import folders, layers, reference
from sao_model.adapters.folders import AdapterDescription
from sao_model.adapters.layers import WeightChange
from sao_model.dit import DiT
from sao_model.model import StableAudioModel
from sao_model.opened import Opened
from sao_model.training import state
from sao_model.weights import TensorShape


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedAdapter:
    """An adapter that fits a model."""

    folder: Path
    described: AdapterDescription
    strength: float

    @property
    def name(self) -> str:
        """What people call it: its folder; of a run's checkpoint the run's."""
        parts = self.folder.resolve().parts
        return parts[-3] if len(parts) > 2 and parts[-2] == "checkpoints" else parts[-1]


def find(asked: Sequence[str], found: Opened) -> tuple[AttachedAdapter, ...]:
    """The adapters of "FOLDER:STRENGTH"; UsageError for one that is for another model than `found`, with what
    differs. Nothing large is read: of a published folder `load` compares the digests."""
    wanted = _shapes(found) if asked else {}
    attached = []
    for each in reference.parse_all(asked):
        folder = folders.find(each.folder)
        described, where = folders.describe(folder), f"--lora {each.folder}"
        there = {f"{name}.weight": TensorShape(shape) for name, shape in described.layers.items()}
        recognised.check({n: wanted[n] for n in there if n in wanted}, there, where=where)
        if not found.is_published:
            folders.check_base(described, folders.digests(found), where=where, model=str(found.folder))
        attached.append(AttachedAdapter(folder=folder, described=described, strength=each.strength))
    return tuple(attached)


def load(found: Opened, attached: Sequence[AttachedAdapter]) -> StableAudioModel:
    """The model with the adapters in its weights, on the CPU: as fast as without."""
    model = found.load()
    if attached and found.is_published:
        base = folders.digests(found, model)
        for each in attached:
            where = f"--lora {each.folder}"
            folders.check_base(each.described, base, where=where, model=str(found.folder))
    changes = [
        WeightChange(
            form=each.described.form,
            tensors=folders.load(each.folder, each.described),
            strength=each.strength,
        )
        for each in attached
    ]
    layers.put_into_weights(model.dit, changes)
    return model


def facts(attached: Sequence[AttachedAdapter]) -> dict[str, Any]:
    """What decides how a sound is: which adapters, by the sha256 of their weights, and how strong."""
    if not attached:
        return {}
    return {
        "loras": [
            {"name": each.name, "sha256": each.described.sha256, "strength": each.strength}
            for each in attached
        ]
    }


def record(found: Opened, attached: Sequence[AttachedAdapter]) -> dict[str, Any] | None:
    """What the weights have heard, adapters included: the training of the first that acts, with its model's
    before it, and the others' as parts of their own. None = nothing is known."""
    acting = [each for each in attached if each.strength]
    known = [(each, data) for each in acting if (data := declared.read(each.folder))]
    root = known[0][1] if known else declared.read(found.folder)
    if root is None or not acting:
        return root
    root = copy.deepcopy(root)
    first = known[0][0] if known else None
    root["pretrained"] = root.get("pretrained", []) + [
        {"part": "adapter", "sha256": each.described.sha256, "training_data": declared.read(each.folder)}
        for each in acting
        if each is not first
    ]
    if root.get("release"):
        root["release"] = canonical(declared.narrowest([found.folder, *(each.folder for each in acting)]))
    return root | {"adapters": facts(acting)["loras"]}


def files(found: Opened, attached: Sequence[AttachedAdapter]) -> dict[str, bytes]:
    """The file about the works behind the weights, by its name, for a copy of them elsewhere."""
    if not any(each.strength for each in attached):
        return declared.files(found.folder)
    data = record(found, attached)
    return {} if data is None else {declared.DATA: state.as_json(data)}


def _shapes(found: Opened) -> dict[str, TensorShape]:
    """The weights of the linear layers that a model has."""
    with torch.device("meta"):
        dit = DiT(found.describe().config.dit)
    every = layers.linears(dit).items()
    return {f"{name}.weight": TensorShape((each.out_features, each.in_features)) for name, each in every}
