"""The page of a run in a browser, opened as by a double click."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sao_model import run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HAS_DRIVER = importlib.util.find_spec("playwright") is not None
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not HAS_DRIVER or CHROMIUM is None, reason="needs playwright and Chromium"),
]


@pytest.fixture(scope="module")
def opened(trained: Path) -> Iterator[Any]:
    """The page, with what it asked for in `asked` and complained of in `complaints`."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.asked, page.complaints = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("console", lambda message: page.complaints.append(message.text))
        page.goto((trained / run.PAGE).as_uri())
        yield page
        browser.close()


def test_sounds_play_and_pictures_show(opened: Any) -> None:
    opened.locator("audio").first.scroll_into_view_if_needed()
    for picture in opened.locator("details[open] img").all():
        picture.scroll_into_view_if_needed()
        picture.evaluate("each => each.decode()")  # refused if there is none
    seconds = opened.evaluate(
        """async () => {
            const player = document.querySelector('audio');
            player.preload = 'metadata';
            player.load();
            await new Promise(done => player.onloadedmetadata = done);
            return player.duration;
        }"""
    )
    assert seconds == pytest.approx(2048 / 44_100, abs=0.001)
    assert opened.complaints == []


def test_older_sounds_and_settings_unfold_by_keyboard(opened: Any) -> None:
    older = opened.locator("summary", has_text="step 3")
    older.focus()
    opened.keyboard.press("Enter")
    assert opened.locator("details[open] >> text=step 3").count() == 1
    settings = opened.locator("summary", has_text="config.json")
    settings.focus()
    opened.keyboard.press("Enter")
    assert '"batch_size": 2' in opened.locator("pre").inner_text()


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_and_all_can_be_read(opened: Any, width: int, scheme: str) -> None:
    opened.set_viewport_size({"width": width, "height": 900})
    opened.emulate_media(color_scheme=scheme)
    assert opened.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
    colours = opened.evaluate(
        """[...document.querySelectorAll('h1, figcaption, small, .y, td')].map(each => {
            const of = e => getComputedStyle(e), back = e => of(e).backgroundColor;
            let under = each;
            while (under.parentElement && back(under) == 'rgba(0, 0, 0, 0)') under = under.parentElement;
            return [of(each).color, back(under)];
        })"""
    )
    assert len(colours) > 20
    assert min(contrast(*pair) for pair in colours) >= 4.5  # WCAG 2.2, 1.4.3 (AA)


def contrast(*colours: str) -> float:
    """Ratio of the relative luminances of two CSS colours (WCAG 2.2)."""
    found = []
    for colour in colours:
        channels = [float(part) / 255 for part in colour[4:-1].split(",")]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        found.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(found) + 0.05) / (min(found) + 0.05)


def test_nothing_was_asked_of_anybody(opened: Any) -> None:
    assert len(opened.asked) > 3
    assert not [url for url in opened.asked if not url.startswith("file://")]
