"""The layout of the page and what its buttons do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import gradio as gr

from sao_data.errors import SaoError, Stopped
from sao_model import samplers
from sao_model.generation import Config as Defaults
from sao_model.preset import Config as Shape
from sao_model.sounds import reading
from sao_model.ui import cards, form, history
from sao_model.ui.form import OriginalSound
from sao_model.ui.heard import Heard
from sao_model.ui.maker import Maker

CSS = (files("sao_model.ui") / "static" / "page.css").read_text(encoding="utf-8")
HEAD = f"<script>{(files('sao_model.ui') / 'static' / 'page.js').read_text(encoding='utf-8')}</script>"

_PAGE = 12  # sounds of the history at a time
_DRAW = "() => window.saoDraw()"
_AGAIN = """element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-again]');
  if (!button) return;
  trigger('click', { name: button.dataset.again });
  window.scrollTo({ top: 0, behavior: 'smooth' });
});"""
_NOTHING_YET = "Nothing was made yet. What you make stays here."
_PLAIN: dict[str, Any] = {"apply_default_css": False}
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
# All but making sounds. The queue's stream to the page ends with its last event, and Gradio's page takes one
# that is about to end for open: what Generate makes at that moment would never be shown.
_AT_ONCE: dict[str, Any] = {**_QUIET, "queue": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """The components that events touch."""

    fields: dict[str, Any]  # by the names of form.FIELDS
    begin: Any  # the fold around the sound to begin with
    file: Any
    editor: Any
    original: Any  # state: OriginalSound, or None
    generate: Any
    stop: Any
    status: Any
    result: Any
    history: Any
    older: Any
    shown: Any  # state: how many sounds of the history

    @property
    def typed(self) -> list[Any]:
        return [self.fields[name] for name in form.FIELDS]


def build(shape: Shape, maker: Maker, heard: Heard) -> gr.Blocks:
    """The page for one model."""
    window = shape.num_frames / shape.sample_rate
    with gr.Blocks(title=f"{shape.name}: generate", analytics_enabled=False, fill_width=True) as page:
        gr.HTML(cards.heading(shape.name, maker.out), **_PLAIN)
        with gr.Row():
            with gr.Column(scale=5, min_width=320):
                fields, begin, file, editor = _fields(window)
                with gr.Row():
                    generate = gr.Button("Generate", variant="primary", elem_id="generate", scale=3)
                    stop = gr.Button("Stop", interactive=False, elem_id="stop", scale=1, min_width=90)
                status = gr.HTML(elem_id="status", **_PLAIN)
            with gr.Column(scale=5, min_width=320):
                gr.HTML("<h2>Sound</h2>", **_PLAIN)
                result = gr.HTML(
                    cards.sounds([], empty="It appears here."), elem_id="result", js_on_load=_AGAIN, **_PLAIN
                )
                gr.HTML("<h2>Made before</h2>", **_PLAIN)
                made = gr.HTML(elem_id="history", js_on_load=_AGAIN, **_PLAIN)
                older = gr.Button("Show older ones", size="sm", visible=False)
        gr.HTML(cards.heard(heard), elem_id="heard", **_PLAIN)
        parts = _Parts(
            fields=fields,
            begin=begin,
            file=file,
            editor=editor,
            original=gr.State(None),
            generate=generate,
            stop=stop,
            status=status,
            result=result,
            history=made,
            older=older,
            shown=gr.State(_PAGE),
        )
        _Events(parts, maker, shape).wire(page)
    return page


def theme() -> gr.themes.Base:
    """The colours of the sheet of sounds, and fonts that are there already."""
    fonts = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}
    return gr.themes.Base(primary_hue="teal", neutral_hue="stone", radius_size="md", **fonts).set(
        body_background_fill="#fbfaf7",
        body_background_fill_dark="#161719",
        block_background_fill="#ffffff",
        block_background_fill_dark="#1e2023",
        block_border_width="1px",
        block_border_color="#dfdad0",
        block_border_color_dark="#35373b",
        block_label_text_color="#5c5850",
        block_info_text_color="#5c5850",
        block_info_text_color_dark="#a9a59c",
        input_background_fill="#fbfaf7",
        input_background_fill_dark="#161719",
        button_primary_background_fill="#1f6b60",
        button_primary_background_fill_hover="#185249",
        button_primary_text_color="#ffffff",
        button_primary_background_fill_dark="#1f6b60",
        button_primary_background_fill_hover_dark="#2a7f73",
        block_title_text_color="#1c1b19",
        block_title_text_color_dark="#ece9e3",
        input_border_color="#c9c2b5",
        input_border_color_dark="#4a4d52",
        input_border_width="1px",
        input_placeholder_color="#75706a",
        input_placeholder_color_dark="#908c85",
        slider_color="#2a7f73",
        slider_color_dark="#58b8a9",
    )


def _fields(window: float) -> tuple[dict[str, Any], Any, Any, Any]:
    """What is typed, by the names of form.FIELDS; the fold of the upload, the upload, its waveform."""
    usual, found = Defaults(), {}
    step = 0.1 if window >= 5 else 0.01
    longest = max(step, int(window / step) * step)
    found["prompt"] = gr.Textbox(label="Prompt", placeholder="rain on a tin roof", lines=2, elem_id="prompt")
    found["negative_prompt"] = gr.Textbox(label="Negative prompt", info="what to lead away from", max_lines=2)
    found["seconds"] = gr.Slider(
        step, round(longest, 2), round(min(10.0, longest), 2), step=step, label="Length (seconds)",
        elem_id="seconds", buttons=[],
    )  # fmt: skip
    with gr.Row():
        found["steps"] = gr.Slider(
            1, 250, usual.steps, step=1, label="Steps", elem_id="steps", min_width=180, buttons=[]
        )
        found["cfg_scale"] = gr.Slider(
            0, 15, usual.cfg_scale, step=0.1, label="Guidance", min_width=180, elem_id="guidance", buttons=[]
        )
    with gr.Row():
        found["seed"] = gr.Textbox(
            label="Seed", placeholder="empty: a random one", max_lines=1, elem_id="seed", min_width=180
        )
        found["variations"] = gr.Slider(1, 16, 1, step=1, label="Variations", min_width=180, buttons=[])
    with gr.Accordion("A sound to begin with", open=False, elem_id="begin") as begin:
        file, editor = _sound_to_begin_with(found, usual)
    with gr.Accordion("More settings", open=False):
        with gr.Row():
            found["sampler"] = gr.Dropdown(
                list(samplers.SAMPLERS), value=usual.sampler, label="Sampler", min_width=180
            )
            found["rescale"] = gr.Slider(
                0,
                1,
                0,
                step=0.05,
                label="Guidance rescale",
                info="0.7 against overload",
                min_width=180,
                buttons=[],
            )
        with gr.Row():
            found["format"] = gr.Dropdown(["wav", "flac", "ogg"], value="wav", label="Format", min_width=140)
            found["bits"] = gr.Dropdown(
                [("16", "16"), ("24", "24"), ("floating point (WAV)", "float")],
                value="16", label="Bits a sample", min_width=140,
            )  # fmt: skip
    return found, begin, file, editor


def _sound_to_begin_with(found: dict[str, Any], usual: Defaults) -> tuple[Any, Any]:
    file = gr.File(label="Audio file", type="filepath", elem_id="file", height=140)
    editor = gr.HTML(elem_id="editor", **_PLAIN)
    found["way"] = gr.Radio(list(form.WAYS), value=form.VERSION, label="What is made of it", elem_id="way")
    found["strength"] = gr.Slider(
        0.05,
        1,
        usual.edit.strength,
        step=0.05,
        label="Strength",
        info="1 leaves nothing of it",
        buttons=[],
    )
    found["regions"] = gr.Textbox(
        label="Regions", info="seconds: 1.0-2.5, 4-5", max_lines=1, elem_id="regions", visible="hidden"
    )
    return file, editor


class _Events:
    """What happens, and when."""

    def __init__(self, parts: _Parts, maker: Maker, shape: Shape) -> None:
        self._parts = parts
        self._maker = maker
        self._shape = shape
        self._window = shape.num_frames / shape.sample_rate

    def wire(self, page: gr.Blocks) -> None:
        parts = self._parts
        listed = [parts.history, parts.older]
        page.load(self._listed, parts.shown, listed, **_AT_ONCE)
        gr.on(
            [parts.generate.click, parts.fields["prompt"].submit],
            self._generate,
            [parts.original, parts.shown, *parts.typed],
            [parts.status, parts.generate, parts.stop, parts.result, *listed],
            concurrency_limit=None,
            **_QUIET,
        )
        parts.stop.click(self._stop, None, None, **_AT_ONCE)
        parts.older.click(lambda shown: shown + _PAGE, parts.shown, parts.shown, **_AT_ONCE).then(
            self._listed, parts.shown, listed, **_AT_ONCE
        )
        shown = [parts.original, parts.editor, parts.status]
        parts.file.upload(self._uploaded, parts.file, shown, **_AT_ONCE).then(None, js=_DRAW, **_AT_ONCE)
        parts.file.clear(lambda: (None, "", ""), None, shown, **_AT_ONCE)
        way, chosen, strength = (parts.fields[name] for name in ("way", "regions", "strength"))
        way.change(
            lambda way: (
                gr.update(visible=True if way == form.REGIONS else "hidden"),
                gr.update(visible=way == form.VERSION),
            ),
            way,
            [chosen, strength],
            **_AT_ONCE,
        )
        chosen.change(lambda text: form.REGIONS if text.strip() else gr.skip(), chosen, way, **_AT_ONCE)
        chosen.change(None, js=_DRAW, **_AT_ONCE)
        again = [parts.original, parts.file, parts.editor, parts.begin, parts.status, *parts.typed]
        for sounds in (parts.result, parts.history):
            sounds.click(self._again, None, again, **_AT_ONCE).then(None, js=_DRAW, **_AT_ONCE)

    def _generate(
        self, request: gr.Request, original: OriginalSound | None, shown: int, *typed: Any
    ) -> Iterator[tuple[Any, ...]]:
        """Updates of status, both buttons, result, history."""
        rest = (gr.skip(), gr.skip(), gr.skip())
        busy = gr.update(interactive=False), gr.update(interactive=True)
        idle = gr.update(interactive=True), gr.update(interactive=False)
        try:
            config = form.config(
                dict(zip(form.FIELDS, typed, strict=True)),
                original,
                self._window,
                device=self._maker.device,
                precision=self._maker.precision,
            )
            yield cards.progress("preparing", 0, 0), *busy, *rest
            for update in self._maker.make(str(request.session_hash), config):
                if not update.jobs:
                    yield cards.progress(update.words, update.done, update.total), *busy, *rest
        except Stopped as stopped:
            yield cards.message(str(stopped)), *idle, gr.skip(), *self._listed(shown)
            return
        except (SaoError, OSError) as error:
            yield cards.message(str(error), is_wrong=True), *idle, *rest
            return
        names = [job.path.relative_to(self._maker.out).as_posix() for job in update.jobs]
        made = [one for name in names if (one := history.named(self._maker.out, name))]
        said = f"Made with seed {config.seed}." if len(made) == 1 else f"Made {len(made)} sounds."
        yield cards.message(said), *idle, cards.sounds(made, empty=""), *self._listed(shown)

    def _stop(self, request: gr.Request) -> None:
        self._maker.stop(str(request.session_hash))

    def _listed(self, shown: int) -> tuple[Any, Any]:
        """The history, and whether there is more of it."""
        found = history.newest(self._maker.out, shown + 1)
        return cards.sounds(found[:shown], empty=_NOTHING_YET), gr.update(visible=len(found) > shown)

    def _uploaded(self, file: str | None) -> tuple[Any, ...]:
        """State, editor, status."""
        if not file:
            return None, "", ""
        try:
            return *self._opened(history.keep_original(self._maker.out, Path(file))), ""
        except (SaoError, OSError) as error:
            return None, "", cards.message(str(error).replace(file, Path(file).name), is_wrong=True)

    def _opened(self, path: Path) -> tuple[OriginalSound, str]:
        found = reading.read(path, self._shape.sample_rate, self._shape.codec.num_channels)
        seconds = found.samples_CT.shape[1] / self._shape.sample_rate
        shown = cards.editor(path, found, self._shape.sample_rate, self._window)
        return OriginalSound(path=path, seconds=seconds), shown

    def _again(self, event: gr.EventData) -> tuple[Any, ...]:
        """The settings of a sound: state, file, editor, fold, status, then what was typed."""
        made = history.named(self._maker.out, str(event.name))
        if made is None:
            words = cards.message(f"{event.name}: is not there any more", is_wrong=True)
            return gr.skip(), gr.skip(), gr.skip(), gr.skip(), words, *(gr.skip() for _ in form.FIELDS)
        typed = form.typed_again(made.facts)
        sha256 = str(made.facts.get("edit_audio_sha256", ""))
        path = history.original(self._maker.out, sha256)
        words = cards.message(f"These are the settings of {made.name}.")
        if sha256 and path is None:
            words = cards.message(
                f"{made.name}: the sound it began with is not there any more", is_wrong=True
            )
        begun: tuple[Any, ...] = (None, None, "", gr.skip())
        if path is not None:
            original, shown = self._opened(path)
            begun = original, str(path), shown, gr.update(open=True)
        return *begun, words, *(typed[name] for name in form.FIELDS)
