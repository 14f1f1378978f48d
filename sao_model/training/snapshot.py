"""What a checkpoint is written from: a model on the CPU that a running training does not touch.

Frozen parts lie in it once; what is learned is put into it from the copies of every save.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import Accelerator
from torch import Tensor

from sao_data.loading.source import TrainingSource
from sao_data.loading.stream import Stream
from sao_model import checkpoint, preset, weights
from sao_model.codec import Codec
from sao_model.declared import Declared
from sao_model.model import StableAudioModel
from sao_model.training import card, state

if TYPE_CHECKING:
    from sao_model.training.loop import Loop

_AVERAGE = "ema|"


def of_model(model: StableAudioModel, accelerator: Accelerator) -> StableAudioModel | None:
    """A model to save from, with the frozen codec and text encoder of `model`, which is on the CPU still;
    None on processes that write nothing."""
    if not accelerator.is_main_process:
        return None
    shell = empty(model.config)
    is_moved = accelerator.device.type != "cpu"
    shell.codec = copy.deepcopy(model.codec) if is_moved else model.codec
    shell.text = copy.deepcopy(model.text) if is_moved else model.text
    shell.terms = model.terms
    return shell


def of_codec(config: preset.Config, promise: Declared, accelerator: Accelerator) -> StableAudioModel | None:
    """A model to save from, of which only the codec is stored; None on processes that write nothing."""
    if not accelerator.is_main_process:
        return None
    shell = empty(config)
    shell.terms = promise.terms_of_parts()
    return shell


def files(
    config: Any, here: Loop, dataset: TrainingSource, stream: Stream, promise: Declared
) -> dict[str, bytes]:
    """What lies in a checkpoint beside tensors: where training goes on, what was seen, the card."""
    if not here.accelerator.is_main_process:
        return {}
    written = state.files(config, here.state, dataset, stream, promise)
    return {**written, card.FILE: card.write(config, here.state, dataset, stream, promise)}


def writer(
    shell: StableAudioModel | None,
    files: Mapping[str, bytes],
    like: Callable[[], Path | None],
    *,
    codec: Codec | None = None,
) -> Callable[[Path, dict[str, Tensor]], None]:
    """What writes a checkpoint from copied tensors: averages as the model's weights, all for a resume beside
    them. `like` finds an earlier checkpoint with the same frozen parts. Where a `codec` is trained, it alone
    is stored: a transformer of random weights would be of no use."""
    still: dict[str, Tensor] = {}
    if codec is not None and shell is not None:
        fixed = {name: p for name, p in codec.named_parameters() if not p.requires_grad}
        still = {name: p.detach().to("cpu", copy=True) for name, p in fixed.items()}

    def write(folder: Path, tensors: dict[str, Tensor]) -> None:
        assert shell is not None, "only the main process writes"
        averages = {
            n.removeprefix(_AVERAGE): tensor for n, tensor in tensors.items() if n.startswith(_AVERAGE)
        }
        if codec is not None:
            weights.put(shell.codec, averages | still)
        else:
            for name in ("dit", "conditioners"):
                weights.put(shell.get_submodule(name), state.under(averages, f"{name}."))
        only = checkpoint.PARTS if codec is None else ("vae",)
        checkpoint.save(shell, folder, tensors={state.EXTRA: tensors}, files=files, like=like(), only=only)

    return write


def empty(config: preset.Config) -> StableAudioModel:
    """A model without memory for its weights."""
    with torch.device("meta"):
        return StableAudioModel(config)
