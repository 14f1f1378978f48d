"""An evaluation as a whole: folders, a dataset, a model; what is cached, left out, refused and shown."""

from __future__ import annotations

import csv
import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sao_data.embedders import clap, mel_stats
from sao_data.errors import MatchedNothing, UsageError
from sao_model import checkpoint, preset
from sao_model.evaluation import compare, embeddings, protocol, results, run, settings
from sao_model.evaluation.results import EvaluationFacts
from sao_model.metrics import divergence
from sao_model.metrics.embedded import EmbeddedSet, Identity
from sao_model.model import build
from tests import datasets_made
from tests.evaluation.conftest import Weights
from tests.made import flac_bytes, noise, silence, wav_bytes
from tests.paths import ROOT
from tests.training.made_runs import Silent
from tests.warm import Warm

OWN = protocol.read("own_validation")
IDENTITY = Identity(name="openl3", model="openl3/x", revision="1", digest="0" * 64, num_dimensions=3)


def evaluate(out: Path, *sets: str, rule: protocol.EvaluationProtocol = OWN, **given: Any) -> EvaluationFacts:
    usual = (
        () if any(each.startswith("cache=") for each in sets) else (f"cache={out.parent.parent / 'cache'}",)
    )
    job = run.EvaluationJob(
        protocol=rule,
        config=settings.read("", [*sets, *usual]),
        out=out,
        **{k: str(v) for k, v in given.items()},
    )
    found = run.evaluate(job, Silent())
    assert found is not None
    return found


@pytest.fixture(scope="module")
def scored(
    weights: Weights, near: Path, reference: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, EvaluationFacts]:
    out = tmp_path_factory.mktemp("scored") / "out"
    cached = f"cache={out / 'embeddings'}"
    return out, evaluate(out, cached, *weights.sets, sounds=near, reference=reference)


def values(facts: EvaluationFacts) -> dict[tuple[str, str], float]:
    return {(row.embedder, row.score): row.value for row in facts.scores}


def test_every_embedder_gives_what_it_can(scored: tuple[Path, EvaluationFacts]) -> None:
    out, facts = scored
    shares = ("precision", "recall", "density", "coverage")
    wanted = {(e, s) for e in ("clap", "ast_audioset", "mel_stats") for s in ("fd", "kad", *shares)}
    assert set(values(facts)) == wanted | {("ast_audioset", "kl"), ("clap", "clap")}
    assert facts.not_measured == ()
    assert (facts.measured.num, facts.num_prompts, facts.measured.notes) == (20, 20, ())
    assert all(row.num == 20 for row in facts.scores)
    assert results.read(out) == facts
    notes = {row.embedder: row.notes for row in facts.scores if row.score == "fd"}
    assert notes["clap"] == ()
    assert "20 clips are too few for a covariance of 128 dimensions" in notes["mel_stats"][0]
    assert "kad remains valid" in notes["mel_stats"][0]
    bounds = {row.embedder: (row.low, row.high) for row in facts.scores if row.score == "fd"}
    assert bounds["mel_stats"] == (None, None)
    assert None not in bounds["clap"]


def test_scores_of_clips_are_those_made_by_hand(
    scored: tuple[Path, EvaluationFacts], reference: Path
) -> None:
    out, facts = scored
    sets = {side: results.read_set(out, "ast_audioset", side) for side in ("measured", "reference")}
    own, wanted = (
        np.stack([divergence.probabilities(each) for each in clips.logits]) for clips in sets.values()
    )
    assert sets["measured"].groups == sets["reference"].keys
    by_hand = (own * np.log(own / (wanted + 1e-6))).sum(axis=1)
    with (out / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["ast_audioset/kl"]) for row in rows] == pytest.approx(by_hand.tolist(), abs=2e-6)
    assert values(facts)["ast_audioset", "kl"] == pytest.approx(by_hand.mean(), rel=1e-6)
    said = json.loads((reference / "clip-03.json").read_text())["prompt"]
    assert (rows[3]["key"], rows[3]["prompt"], rows[3]["group"]) == ("clip-03", said, "clip-03")
    heard = results.read_set(out, "clap", "measured")
    mean = heard.windows[3].mean(axis=0)
    cosine = float(heard.texts[3] @ mean / np.linalg.norm(mean))
    assert float(rows[3]["clap/clap"]) == pytest.approx(cosine, abs=2e-6)


def test_the_page_shows_all_of_it_and_needs_nothing(scored: tuple[Path, EvaluationFacts], near: Path) -> None:
    out, facts = scored
    text = (out / "index.html").read_text()
    for each in facts.embedders:
        assert (
            f"{each.model}@{each.revision}, {each.num_dimensions} dimensions, sha256 {each.digest[:16]}"
            in text
        )
    assert "<script" not in text
    assert not re.search(r"https?://", text.split("</style>")[1])
    assert text.count("<audio") == 40  # each with its reference
    (first,) = re.findall(r'<audio[^>]*src="([^"]*near/clip-00\.wav)"', text)
    assert (out / first).resolve() == near / "clip-00.wav"
    assert text.count("<svg") == 5  # two histograms, three pairs of sets
    for ours in ("out", str(near)):
        assert str(out.parent) not in (out / "evaluation.json").read_text(), ours


def test_a_second_run_embeds_nothing(
    scored: tuple[Path, EvaluationFacts],
    weights: Weights,
    near: Path,
    reference: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, facts = scored
    calls: list[str] = []

    def counted(cls: Any, name: str) -> None:
        inner = getattr(cls, name)
        monkeypatch.setattr(cls, name, lambda self, given: (calls.append(name), inner(self, given))[1])

    counted(clap.Clap, "embed")
    counted(clap.Clap, "embed_texts")
    counted(mel_stats.MelStats, "embed")
    cached = f"cache={out / 'embeddings'}"
    again = evaluate(tmp_path / "again", cached, *weights.sets, sounds=near, reference=reference)
    assert calls == []
    assert again == facts
    assert (tmp_path / "again" / "scores.csv").read_bytes() == (out / "scores.csv").read_bytes()
    other = evaluate(
        tmp_path / "x",
        cached,
        "embedders=['mel_stats']",
        "mel_stats.num_bands=8",
        sounds=near,
        reference=reference,
    )
    assert calls == ["embed"] * 40
    assert {row.embedder for row in other.scores} == {"mel_stats"}
    assert other.not_measured[0].startswith("kl: needs a tagger")


def test_what_cannot_be_used_is_counted_and_named(near: Path, reference: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sounds"
    folder.mkdir()
    broken = noise(1, 0.5)
    broken[100] = np.nan
    made = {
        "good.flac": flac_bytes(noise(2, 0.5)),
        "better.wav": wav_bytes(noise(3, 0.5)),
        "third.wav": wav_bytes(noise(4, 0.5)),
        "silent.wav": wav_bytes(silence(0.5)),
        "short.wav": wav_bytes(noise(1, 0.01)),
        "nan.wav": wav_bytes(broken, codec="FLOAT"),
        "junk.mp3": b"no sound at all" * 100,
    }
    for name, data in made.items():
        (folder / name).write_bytes(data)
    facts = evaluate(tmp_path / "out", "embedders=['mel_stats']", sounds=folder, reference=reference)
    assert facts.measured.num == 3
    assert {each.key: each.reason for each in facts.measured.left_out} == {
        "silent": "silent", "short": "too_short", "nan": "non_finite", "junk": "not_audio",
    }  # fmt: skip
    assert facts.measured.notes == (
        "20 of 20 prompts have no sound",
        "7 of 7 sounds answer no prompt of the protocol: without pair",
    )
    for name in ("good.flac", "better.wav", "third.wav"):
        (folder / name).unlink()
    with pytest.raises(MatchedNothing, match=r"none of 4 sounds can be used, e\.g\. junk: not_audio"):
        evaluate(tmp_path / "none", "embedders=['mel_stats']", sounds=folder, reference=reference)


def test_a_dataset_s_own_validation_series_by_a_model(tmp_path: Path) -> None:
    """Prompts and lengths are the samples'; a stop, or more prompts, changes no sound that is there."""
    folder = datasets_made.write_folder(tmp_path / "in", 24)
    data = tmp_path / "data"
    extra = "[split]\nvalidation_share = 0.5"
    datasets_made.build(datasets_made.load(tmp_path, folder, extra), data)
    shape = dataclasses.replace(preset.read("tiny"), num_latents=32)  # 0.37 s; the recordings have 0.6
    checkpoint.save(build(shape, seed=3), tmp_path / "ckpt")
    given = {"model": tmp_path / "ckpt", "data": data}
    quick = ("generating.steps=2", "generating.device=cpu", "embedders=['mel_stats']")
    out = tmp_path / "out"
    first = evaluate(out, *quick, "num_prompts=3", **given)
    assert (first.measured.num, first.num_prompts) == (3, 3)
    assert first.protocol.seconds == pytest.approx(shape.num_frames / 44_100, abs=1e-6)
    assert first.sampled["steps"] == 2
    made = {path.name: path.read_bytes() for path in (out / "sounds").glob("*.wav")}
    key = next(iter(made)).removesuffix(".wav")
    said = json.loads((out / "sounds" / f"{key}.json").read_text())
    assert said["seed"] == protocol.Prompt(key=key, text="").seed
    more = evaluate(out, *quick, "num_prompts=5", **given)
    assert more.measured.num == 5
    assert {name: (out / "sounds" / name).read_bytes() for name in made} == made
    with pytest.raises(UsageError, match=r"made with other settings \(steps\)"):
        evaluate(out, "generating.steps=3", *quick[1:], "num_prompts=3", **given)
    rows = {row.score: row.num_reference for row in more.scores}
    assert rows["kad"] == more.reference.num  # type: ignore[union-attr]


def test_two_evaluations_side_by_side(
    scored: tuple[Path, EvaluationFacts], weights: Weights, far: Path, reference: Path, tmp_path: Path
) -> None:
    out, facts = scored
    cached = f"cache={tmp_path / 'cache'}"
    worse = evaluate(tmp_path / "far", cached, *weights.sets, sounds=far, reference=reference)
    found = compare.compare(out, tmp_path / "far")
    rows = {(row.embedder, row.score): row for row in found.scores}
    assert found.num_shared == 20
    for key, row in rows.items():
        assert (row.first, row.second) == (
            pytest.approx(values(facts)[key]),
            pytest.approx(values(worse)[key]),
        )
        assert row.difference == pytest.approx(row.second - row.first)
    kad = rows["mel_stats", "kad"]
    assert kad.verdict == "first is better"
    assert kad.low is not None
    assert 0 < kad.low <= kad.difference
    same = compare.compare(out, out)
    assert all(row.difference == 0 for row in same.scores)
    assert {row.verdict for row in same.scores} == {"no difference seen", "no interval"}
    compare.write(found, tmp_path / "compare.html")
    assert "first is better" in (tmp_path / "compare.html").read_text()
    table = json.loads(compare.as_json(found))
    assert table["scores"][0]["verdict"]
    assert any("mel_stats" in line and "first is better" in line for line in compare.lines(found))


def test_what_does_not_compare_is_refused(
    scored: tuple[Path, EvaluationFacts], near: Path, reference: Path, far: Path, tmp_path: Path
) -> None:
    out, _ = scored
    only, given = "embedders=['mel_stats']", {"sounds": near, "reference": reference}
    evaluate(tmp_path / "bands", only, "mel_stats.num_bands=8", **given)
    evaluate(tmp_path / "against", only, sounds=near, reference=far)
    evaluate(tmp_path / "cut", only, rule=dataclasses.replace(OWN, seconds=1.0), **given)
    for name, message in {
        "bands": r"two embedders, mel_stats \(mel_stats-64@1, 128-d, .*\) and mel_stats \(mel_stats-8@1",
        "against": "measured against two references",
        "cut": "measured by two protocols",
        "nowhere": "no evaluation here",
    }.items():
        with pytest.raises(UsageError, match=message):
            compare.compare(out, tmp_path / name)


def embedded(keys: tuple[str, ...], seed: int, identity: Identity = IDENTITY) -> EmbeddedSet:
    random = np.random.default_rng(seed)
    windows = tuple(random.normal(size=(2 + n % 2, 3)).astype(np.float32) for n in range(len(keys)))
    return EmbeddedSet(identity=identity, keys=keys, groups=("",) * len(keys), windows=windows)


def test_embeddings_made_elsewhere_are_scored_and_matched_with_what_is_published(
    near: Path, reference: Path, tmp_path: Path
) -> None:
    """As .npz, and as fadtk lays them out."""
    keys = tuple(f"clip-{n:02d}" for n in range(20))
    ours, theirs = embedded(keys, 1), embedded(keys, 2)
    embeddings.write(tmp_path / "a.npz", ours)
    folder = tmp_path / "fadtk"
    folder.mkdir()
    (folder / "identity.json").write_text(json.dumps(dataclasses.asdict(IDENTITY)))
    for key, windows in zip(theirs.keys, theirs.windows, strict=True):
        np.save(folder / f"{key}.wav.npy", windows)
    rule = dataclasses.replace(
        OWN,
        over="windows",
        published=(
            protocol.PublishedNumber(of="M", score="fd", embedder="openl3/x", value=1.5, source="T"),
            protocol.PublishedNumber(of="M", score="kl", embedder="passt", value=2.0, source="T"),
        ),
    )
    sets = (f"embedded_measured=['{tmp_path / 'a.npz'}']", f"embedded_reference=['{folder}']")
    facts = evaluate(
        tmp_path / "out", "embedders=['mel_stats']", *sets, rule=rule, sounds=near, reference=reference
    )
    shown = {(row.embedder, row.score): row.published for row in facts.scores}
    assert [each.value for each in shown["openl3", "fd"]] == [1.5]
    assert shown["mel_stats", "fd"] == ()
    assert facts.not_comparable == (
        "kl: the published numbers are of passt, with which nothing is measured here",
    )
    both = [np.concatenate(each.windows).astype(np.float64) for each in (theirs, ours)]
    shift = np.square(both[0].mean(axis=0) - both[1].mean(axis=0)).sum()
    covariances = [np.cov(each.T) for each in both]
    roots = np.sqrt(np.linalg.eigvals(covariances[0] @ covariances[1]).real).sum()
    trace = sum(np.trace(each) for each in covariances)
    assert values(facts)["openl3", "fd"] == pytest.approx(shift + trace - 2 * roots, rel=1e-6)
    part = evaluate(
        tmp_path / "part",
        "embedders=['mel_stats']",
        "num_prompts=5",
        *sets,
        rule=rule,
        sounds=near,
        reference=reference,
    )
    assert all(row.published == () for row in part.scores)
    assert "these of a part" in part.not_comparable[0]


def _npz(path: Path, **arrays: Any) -> str:
    whole = {"identity": json.dumps(dataclasses.asdict(IDENTITY)), "keys": ["a"], "windows": np.ones((1, 3))}
    np.savez(path, **{k: np.array(v) for k, v in (whole | arrays).items() if v is not None})
    return str(path)


def _folder(path: Path, identity: str, array: Any) -> str:
    path.mkdir()
    if identity:
        (path / "identity.json").write_text(identity)
    if array is not None:
        np.save(path / "a.npy", array)
    return str(path)


ABOUT = json.dumps(dataclasses.asdict(IDENTITY))
WRONG: dict[str, tuple[Callable[[Path], str], str]] = {
    "no file": (lambda tmp: str(tmp / "no.npz"), "no such file; embeddings are an .npz"),
    "dimension": (lambda tmp: _npz(tmp / "x.npz", windows=np.ones((1, 4))), r"shape \(1, 4\); openl3 .* 3 "),
    "lengths": (lambda tmp: _npz(tmp / "x.npz", lengths=[2]), "1 windows, 2 promised"),
    "twice": (lambda tmp: _npz(tmp / "x.npz", keys=["a", "a"], windows=np.ones((2, 3))), "is there twice"),
    "not finite": (lambda tmp: _npz(tmp / "x.npz", windows=np.full((1, 3), np.nan)), "not finite"),
    "nobody's": (lambda tmp: _npz(tmp / "x.npz", identity="{}"), "identity: .*want {"),
    "array": (lambda tmp: _npz(tmp / "x.npz", windows=None), "no array 'windows'"),
    "no sound's": (lambda tmp: _npz(tmp / "x.npz", keys=["zz"]), "none of its 1 keys is a sound's here"),
    "pickle": (lambda tmp: _npz(tmp / "x.npz", keys=np.array([{}], object)), "no .npz without pickle"),
    "no identity": (lambda tmp: _folder(tmp / "x", "", np.ones(3)), "nobody knows what made these"),
    "empty folder": (lambda tmp: _folder(tmp / "x", ABOUT, None), "no .npy in it"),
    "folder's dimension": (lambda tmp: _folder(tmp / "x", ABOUT, np.ones(4)), r"shape \(1, 4\)"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_embeddings_that_are_none_are_refused(name: str, near: Path, reference: Path, tmp_path: Path) -> None:
    make, message = WRONG[name]
    rule = dataclasses.replace(OWN, seconds=0.2)
    with pytest.raises(UsageError, match=message):
        evaluate(
            tmp_path / "out", "embedders=['mel_stats']", f"embedded_measured=['{make(tmp_path)}']",
            rule=rule, sounds=near, reference=reference,
        )  # fmt: skip


def test_sets_of_two_embedders_are_not_scored(near: Path, reference: Path, tmp_path: Path) -> None:
    keys = tuple(f"clip-{n:02d}" for n in range(20))
    embeddings.write(tmp_path / "a.npz", embedded(keys, 1))
    embeddings.write(tmp_path / "b.npz", embedded(keys, 2, dataclasses.replace(IDENTITY, digest="1" * 64)))
    sets = (f"embedded_measured=['{tmp_path / 'a.npz'}']", f"embedded_reference=['{tmp_path / 'b.npz'}']")
    with pytest.raises(UsageError, match=r"two embedders, openl3 \(.*000\) and openl3 \(.*111\)"):
        evaluate(tmp_path / "out", "embedders=['mel_stats']", *sets, sounds=near, reference=reference)


REFUSED: dict[str, tuple[dict[str, str], tuple[str, ...], str]] = {
    "neither": ({"reference": "r"}, (), "give one of --model"),
    "both": ({"reference": "r", "model": "m", "sounds": "s"}, (), "give one of --model"),
    "against nothing": ({"sounds": "s"}, (), "against what"),
    "no folder": ({"sounds": "nowhere", "reference": "nowhere"}, (), "no such folder"),
    "too few resamples": ({"sounds": "s"}, ("num_resamples=1",), "num_resamples: 1; give 20 or more"),
    "no embedder": ({"sounds": "s", "reference": "r"}, ("embedders=['clip']",), "did you mean 'clap'"),
    "no weights": ({"sounds": "s", "reference": "r"}, ("clap.folder=nowhere",), "clap: nowhere: want"),
    "no steps": ({"sounds": "s"}, ("generating.steps=0",), "steps: 0; give at least 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_evaluated_is_said_before_any_work(name: str, tmp_path: Path) -> None:
    given, sets, message = REFUSED[name]
    with pytest.raises(UsageError, match=message):
        evaluate(tmp_path / "out", *sets, **given)
    assert not (tmp_path / "out").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds something else"):
        evaluate(tmp_path / "full", sounds="s", reference="r")


def test_the_command_ends_as_it_should(near: Path, reference: Path, tmp_path: Path, warm_torch: Warm) -> None:
    (tmp_path / "silent").mkdir()
    (tmp_path / "silent" / "a.wav").write_bytes(wav_bytes(silence(0.5)))
    script = (str(ROOT / "pipelines" / "evaluate.py"), "--reference", str(reference), "--protocol")
    asked = ("own_validation", "--set", "embedders=['mel_stats']", "--out")
    done = warm_torch.ran(*script, *asked, str(tmp_path / "out"), "--sounds", str(near))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(tmp_path / "out" / "index.html")
    assert "not there: clap: needs an embedder that knows texts" in done.stderr
    for words, code, told in (
        ((*asked, str(tmp_path / "x"), "--sounds", str(tmp_path / "silent")), 7, "a: silent (all samples"),
        (("own", "--out", str(tmp_path / "y"), "--sounds", str(near)), 2, "no such protocol"),
    ):
        ended = warm_torch.ran(*script, *words)
        assert (ended.returncode, ended.stdout) == (code, "")
        assert told in ended.stderr
