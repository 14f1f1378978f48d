"""Latents are what the codec says of each clip, padded as in a training from audio, the same every time."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sao_data.commands.verbs import verify as verb
from sao_data.errors import UsageError
from sao_data.execution.executor import LocalExecutor
from sao_data.latents import folder, members, verify
from sao_data.latents.facts import LatentRow
from sao_data.latents.reader import open_latents
from sao_data.loading.stream import Stream, StreamConfig, StreamedSample
from sao_data.storage import layout, tables
from sao_data.storage.backend import LocalStorage
from sao_model import opened
from sao_model.encoding import run, settings
from sao_model.training.dit.inputs import stored
from tests.datasets_made import tree
from tests.latents.conftest import HOP, LENGTHS, WINDOW, LatentWorld, codec_of, encode, made_dataset, sounds
from tests.streams_made import members as decoded
from tests.training.made_runs import Silent

HALF = 2.0**-11  # of a number's size: what rounding to float16 may change
SERIES = ("train", "validation")


def stream(source: Any, **changes: Any) -> Stream:
    table = {"series": SERIES, "window_frames": WINDOW * HOP, "flip": 0.0, "num_threads": 0} | changes
    return Stream(source, StreamConfig(**table), batch_size=1)


def posterior(sample: StreamedSample) -> tuple[torch.Tensor, torch.Tensor]:
    found = stored(torch.from_numpy(sample.audio)[None])
    return found.mean_BDL[0], found.std_BDL[0]


def test_rounding_keeps_the_least_deviation_and_refuses_what_does_not_fit() -> None:
    mean, std = np.array([[3.0]], np.float32), np.array([[1e-4]], np.float32)
    latents = members.packed(mean, std)
    assert latents[0, 1, 0] == pytest.approx(1e-4, rel=HALF)
    assert (members.from_bytes(members.to_bytes(latents), 1) == latents).all()
    for bad in (np.nan, np.inf, 7e4):
        with pytest.raises(ValueError, match="float16 does not hold"):
            members.packed(np.full((1, 1), bad, np.float32), std)


def test_windows_of_short_clips_are_those_of_audio_padding_included(latent_world: LatentWorld) -> None:
    """Places in the order, prompts and timing too; of every clip up to the window, some below one latent."""
    codec, short = opened.find(latent_world.vae).load_codec(), set()
    with stream(latent_world.data) as audio, stream(latent_world.latents) as latents:
        for _ in range(audio.num_samples):
            (ours,), (theirs,) = next(latents).samples, next(audio).samples
            same = ("key", "position", "shard", "index_in_shard", "prompt", "seconds_total", "num_frames")
            assert [getattr(ours, name) for name in same] == [getattr(theirs, name) for name in same]
            assert 0 <= theirs.crop_start - ours.crop_start < HOP
            assert ours.seconds_start <= theirs.seconds_start <= ours.seconds_start + 1
            if theirs.crop_start == 0 and ours.num_frames <= WINDOW * HOP and theirs.audio.any():
                whole = codec.encode(torch.from_numpy(theirs.audio)[None])
                if theirs.key in {row for row in short_keys(latent_world)}:
                    short.add(theirs.key)
                    for found, wanted in zip(
                        posterior(ours), (whole.mean_BDL[0], whole.std_BDL[0]), strict=True
                    ):
                        torch.testing.assert_close(found, wanted, rtol=HALF, atol=2e-6)
        assert latents.state == audio.state
        assert latents.seen() == audio.seen()
    assert len(short) == sum(seconds * 44_100 <= WINDOW * HOP + 1 for seconds in LENGTHS)


def short_keys(world: LatentWorld) -> set[str]:
    return {row.key for row in world.data.samples() if row.num_frames <= WINDOW * HOP}


def test_crops_away_from_edges_are_those_of_the_padded_crop_and_timing_is_right(
    latent_world: LatentWorld,
) -> None:
    """Of long clips, most of them cut from longer recordings."""
    codec, reach = opened.find(latent_world.vae).load_codec(), latent_world.latents.encoding.reach
    audio, seen = decoded(latent_world.folder / "data"), set()
    with stream(latent_world.latents, series=SERIES) as latents:
        for _ in range(3 * latents.num_samples):
            (ours,) = next(latents).samples
            sound, said = audio[ours.key]
            start = ours.crop_start
            assert start % HOP == 0
            assert start + ours.num_frames <= said.num_frames
            assert ours.seconds_start == (said.start_frame + start) // 44_100
            assert ours.seconds_total == -(-said.recording_frames // 44_100)
            if said.num_frames > WINDOW * HOP:
                seen.add((ours.key, start))
                crop = torch.from_numpy(sound[:, start : start + WINDOW * HOP])[None]
                wanted = codec.encode(crop)
                inner = slice(reach, WINDOW - reach)
                pairs = zip(posterior(ours), (wanted.mean_BDL[0], wanted.std_BDL[0]), strict=True)
                for found, each in pairs:
                    torch.testing.assert_close(found[:, inner], each[:, inner], rtol=HALF, atol=2e-6)
                    assert start == 0 or not torch.allclose(found[:, 0], each[:, 0], rtol=1e-2)
    assert {key for key, _ in seen} == {
        key for key, (_, said) in audio.items() if said.num_frames > WINDOW * HOP
    }
    assert sum(key.count("-") > 2 and start > 0 for key, start in seen) > 10


def test_a_rewritten_folder_is_the_same_bytes_and_checks(latent_world: LatentWorld, tmp_path: Path) -> None:
    before = tree(latent_world.folder / "latents")
    again = encode(latent_world.data, latent_world.vae, latent_world.folder / "other")
    theirs = tree(latent_world.folder / "other")
    assert (again.num_encoded, again.num_copied) == (19, 0)
    assert theirs == before
    once_more = encode(latent_world.data, latent_world.vae, latent_world.folder / "other")
    assert (once_more.num_encoded, once_more.num_copied) == (0, 0)
    assert tree(latent_world.folder / "other") == before
    found = verify.check(LocalStorage(latent_world.folder / "latents"), lambda _: None)
    assert (found.findings, found.notes) == ((), ())


def test_the_digest_says_what_was_encoded_by_what(latent_world: LatentWorld) -> None:
    facts = json.loads((latent_world.folder / "latents" / "latents.json").read_text())
    encoding = facts["encoding"]
    assert facts["dataset"]["version"] == latent_world.data.facts["version"]
    assert encoding["codec"]["sha256"] == opened.find(latent_world.vae).codec_digest()
    assert (encoding["latent_scale"], encoding["hop"], encoding["window_latents"]) == (1.0, HOP, WINDOW)
    rows = tables.read(LocalStorage(latent_world.folder / "latents"), layout.SAMPLES, LatentRow)
    drawn = []
    for row in rows:
        data = (latent_world.folder / "latents" / "shards" / row.shard).read_bytes()
        part = data[row.latents_offset : row.latents_offset + row.latents_size]
        drawn.append(members.from_bytes(part, 4)[: -(-row.num_frames // HOP)].astype(np.float64))
    every = np.concatenate(drawn)
    mean = every[:, 0].mean(0)
    std = np.sqrt(every[:, 0].var(0) + np.square(every[:, 1]).mean(0))
    np.testing.assert_allclose(facts["channels"]["mean"], mean, rtol=1e-5)
    np.testing.assert_allclose(facts["channels"]["std"], std, rtol=1e-5)
    assert facts["channels"]["num_latents"] == len(every)


def test_plain_webdataset_reads_them_attribution_inside(latent_world: LatentWorld) -> None:
    from webdataset.tariterators import group_by_keys, tar_file_expander

    tars = sorted((latent_world.folder / "latents" / "shards").glob("*.tar"))
    read = {}
    for name in tars:
        with name.open("rb") as file:
            opened_tar = [{"url": name.name, "stream": file}]
            for each in group_by_keys(tar_file_expander(opened_tar)):
                read[each["__key__"]] = np.load(io.BytesIO(each["npy"]))
                assert json.loads(each["json"])["credit"]
    assert {latents.shape[1:] for latents in read.values()} == {(2, 4)}
    assert set(read) == {row.key for row in latent_world.data.samples()}
    for name in tars:
        with tarfile.open(name) as tar:
            assert {member.mtime for member in tar} == {0}


def test_a_new_version_is_encoded_as_far_as_it_is_new(latent_world: LatentWorld, tmp_path: Path) -> None:
    """And is byte for byte what it is when it is encoded afresh."""
    old = made_dataset(tmp_path, sounds(tmp_path / "in"), tmp_path / "data")
    encode(old, latent_world.vae, tmp_path / "latents")
    sounds(tmp_path / "in", (0.4, 0.2, 1.5), first=len(LENGTHS))
    new = made_dataset(tmp_path, tmp_path / "in", tmp_path / "data")
    ahead = settings.Config(device="cpu")
    told = run.forecast(ahead, new, str(latent_world.vae), str(tmp_path / "latents"), LocalExecutor())
    done = encode(new, latent_world.vae, tmp_path / "latents")
    assert (told.num_new, told.num_samples) == (4, 23)
    assert done.num_encoded == 4
    assert 0 < done.num_copied <= 19
    encode(new, latent_world.vae, tmp_path / "fresh")
    assert tree(tmp_path / "latents") == tree(tmp_path / "fresh")
    with pytest.raises(
        UsageError, match=r"latents of made \w+, --data .* is made \w+; run encode on it again"
    ):
        open_latents(str(tmp_path / "latents"), old.__class__(storage=old.storage, facts=old.facts))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"margin": 2},
            "encoded with other settings: margin was 0, now 2; keep them, or choose another --out",
        ),
        ({"window_latents": 20}, "window_latents was 48, now 20"),
        ({"threads": 0}, "threads: 0 is too small"),
        ({"series": ["tests"]}, "no samples in the series tests .there are: train, validation"),
        ({"chunks": 3}, "unknown key 'chunks'; did you mean 'chunk'"),
        ({"device": "cuda"}, "there is no GPU; leave it out"),
    ],
)
def test_other_settings_are_refused(
    latent_world: LatentWorld, changes: dict[str, object], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    out = latent_world.folder / ("latents" if "series" not in changes else "nowhere")
    with pytest.raises(UsageError, match=message):
        encode(latent_world.data, latent_world.vae, out, **changes)


def test_a_folder_of_something_else_is_left_alone(latent_world: LatentWorld, tmp_path: Path) -> None:
    other = codec_of(latent_world.model, tmp_path / "other", seed=5)
    with pytest.raises(UsageError, match=r"latents of another VAE: \w{12}…, not \w{12}…; give that one, or"):
        encode(latent_world.data, other, latent_world.folder / "latents")
    with pytest.raises(UsageError, match=r"format sao-dataset 1, this reads sao-latents 1"):
        encode(latent_world.data, latent_world.vae, latent_world.folder / "data")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"not empty and no latents .found thesis.txt.; choose another"):
        encode(latent_world.data, latent_world.vae, tmp_path / "mine")
    assert verb.HELP
    assert folder.is_latents(LocalStorage(latent_world.folder / "latents"))
    assert not folder.is_latents(LocalStorage(latent_world.folder / "data"))


def test_latents_in_an_object_store_are_read_by_ranges(latent_world: LatentWorld, tmp_path: Path) -> None:
    data = made_dataset(tmp_path, sounds(tmp_path / "in", LENGTHS[-6:]), tmp_path / "data")
    table = settings.Config(device="cpu")
    url = f"memory://{tmp_path.name}"
    run.encode(table, data, str(latent_world.vae), url, LocalExecutor(), Silent())
    encode(data, latent_world.vae, tmp_path / "latents")
    here, there = open_latents(str(tmp_path / "latents")), open_latents(url, data)
    with stream(here) as ours, stream(there) as theirs:
        for _ in range(2 * ours.num_samples):
            one, other = next(ours).samples[0], next(theirs).samples[0]
            assert (one.key, one.prompt) == (other.key, other.prompt)
            assert (one.audio == other.audio).all()
    assert verify.check(there.storage, lambda _: None, data).findings == ()
