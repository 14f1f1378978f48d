"""Codecs to be compared: the VAE of a model, or any program that takes a WAV and writes one.

C channels   T samples, at 44.1 kHz
"""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import soundfile
import torch
from torch.nn.functional import pad

from sao_data.errors import Stopped, UsageError
from sao_data.records import SAMPLE_RATE
from sao_model import opened
from sao_model.codec import Codec
from sao_model.sounds import reading

Floats = npt.NDArray[np.float32]


class Reconstructor(Protocol):
    """Takes a sound and gives what is left of it."""

    @property
    def name(self) -> str:
        """What its column is called."""

    @property
    def identity(self) -> str:
        """Of weights or command: the same gives the same."""

    def rebuild(self, audio_CT: Floats) -> Floats:
        """As many samples as came in, stereo at 44.1 kHz."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VaeReconstructor:
    """A VAE of ours or published; the mean of its latents is decoded, so that nothing is drawn."""

    name: str
    identity: str
    codec: Codec

    def rebuild(self, audio_CT: Floats) -> Floats:
        num, hop = audio_CT.shape[1], self.codec.config.hop
        device = next(self.codec.parameters()).device
        x_BCT = pad(torch.from_numpy(audio_CT)[None], (0, -num % hop)).to(device)
        with torch.inference_mode():
            mean_BDL = self.codec.encode_in_chunks(x_BCT).mean_BDL
            y_BCT = self.codec.decode_in_chunks(mean_BDL, num)
        return np.asarray(y_BCT[0].float().cpu().numpy())


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandReconstructor:
    """A program of somebody else: {in} and {out} stand for WAV files. No shell is involved."""

    name: str
    identity: str
    words: tuple[str, ...]

    def rebuild(self, audio_CT: Floats) -> Floats:
        with tempfile.TemporaryDirectory(prefix="sao-codec-") as folder:
            places = {"{in}": str(Path(folder, "in.wav")), "{out}": str(Path(folder, "out.wav"))}
            soundfile.write(places["{in}"], audio_CT.T, SAMPLE_RATE, subtype="FLOAT")
            command = [places.get(word, word) for word in self.words]
            try:
                done = subprocess.run(command, capture_output=True, text=True, check=False)
            except OSError as error:
                raise UsageError(
                    f"codec {self.name}: {command[0]}: {error.strerror}; is it installed?"
                ) from error
            if done.returncode or not Path(places["{out}"]).is_file():
                last = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
                raise Stopped(f"codec {self.name}: exit {done.returncode}, no {{out}}: {last[:200]}")
            found = reading.read(places["{out}"], SAMPLE_RATE).samples_CT
        rebuilt = np.zeros_like(audio_CT)
        num = min(rebuilt.shape[1], found.shape[1])
        rebuilt[:, :num] = found[:, :num]
        return rebuilt


def of_model(folder: str, device: torch.device) -> VaeReconstructor:
    """The VAE in a checkpoint, a run or a published folder; UsageError if it is not of stereo at 44.1 kHz."""
    found = opened.find(folder)
    described = found.describe().config
    if (described.sample_rate, described.codec.num_channels) != (SAMPLE_RATE, 2):
        raise UsageError(
            f"{folder}: a codec of {described.codec.num_channels} channels at {described.sample_rate} Hz; "
            "want stereo at 44100 Hz"
        )
    codec = found.load_codec().to(device).eval()
    return VaeReconstructor(name=Path(folder).name, identity=found.codec_digest(), codec=codec)


def of_command(text: str) -> CommandReconstructor:
    """From "NAME=program {in} {out} …"."""
    name, _, command = text.partition("=")
    words = tuple(shlex.split(command))
    if not name or not words or not {"{in}", "{out}"} <= set(words):
        raise UsageError(f'codec command {text!r}: want "NAME=program … {{in}} … {{out}} …"')
    return CommandReconstructor(name=name, identity=command, words=words)


def check_names(codecs: Sequence[Reconstructor]) -> None:
    """UsageError if two would stand in one column."""
    names = [codec.name for codec in codecs]
    twice = next((name for n, name in enumerate(names) if name in names[:n]), None)
    if twice:
        raise UsageError(f"two codecs are called {twice!r}; rename a folder, or give a command another NAME")
