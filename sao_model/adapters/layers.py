"""The layers that an adapter changes: which, put in for training by peft, or put into the weights for use.

A stored tensor is called as peft calls it in a file, but for the beginning that all have there:

    blocks.0.self_attn.qkv.lora_A.weight (rank, in)   .lora_B.weight (out, rank)
                          .lora_magnitude_vector (out,)   of DoRA
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from sao_data.errors import UsageError
from sao_model.adapters.settings import Kind
from sao_model.dit import DiT
from sao_model.weights import TensorShape

NAME = "default"  # of the one adapter that is put in, as peft calls it
_MOST_SHOWN = 6

LayerShape = tuple[int, int]  # (out, in) of a linear layer


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterForm:
    """What an adapter is, apart from its numbers."""

    kind: Kind
    rank: int
    alpha: float
    layers: Mapping[str, LayerShape]  # by the layer's name in the transformer

    def shapes(self) -> dict[str, TensorShape]:
        """The tensors that it has."""
        found = {}
        for name, (wide, narrow) in self.layers.items():
            found[f"{name}.lora_A.weight"] = TensorShape((self.rank, narrow))
            found[f"{name}.lora_B.weight"] = TensorShape((wide, self.rank))
            if self.kind == "dora":
                found[f"{name}.lora_magnitude_vector"] = TensorShape((wide,))
        return found

    @property
    def parameters(self) -> int:
        """How many numbers these are."""
        return sum(torch.Size(shape.shape).numel() for shape in self.shapes().values())


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightChange:
    """An adapter with its numbers, and how strongly it is to act."""

    form: AdapterForm
    tensors: Mapping[str, Tensor]
    strength: float


def linears(dit: nn.Module) -> dict[str, nn.Linear]:
    """Every linear layer of a transformer, by name; what an adapter has put around one is passed over."""
    found = {name: module for name, module in dit.named_modules() if isinstance(module, nn.Linear)}
    return {n: module for n, module in found.items() if ".lora_" not in n and not n.endswith(".base_layer")}


def matched(dit: nn.Module, patterns: Iterable[str]) -> dict[str, LayerShape]:
    """The linear layers that one of the patterns (`*`: any characters) names; UsageError for a pattern that
    names none, with the names there are."""
    there, found = linears(dit), set()
    for pattern in patterns:
        names = fnmatch.filter(there, pattern)
        if not names:
            some = sorted({_starred(name) for name in there})
            raise UsageError(
                f"adapter.targets: {pattern!r} matches no linear layer of the transformer; there are "
                f"{', '.join(some[:_MOST_SHOWN])}{', …' * (len(some) > _MOST_SHOWN)}"
            )
        found |= set(names)
    return {name: (layer.out_features, layer.in_features) for name, layer in there.items() if name in found}


def put_in(module: nn.Module, form: AdapterForm, *, dropout: float = 0.0, seed: int = 0) -> None:
    """Put an adapter around the layers, new from the seed; its change is zero then. Of the module only the
    adapter's weights, float32, collect gradients."""
    from peft import LoraConfig
    from peft.functional import cast_adapter_dtype, inject_adapter_in_model

    config = LoraConfig(
        r=form.rank,
        lora_alpha=cast("int", form.alpha),  # it takes fractions
        target_modules=sorted(form.layers),
        use_dora=form.kind == "dora",
        use_rslora=form.kind == "rslora",
        lora_dropout=dropout,
    )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        inject_adapter_in_model(config, module, adapter_name=NAME)
    cast_adapter_dtype(module, NAME, autocast_adapter_dtype=True)
    for name in form.layers if form.kind == "dora" else ():
        _measure_again(module.get_submodule(name))


@torch.no_grad()
def put_into_weights(dit: DiT, changes: Sequence[WeightChange]) -> None:
    """Add to every weight W the sum of strength (W' - W), W' being what an adapter makes of it. Adapters of
    strength 0 leave every bit as it is; with several, each is taken of the weights without the others."""
    acting = [change for change in changes if change.strength]
    for name, layer in linears(dit).items():
        mine = [change for change in acting if name in change.form.layers]
        if not mine:
            continue
        requires_grad = layer.weight.requires_grad
        deltas = [_delta(layer, name, change) * change.strength for change in mine]
        # not in place: it may be a mapped file's page
        layer.weight = nn.Parameter(layer.weight + sum(deltas[1:], deltas[0]), requires_grad=requires_grad)
        if layer.bias is not None:
            layer.bias.requires_grad_(requires_grad)


def stored_name(name: str) -> str:
    """What a parameter of a module with an adapter in it is called in a file."""
    return name.replace(f".{NAME}.", ".").replace("lora_magnitude_vector.weight", "lora_magnitude_vector")


def _delta(layer: nn.Linear, name: str, change: WeightChange) -> Tensor:
    """W' - W, as peft computes it."""
    from peft.functional import set_peft_model_state_dict

    form = change.form
    holder = nn.ModuleDict({"layer": layer})
    one = AdapterForm(kind=form.kind, rank=form.rank, alpha=form.alpha, layers={"layer": form.layers[name]})
    put_in(holder, one)
    own = {f"layer{n.removeprefix(name)}": t for n, t in change.tensors.items() if n.startswith(f"{name}.")}
    set_peft_model_state_dict(holder, own, adapter_name=NAME)
    around, weight = cast("Any", holder["layer"]), layer.weight.data
    if form.kind != "dora":
        return cast("Tensor", around.get_delta_weight(NAME))
    around.merge(safe_merge=True, adapter_names=[NAME])
    changed, layer.weight.data = layer.weight.data, weight
    return changed - weight


def _measure_again(layer: Any) -> None:
    """DoRA begins with the lengths of the weights' rows, in float32: also where the weights have 16 bits."""
    layer.lora_magnitude_vector[NAME].update_layer(
        base_layer=layer.get_base_layer(),
        lora_A=layer.lora_A[NAME].weight,
        lora_B=layer.lora_B[NAME].weight,
        scaling=layer.scaling[NAME],
    )


def _starred(name: str) -> str:
    """A layer's name with its numbers as stars."""
    return ".".join("*" if part.isdigit() else part for part in name.split("."))
