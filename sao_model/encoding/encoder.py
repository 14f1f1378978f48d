"""A dataset's audio as latents, once, so that trainings of the transformer need not encode at every step.

Whole clips are encoded, one after the other, so that neither neighbours nor workers enter a clip's bytes. A
clip that is shorter than the window is followed by zeros, as in a training from audio; of the latents behind
its end only those are stored that depend on it, since behind them lies what a window of silence has there.
Where the window's own end is within reach, the window is encoded as it is, and stored whole.

    B batch   C channels   T samples   D latent channels   L latents
"""

from __future__ import annotations

import contextlib
import functools
import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import soundfile
import torch
from torch import Tensor

from sao_data.errors import UsageError
from sao_data.latents import members, part
from sao_data.latents.facts import EncodingFacts
from sao_data.latents.part import Brought, PartJob
from sao_data.records import NUM_CHANNELS
from sao_data.storage import layout
from sao_data.storage.backend import open_storage
from sao_model import codec, opened
from sao_model.encoding.settings import extent


class Encoder:
    """A codec that encodes one clip after the other, its weights laid out once."""

    def __init__(self, model: codec.Codec, encoding: EncodingFacts) -> None:
        self.device = torch.device(str(encoding.settings["device"]))
        self._codec, self._encoding = model.to(self.device).eval(), encoding
        chunk = int(encoding.settings["chunk"]) or codec.chunk_on(self.device)
        self._sections = self._codec.encoder_sections(chunk)

    def clip(self, flac: bytes) -> tuple[members.Halves, float]:
        """Latents of a FLAC, as they are stored, and its peak."""
        sound_TC, _ = soundfile.read(io.BytesIO(flac), dtype="float32", always_2d=True)
        num_encoded, num_stored = extent(self._encoding, len(sound_TC))
        x_BCT = torch.zeros(1, NUM_CHANNELS, num_encoded * self._encoding.hop)
        x_BCT[0, :, : len(sound_TC)] = torch.from_numpy(sound_TC).t()
        return self.latents(x_BCT)[:num_stored], float(np.abs(sound_TC).max(initial=0.0))

    def silence(self) -> members.Halves:
        """Of a window of silence: its edges differ from its middle, which is the same everywhere."""
        window, reach = self._encoding.window_latents, self._encoding.reach
        num = min(window, 2 * reach + 1)
        found = self.latents(torch.zeros(1, NUM_CHANNELS, num * self._encoding.hop))
        middle = np.repeat(found[reach : reach + 1], window - num + 1, axis=0)
        return found if num == window else np.concatenate([found[:reach], middle, found[reach + 1 :]])

    def latents(self, x_BCT: Tensor) -> members.Halves:
        """Of one clip: (L, 2, D), rounded."""
        with _exact(int(self._encoding.settings["threads"])):
            posterior = self._codec.encode_by(self._sections, x_BCT.to(self.device))
        mean_LD, std_LD = (
            each[0].t().float().cpu().numpy() for each in (posterior.mean_BDL, posterior.std_BDL)
        )
        return members.packed(mean_LD, std_LD)


@contextlib.contextmanager
def _exact(threads: int) -> Iterator[None]:
    """The same sums in the same order: so many threads, no TF32, no algorithm chosen by the clock."""
    cudnn, before = torch.backends.cudnn, torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.set_num_threads(before)


@functools.lru_cache(maxsize=1)
def _encoder(vae: str, digest: str, encoding: _Same) -> Encoder:
    """One codec a process, for all of its units."""
    found = opened.find(vae)
    if (now := found.codec_digest()) != digest:
        raise UsageError(f"--vae {vae}: another codec than when the run began ({now[:12]}…); run it again")
    return Encoder(found.load_codec(), encoding.facts)


class _Same:
    """Facts that are equal if their digests are."""

    def __init__(self, facts: EncodingFacts) -> None:
        self.facts = facts

    def __hash__(self) -> int:
        return hash(self.facts.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.facts.digest == other.facts.digest


@dataclass(frozen=True, slots=True)
class EncodeShard:
    """Runs on a worker: a shard of the dataset becomes a part."""

    data: str
    out: str
    vae: str
    encoding: EncodingFacts

    def __call__(self, job: PartJob) -> Brought:
        return part.bring(open_storage(self.data), open_storage(self.out), self.encoding, job, self._clip)

    def _clip(self, flac: bytes) -> tuple[members.Halves, float]:
        return _encoder(self.vae, self.encoding.codec.sha256, _Same(self.encoding)).clip(flac)


@dataclass(frozen=True, slots=True)
class EncodeSilence:
    """Runs on a worker: the bytes of silence.npy."""

    vae: str
    encoding: EncodingFacts

    def __call__(self, _: int) -> bytes:
        encoder = _encoder(self.vae, self.encoding.codec.sha256, _Same(self.encoding))
        return members.to_bytes(encoder.silence())


@dataclass(frozen=True, slots=True)
class SeesAll:
    """Runs on each node: does it see the output, the dataset and the codec?"""

    out: str
    marker: bytes
    data: str
    vae: str

    def __call__(self) -> None:
        storage = open_storage(self.out)
        if not storage.exists(layout.LOCK) or storage.read(layout.LOCK) != self.marker:
            raise UsageError(
                f"cannot see {self.out}; give --out a folder that every node mounts at the same path, or an "
                "object store (s3://…)"
            )
        if not open_storage(self.data).exists(layout.DATASET):
            raise UsageError(f"cannot see {self.data}; give --data a folder that every node mounts")
        opened.find(self.vae)
