"""The model that a training of the transformer begins with, and what its parts were trained on before."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sao_data.errors import UsageError
from sao_data.latents.reader import Latents
from sao_data.loading.source import TrainingSource
from sao_model import checkpoint, declared, opened, preset
from sao_model.adapters import folders, settings
from sao_model.model import StableAudioModel, build
from sao_model.opened import Opened

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartSettings:
    """What the settings say of the model to train."""

    model: str  # preset or TOML file; '' = that of start_from
    seed: int
    start_from: str  # a whole model to fine-tune; '' = new weights
    adapter: settings.Config = field(default_factory=settings.Config)  # learned instead of the whole model

    def shape(self) -> preset.Config:
        """The model's shape; UsageError where nothing says it."""
        if self.model:
            return preset.read(self.model)
        if not self.start_from:
            raise UsageError("model: empty; give a preset or TOML file, or start_from=CKPT")
        return opened.find(self.start_from).describe().config


def the_model(
    start: StartSettings, vae: Opened, found: Path | None, promise: declared.Declared
) -> StableAudioModel:
    """The model to train, codec and text encoder frozen: of a checkpoint, of a model to fine-tune, or new
    from the seed. Of an adapter's training, the model that it is for, whatever has been learned."""
    if found:
        _check_same_codec(found, vae)
    if found and not start.adapter:
        model = checkpoint.load(found)
    else:
        shape = start.shape()
        model = _started(start, shape) if start.start_from else build(shape, seed=start.seed)
        loaded = vae.load_codec()
        if loaded.config != model.config.codec:
            raise UsageError(
                f"--vae {vae.folder}: another codec than model = {start.model!r}: {loaded.config}"
            )
        if start.adapter:
            _check_own_codec(start, vae)
        model.codec = loaded
        model.terms = promise.terms_of_parts()
    model.codec.requires_grad_(False)
    model.text.requires_grad_(False)
    return model


def check_source(source: TrainingSource, start: StartSettings, vae: Opened, found: Path | None) -> None:
    """UsageError for latents that this codec did not make, that the model does not take, or that are not what
    the run began with; else say that there are latents."""
    made = source.facts.get("latents", {})
    if isinstance(source, Latents):
        shape = start.shape()
        source.check_shape(
            latent_dim=shape.codec.latent_dim,
            hop=shape.codec.hop,
            window_latents=shape.num_latents,
            model=start.model or shape.name,
        )
        source.check_codec(vae.codec_digest(), f"--vae {vae.folder}")
        log.info("latents: %s, encoded once by this VAE; no audio is read", source.storage.url)
    before = (declared.read(found) or {}).get("latents", {}) if found else made
    if before.get("encoding") != made.get("encoding"):
        kinds = [f"latents ({each['encoding'][:12]}…)" if each else "audio" for each in (before, made)]
        raise UsageError(
            f"{found}: learned from {kinds[0]}, not from {kinds[1]}; go on with the same, or train into "
            "another --out"
        )


def pretrained(start: StartSettings, vae: Opened) -> list[dict[str, Any]]:
    """Parts that were trained before: the codec, and the model to fine-tune or a published text encoder."""
    if start.start_from:
        whole, others = opened.find(start.start_from), ("dit", "conditioners", "text_encoder")
        if start.adapter:  # for this model with its own codec: one history
            return whole.origins(*others, "vae")
        if whole == vae:
            return vae.origins("vae", *others)
        return [*vae.origins("vae"), *whole.origins(*others)]
    prompt = start.shape().prompt.config
    if not (name := getattr(prompt, "pretrained", "")):
        return vae.origins("vae")
    return [
        *vae.origins("vae"),
        {"part": "text_encoder", "name": name, "terms": getattr(prompt, "terms", "")},
    ]


def _started(start: StartSettings, shape: preset.Config) -> StableAudioModel:
    """The model to fine-tune, with the name and the window of `shape`; its weights must be of that shape."""
    model = opened.find(start.start_from).load()
    if differing := preset.differences(shape, model.config):
        raise UsageError(
            f"start_from {start.start_from}: another model than model = {start.model!r}: "
            f"{'; '.join(differing[:4])}; name a model file of its shape"
        )
    model.config = replace(model.config, name=shape.name, num_latents=shape.num_latents)
    return model


def _check_same_codec(found: Path, vae: Opened) -> None:
    """A run goes on with the codec it began with: latents of another one mean something else."""
    is_adapter = folders.is_one(found)
    began = folders.describe(found).base if is_adapter else None
    sha256 = began["vae"] if began else checkpoint.describe(found).parts["vae"].sha256
    if sha256 != vae.codec_digest():
        raise UsageError(
            f"--vae {vae.folder}: not the codec that {found} was trained with; give that one, or "
            "another --out"
        )


def _check_own_codec(start: StartSettings, vae: Opened) -> None:
    """An adapter is used with its model as it is, so it is learned with that model's codec."""
    whole = opened.find(start.start_from)
    if whole != vae and whole.codec_digest() != vae.codec_digest():
        raise UsageError(
            f"--vae {vae.folder}: not the codec of start_from {start.start_from}, with which the adapter "
            f"will be used; give --vae {start.start_from}"
        )
