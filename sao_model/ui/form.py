"""What is typed on the page, as a generation's config; and the other way, to make a sound again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sao_data.errors import UsageError
from sao_model import generation
from sao_model.request import Guidance
from sao_model.ui import regions

VERSION, REGIONS, BEHIND = "Another version of it", "Chosen regions anew", "Go on behind its end"
WAYS = (VERSION, REGIONS, BEHIND)
FIELDS = (
    "prompt", "negative_prompt", "seconds", "steps", "cfg_scale", "sampler", "seed", "variations",
    "way", "strength", "regions", "rescale", "format", "bits",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginalSound:
    """A sound to begin with."""

    path: Path
    seconds: float


def config(
    typed: Mapping[str, Any],
    original: OriginalSound | None,
    window: float,
    *,
    device: str = "",
    precision: Any = "fp32",
) -> generation.Config:
    """The config; UsageError for what cannot be. `window`: the longest sound in seconds."""
    edit = generation.Editing() if original is None else _editing(typed, original)
    seconds = _number(typed, "seconds")
    if original is not None and typed["way"] != BEHIND:
        seconds = min(original.seconds, window)
    return generation.with_seed(
        generation.Config(
            prompt=str(typed["prompt"] or ""),
            negative_prompt=str(typed["negative_prompt"] or "").strip(),
            seconds=seconds,
            steps=int(_number(typed, "steps")),
            cfg_scale=_number(typed, "cfg_scale"),
            sampler=str(typed["sampler"]),
            seed=_seed(str(typed["seed"] or "")),
            variations=int(_number(typed, "variations")),
            guidance=Guidance(rescale=_number(typed, "rescale")),
            edit=edit,
            format=typed["format"],
            bits=typed["bits"],
            device=device,
            precision=precision,
        )
    )


def typed_again(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What was typed for a sound, from its facts: the same settings and its seed, one variation."""
    edit = facts.get("edit", {})
    chosen = tuple((start, end) for start, end in edit.get("regions", ()))
    way = REGIONS if chosen else BEHIND if edit.get("extend") else VERSION
    return {
        "prompt": facts["prompt"],
        "negative_prompt": facts.get("negative_prompt", ""),
        "seconds": facts["seconds"],
        "steps": facts["steps"],
        "cfg_scale": facts.get("cfg_scale", 7.0),
        "sampler": facts.get("sampler", "dpmpp-2m-sde"),
        "seed": str(facts["seed"]),
        "variations": 1,
        "way": way,
        "strength": edit.get("strength", 0.7),
        "regions": regions.text(chosen),
        "rescale": facts.get("guidance", {}).get("rescale", 0.0),
        "format": facts.get("format", "wav"),
        "bits": facts.get("bits", "16"),
    }


def _editing(typed: Mapping[str, Any], original: OriginalSound) -> generation.Editing:
    way, audio = typed["way"], str(original.path)
    if way == REGIONS:
        chosen = tuple(
            (start, min(end, original.seconds)) for start, end in regions.parse(str(typed["regions"] or ""))
        )
        if not chosen:
            raise UsageError("regions: none; drag over the waveform, or type seconds, e.g. 1.0-2.5, 4-5")
        return generation.Editing(audio=audio, regions=chosen)
    if way == BEHIND:
        if _number(typed, "seconds") <= original.seconds:
            raise UsageError(
                f"length: the sound to begin with has {original.seconds:.2f} s already; choose more to go on "
                "behind its end"
            )
        return generation.Editing(audio=audio, extend=True)
    return generation.Editing(audio=audio, strength=_number(typed, "strength"))


def _seed(text: str) -> int | None:
    """None where nothing is typed."""
    plain = text.strip()
    if not plain:
        return None
    if not (plain.isascii() and plain.isdigit()):
        raise UsageError(f"seed: {plain!r} is none; give a whole number, or nothing for a random one")
    return int(plain)


def _number(typed: Mapping[str, Any], name: str) -> float:
    """A number that was typed; a field that was emptied has none."""
    value = typed[name]
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"{name}: {value if value is not None else 'empty'}; give a number")
    return value
