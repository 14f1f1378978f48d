"""The page of `sao browse` in a browser: search, flags, export, keys; hostile words stay words."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest

from sao_data.commands.main import main
from sao_data.dataset.reader import open_dataset
from sao_data.rights import reviews
from tests.datasets_made import BY, NC, build, load, write_folder
from tests.showing.test_browse import HOSTILE

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE = 60_000  # ms until a wait is a failure, on any machine
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None or importlib.util.find_spec("playwright") is None,
        reason="needs playwright and Chromium",
    ),
]


def test_sounds_are_found_flagged_and_exported(tmp_path: Path) -> None:
    from playwright.sync_api import expect, sync_playwright

    folder = write_folder(tmp_path / "in", 8, licenses=(BY, NC))
    table = folder / "metadata.csv"
    table.write_text(table.read_text().replace("Tone 0,", f'"{HOSTILE}",', 1))
    build(load(tmp_path, folder), tmp_path / "out")
    assert main(["browse", str(tmp_path / "out"), "--out", str(tmp_path / "look")]) == 0
    wrong: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.goto((tmp_path / "look" / "index.html").as_uri())
        page.locator("#list li").nth(7).wait_for()
        assert page.locator("#list li.left-out").count() == 4
        assert page.locator("h3 bdi", has_text="alert(1)").first.text_content() == HOSTILE
        loaded = "each => each.decode().then(() => each.naturalWidth)"
        page.locator("#list img").first.scroll_into_view_if_needed()
        assert page.locator("#list img").first.evaluate(loaded) > 300
        page.keyboard.press("/")
        page.keyboard.type("tone-002 sine")
        expect(page.locator("#list li")).to_have_count(1, timeout=PATIENCE)
        page.keyboard.press("Tab")
        page.on("dialog", lambda dialog: dialog.accept("=a phone rings"))
        page.locator(".flag").click()
        expect(page.locator("#told")).to_contain_text("1 flagged", timeout=PATIENCE)
        with page.expect_download() as download:
            page.locator("#export").click()
        download.value.save_as(tmp_path / "flags.csv")
        page.locator("#measure").select_option("lufs")
        page.locator(".columns-of button").nth(23).wait_for()
        browser.close()
    assert wrong == []
    assert reviews.denials((tmp_path / "flags.csv").read_bytes(), where="x") == {
        "folder:tone-002-wav": "'=a phone rings"
    }
    assert main(["browse", str(tmp_path / "out"), "--exclude", str(tmp_path / "flags.csv")]) == 0
    build(load(tmp_path, folder), tmp_path / "out")
    rows = {row.id: row for row in open_dataset(str(tmp_path / "out")).catalogue()}
    assert rows["folder:tone-002-wav"].rule == "denied_by_review"
