"""The card of a checkpoint: what its weights are, what they have heard, what that asks of their users."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from sao_data.loading.source import TrainingSource
from sao_data.loading.stream import Stream
from sao_model.declared import Declared
from sao_model.training.state import LoopState

FILE = "README.md"


def write(config: Any, state: LoopState, dataset: TrainingSource, stream: Stream, promise: Declared) -> bytes:
    """The card, as Markdown with the metadata that model hubs read."""
    facts = dataset.facts
    draws = stream.seen(state.stream).draws
    flags = dataclasses.asdict(promise.release)
    allowed = [name.replace("_", " ") for name, value in flags.items() if value]
    refused = [name.replace("_", " ") for name, value in flags.items() if not value]
    lines = [
        "---",
        "library_name: sao",
        "pipeline_tag: text-to-audio",
        f"datasets: [{facts['name']}]",
        *_base(config),
        "---",
        "",
        f"# {_title(config)}, step {state.step:,}",
        "",
        f"Weights of a training that has drawn {draws:,} samples of the dataset",
        f"{facts['name']} {facts['version']} (root digest `{facts['root_digest']}`),",
        f"which has {stream.num_samples:,} in an epoch.",
        "",
        "## What it may be used for",
        "",
        f"Declared: {', '.join(allowed) or 'nothing'}; not: {', '.join(refused) or 'nothing'}.",
        *_conditions(promise),
        "`training_data.json` says which recordings these weights have heard. The credits of exactly those:",
        "`pipelines/report.py --data DATASET --checkpoint THIS_FOLDER --out REPORT`.",
        "",
        *_parts(promise),
        "## How to use it",
        "",
        _use(config),
        "",
        "`training.safetensors` and `loop.json` are only needed to go on with the training.",
    ]
    return ("\n".join(lines) + "\n").encode()


def _title(config: Any) -> str:
    return f"A {config.adapter.kind} adapter of {_named(config)}" if _is_adapter(config) else _named(config)


def _base(config: Any) -> list[str]:
    """The model that an adapter is for, as model hubs read it."""
    return [f"base_model: {_named(config)}"] if _is_adapter(config) else []


def _named(config: Any) -> str:
    """The model's preset, or what the training started from."""
    return Path(config.model).stem if config.model else Path(config.start_from).name


def _use(config: Any) -> str:
    model = "ITS_MODEL --lora THIS_FOLDER:1.0" if _is_adapter(config) else "THIS_FOLDER"
    return f"    pipelines/generate.py --model {model} --prompt 'rain on a tin roof' --out rain.wav"


def _is_adapter(config: Any) -> bool:
    return bool(getattr(config, "adapter", None))


def _conditions(promise: Declared) -> list[str]:
    """What the works ask, a line each."""
    if promise.terms is None or not promise.terms.conditions:
        return [""]
    lines = ["", "The works ask:", ""]
    for condition in promise.terms.conditions:
        asks = [
            f"licence {condition.license_family}: whole works non-commercially only"
            * bool(condition.license_family),
            f"wish of the uploader: {condition.ai_preference}" * bool(condition.ai_preference),
            "let in by a person's answer, for this release alone" * condition.reviewed,
        ]
        lines.append(f"- {condition.works:,} works: {'; '.join(a for a in asks if a) or 'credit only'}")
    return [*lines, ""]


def _parts(promise: Declared) -> list[str]:
    """The parts that were trained before."""
    if not promise.pretrained:
        return []
    lines = ["## Parts that were trained before", ""]
    for part in promise.pretrained:
        heard = part.get("training_data") or {}
        on = f", trained on {heard['dataset']} {heard['version']}" if heard else ""
        terms = f", under {part['terms']}" if part.get("terms") else ""
        lines.append(f"- {part['part']}{on}{terms}")
    return [*lines, ""]
