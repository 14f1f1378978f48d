"""Whose work a sound is near to: copies are found, fresh sounds not flagged, nothing is heard twice."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from sao_data.dataset.reader import open_dataset
from sao_data.errors import MatchedNothing, UsageError
from sao_model.evaluation import protocol, results, run, settings, sounds
from sao_model.evaluation.embedding import at_hand
from sao_model.evaluation.memorisation import asking, judging, library, nearest, writing
from sao_model.evaluation.memorisation.found import MemorisationFound
from sao_model.evaluation.memorisation.library import LibraryPack
from sao_model.verbs import neighbours
from tests import datasets_made
from tests.made import RATE, mp3_bytes, noise, silence, wav_bytes
from tests.training.made_runs import Silent

Floats = npt.NDArray[np.float32]

NUM, LONG = 12, 3  # works; which of them is long
HOSTILE = '<script>alert("x")</script>'
OPTIONS = ("memorisation.quantile=0.9", 'embedders=["mel_stats"]')


def melody(seed: int, seconds: float) -> Floats:
    """Chords of random notes, each a sixth of a second, over a little noise."""
    random = np.random.default_rng(seed)
    time = np.arange(RATE // 6) / RATE
    notes = []
    for _ in range(round(6 * seconds)):
        chord = 110 * 2 ** (random.integers(0, 48, 3) / 12)
        notes.append(sum(np.sin(2 * np.pi * hz * time) for hz in chord) * np.exp(-6 * time) / 6)
    mono = np.concatenate(notes)
    return np.repeat(mono[:, None], 2, axis=1).astype(np.float32) + noise(seed, len(mono) / RATE, level=1e-3)


def work(number: int) -> Floats:
    return melody(number, 40.0 if number == LONG else 8.0)


def noisy(audio_TC: Floats, decibels: float) -> Floats:
    power = float(np.square(audio_TC).mean()) * 10 ** (-decibels / 10)
    return audio_TC + noise(77, len(audio_TC) / RATE, level=1.0)[: len(audio_TC)] * np.float32(power**0.5)


# What a sound is made from, and whether it must be held for too near; written before the code.
CASES: dict[str, tuple[Callable[[], bytes], int | None]] = {
    "as it is": (lambda: wav_bytes(work(1)), 1),
    "6 dB less": (lambda: wav_bytes(work(2) * np.float32(0.5)), 2),
    "MP3": (lambda: mp3_bytes(work(4)), 4),
    "half a second later": (lambda: wav_bytes(np.concatenate([silence(0.5), work(5)])), 5),
    "half a second cut off": (lambda: wav_bytes(work(6)[RATE // 2 :]), 6),
    "noise at 20 dB": (lambda: wav_bytes(noisy(work(7), 20)), 7),
    "all of it": (lambda: mp3_bytes(noisy(work(8)[RATE // 2 :] * np.float32(0.5), 20)), 8),
    "ten seconds of a long one": (lambda: wav_bytes(work(LONG)[17 * RATE : 27 * RATE]), LONG),
    "fresh noise": (lambda: wav_bytes(noise(5, 8.0)), None),
    "faint fresh noise": (lambda: wav_bytes(noise(6, 8.0, level=0.01)), None),
    "another melody": (lambda: wav_bytes(melody(901, 8.0)), None),
    "a longer one": (lambda: wav_bytes(melody(902, 20.0)), None),
}


def ingest(folder: Path, num: int = NUM) -> Path:
    sources = folder / "in"
    sources.mkdir(parents=True, exist_ok=True)
    rows = []
    for n in range(num):
        name = f"work-{n:02d}.wav"
        if not (sources / name).exists():
            (sources / name).write_bytes(wav_bytes(work(n)))
        title = HOSTILE if n == 1 else f"Melody {n}"
        rows.append([name, title, f"Author {n}", datasets_made.BY, f"https://example.org/{n}", "melody"])
    datasets_made.build(datasets_made.load(folder, datasets_made.write_rows(sources, rows)), folder / "out")
    return folder / "out"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ingest(tmp_path_factory.mktemp("works"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def ask(data: Path, folder: Path, cache: Path, *sets: str) -> MemorisationFound:
    config = settings.read("", [*OPTIONS, *sets])
    embedders, _ = at_hand(config)
    items = sounds.of_folder(folder)
    return asking.ask(items, open_dataset(str(data)), embedders, config.memorisation, cache, Silent())


@pytest.fixture(scope="module")
def asked(
    data: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, MemorisationFound]:
    folder = tmp_path_factory.mktemp("asked")
    for n, (make, _) in enumerate(CASES.values()):
        (folder / f"case-{n:02d}.wav").write_bytes(make())
    return folder, ask(data, folder, cache)


@pytest.mark.parametrize("case", CASES)
def test_copies_are_found_and_others_are_not_flagged(
    case: str, asked: tuple[Path, MemorisationFound]
) -> None:
    number = list(CASES).index(case)
    of = CASES[case][1]
    found = asked[1].asked[number]
    assert found.is_too_near is (of is not None), found.says
    if of is not None:
        near = next((each for each in found.nearest if each.fingerprint), found.nearest[0])
        assert (near.author, near.license) == (f"Author {of}", "CC-BY-4.0")
        assert near.page_url == f"https://example.org/{of}"
        assert near.credit.startswith(f'"{near.title}" by Author {of}')


def test_it_says_what_was_compared_and_where(asked: tuple[Path, MemorisationFound]) -> None:
    found = asked[1]
    assert (found.num_clips, found.num_equal, found.left_out, found.unheard) == (NUM, 0, (), ())
    assert {each.own.num for each in found.baselines} == {NUM}
    assert [each.num_windows for each in found.baselines] == [1, 3]  # of 20 s: at 0, 5 and 10 s
    same = found.asked[0]
    assert "0.9 of 12 works" in same.says
    assert (same.nearest[0].similarity, same.nearest[0].at_seconds) == (pytest.approx(1.0, abs=1e-4), 0.0)
    part = found.asked[list(CASES).index("ten seconds of a long one")]
    (near,) = (each for each in part.nearest if each.author == f"Author {LONG}")
    assert near.work_seconds in (15.0, 20.0)  # the copy is of 17 to 27
    assert found.summary.startswith("8 of 12 sounds are too near a work of made: fingerprints agree for 8")


def test_only_what_is_new_is_heard(tmp_path: Path) -> None:
    cached, sound = tmp_path / "cache", tmp_path / "asked"
    sound.mkdir()
    (sound / "one.wav").write_bytes(wav_bytes(melody(901, 2.0)))
    first = ask(ingest(tmp_path, 2), sound, cached)
    again = ask(tmp_path / "out", sound, cached)
    grown = ask(ingest(tmp_path, 3), sound, cached)
    assert (first.num_heard, again.num_heard, grown.num_heard) == (2, 0, 1)
    assert replace(again, num_heard=2) == first
    packs = sorted(cached.rglob("*.npz"))
    packs[0].write_bytes(packs[0].read_bytes()[:100])
    repaired = ask(tmp_path / "out", sound, cached)
    assert repaired.num_heard > 0
    assert replace(repaired, num_heard=1) == grown
    fresh = ask(tmp_path / "out", sound, tmp_path / "other")
    assert replace(fresh, num_heard=1) == grown  # what is cached changes no result
    assert "too few" in grown.asked[0].says  # three works know no quantile of 0.9


def test_a_stop_loses_no_more_than_a_pack(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "PACK", 2)
    config = settings.read("", list(OPTIONS))
    embedders, _ = at_hand(config)

    class Stopping(Silent):
        num = 0

        def advance(self, num: int) -> None:
            self.num += num
            if self.num == 5:
                raise KeyboardInterrupt

    dataset = open_dataset(str(data))
    with pytest.raises(KeyboardInterrupt):
        library.Library(dataset, tmp_path, embedders, config.memorisation).update(Stopping())
    later = library.Library(dataset, tmp_path, embedders, config.memorisation)
    later.update(Silent())
    assert later.num_heard == NUM - 4
    assert sum(len(pack.rows) for pack in later.packs("mel_stats")) == NUM
    assert not list(tmp_path.rglob(".tmp*"))


def test_page_csv_and_json(asked: tuple[Path, MemorisationFound], data: Path, tmp_path: Path) -> None:
    found = asked[1]
    config = settings.read("", [*OPTIONS, "memorisation.num_listed=3"]).memorisation
    page = writing.write(tmp_path, found, open_dataset(str(data)), config)
    text = page.read_text(encoding="utf-8")
    assert HOSTILE not in text
    assert "&lt;script&gt;" in text
    assert "<script" not in text
    assert text.count("<article") == 3
    named = [part.split('"')[0] for part in text.split('src="')[1:]]
    assert len(named) == 6
    assert all((tmp_path / name).stat().st_size for name in named)
    assert len(sounds.read(sounds.of_file(tmp_path / named[1]), 60.0, 0.0).pcm_TC) <= 10 * RATE  # type: ignore[union-attr]
    facts = json.loads((tmp_path / "memorisation.json").read_text())
    assert len(facts["asked"]) == len(CASES)
    assert str(asked[0]) not in (tmp_path / "memorisation.json").read_text()
    lines = (tmp_path / "memorisation.csv").read_text().splitlines()
    assert lines[0].startswith("sound,too_near,embedder,similarity,id,title,author,license,page_url")
    before = {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    writing.write(tmp_path, found, open_dataset(str(data)), config)
    assert {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def told(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    neighbours.add_arguments(parser)
    return neighbours.run(parser.parse_args(list(arguments)))


def test_the_verb(
    asked: tuple[Path, MemorisationFound],
    data: Path,
    cache: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    usual = ["--data", str(data), "--set", f"cache={cache}", *(f"--set={each}" for each in OPTIONS)]
    sound = str(asked[0] / "case-00.wav")
    assert told(sound, *usual, "--top", "1") == 0
    said = capsys.readouterr().out
    assert "case-00.wav  (8.00 s)\n  TOO NEAR: its fingerprint agrees with folder:" in said
    assert "https://example.org/1\n" in said
    assert told(sound, *usual, "--json", "--out", str(tmp_path / "page")) == 0
    assert json.loads(capsys.readouterr().out)["asked"][0]["is_too_near"] is True
    assert (tmp_path / "page" / "memorisation.html").is_file()
    (tmp_path / "silent.wav").write_bytes(wav_bytes(silence(2.0)))
    with pytest.raises(MatchedNothing, match="none of 1 sounds can be used") as error:
        told(str(tmp_path / "silent.wav"), *usual)
    assert error.value.exit_code == 7
    with pytest.raises(UsageError, match="no such file or folder"):
        told(str(tmp_path / "nowhere.wav"), *usual)


def test_an_evaluation_says_it(
    data: Path, cache: Path, asked: tuple[Path, MemorisationFound], tmp_path: Path
) -> None:
    config = settings.read("", [*OPTIONS, f"cache={cache}", "memorisation.enabled=true"])
    given = {"protocol": protocol.read("own_validation"), "config": config, "sounds": str(asked[0])}
    with pytest.raises(UsageError, match="near to whose works"):
        run.evaluate(run.EvaluationJob(**given, out=tmp_path / "no", reference=str(asked[0])), Silent())  # type: ignore[arg-type]
    rule = replace(protocol.read("own_validation"), series="train")
    job = run.EvaluationJob(**{**given, "protocol": rule}, out=tmp_path / "out", data=str(data))  # type: ignore[arg-type]
    facts = run.evaluate(job, Silent())
    assert facts is not None
    assert facts.memorisation == asked[1].summary
    assert results.read(tmp_path / "out") == facts
    assert 'href="memorisation.html"' in (tmp_path / "out" / "index.html").read_text()
    assert (tmp_path / "out" / "memorisation.html").is_file()


@pytest.mark.parametrize(
    ("num", "quantile", "place"),
    [
        (99, 0.99, 99),
        (98, 0.99, None),
        (199, 0.99, 198),
        (9, 0.9, 9),
        (8, 0.9, None),
        (1, 0.5, 1),
        (0, 0.5, None),
    ],
)
def test_the_baseline_is_an_order_statistic(num: int, quantile: float, place: int | None) -> None:
    own = judging.baseline(np.arange(1, num + 1, dtype=np.float32), quantile)
    assert (own.num, own.threshold) == (num, place)
    assert (num >= judging.needed(quantile)) is (place is not None)


def test_one_more_of_the_same_is_flagged_no_more_often_than_stated() -> None:
    random = np.random.default_rng(0)
    drawn = random.normal(size=(4_000, 50)).astype(np.float32)
    flagged = [row[0] > (judging.baseline(row[1:], 0.9).threshold or 9) for row in drawn]
    assert 0.08 <= np.mean(flagged) <= 0.115  # 5/50 expected; three standard errors are 0.014


def packs(random: np.random.Generator, num: int, dimensions: int) -> list[LibraryPack]:
    lengths = random.integers(1, 5, num)
    numbers = random.permutation(num)
    return [
        LibraryPack(
            rows=numbers[at : at + 7],
            lengths=lengths[at : at + 7],
            starts=np.zeros(int(lengths[at : at + 7].sum())),
            windows=random.normal(size=(int(lengths[at : at + 7].sum()), dimensions)).astype(np.float32),
        )
        for at in range(0, num, 7)
    ]


def test_the_search_finds_what_a_whole_matrix_would(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "_ROWS", 5)  # several blocks
    random = np.random.default_rng(1)
    held = packs(random, 40, 6)
    scaled = nearest.scale(held, 6)
    assert (scaled.is_unit, scaled.num_windows) == (False, sum(len(pack.windows) for pack in held))
    lengths = random.integers(1, 4, 9)
    asked_VE = scaled.asked(random.normal(size=(int(lengths.sum()), 6)).astype(np.float32))
    groups, theirs = np.arange(9) % 4, np.arange(40) % 4
    for excluded in (None, (groups, theirs)):
        whole = np.full((9, 40), -np.inf)
        for n, some in enumerate(np.split(asked_VE, np.cumsum(lengths)[:-1])):
            for pack in held:
                ends = np.cumsum(pack.lengths)[:-1]
                for row, windows in zip(pack.rows, np.split(scaled.held(pack.windows), ends), strict=True):
                    if excluded is None or groups[n] != theirs[row]:
                        whole[n, row] = (some @ windows.T).max()
        found = nearest.search(asked_VE, lengths, held, scaled, 3, excluded)
        order = np.argsort(-whole, axis=1)[:, :3]
        np.testing.assert_array_equal(found.rows, order)
        np.testing.assert_allclose(found.similarity, np.take_along_axis(whole, order, axis=1), rtol=1e-5)
    more = nearest.search(asked_VE[:1], np.array([1]), held, scaled, 50)
    assert (more.rows[0] >= 0).sum() == 40


def test_directions_are_compared_as_they_are() -> None:
    (pack,) = packs(np.random.default_rng(2), 5, 4)
    unit = replace(pack, windows=pack.windows / np.linalg.norm(pack.windows, axis=1, keepdims=True))
    scaled = nearest.scale([unit], 4)
    assert scaled.is_unit
    np.testing.assert_allclose(scaled.asked(unit.windows), unit.windows, atol=1e-6)
    np.testing.assert_allclose(scaled.held(unit.windows), unit.windows, atol=1e-6)


def test_similarity_of_others_is_one_less_the_scaled_distance() -> None:
    (pack,) = packs(np.random.default_rng(3), 7, 4)
    scaled = nearest.scale([pack], 4)
    moved = (pack.windows - pack.windows.mean(axis=0)) / pack.windows.std(axis=0)
    apart = np.square(moved[:, None] - moved[None]).sum(axis=-1)
    made = scaled.asked(pack.windows) @ scaled.held(pack.windows).T
    np.testing.assert_allclose(made, 1 - apart / 8, atol=1e-5)
