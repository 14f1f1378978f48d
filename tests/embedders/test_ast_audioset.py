"""The AST tagger, with a tiny random model saved as the published one is."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import ASTForAudioClassification

from sao_data import plugins
from sao_data.embedders import ast_audioset
from sao_data.embedders.ast_audioset import FILES, Config, build
from sao_data.errors import UsageError
from sao_data.screening.classes import columns_of, music_classes
from tests import tiny_embedders
from tests.made import Floats, noise
from tests.tiny_embedders import ast_extractor as extractor

NUM_CLASSES, FRAMES = tiny_embedders.AST_CLASSES, tiny_embedders.AST_FRAMES


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two layers of 16, 527 classes with the real music names at their real places."""
    found = music_classes()
    names = {item.index: item.name for item in (*found.music, *found.singing)}
    return tiny_embedders.ast(tmp_path_factory.mktemp("ast"), names)


def windows(num: int) -> Floats:
    length = FRAMES * 160
    return np.stack([noise(seed, length / 16_000, 16_000, channels=1)[:, 0] for seed in range(num)])


def copy_of(weights: Path, folder: Path) -> Path:
    for name in FILES:
        (folder / name).write_bytes((weights / name).read_bytes())
    return folder


def test_it_gives_a_probability_for_every_class_of_every_window(weights: Path) -> None:
    tagger = build(Config(folder=str(weights)))
    tagger.check()
    found = tagger.tag(windows(3))
    assert found.shape == (3, NUM_CLASSES)
    assert found.dtype == np.float32
    assert ((found > 0) & (found < 1)).all()
    assert not np.allclose(found[0], found[1])


def test_it_is_the_model_of_transformers(weights: Path) -> None:
    audio = windows(2)
    model = ASTForAudioClassification.from_pretrained(weights).eval()
    with torch.no_grad():
        features = extractor(FRAMES)(list(audio), sampling_rate=16_000, return_tensors="pt")
        expected = torch.sigmoid(model(**features).logits).numpy()
    np.testing.assert_allclose(build(Config(folder=str(weights))).tag(audio), expected, atol=1e-6)


def test_a_clip_is_embedded_in_windows_half_a_window_apart(weights: Path) -> None:
    """And the last layer makes of them the logits that tags are the sigmoid of."""
    tagger = build(Config(folder=str(weights)))
    length = FRAMES * 160
    clip = noise(3, 2.5 * length / 16_000, 16_000).T  # starts at 0, 1/2, 1 and 3/2 windows
    found = tagger.embed(clip)
    assert found.shape == (4, tagger.num_dimensions) == (4, 16)
    mono = clip.mean(axis=0)
    tags = tagger.tag(np.stack([mono[n * length // 2 :][:length] for n in range(4)]))
    np.testing.assert_allclose(1 / (1 + np.exp(-tagger.logits(found))), tags, atol=1e-6)
    assert tagger.embed(clip[:, : length // 3]).shape == (1, 16)


def test_batches_change_nothing(weights: Path) -> None:
    audio = windows(5)
    one = build(Config(folder=str(weights), batch_size=1)).tag(audio)
    other = build(Config(folder=str(weights), batch_size=4)).tag(audio)
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_no_windows_no_tags(weights: Path) -> None:
    assert build(Config(folder=str(weights))).tag(windows(1)[:0]).shape == (0, NUM_CLASSES)


def test_a_window_of_another_length_is_our_mistake(weights: Path) -> None:
    with pytest.raises(AssertionError):
        build(Config(folder=str(weights))).tag(windows(1)[:, :-1])


def test_labels_and_window_are_the_model_s(weights: Path) -> None:
    tagger = build(Config(folder=str(weights)))
    assert len(tagger.labels) == NUM_CLASSES
    assert tagger.window_seconds == 1.28
    assert columns_of(("Music", "Choir"), tagger.labels, where="here") == [137, 28]


def test_the_published_extractor_means_windows_of_10_24_s(weights: Path, tmp_path: Path) -> None:
    folder = copy_of(weights, tmp_path)
    extractor(1024).save_pretrained(folder)
    assert build(Config(folder=str(folder))).window_seconds == 10.24


def test_the_digest_is_of_the_files_and_not_of_the_place(weights: Path, tmp_path: Path) -> None:
    folder = copy_of(weights, tmp_path)
    first = build(Config(folder=str(weights))).digest()
    assert build(Config(folder=str(folder))).digest() == first
    with (folder / "config.json").open("a") as file:
        file.write("\n")
    assert build(Config(folder=str(folder))).digest() != first


def test_it_travels_as_its_config(weights: Path) -> None:
    tagger = build(Config(folder=str(weights)))
    tagger.tag(windows(1))
    data = pickle.dumps(tagger)
    assert len(data) < 1_000
    np.testing.assert_array_equal(pickle.loads(data).tag(windows(1)), tagger.tag(windows(1)))


def test_weights_that_are_not_there_are_said_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        build(Config(folder=str(tmp_path))).check()
    said = str(caught.value)
    assert f"{tmp_path}: want config.json, preprocessor_config.json, model.safetensors" in said
    assert f"hf download {Config().model} {' '.join(FILES)} --local-dir {tmp_path}" in said
    assert 'screening = "off"' in said


def test_a_model_that_is_not_in_the_cache_is_not_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UsageError) as caught:
        build(Config(revision="v1")).check()
    assert f"{Config().model}@v1 in {tmp_path}" in str(caught.value)
    assert f"hf download {Config().model} {' '.join(FILES)} --revision v1`" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_model_is_found_in_the_hub_cache(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "models--somebody--tiny"
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    copy_of(weights, snapshot)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    tagger = build(Config(model="somebody/tiny"))
    tagger.check()
    assert tagger.digest() == build(Config(folder=str(weights))).digest()
    (snapshot / "model.safetensors").unlink()
    with pytest.raises(UsageError, match="somebody/tiny@main"):
        build(Config(model="somebody/tiny")).check()


def test_a_model_that_is_no_hub_id_is_refused() -> None:
    with pytest.raises(UsageError, match="set folder"):
        build(Config(model="../my/weights")).check()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", b"{", "no JSON"),
        ("config.json", b'{"model_type": "clap"}', "type 'clap'"),
        ("model.safetensors", b"version https://git-lfs.github.com/spec/v1\n", "damaged or no weights"),
    ],
)
def test_files_that_do_not_fit_are_refused(
    weights: Path, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (copy_of(weights, tmp_path) / name).write_bytes(content)
    with pytest.raises(UsageError, match=rf"ast_audioset: .*{message}"):
        build(Config(folder=str(tmp_path))).check()


def test_fewer_labels_than_classes_are_refused(weights: Path, tmp_path: Path) -> None:
    path = copy_of(weights, tmp_path) / "config.json"
    table = json.loads(path.read_text())
    del table["id2label"]["526"]
    path.write_text(json.dumps(table))
    with pytest.raises(UsageError, match=r"527 classes in the weights, 526 in config\.json"):
        build(Config(folder=str(tmp_path))).check()


def test_weights_with_a_layer_missing_are_not_made_up(weights: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    path = copy_of(weights, tmp_path) / "model.safetensors"
    tensors = load_file(path)
    lost = next(name for name in tensors if name.endswith("layernorm.weight"))
    save_file({name: tensor for name, tensor in tensors.items() if name != lost}, path, {"format": "pt"})
    with pytest.raises(UsageError, match="in the weights"):
        build(Config(folder=str(tmp_path))).tag(windows(1))


def test_it_is_a_plugin() -> None:
    assert plugins.load("embedders", "ast_audioset") is ast_audioset
    with pytest.raises(UsageError, match="batch_size 0"):
        build(Config(batch_size=0))
