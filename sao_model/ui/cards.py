"""Sounds, a sound's regions and a model's history as pieces of the page: HTML, escaped by the templates."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import soundfile
from jinja2 import Environment, PackageLoader, StrictUndefined

from sao_data.audio.shown import pictures
from sao_model.sounds import reading
from sao_model.ui.heard import Heard
from sao_model.ui.history import MadeSound

SOUNDS, PICTURES, REPORT = "/sounds", "/pictures", "/report"  # where the server has them

_TEMPLATES = Environment(loader=PackageLoader("sao_model.ui"), autoescape=True, undefined=StrictUndefined)
_TEMPLATES.globals.update(REPORT=REPORT)


def sounds(made: list[MadeSound], *, empty: str) -> str:
    """A card for each sound, or a sentence where there is none."""
    return _TEMPLATES.get_template("sounds.html.j2").render(rows=[_row(one) for one in made], empty=empty)


def heard(known: Heard) -> str:
    """What the model has heard."""
    return _TEMPLATES.get_template("heard.html.j2").render(known=known)


def editor(path: Path, found: reading.AudioIn, sample_rate: int, window: float) -> str:
    """A sound to begin with: player, and the waveform on which regions are chosen."""
    return _TEMPLATES.get_template("editor.html.j2").render(
        seconds=found.samples_CT.shape[1] / sample_rate,
        window=window,
        file=f"{SOUNDS}/{quote(path.parent.name)}/{quote(path.name)}",
        waveform=pictures.waveform(found.samples_CT, width=800),
        remarks=found.remarks,
    )


def progress(words: str, done: int, total: int) -> str:
    """How far a generation is."""
    return _TEMPLATES.get_template("progress.html.j2").render(words=words, done=done, total=total)


def message(words: str, *, is_wrong: bool = False) -> str:
    """A sentence that is also read out."""
    return _TEMPLATES.get_template("message.html.j2").render(words=words, is_wrong=is_wrong)


def heading(name: str, folder: Path) -> str:
    """The top of the page."""
    return _TEMPLATES.get_template("heading.html.j2").render(name=name, folder=folder)


def waveform(path: Path) -> bytes:
    """A sound's waveform as an SVG, black on nothing: the page colours it."""
    samples_TC, _ = soundfile.read(path, dtype="float32", always_2d=True)
    line = pictures.waveform(samples_TC.T)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 80" preserveAspectRatio="none">'
        f'<path d="{line}" fill="none" stroke="#000" vector-effect="non-scaling-stroke"/></svg>'
    ).encode()


def mel(path: Path) -> bytes:
    """A sound's mel spectrogram as a PNG."""
    samples_TC, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return pictures.mel(samples_TC.T, rate)


def _row(made: MadeSound) -> dict[str, object]:
    facts, name = made.facts, quote(made.name)
    version = f"?v={str(facts.get('sha256', ''))[:12]}"
    edit = facts.get("edit", {})
    settings = [
        f"{facts['seconds']:.2f} s",
        f"{facts['steps']} steps",
        f"guidance {facts.get('cfg_scale', 0):g}",
        str(facts.get("sampler", "")),
    ]
    return {
        "name": made.name,
        "prompt": facts["prompt"],
        "negative_prompt": facts.get("negative_prompt", ""),
        "seed": facts["seed"],
        "settings": " · ".join(filter(None, settings)),
        "from_sound": _from_sound(edit) if facts.get("edit_audio_sha256") else "",
        "model": facts.get("model", ""),
        "remarks": facts.get("remarks", []),
        "file": f"{SOUNDS}/{name}{version}",
        "facts": f"{SOUNDS}/{name.rpartition('.')[0]}.json{version}",
        "file_name": Path(made.name).name,
        "facts_name": Path(made.name).with_suffix(".json").name,
        "waveform": f"{PICTURES}/{name}.svg{version}",
        "mel": f"{PICTURES}/{name}.png{version}",
    }


def _from_sound(edit: dict[str, object]) -> str:
    chosen = edit.get("regions")
    if isinstance(chosen, list) and chosen:
        return "made anew: " + ", ".join(f"{start:.2f}–{end:.2f} s" for start, end in chosen)
    return "behind a sound's end" if edit.get("extend") else f"from a sound, strength {edit.get('strength')}"
