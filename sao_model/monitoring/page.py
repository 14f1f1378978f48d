"""RUN/index.html: a training on one page that opens by double click: how far it is, its curves, its sounds.

Written anew, whole, when a checkpoint, a validation or sounds are done, and at the end. It needs no network
and has no script; sounds and their pictures lie in RUN/sounds and are named relative to the page.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import soundfile
from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from sao_data.errors import SaoError
from sao_model import run
from sao_model.monitoring import charts, logs
from sao_model.monitoring.charts import Chart
from sao_model.monitoring.logs import Line, RunLog, SoundSet

log = logging.getLogger(__name__)

_ONE = threading.Lock()  # a checkpoint is finished in a thread of its own
_MEANINGS = {
    "loss": "what the optimiser makes small",
    "spectral": "multi-resolution STFT distance",
    "kl": "divergence of the latents from a normal distribution",
    "time": "L1 distance of the samples",
    "adversarial": "what the discriminators say: lower is more real to them",
    "feature_matching": "distance of the discriminators' features",
    "judges": "hinge loss of the discriminators: 2 = they cannot tell",
    "stft": "STFT distance",
    "mel": "mel distance",
    "kad_mel_stats": "distance of generated sounds to recordings, by level and colour: lower is nearer",
    "clap": "how well generated sounds fit their prompts: higher is better",
    "si_sdr": "signal-to-distortion ratio in dB: higher is better",
}
_WEIGHTS = {"original": "original", "ema": "averaged weights (EMA)", "raw": "weights as trained (raw)"}


def write(folder: Path) -> Path:
    """Write the page of a run; UsageError if the folder is none."""
    with _ONE:
        config, found = logs.read_config(folder), logs.read(folder)
        text = _template().render(**_facts(folder, config, found))
        path = folder / run.PAGE
        temporary = path.with_name(f".tmp-{path.name}")
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    return path


def refresh(folder: Path) -> None:
    """Write the page while a training runs: what hinders that does not end the training, but is said."""
    try:
        write(folder)
    except (OSError, SaoError) as error:
        log.warning("%s: not written (%s); the training goes on", folder / run.PAGE, error)


@functools.cache
def _template() -> Template:
    loader = PackageLoader("sao_model.monitoring")
    pages = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return pages.get_template("page.html.j2")


def _facts(folder: Path, config: Line, found: RunLog) -> dict[str, Any]:
    """All that the template shows."""
    last = max([found.step, 1, *(line["step"] for line in found.validations)])
    data = logs.data_of(folder)
    return {
        "name": folder.resolve().name,
        "kind": "codec (VAE)" if "adversary" in config else "diffusion transformer (DiT)",
        "model": config.get("model", ""),
        "dataset": _dataset(data) if data else "",
        "processes": found.lines[-1].get("processes", "") if found.lines else "",
        "batch_size": config.get("batch_size", ""),
        **_state(folder, config, found),
        "groups": [(title, drawn) for title, drawn in _groups(found, last) if drawn],
        "shares": _shares(found),
        "marks": charts.across([line["step"] for line in found.skips], last),
        "returns": charts.across([line["step"] for line in found.rollbacks], last),
        "skips": list(found.skips[-50:]),
        "num_skips": len(found.skips),
        "rollbacks": [(line["step"], line[logs.BACK]) for line in found.rollbacks],
        "checkpoints": _checkpoints(folder, found),
        "sets": [_set(each) for each in reversed(logs.sound_sets(folder))],
        "config": json.dumps(config, indent=1, sort_keys=True, ensure_ascii=False),
        "box": (charts.WIDTH, charts.HEIGHT),
        "written": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }


def _dataset(data: dict[str, Any]) -> str:
    made = data.get("latents")
    return f"{data['dataset']} {data['version']}" + (
        f", from latents {made['root_digest'][:12]}" if made else ""
    )


def _state(folder: Path, config: Line, found: RunLog) -> dict[str, Any]:
    """How far it is, and for how long it will go on."""
    steps = int(config.get("pace", {}).get("steps", 0))
    is_done, is_held = found.step >= steps, (folder / "lock").exists()
    speed = found.steps_per_second()
    left = _shown_time((steps - found.step) / speed) if speed and is_held and not is_done else ""
    return {
        "state": "finished" if is_done else "under way" if is_held else "stopped",
        "step": found.step,
        "steps": steps,
        "percent": round(100 * min(1.0, found.step / max(steps, 1)), 1),
        "left": left,
        "epoch": charts.shown(found.lines[-1]["epoch"]) if found.lines and "epoch" in found.lines[-1] else "",
    }


def _groups(found: RunLog, last: int) -> Iterator[tuple[str, list[Chart]]]:
    """Charts by what they are about."""
    curves = logs.curves(found.lines)
    rates = [name for name in curves if name.endswith("rate")]
    gradients = [name for name in curves if name.endswith("_gradient")]
    shares = [name for name in curves if name.endswith("_share")]
    speed = [name for name in curves if name == "samples_per_second"]
    losses = [name for name in curves if name not in {*rates, *gradients, *shares, *speed}]

    def each(chosen: list[str]) -> list[Chart]:
        return [_drawn(name, {name: curves[name]}, last) for name in chosen]

    yield "Losses", each(losses)
    yield "Validation", list(_validations(found, last))
    yield "Gradient norms and learning rates", each([*gradients, *rates])
    waits = {name.removesuffix("_share"): curves[name] for name in shares}
    drawn = each(speed)
    if waits:
        drawn.append(charts.draw("shares of the time", "of a step", waits, last, may_be_log=False))
    yield "Speed", drawn


def _validations(found: RunLog, last: int) -> Iterator[Chart]:
    """Averaged weights and those as trained, in one box."""
    every: dict[str, dict[str, logs.Points]] = {}
    for which in ("ema", "raw"):
        lines = [line for line in found.validations if line.get("weights") == which]
        for name, points in logs.curves(lines).items():
            every.setdefault(name, {})[which] = points
    for name, both in every.items():
        yield _drawn(name, both, last)


def _drawn(name: str, curves: dict[str, logs.Points], last: int) -> Chart:
    return charts.draw(name.replace("_", " "), _MEANINGS.get(name, ""), curves, last)


def _shares(found: RunLog) -> list[tuple[str, float]]:
    """Percent of the time by what for, in the last line; the rest goes to what is not measured."""
    line = found.lines[-1] if found.lines else {}
    every = {k.removesuffix("_share"): 100 * v for k, v in line.items() if k.endswith("_share")}
    rest = max(0.0, 100 - sum(every.values()))
    return [(name, round(share, 1)) for name, share in [*every.items(), ("all else", rest)] if share >= 0.05]


def _checkpoints(folder: Path, found: RunLog) -> list[dict[str, Any]]:
    """Whole checkpoints, newest first."""
    said = [line for line in found.validations if line.get("weights") == "ema" and "loss" in line]
    losses = {line["step"]: line["loss"] for line in said}
    rows = []
    for path in reversed(run.checkpoints(folder)):
        step = run.step_of(path)
        size = sum(each.stat().st_size for each in path.iterdir() if each.is_file())
        rows.append(
            {
                "step": step,
                "name": path.name,
                "size": f"{size / 1e6:,.1f} MB",
                "loss": charts.shown(losses[step]) if step in losses else "",
                "is_best": step in losses and losses[step] == min(losses.values()),
            }
        )
    return rows


def _set(found: SoundSet) -> dict[str, Any]:
    """A step's sounds, those of one prompt side by side."""
    rows: dict[str, dict[str, Any]] = {}
    for sound in found.sounds:
        number = Path(sound["file"]).stem.rpartition("-")[2]
        row = rows.setdefault(number, {"prompt": sound["prompt"], "seed": sound["seed"], "players": []})
        row["players"].append(_player(found, sound))
    return {"step": found.step, "rows": list(rows.values())}


def _player(found: SoundSet, sound: Line) -> dict[str, Any]:
    path = found.folder / sound["file"]
    start = f"{run.SOUNDS}/{found.folder.name}/"
    picture = _picture(path)
    return {
        "what": _WEIGHTS.get(sound["weights"], sound["weights"]),
        "file": quote(start + path.name),
        "picture": quote(start + picture.name),
        "seconds": f"{sound['seconds']:.2f}",
    }


def _picture(path: Path) -> Path:
    """The mel picture beside a sound, made once."""
    picture = path.with_suffix(".png")
    if not picture.is_file():
        from sao_data.audio.shown import pictures  # librosa, compiled: slow to import

        samples_TC, rate = soundfile.read(path, dtype="float32", always_2d=True)
        temporary = picture.with_name(f".tmp-{picture.name}")
        temporary.write_bytes(pictures.mel(samples_TC.T, rate))
        os.replace(temporary, picture)
    return picture


def _shown_time(seconds: float) -> str:
    """ "2 d 3 h", "3 h 20 min", "5 min", "40 s"."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    hours = minutes // 60
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
