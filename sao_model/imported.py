"""A model of other tools, in a folder of theirs or in one file, as a model of ours.

What it is instead is said before a number is read.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from sao_data.errors import UsageError
from sao_model import checkpoint, preset, published_config, recognised, released, run, weights
from sao_model.conditioners import t5
from sao_model.model import StableAudioModel

DEFAULT = "stable_audio_open"  # the preset that a file without a config is held against
PARTS = ("vae", "dit", "conditioners")  # whose terms are those of the model

_SAT_CONFIG, _SAT_WEIGHTS = "model_config.json", "model.safetensors"
_LAYOUTS = "a folder with model_config.json (stable-audio-tools) or model_index.json (diffusers)"


def load(source: Path, *, config: str = "", text_encoder: str = "", terms: str = "") -> StableAudioModel:
    """The model in a folder of another layout or in one file, to be saved with its text encoder.

    `config`: for a file, a model_config.json, a preset or a TOML file; `text_encoder`: a folder with the T5,
    where it does not lie in `source` and cannot be fetched; `terms`: of the weights, where they are not
    those of the released ones. UsageError for what cannot be taken, saying what it is.
    """
    try:
        if source.is_dir():
            model = _from_folder(source, config, text_encoder)
        else:
            model = _from_file(source, config, text_encoder)
    except t5.NoEncoder as error:
        raise UsageError(f"{error}; or name the folder: --text-encoder DIR") from error
    if isinstance(model.text, t5.TextConditioner):
        model.text.goes_along = True
    if terms:
        model.terms |= dict.fromkeys(PARTS, terms)
    return model


def _from_folder(folder: Path, config: str, text_encoder: str) -> StableAudioModel:
    if (folder / checkpoint.FILE).is_file() or run.checkpoints(folder):
        raise UsageError(
            f"{folder}: is a checkpoint or a run of sao already: there is nothing to import; give it as it "
            "is wherever a model is asked for"
        )
    if not released.is_published(folder):
        raise UsageError(f"{folder}: want {_LAYOUTS}, or one .safetensors file{_in(folder)}")
    if config:
        raise UsageError(f"--config {config}: is for one file; {folder} says itself what it is")
    return released.load(folder, text_encoder=text_encoder)


def _from_file(path: Path, config: str, text_encoder: str) -> StableAudioModel:
    if not path.is_file():
        raise UsageError(f"{path}: no such file or folder; give {_LAYOUTS}, or one .safetensors file")
    if what := recognised.other_file(path):
        raise UsageError(f"{path}: {what}")
    if re.search(r"-\d{5}-of-\d{5}\.safetensors$", path.name) or path.name.endswith(weights.INDEX):
        folder = path.absolute().parent
        whole = folder.parent if (folder.parent / "model_index.json").is_file() else folder
        raise UsageError(f"{path}: one of several files that make a model; give {whole}")
    beside = path.with_name(_SAT_CONFIG)
    if not config and not beside.is_file():
        where = f"{path} (held against {DEFAULT}; if it is another, --config names its {_SAT_CONFIG})"
        return released.load_file(path, _config(path, DEFAULT, text_encoder), where=where)
    return released.load_file(path, _config(path, config or str(beside), text_encoder))


def _config(path: Path, said: str, text_encoder: str) -> preset.Config:
    """The shape of the model in a file, as a model_config.json, a preset or a TOML file says it."""
    if said.endswith(".json"):
        config = published_config.sat_config(Path(said).absolute().parent, Path(said).name)
    else:
        config = preset.read(said)
    name = path.absolute().parent.name if path.name == _SAT_WEIGHTS else path.stem
    return published_config.finished(replace(config, name=name), text_encoder, where=said)


def _in(folder: Path) -> str:
    """What lies in a folder instead, as the end of a message."""
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        if path.suffix == ".safetensors":
            guess = recognised.looks_like(weights.shapes(path, fix=published_config.AGAIN))
            return f"; there is {path.name}" + (f", which looks like {guess}" if guess else "")
        if path.suffix != ".json" and (what := recognised.other_file(path)):
            return f"; there is {path.name}: {what}"
    return ""
