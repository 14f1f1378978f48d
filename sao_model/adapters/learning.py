"""An adapter while it is learned: put into a frozen model, and written as a checkpoint of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from sao_data.config import digest
from sao_data.errors import UsageError
from sao_model.adapters import folders, layers, settings
from sao_model.adapters.folders import Origin
from sao_model.adapters.layers import AdapterForm
from sao_model.model import StableAudioModel
from sao_model.opened import Opened

_AVERAGE = "ema|dit."  # begins the names of what is kept, among the tensors of a training


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedAdapter:
    """The adapter of a training, and the model that it is made for."""

    form: AdapterForm
    origin: Origin
    dropout: float
    seed: int

    def writer(self, files: Mapping[str, bytes], extra: str) -> Callable[[Path, dict[str, Tensor]], None]:
        """What writes an adapter's folder from a training's tensors: averages as its weights, and all for a
        resume beside them, as `extra`."""

        def write(folder: Path, tensors: dict[str, Tensor]) -> None:
            averages = {
                layers.stored_name(name.removeprefix(_AVERAGE)): tensor
                for name, tensor in tensors.items()
                if name.startswith(_AVERAGE)
            }
            folders.save(folder, self.form, self.origin, averages, more={extra: tensors}, files=files)

        return write

    @contextlib.contextmanager
    def dropping(self, module: nn.Module, positions: list[int], device: torch.device) -> Iterator[None]:
        """Dropout acts meanwhile, by the positions of the samples alone, so that a resume draws the same."""
        if not self.dropout:
            yield
            return
        seed = int(digest("adapter", self.seed, positions[0])[:15], 16)
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            module.train()
            try:
                yield
            finally:
                module.eval()


def check(config: settings.Config, start_from: str, precision: str) -> None:
    """UsageError for an adapter that cannot be learned."""
    if not start_from:
        raise UsageError("adapter.kind: an adapter for which model? Give start_from=CKPT too")
    if config.base_dtype == "bf16" and precision != "bf16":
        raise UsageError(
            f'adapter.base_dtype = "bf16" needs precision = "bf16" (is {precision!r}): frozen layers of 16 '
            "bits meet numbers of 32 otherwise"
        )


def begin(
    model: StableAudioModel, config: settings.Config, start: Opened, found: Path | None, *, seed: int
) -> LearnedAdapter:
    """Freeze the model and put an adapter into its transformer, in eval mode; UsageError where the checkpoint
    `found` goes on with an adapter for another model."""
    origin = Origin(model=model.config.name, base=folders.digests(start, model), terms=dict(model.terms))
    if found:
        where = f"start_from {start.folder}: {found.name}"
        folders.check_base(folders.describe(found), origin.base, where=where, model=str(start.folder))
    kind = cast("settings.Kind", config.kind)
    form = AdapterForm(
        kind=kind,
        rank=config.rank,
        alpha=config.alpha or float(config.rank),
        layers=layers.matched(model.dit, config.targets),
    )
    model.requires_grad_(False)
    if config.base_dtype == "bf16":
        round_base(model)
    layers.put_in(model.dit, form, dropout=config.dropout, seed=seed)
    model.dit.eval()
    return LearnedAdapter(form=form, origin=origin, dropout=config.dropout, seed=seed)


def round_base(model: StableAudioModel) -> None:
    """Hold the linear layers of the blocks in bfloat16: nearly all of the transformer."""
    for block in model.dit.blocks:
        for layer in layers.linears(block).values():
            layer.to(torch.bfloat16)
