#!/usr/bin/env python3
"""Windows of latents per CPU-second: plain webdataset, a memory map, our stream; and what encoding costs.

Shards of made latents, 64 channels x 1,024 latents x (mean, std) in float16, 256 KiB a sample, each with the
JSON of a dataset's sample. All ways give batches of 16 with a prompt and timing, but for the memory map,
which gives the numbers alone: the ceiling. CPU time of the whole process; rounds are interleaved, the median
counts, the range stands beside it. Files lie in the page cache. First epoch: every byte is hashed. Many
samples: more than the stream keeps the words of, so that it reads every JSON again.

Then a clip is encoded by a codec of random weights: the whole way from FLAC to a published shard, beside the
codec alone on the same audio, in turn.

    taskset -c 1 python benchmarks/latents.py [--rounds 5] [--samples 512] [--model stable_audio_open]
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported

import argparse
import contextlib
import dataclasses
import itertools
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run from a checkout

from benchmarks import stream as audio
from sao_data.dataset.reader import Dataset, open_dataset
from sao_data.execution.executor import LocalExecutor
from sao_data.latents import folder, members, part, windows
from sao_data.latents.facts import CodecFacts, EncodingFacts, LatentRow
from sao_data.latents.reader import open_latents
from sao_data.loading.stream import Stream, StreamConfig
from sao_data.storage import layout, tables
from sao_data.storage.backend import open_storage

CHANNELS, WINDOW, HOP = 64, 1024, 2048
BATCH = 16
ENCODING = EncodingFacts(
    codec=CodecFacts(sha256="0" * 64, terms="", training_data=None),
    settings={"series": []},
    sample_rate=44_100,
    hop=HOP,
    latent_dim=CHANNELS,
    window_latents=WINDOW,
    reach=10,
    latent_scale=1.0,
    silence_sha256="0" * 64,
)
Rates = dict[str, list[float]]


def main() -> None:
    """Build, measure, print Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=512)
    parser.add_argument("--seconds", type=int, default=12, help="of the clip that is encoded")
    parser.add_argument("--model", default="stable_audio_open", help="preset of the codec that encodes")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sao-bench-") as temporary:
        tempfile.tempdir = temporary  # what streams remember of this machine goes with it
        here = Path(temporary)
        data = open_dataset(str(audio.build(here / "data", args.samples, seconds=1)))
        found = reading(made(data, here / "latents"), args.rounds)
        spent = encoding(here, args.model, args.seconds, max(1, args.rounds // 2))
    ceiling, plain = (statistics.median(found[name]) for name in ("memory map", "webdataset"))
    lines = [f"Samples per CPU-second, median (range) of {args.rounds} interleaved rounds.", ""]
    lines += ["| reader | samples/s | × webdataset | of the ceiling |", "|---|---:|---:|---:|"]
    for name, rates in found.items():
        middle = statistics.median(rates)
        spread = f"{middle:,.0f} ({min(rates):,.0f}–{max(rates):,.0f})"
        lines.append(f"| {name} | {spread} | {middle / plain:.2f} | {middle / ceiling:.2f} |")
    ours, bare = (statistics.median(spent[name]) for name in ("ours", "bare"))
    lines += [
        "",
        f"Encoding {args.seconds} s by the codec of {args.model}: {ours:.2f} CPU s, the codec alone ",
    ]
    lines[-1] += f"{bare:.2f}: ratio {ours / bare:.3f} ({len(spent['ours'])} rounds in turn, medians)."
    sys.stdout.write("\n".join(lines) + "\n")


def made(data: Dataset, out: Path) -> str:
    """Latents of a dataset, drawn at random."""
    storage = open_storage(str(out))
    silence = members.to_bytes(some(0))
    facts = dataclasses.replace(ENCODING, silence_sha256=_sha256(silence))
    folder.claim(storage, data.storage, str(data.facts["name"]), facts, silence)
    planned = folder.plan(data, storage, facts)
    for job in planned.jobs:
        part.bring(data.storage, storage, facts, job, lambda flac: (some(len(flac)), 1.0))
    folder.commit(data, storage, facts, planned.wanted)
    return str(out)


def some(seed: int) -> members.Halves:
    """A window of latents."""
    rng = np.random.default_rng(seed)
    mean, noise = rng.standard_normal((2, WINDOW, CHANNELS), dtype=np.float32)
    return members.packed(mean, 0.5 + 0.1 * np.abs(noise))


def reading(url: str, rounds: int) -> Rates:
    """Samples per CPU-second of every round, by way."""
    ways: dict[str, Callable[[], float]] = {
        "webdataset": lambda: plain(url),
        "memory map": lambda: mapped(url),
        "stream, first epoch": lambda: ours(url, "first", is_new=True),
        "stream, later epochs": lambda: ours(url, "first", is_new=False),
        "stream, later epochs, many samples": lambda: ours(url, "first", is_new=False, words=0),
        'stream, `verify = "never"`': lambda: ours(url, "never", is_new=False),
    }
    found: Rates = {way: [] for way in ways}
    for number in range(rounds + 1):  # the first warms up
        for way, measured in ways.items():
            rate = measured()
            if number:
                found[way].append(rate)
    return found


def plain(url: str) -> float:
    """As trainers do it: webdataset yields members, arrays are read from their bytes, batches are stacked."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import webdataset
    tars = sorted(str(path) for path in (Path(url) / layout.SHARD_FOLDER).glob("*.tar"))
    num, begun = 0, time.process_time()
    with contextlib.ExitStack() as opened:  # which webdataset's own opener leaves open
        streams = ({"url": name, "stream": opened.enter_context(open(name, "rb"))} for name in tars)
        grouped = webdataset.tariterators.group_by_keys(webdataset.tariterators.tar_file_expander(streams))
        samples = iter(webdataset.filters.decode()(grouped))
        while batch := list(itertools.islice(samples, BATCH)):
            assert all(each["json"]["prompt"] for each in batch)
            num += len(np.stack([each["npy"][:WINDOW] for each in batch]))
    return num / (time.process_time() - begun)


def mapped(url: str) -> float:
    """The numbers alone, copied from memory maps into batches, in an order drawn before."""
    storage = open_storage(url)
    rows = tables.read(storage, layout.SAMPLES, LatentRow)
    maps = {name: _map(Path(url) / layout.SHARD_FOLDER / name) for name in {row.shard for row in rows}}
    order = np.random.default_rng(0).permutation(len(rows))
    size = members.num_bytes(WINDOW, CHANNELS)
    firsts = [row.latents_offset + row.latents_size - size for row in rows]
    begun = time.process_time()
    for at in range(0, len(rows), BATCH):
        chosen = order[at : at + BATCH].tolist()
        out = np.empty((len(chosen), size), np.uint8)
        for place, number in enumerate(chosen):
            out[place] = maps[rows[number].shard][firsts[number] : firsts[number] + size]
    return len(rows) / (time.process_time() - begun)


def ours(url: str, verify: str, *, is_new: bool, words: int = windows._MOST_WORDS) -> float:
    """The stream as trainings use it: an epoch, on a machine that has checked nothing (`is_new`), or behind
    such an epoch."""
    usual = tempfile.tempdir
    tempfile.tempdir = tempfile.mkdtemp(dir=usual) if is_new else usual
    config = StreamConfig(series=("train",), window_frames=WINDOW * HOP, num_threads=0, verify=verify)  # type: ignore[arg-type]
    windows._MOST_WORDS, before = words, windows._MOST_WORDS
    with Stream(open_latents(url), config, batch_size=BATCH) as stream:
        windows._MOST_WORDS = before
        tempfile.tempdir = usual
        epoch = stream.num_samples // BATCH
        for _ in range(0 if is_new else epoch + 1):
            next(stream)
        begun = time.process_time()
        for _ in range(epoch):
            next(stream)
        return epoch * BATCH / (time.process_time() - begun)


def encoding(here: Path, model: str, seconds: int, rounds: int) -> Rates:
    """CPU seconds to encode a dataset of one clip, and of the codec alone on the same audio."""
    import torch

    from sao_model import checkpoint, opened, preset
    from sao_model.encoding import encoder, run, settings
    from sao_model.model import StableAudioModel

    torch.set_num_threads(1)
    data = open_dataset(str(audio.build(here / "clip", 1, seconds=seconds)))
    shape = dataclasses.replace(preset.read(model), num_latents=1)  # a window that no clip is padded to
    with torch.device("meta"):
        shell = StableAudioModel(shape)
    shell.codec.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    for weight in shell.codec.parameters():
        weight.data.normal_(0.0, 0.02, generator=generator)
    checkpoint.save(shell, here / "vae", only=("vae",))
    codec = opened.find(here / "vae").load_codec()
    num = -(-seconds * 44_100 // shape.codec.hop) * shape.codec.hop
    sound = torch.randn(1, 2, num, generator=generator)
    spent: Rates = {"ours": [], "bare": []}
    for number in range(rounds):
        encoder._encoder.cache_clear()
        begun = time.process_time()
        config = settings.Config(device="cpu")
        run.encode(config, data, str(here / "vae"), str(here / f"out{number}"), LocalExecutor(), Shown())
        spent["ours"].append(time.process_time() - begun)
        begun = time.process_time()
        codec.encode_in_chunks(sound)
        spent["bare"].append(time.process_time() - begun)
    return spent


class Shown(audio.Silent):
    """A progress that shows nothing."""

    def start(self, step: str, total: int | None, unit: str = "") -> None: ...


def _map(path: Path) -> npt.NDArray[np.uint8]:
    return np.memmap(path, dtype=np.uint8, mode="r")


def _sha256(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    main()
