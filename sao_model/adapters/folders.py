"""An adapter is a folder: safetensors and JSON, which peft opens, too.

adapter_model.safetensors  its weights, averaged, float32
adapter_config.json        what peft needs to know
adapter.json               format, kind, layers with their shapes, and of the model that it was made for:
                           name, sha256 of each part as a checkpoint of ours stores it, licence terms
training_data.json         what it has heard, chained to what its model has
README.md                  its card
training.safetensors, loop.json   only needed to go on with the training
SHA256SUMS                 of all of these
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from torch import Tensor

from sao_data.config import canonical
from sao_data.errors import IntegrityError, UsageError
from sao_data.forms import Count, Digest, Form, Positive
from sao_data.storage import checksums, documents
from sao_model import checkpoint, recognised, run, weights
from sao_model.adapters.layers import AdapterForm, LayerShape
from sao_model.adapters.settings import Kind
from sao_model.model import StableAudioModel, parts
from sao_model.opened import Opened
from sao_model.weights import Tensors

FILE = run.ADAPTER
WEIGHTS = "adapter_model.safetensors"
PEFT = "adapter_config.json"
FORMAT = 1
DIGESTED = ("vae", "dit", "conditioners")  # parts of the model by which it is known again

_PREFIX = "base_model.model."  # begins every name in peft's files
_PICKLED = "adapter_model.bin"
_RESTORE = "restore it from a copy"
_Name = Annotated[str, Form(r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterDescription:
    """adapter.json."""

    format: int
    kind: Kind
    rank: Positive
    alpha: float
    layers: dict[str, LayerShape]  # name in the transformer -> (out, in)
    model: str  # name of the model that it was made for
    base: dict[str, Digest]  # part of that -> sha256
    terms: dict[str, str]  # licence of the weights of that, where it is stated
    parameters: Count
    bytes: Count
    sha256: Digest  # of adapter_model.safetensors
    extras: dict[_Name, Digest]  # further tensor files: name -> sha256

    @property
    def form(self) -> AdapterForm:
        return AdapterForm(kind=self.kind, rank=self.rank, alpha=self.alpha, layers=self.layers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The model that an adapter is made for."""

    model: str
    base: dict[str, str]
    terms: dict[str, str]


def find(path: str | Path) -> Path:
    """The adapter's folder: itself, or the latest of a training's run. UsageError for anything else, saying
    what it is."""
    folder = Path(path)
    if not folder.is_dir():
        raise UsageError(f"--lora {path}: no such folder; give an adapter's folder, or a run that made some")
    if not (folder / FILE).is_file() and (found := run.checkpoints(folder)):
        folder = found[-1]
    if (folder / FILE).is_file():
        return folder
    if (folder / checkpoint.FILE).is_file() or (folder / "model_index.json").is_file():
        raise UsageError(f"--lora {path}: a whole model, not an adapter; give it with --model")
    if not (folder / WEIGHTS).is_file() and (folder / _PICKLED).is_file():
        what = recognised.other_file(folder / _PICKLED)
        raise UsageError(f"--lora {folder / _PICKLED}: {what}")
    if (folder / WEIGHTS).is_file():
        raise UsageError(
            f"--lora {path}: an adapter without {FILE}, of another tool: for which model, and what it has "
            "heard, cannot be told; train one with sao finetune"
        )
    raise UsageError(f"--lora {path}: no adapter ({FILE} is missing); give an adapter's folder")


def is_one(folder: Path) -> bool:
    """Does an adapter lie in this folder?"""
    return (folder / FILE).is_file()


def describe(folder: Path) -> AdapterDescription:
    """Read adapter.json; nothing else is opened."""
    path = folder / FILE
    data = checksums.read_file(folder, FILE)
    table = documents.plain(data, where=str(path), fix=_RESTORE)
    if table.get("format") != FORMAT:
        raise UsageError(
            f"{path}: format {table.get('format')!r}; this version reads format {FORMAT}: use the version of "
            "sao that made it, or train again"
        )
    said = documents.read(AdapterDescription, data, where=str(path), fix=_RESTORE)
    if not said.layers or set(said.base) != set(DIGESTED):
        raise IntegrityError(f"{path}: names no layers, or not the parts {', '.join(DIGESTED)}; {_RESTORE}")
    return said


def save(
    folder: Path,
    form: AdapterForm,
    origin: Origin,
    tensors: Tensors,
    *,
    more: Mapping[str, Tensors] | None = None,
    files: Mapping[str, bytes] | None = None,
) -> None:
    """Write the folder, whole or not at all; `more` tensors as NAME.safetensors. UsageError if it exists."""
    with checkpoint.written_whole(folder) as temporary:
        for name, data in (files or {}).items():
            (temporary / name).write_bytes(data)
        named = {f"{_PREFIX}{name}": tensor for name, tensor in tensors.items()}
        sha256 = weights.store(temporary / WEIGHTS, named, metadata={"format": "pt"})
        extras = {
            name: weights.store(temporary / f"{name}.safetensors", held)
            for name, held in (more or {}).items()
        }
        described = AdapterDescription(
            format=FORMAT,
            kind=form.kind,
            rank=form.rank,
            alpha=form.alpha,
            layers=dict(form.layers),
            model=origin.model,
            base=origin.base,
            terms=origin.terms,
            parameters=form.parameters,
            bytes=sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()),
            sha256=sha256,
            extras=extras,
        )
        _write_json(temporary / FILE, canonical(described))
        _write_json(temporary / PEFT, _for_peft(form, origin))
        checksums.write(temporary)


def load(folder: Path, described: AdapterDescription) -> dict[str, Tensor]:
    """The adapter's weights, float32; IntegrityError for a file that is not whole, UsageError for tensors
    that are not those of adapter.json."""
    path = folder / WEIGHTS
    _check(path, described.sha256)
    found = {name.removeprefix(_PREFIX): tensor for name, tensor in weights.read(path, fix=_RESTORE).items()}
    there = {name: weights.TensorShape(tuple(tensor.shape)) for name, tensor in found.items()}
    recognised.check(described.form.shapes(), there, where=str(path))
    return found


def load_extra(folder: Path, name: str) -> dict[str, Tensor]:
    """Further tensors that were saved under `name`."""
    extras = describe(folder).extras
    if name not in extras:
        raise UsageError(f"{folder}: has no {name!r} (there are: {', '.join(extras) or 'none'})")
    path = folder / f"{name}.safetensors"
    _check(path, extras[name])
    return weights.read_raw(path, fix=_RESTORE)


def digests(found: Opened, model: StableAudioModel | None = None) -> dict[str, str]:
    """By what a model is known again, whatever layout it lies in. `model`: it, where it is loaded."""
    if not found.is_published:
        described = found.describe().parts
        return {name: described[name].sha256 for name in DIGESTED}
    held = parts(model or found.load())
    return {name: weights.sha256(dict(held[name].named_parameters())) for name in DIGESTED}


def check_base(described: AdapterDescription, base: Mapping[str, str], *, where: str, model: str) -> None:
    """UsageError unless a model of these digests is the one that the adapter was made for."""
    other = [name for name in DIGESTED if described.base[name] != base[name]]
    if other:
        name = other[-1] if "dit" not in other else "dit"
        raise UsageError(
            f"{where}: made for another model than {model}: {' and '.join(other)} differ ({name} of "
            f"its model {described.model!r}: sha256 {described.base[name][:12]}, here "
            f"{base[name][:12] or 'none'}); give the model that it was made for, or train one for this"
        )


def _check(path: Path, sha256: str) -> None:
    if not path.is_file():
        raise IntegrityError(f"{path}: missing, though {FILE} names it; {_RESTORE}")
    if checksums.sha256(path) != sha256:
        raise IntegrityError(f"{path}: not the bytes that {FILE} names; {_RESTORE}")


def _for_peft(form: AdapterForm, origin: Origin) -> dict[str, Any]:
    """adapter_config.json, as peft reads it."""
    return {
        "peft_type": "LORA",
        "task_type": None,
        "base_model_name_or_path": None,  # peft would ask a hub for it
        "r": form.rank,
        "lora_alpha": form.alpha,
        "target_modules": sorted(form.layers),
        "use_dora": form.kind == "dora",
        "use_rslora": form.kind == "rslora",
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "init_lora_weights": True,
        "inference_mode": True,
    }


def _write_json(path: Path, table: object) -> None:
    path.write_text(json.dumps(table, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
