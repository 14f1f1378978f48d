"""The page of a run: what it shows, that it needs nothing, and that it breaks at nothing."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
import soundfile

from sao_data.dataset.reader import Dataset
from sao_data.errors import IntegrityError, UsageError
from sao_model import run, train_vae
from sao_model.monitoring import charts, logs, page
from tests.training.test_training import Silent, vae_config
from tests.warm import Warm

HOSTILE = '<script>alert("1")</script>'


class Parsed(HTMLParser):
    """Tags with their attributes, and all text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.text += " "

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def made(folder: Path, *, steps: int, lines: list[dict[str, object]]) -> Path:
    """A run's folder as a training leaves it, without one."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / run.CONFIG).write_text(json.dumps({"model": HOSTILE, "pace": {"steps": steps}}))
    (folder / run.LOG).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def line(step: int, seconds: float, **values: float) -> dict[str, object]:
    return {"step": step, "seconds": seconds, "loss": 1.0 / step, "data_share": 0.25, **values}


def test_a_training_leaves_a_page_that_shows_all_of_it(trained: Path) -> None:
    found = Parsed(trained / run.PAGE)
    said = " ".join(found.text.split())
    for words in (
        "my <run>",
        "finished",
        "6 of 6 (100.0 %)",
        "codec (VAE)",
        "made ",
        "checkpoints/step-00000006",
    ):
        assert words in said, words
    figures = [each["aria-label"] for each in found.all("svg")]
    assert sum("ema: " in str(each) and "raw: " in str(each) for each in figures) == 6  # each distance
    for name in ("loss", "spectral", "kl", "model_gradient", "rate", "samples_per_second"):
        assert [each for each in figures if str(each).startswith(f"{name}: ")], name
    losses = {
        each["step"]: each["loss"] for each in map(json.loads, (trained / run.LOG).read_text().splitlines())
    }
    label = next(str(each) for each in figures if str(each).startswith("loss: "))
    assert f"{charts.shown(losses[6])} at step 6; least {charts.shown(min(losses.values()))}" in label


def test_sounds_lie_beside_the_page_with_pictures(trained: Path) -> None:
    found = Parsed(trained / run.PAGE)
    players = [str(each["src"]) for each in found.all("audio")]
    newest = [f"sounds/step-00000006/{what}-00.flac" for what in ("original", "ema", "raw")]
    assert players == [*newest, *(each.replace("06/", "03/") for each in newest)]
    for source in players:
        assert soundfile.info(trained / source).samplerate == 44_100
    pictures = [str(each["src"]) for each in found.all("img")]
    assert all((trained / each).read_bytes().startswith(b"\x89PNG") for each in pictures)
    assert len(pictures) == len(players)
    before = (trained / pictures[0]).stat().st_mtime_ns
    page.write(trained)
    assert (trained / pictures[0]).stat().st_mtime_ns == before  # made once


def test_the_page_asks_nothing_of_anybody(trained: Path) -> None:
    found = Parsed(trained / run.PAGE)
    assert not found.all("script")
    (policy,) = [each["content"] for each in found.all("meta") if "http-equiv" in each]
    assert str(policy).startswith("default-src 'none'")
    links = [str(value) for _, each in found.tags for key, value in each.items() if key in ("src", "href")]
    assert links
    assert not [link for link in links if ":" in link or link.startswith("/")]
    assert not re.search(r"url\(|@import|https?:", (trained / run.PAGE).read_text())


def test_steps_that_were_skipped_and_weights_that_went_back_are_marked(
    halves: Dataset, small_model: str, tmp_path: Path
) -> None:
    """A real run whose learning rate is absurd."""
    pace = {"steps": 12, "save_every": 1, "log_every": 1, "most_skipped": 2, "most_rollbacks": 1}
    config = vae_config(small_model, pace=pace, optimiser={"lr": 1.0, "warmup": 0.0})
    with pytest.raises(IntegrityError, match="are not finite"):
        train_vae.train(config, halves, tmp_path / "run", resume="auto", progress=Silent())
    found = logs.read(tmp_path / "run")
    assert len(found.rollbacks) == 1
    assert run.checkpoint_folder(tmp_path / "run", int(found.rollbacks[0][logs.BACK][5:])).is_dir()
    assert len(found.skips) == 4  # two, back, and two again
    text = Parsed(page.write(tmp_path / "run"))
    said = " ".join(text.text.split())
    assert "4 steps were not finite and had no effect (thin red lines in the curves); weights" in said
    assert f"went back to a checkpoint (dashed) at step {found.rollbacks[0]['step']} to step-" in said
    assert "skipped steps 4, rollbacks: 1" in said
    assert "stopped" in said
    assert all(str(sample) in said for each in found.skips for sample in each["samples"])
    assert {each.get("class") for each in text.all("line")} == {"grid-line", "skip", "back"}


def test_values_are_escaped(tmp_path: Path) -> None:
    folder = made(tmp_path / "run", steps=4, lines=[line(1, 1.0), line(2, 2.0, **{HOSTILE: 3.0})])
    sounds = folder / run.SOUNDS / "step-00000002"
    sounds.mkdir(parents=True)
    soundfile.write(sounds / "ema-00.flac", [[0.1, 0.1]] * 4410, 44_100)
    facts = {"file": "ema-00.flac", "weights": HOSTILE, "prompt": HOSTILE, "seed": 3, "seconds": 0.1}
    gone = {**facts, "file": "raw-00.flac"}  # a player of nothing is left out
    (sounds / "sounds.json").write_text(json.dumps([facts, gone]))
    found = Parsed(page.write(folder))
    assert not found.all("script")
    assert found.text.count(HOSTILE) >= 4
    assert len(found.all("audio")) == 1


@pytest.mark.parametrize(
    ("steps", "lines", "is_held", "said", "left"),
    [
        (100, [], False, "stopped", "Nothing to see yet"),
        (100, [line(10, 20.0), line(20, 30.0)], True, "under way", "80 s"),
        (100, [line(20, 30.0)], True, "under way", ""),  # one line has no speed
        (100_000, [line(n, 10.0 * n) for n in range(1, 40)], True, "under way", "11 d 13 h"),
        # Continued: the clock began anew, and only what comes after counts.
        (100, [line(10, 900.0), line(20, 1.0), line(30, 3.0)], True, "under way", "14 s"),
        (30, [line(10, 20.0), line(30, 30.0)], True, "finished", ""),
        (100, [line(10, 20.0), line(20, 30.0)], False, "stopped", ""),
    ],
)
def test_state_and_time_left(
    steps: int, lines: list[dict[str, object]], is_held: bool, said: str, left: str, tmp_path: Path
) -> None:
    folder = made(tmp_path / "run", steps=steps, lines=lines)
    if is_held:
        (folder / "lock").touch()
    found = " ".join(Parsed(page.write(folder)).text.split())
    assert f"state {said} step " in found
    assert left in found
    assert ("left, at the speed of now" in found) == (bool(left) and bool(lines))


def test_half_a_line_at_the_end_is_passed_over_and_any_other_is_named(tmp_path: Path) -> None:
    folder = made(tmp_path / "run", steps=9, lines=[line(1, 1.0), line(2, 2.0)])
    path = folder / run.LOG
    path.write_text(path.read_text() + '{"step": 3, "seco')
    assert logs.read(folder).step == 2
    path.write_text('{"step": 1, \n' + path.read_text())
    with pytest.raises(UsageError, match=r"log\.jsonl:1: not JSON .*; delete that line"):
        page.write(folder)
    path.write_text('{"loss": 1}\n')
    with pytest.raises(UsageError, match=r"log\.jsonl:1: no line of a training's log; delete that line"):
        page.write(folder)
    with pytest.raises(UsageError, match=r"no run of a training \(no config\.json in it\)"):
        page.write(tmp_path)


def test_a_page_that_cannot_be_written_does_not_end_a_training(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    page.refresh(tmp_path / "nothing")
    assert "index.html: not written" in caplog.text
    folder = made(tmp_path / "run", steps=9, lines=[line(1, 1.0)])
    (folder / run.PAGE).mkdir()  # in the way
    page.refresh(folder)
    assert "the training goes on" in caplog.records[-1].message
    assert not [path for path in folder.iterdir() if path.suffix == ".part"]


def test_long_curves_are_thin_and_lose_no_spike() -> None:
    points = [(n, 1.0) for n in range(1, 12_001)]
    points[7_777] = (7_778, 50.0)
    points[3_333] = (3_334, -50.0)
    thin = logs.thinned(points)
    assert len(thin) <= 1001
    assert {points[7_777], points[3_333], points[-1]} <= set(thin)
    assert thin == sorted(thin)
    means = logs.averaged(points)
    assert means[-1] == (12_000, 1.0)
    assert len(means) == 500
    assert max(value for _, value in means) == pytest.approx(1 + 49 / 24)  # one of 24 in a stretch
    assert logs.thinned(points[:1000]) == points[:1000]
    chart = charts.draw("loss", "", {"loss": points}, 12_000)
    (curve,) = chart.curves
    assert curve.path.count("L") <= 1000
    assert "greatest 50" in curve.said


@pytest.mark.parametrize(
    ("values", "is_log", "ticks"),
    [
        ([1.0, 1000.0], True, [1, 10, 100, 1000]),
        ([0.2, 20.0], True, [0.3, 1, 3, 10]),
        ([0.0, 1000.0], False, [0, 200, 400, 600, 800, 1000]),
        ([2.0, 4.0], False, [2, 2.5, 3, 3.5, 4]),
        ([-3.0, 1e9], False, [0, 2e8, 4e8, 6e8, 8e8, 1e9]),
        ([0.5, 0.5], False, [0.46, 0.48, 0.5, 0.52, 0.54]),  # a straight line: some room around it
    ],
)
def test_axes(values: list[float], is_log: bool, ticks: list[float]) -> None:
    chart = charts.draw("x", "", {"x": list(enumerate(values))}, 1)
    assert chart.is_log == is_log
    assert [each.text for each in chart.values] == [charts.shown(each) for each in ticks]
    assert all(0 <= each.at <= 100 for each in chart.values)
    if values[0] != values[1]:  # the first value below the last: further from the top
        (curve,) = chart.curves
        (x0, y0), (x1, y1) = (map(float, part.split()) for part in curve.path[1:].split("L"))
        assert (x0, x1) == (0, charts.WIDTH)
        assert y0 == pytest.approx(0.96 * charts.HEIGHT, abs=0.1)
        assert y1 == pytest.approx(0.04 * charts.HEIGHT, abs=0.1)


def test_a_copy_of_a_run_shows_its_sounds(trained: Path, tmp_path: Path) -> None:
    """All links are relative: the folder may go anywhere."""
    moved = Path(shutil.copytree(trained, tmp_path / "else where"))
    assert all((moved / str(each["src"])).is_file() for each in Parsed(moved / run.PAGE).all("audio"))


def test_the_verb_writes_the_page(tmp_path: Path, warm_torch: Warm) -> None:
    folder = made(tmp_path / "run", steps=9, lines=[line(1, 1.0), line(2, 2.0)])
    answer = warm_torch.ran("-m", "sao_data", "train", "page", str(folder))
    assert (answer.returncode, answer.stdout) == (0, f"{folder / run.PAGE}\n"), answer.stderr
    assert "2 of 9" in (folder / run.PAGE).read_text()
