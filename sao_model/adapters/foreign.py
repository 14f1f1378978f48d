"""An adapter in diffusers' layout: pytorch_lora_weights.safetensors for its StableAudioDiTModel.

Layers that are one here and several there share the narrow matrix A and divide the wide B. The scaling lies
in B, so that there every alpha is the rank.
"""

from __future__ import annotations

import json
from pathlib import Path

from torch import Tensor

from sao_data.errors import UsageError
from sao_model import checkpoint, declared, layouts, released, weights
from sao_model.adapters import folders
from sao_model.adapters.folders import AdapterDescription
from sao_model.adapters.settings import scaling

FILE = "pytorch_lora_weights.safetensors"
_PREFIX = "transformer."


def write(folder: Path, out: Path, to: str) -> dict[str, str]:
    """Write the folder `out`, whole or not at all; return the terms of the weights. UsageError if it exists,
    or for another layout than diffusers'."""
    if to != "diffusers":
        raise UsageError(f"--to {to}: an adapter goes to diffusers; put it into its model first (sao merge)")
    described = folders.describe(folder)
    found = tensors(described, folders.load(folder, described))
    with checkpoint.written_whole(out) as temporary:
        named = {f"{_PREFIX}{name}": tensor for name, tensor in found.items()}
        weights.store(temporary / FILE, named, metadata={"format": "pt"})
        said = json.dumps(described.terms, indent=2, sort_keys=True, ensure_ascii=False)
        (temporary / released.TERMS_FILE).write_text(said + "\n")
        for name, data in declared.files(folder).items():
            (temporary / name).write_bytes(data)
    return described.terms


def tensors(described: AdapterDescription, held: dict[str, Tensor]) -> dict[str, Tensor]:
    """An adapter's tensors by the names that peft gives them in diffusers' transformer."""
    scale = scaling(described.kind, described.rank, described.alpha)
    found = {}
    for layer in described.layers:
        _, theirs = layouts.diffusers(f"dit.{layer}.weight", 0)
        names = [name.removesuffix(".weight") for name in theirs]
        wide = (held[f"{layer}.lora_B.weight"] * scale).chunk(len(names))
        lengths = held.get(f"{layer}.lora_magnitude_vector")
        for number, name in enumerate(names):
            found[f"{name}.lora_A.weight"] = held[f"{layer}.lora_A.weight"]
            found[f"{name}.lora_B.weight"] = wide[number].contiguous()
            if lengths is not None:
                found[f"{name}.lora_magnitude_vector"] = lengths.chunk(len(names))[number].contiguous()
    return found
