"""The page in a browser: a prompt becomes a sound, a region of a sound is made anew, and both stay."""

from __future__ import annotations

import dataclasses
import importlib.util
import io
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from sao_model import checkpoint, preset
from sao_model.model import build
from tests import processes
from tests.processes import ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
MISSING = [name for name in ("gradio", "playwright") if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(MISSING) or CHROMIUM is None,
        reason=f"needs Gradio (extra ui), playwright, Chromium; not here: {', '.join(MISSING) or 'Chromium'}",
    ),
]

SERVE = """
import sys
from sao_data.commands import common
from sao_data.commands.arguments import Parser
from sao_model.verbs import ui

parser = Parser(prog="sao ui")
ui.add_arguments(parser)
sys.exit(common.guard(lambda: ui.run(parser.parse_args())))
"""
PATIENCE = 120_000  # ms until a wait is a failure, on any machine
SECONDS = 1.0  # of the sound that is uploaded


@dataclass(kw_only=True)
class Opened:
    """The page, its server, and where both look."""

    page: Any
    server: subprocess.Popen[str]
    address: str
    out: Path
    asked: list[str] = field(default_factory=list)  # of the browser, by anything on the page

    def fetched(self, link: str) -> bytes:
        """What a link of the page leads to."""
        answer = self.page.request.get(self.address + link)
        assert answer.ok, link
        data: bytes = answer.body()
        return data

    def generate(self, prompt: str, num: int) -> dict[str, Any]:
        """Type, press Generate, wait for the player; the facts of what was made, the `num`-th in all."""
        self.page.locator("#prompt textarea").fill(prompt)
        steps = self.page.locator("#steps input[type=number]")
        steps.fill("3")
        steps.blur()
        self.page.locator("#generate").click()
        self.page.locator(f"#result article[data-name^='{num:03d}-'] audio").wait_for()
        facts: dict[str, Any] = json.loads(self.fetched(self.link("Download JSON")))
        assert (facts["prompt"], facts["steps"]) == (prompt, 3)
        assert self.page.locator("#result .sao-seed").inner_text() == str(facts["seed"])
        return facts

    def link(self, words: str) -> str:
        """Where a link of the result leads."""
        found: str = self.page.locator("#result").get_by_role("link", name=words).get_attribute("href")
        return found

    def sound(self) -> np.ndarray[Any, Any]:
        """The result's samples, as its player gets them."""
        player = self.page.locator("#result audio").get_attribute("src")
        assert player == self.link("Download sound")
        samples_TC, rate = soundfile.read(io.BytesIO(self.fetched(player)))
        assert rate == 44_100
        return np.asarray(samples_TC)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    from playwright.sync_api import sync_playwright

    folder = tmp_path_factory.mktemp("ui")
    model = build(dataclasses.replace(preset.read("tiny"), num_latents=128), seed=3)
    noise = torch.Generator().manual_seed(0)
    for parameter in model.parameters():  # what begins at zero would make it silent
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05, generator=noise)
    checkpoint.save(model, folder / "ckpt")
    command = [sys.executable, "-c", SERVE, str(folder / "ckpt"), "--port", "0", "--out", str(folder / "out")]
    with (folder / "stderr").open("w") as said, sync_playwright() as started:
        server = subprocess.Popen(
            command, env=processes.environment(), cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=said
        )
        assert server.stdout
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            address = server.stdout.readline().strip()
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+", address), (folder / "stderr").read_text()
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.set_default_timeout(PATIENCE)
            found = Opened(page=page, server=server, address=address, out=folder / "out")
            page.on("request", lambda request: found.asked.append(request.url))
            page.goto(address)
            yield found
        finally:
            browser.close()
            server.kill()
            server.communicate()


def test_a_prompt_becomes_a_sound(opened: Opened) -> None:
    facts = opened.generate("rain <on> a tin roof", 1)
    sound_TC = opened.sound()
    assert sound_TC.shape == (round(facts["seconds"] * 44_100), 2)
    assert sound_TC.std() > 1e-4
    waveform, mel = (
        opened.fetched(
            opened.link("Download sound").replace("/sounds/", "/pictures/").replace("?", f".{end}?")
        )
        for end in ("svg", "png")
    )
    assert waveform.startswith(b"<svg ")
    assert mel.startswith(b"\x89PNG")


def test_a_region_is_made_anew_and_all_else_stays(opened: Opened, tmp_path: Path) -> None:
    page, rng = opened.page, np.random.default_rng(1)
    original_TC = rng.uniform(-0.5, 0.5, (round(SECONDS * 44_100), 2)).astype(np.float32)
    soundfile.write(tmp_path / "me.wav", original_TC, 44_100)
    original_TC, _ = soundfile.read(tmp_path / "me.wav", dtype="float32")
    page.get_by_role("button", name="A sound to begin with").click()
    page.locator("#file input[type=file]").set_input_files(tmp_path / "me.wav")
    pad = page.locator(".sao-pad")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 30)
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 30)
    page.mouse.up()
    typed = page.locator("#regions").get_by_role("textbox")
    typed.wait_for()
    assert typed.input_value() == "0.25-0.50"
    assert page.get_by_role("radio", name="Chosen regions anew").is_checked()
    facts = opened.generate("a door", 2)
    assert facts["edit"]["regions"] == [[0.25, 0.5]]
    sound_TC = opened.sound()
    inside = slice(round(0.25 * 44_100), round(0.5 * 44_100))
    outside = np.ones(len(original_TC), bool)
    outside[inside] = False
    assert sound_TC.shape == original_TC.shape
    assert np.abs(sound_TC[outside] - original_TC[outside]).max() <= 1 / 32_768
    assert np.abs(sound_TC[inside] - original_TC[inside]).max() > 0.1


def test_regions_are_typed_and_removed_without_a_mouse(opened: Opened) -> None:
    page = opened.page
    typed = page.locator("#regions").get_by_role("textbox")
    typed.fill("0.1-0.2, 0.6-0.8")
    assert page.locator(".sao-mark").count() == 2
    page.get_by_role("button", name="remove the region from 0.10 to 0.20 seconds").press("Enter")
    assert typed.input_value() == "0.60-0.80"
    assert page.locator(".sao-mark").count() == 1
    page.locator(".sao-mark").click()
    assert typed.input_value() == ""


def test_a_wrong_setting_is_said_and_a_stop_leaves_nothing(opened: Opened) -> None:
    page, before = opened.page, sorted(opened.out.rglob("*"))
    page.get_by_role("radio", name="Another version of it").click()
    page.locator("#seed").get_by_role("textbox").fill("seven")
    page.locator("#generate").click()
    alert = page.locator("#status [role=alert]")
    alert.wait_for()
    assert alert.inner_text().startswith("seed: 'seven' is none")
    page.locator("#seed").get_by_role("textbox").fill("7")
    page.locator("#steps input[type=number]").fill("250")
    page.locator("#steps input[type=number]").blur()
    page.locator("#generate").click()
    page.locator("#status progress[value]").wait_for()
    page.locator("#stop").click()
    page.locator("#status [role=status]").wait_for()
    assert page.locator("#status").inner_text().strip().startswith("stopped")
    assert sorted(opened.out.rglob("*")) == before


def test_all_is_there_again_after_a_reload_and_settings_come_back(opened: Opened) -> None:
    page = opened.page
    page.reload()
    page.locator("#history article").nth(1).wait_for()
    prompts = page.locator("#history h3").all_inner_texts()
    assert prompts == ["a door", "rain <on> a tin roof"]
    page.locator("#history [data-again]").first.click()
    page.locator("#status [role=status]").wait_for()
    assert page.locator("#prompt textarea").input_value() == "a door"
    assert page.locator("#seed").get_by_role("textbox").input_value().isdigit()
    page.locator(".sao-mark").wait_for()  # unfolded without a click
    assert page.locator("#regions").get_by_role("textbox").input_value() == "0.25-0.50"


@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_sticks_out(opened: Opened, width: int) -> None:
    opened.page.set_viewport_size({"width": width, "height": 900})
    assert opened.page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")


def test_nothing_was_asked_of_anybody_else(opened: Opened) -> None:
    here = (opened.address + "/", "data:", "blob:" + opened.address)
    assert len(opened.asked) > 10
    assert not [url for url in opened.asked if not url.startswith(here)]
    other = opened.page.request.get(opened.address, headers={"Host": "elsewhere.example"})
    assert other.status == 400


def test_a_signal_ends_it(opened: Opened) -> None:
    opened.server.send_signal(signal.SIGTERM)
    assert opened.server.wait(PATIENCE / 1000) == 4
