"""CLAP with tiny random models, fused and not, and the embedder that needs no weights."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import ClapFeatureExtractor, ClapModel

from sao_data.embedders import mel_stats
from sao_data.embedders.clap import FILES, Config, build
from sao_data.errors import UsageError
from tests import tiny_embedders
from tests.made import noise, tone

RATE = 48_000


@pytest.fixture(scope="module", params=[True, False], ids=["fused", "unfused"])
def weights(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_embedders.clap(tmp_path_factory.mktemp("clap"), fused=request.param)


def test_windows_and_texts_have_the_directions_that_transformers_gives(weights: Path) -> None:
    embedder = build(Config(folder=str(weights)))
    embedder.check()
    clip = noise(1, 2.5, RATE).T  # two windows of a second; half a second is left out
    found = embedder.embed(clip)
    assert found.shape == (2, tiny_embedders.CLAP_DIMENSIONS)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    model, extractor = (
        ClapModel.from_pretrained(weights).eval(),
        ClapFeatureExtractor.from_pretrained(weights),
    )
    mono = clip.mean(axis=0)
    for n in range(2):
        features = extractor(mono[n * RATE :][:RATE], sampling_rate=RATE, return_tensors="pt")
        features["is_longer"] = torch.zeros((1, 1), dtype=torch.bool)  # which a fused one draws at random
        with torch.inference_mode():
            wanted = model.get_audio_features(**features).pooler_output.numpy()
        np.testing.assert_allclose(found[n : n + 1], wanted, atol=1e-6)
    texts = embedder.embed_texts(["a tone", "rain"])
    np.testing.assert_allclose(np.linalg.norm(texts, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(embedder.embed_texts(["rain"])[0], texts[1], atol=1e-6)  # padding adds nothing


def test_batches_pickles_and_short_clips_change_nothing(weights: Path) -> None:
    one, other = (build(Config(folder=str(weights), batch_size=size)) for size in (1, 4))
    clip = noise(2, 5.0, RATE).T
    np.testing.assert_allclose(one.embed(clip), pickle.loads(pickle.dumps(other)).embed(clip), atol=1e-6)
    assert one.embed(clip[:, :4_800]).shape == (1, tiny_embedders.CLAP_DIMENSIONS)
    assert one.digest() == other.digest()


def test_what_is_not_there_or_not_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        build(Config(folder=str(tmp_path))).check()
    assert f"clap: {tmp_path}: want {', '.join(FILES)} there" in str(caught.value)
    assert f"hf download {Config().model} {' '.join(FILES)} --local-dir {tmp_path}" in str(caught.value)
    assert "mel_stats needs no weights" in str(caught.value)
    folder = tiny_embedders.clap(tmp_path, fused=False)
    for name, content, message in (
        ("model.safetensors", b"cut", "damaged or no weights"),
        ("preprocessor_config.json", b'{"sampling_rate": 16000}', "made for 16000 Hz; want 48000"),
        ("config.json", b'{"model_type": "clip"}', "type 'clip'; want 'clap'"),
    ):
        (folder / name).write_bytes(content)
        with pytest.raises(UsageError, match=message):
            build(Config(folder=str(folder))).check()
    with pytest.raises(UsageError, match="batch_size 0"):
        build(Config(batch_size=0))


def test_mel_stats_know_level_and_colour_and_nothing_else() -> None:
    embedder = mel_stats.build(mel_stats.Config())
    loud, soft = noise(1, 1.0, level=0.2).T, noise(1, 1.0, level=0.02).T
    found = embedder.embed(loud)
    assert found.shape == (1, embedder.num_dimensions) == (1, 128)
    np.testing.assert_allclose(found[0, :64] - embedder.embed(soft)[0, :64], 20, atol=1e-3)  # dB
    np.testing.assert_allclose(found[0, 64:], embedder.embed(soft)[0, 64:], atol=1e-3)
    low, high = (embedder.embed(tone(hz, 1.0).T)[0, :64] for hz in (200, 5_000))
    assert low.argmax() < high.argmax()
    assert embedder.embed(loud[:, :100]).shape == (1, 128)
    assert embedder.digest() != mel_stats.build(mel_stats.Config(num_bands=32)).digest()
    with pytest.raises(UsageError, match="num_bands 0"):
        mel_stats.build(mel_stats.Config(num_bands=0))
