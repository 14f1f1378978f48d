"""All that a resume needs: loop.json, and weights, averages and moments as tensors by name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from sao_data.config import canonical, parse
from sao_data.errors import UsageError
from sao_data.loading.source import TrainingSource
from sao_data.loading.stream import Stream, StreamConfig, StreamState, open_stream
from sao_data.storage import checksums, documents
from sao_model import checkpoint
from sao_model.adapters import folders
from sao_model.declared import Declared
from sao_model.monitoring.bands import FREE, FREE_OF_STREAM
from sao_model.run import DATA, LOOP
from sao_model.training import optimiser, sharding
from sao_model.training.ema import Ema

EXTRA = "training"  # training.safetensors


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopState:
    """All that a resume needs beside the weights and moments."""

    step: int = 0  # steps done
    stream: StreamState = field(default_factory=StreamState)
    skipped: int = 0  # steps whose gradients were not finite
    in_a_row: tuple[tuple[str, int], ...] = ()  # of a learner, the latest without a good one between
    rollbacks: int = 0  # times that weights went back to a checkpoint, of late
    good: int = 0  # steps since the last that was not finite

    @property
    def worst(self) -> int:
        """Steps in a row that were not finite, of the learner that has most."""
        return max((num for _, num in self.in_a_row), default=0)

    def counted(self, learner: str, is_bad: bool, enough: int) -> LoopState:
        """With one more step of a learner; after `enough` good ones, returns to checkpoints are forgotten."""
        others = {name: num for name, num in self.in_a_row if name != learner or is_bad}
        if not is_bad:
            rollbacks = 0 if self.good + 1 >= enough else self.rollbacks
            left = tuple(sorted(others.items()))
            return replace(self, in_a_row=left, good=self.good + 1, rollbacks=rollbacks)
        bad = others | {learner: others.get(learner, 0) + 1}
        return replace(self, skipped=self.skipped + 1, in_a_row=tuple(sorted(bad.items())), good=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loop:
    """loop.json."""

    config: dict[str, Any]
    state: dict[str, Any]


class LoopSettings(Protocol):
    """What both trainings' configs say of their batches."""

    @property
    def seed(self) -> int: ...
    @property
    def batch_size(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Learner:
    """Weights that one optimiser changes, with the optimiser and their averages."""

    name: str  # '' for the model's own weights, else what its tensors in a checkpoint begin with
    module: nn.Module
    optim: torch.optim.Optimizer
    average: Ema | None = None

    @property
    def start(self) -> str:
        """Beginning of the names of its tensors."""
        return f"{self.name}|" if self.name else ""

    @property
    def named(self) -> dict[str, nn.Parameter]:
        """The weights by name: they are others objects once they have been divided among processes."""
        return trained(self.module)


def trained(module: nn.Module) -> dict[str, nn.Parameter]:
    """The weights that are learned, by name."""
    return dict(sharding.trained(module))


def stream(
    settings: StreamConfig,
    config: LoopSettings,
    dataset: TrainingSource,
    accelerator: Accelerator,
    begun: LoopState,
) -> Stream:
    """What this process draws, from where the run goes on; the training's seed decides."""
    return open_stream(
        dataset,
        replace(settings, seed=config.seed),
        batch_size=config.batch_size,
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
        state=begun.stream,
    )


def tensors(learners: Sequence[Learner], *, keep: bool = True) -> dict[str, Tensor]:
    """Copies, on the CPU, of weights as trained, averages and moments. Where these are divided all processes
    take part, those that do not `keep` them with nothing in memory."""
    found: dict[str, Tensor] = {}
    for learner in learners:
        parts: list[tuple[str, Mapping[str, Tensor]]] = [("weight|", learner.named)]
        if learner.average:
            parts.append(("ema|", learner.average.state_dict()))
        parts.append(("optimiser|", optimiser.state(learner.optim, learner.named)))
        for prefix, part in parts:
            for name, value in part.items():
                if keep:
                    found[f"{learner.start}{prefix}{name}"] = sharding.whole_copy(value)
                else:
                    sharding.whole(value)
    return found


@torch.no_grad()
def restore(folder: Path, learners: Sequence[Learner]) -> None:
    """Put back what `tensors` took, from a checkpoint."""
    stored = _stored(folder)
    for learner in learners:
        named = learner.named

        weights = under(stored, f"{learner.start}weight|")
        if weights.keys() != named.keys():
            some = ", ".join(sorted(weights.keys() ^ named.keys())[:3])
            raise UsageError(f"{folder}: made by another training: it has or lacks {some}")
        for name, value in weights.items():
            sharding.put(named[name], value)
        if learner.average:
            learner.average.load_state_dict(under(stored, f"{learner.start}ema|"))
        optimiser.load_state(learner.optim, named, under(stored, f"{learner.start}optimiser|"))


@torch.no_grad()
def restore_weights(folder: Path, learner: Learner) -> bool:
    """Put back the weights of one learner alone; False if the checkpoint has none of this shape."""
    stored = under(_stored(folder), f"{learner.start}weight|")
    named = learner.named
    if {n: p.shape for n, p in named.items()} != {n: tensor.shape for n, tensor in stored.items()}:
        return False
    for name, value in stored.items():
        sharding.put(named[name], value)
    return True


def read(folder: Path, config: Any) -> LoopState:
    """The loop state of a checkpoint; UsageError if it was made with other settings than these."""
    path = folder / LOOP
    if not path.is_file():
        raise UsageError(f"{folder}: no {LOOP}: a model, but not one that training can continue")
    fix = "restore it from a copy, or continue from an earlier checkpoint"
    facts = documents.checked(_Loop, checksums.read_file(folder, LOOP), where=str(path), fix=fix)
    now, then = _deciding(canonical(config)), _deciding(facts["config"])
    changed = [key for key in now if key not in FREE and now[key] != then.get(key)]
    if changed:
        key = changed[0]
        raise UsageError(
            f"{folder}: made with another {', '.join(changed)}: was {then.get(key)}, now {now[key]}; "
            f"{_same_batch(then, now) if key == 'batch_size' else 'continue with the same settings'}, "
            "or train into another --out"
        )
    return parse(LoopState, facts["state"], where=str(path))


def files(
    config: Any, state: LoopState, dataset: TrainingSource, stream: Stream, promise: Declared
) -> dict[str, bytes]:
    """loop.json and training_data.json of a checkpoint."""
    facts = dataset.facts
    data = {
        "dataset": facts["name"],
        "version": facts["version"],
        "root_digest": facts["root_digest"],
        "step": state.step,
        "parent": "",
        **promise.to_json(),
        "shards": stream.seen(state.stream).to_json(),
        **({"latents": facts["latents"]} if "latents" in facts else {}),
    }
    loop = {"config": canonical(config), "state": canonical(state)}
    return {LOOP: as_json(loop), DATA: as_json(data)}


def table(config: Any) -> dict[str, Any]:
    """The settings as a table of plain values."""
    plain = canonical(config)
    assert isinstance(plain, dict)
    return plain


def as_json(value: object) -> bytes:
    """JSON as people read it, the same for the same value."""
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def under(tensors: Mapping[str, Tensor], start: str) -> dict[str, Tensor]:
    """Those whose names begin so, by the rest of their names."""
    return {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}


def _stored(folder: Path) -> dict[str, Tensor]:
    """What `tensors` took, as it lies in a checkpoint of either kind."""
    return (
        folders.load_extra(folder, EXTRA)
        if folders.is_one(folder)
        else checkpoint.load_tensors(folder, EXTRA)
    )


def _deciding(config: Any) -> dict[str, Any]:
    """Settings that decide what is learned; how fast samples are read does not."""
    stream = {key: value for key, value in config["stream"].items() if key not in FREE_OF_STREAM}
    return {**config, "stream": stream}


def _same_batch(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """How to have the batch of before with as much in memory at a time as is asked for now."""
    before, asked, accumulate = then["batch_size"], now["batch_size"], now.get("accumulate", 1)
    same = f"continue with --set batch_size={before}"
    if before > asked and before * accumulate % asked == 0:
        return f"{same} --set accumulate={before * accumulate // asked}, which holds as much at a time"
    return same
