"""How far a reconstruction is from its original: STFT distance, MEL distance, SI-SDR (paper 5.2: as in
auraloss with default parameters; STFTLoss and MelSTFTLoss of one resolution, as stable-audio-tools has them).

Every item of a batch by itself: auraloss divides the norms of a whole batch, which a batch of one equals.

Beside them, what the ear notices first: an error of loudness and one of width.

    B batch   C channels   T samples   F frequencies or mel bands   S spectra
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sao_data.audio.loudness_meter import Meter
from sao_data.records import NUM_CHANNELS

Floats = npt.NDArray[np.float32]

SIZE = 1024  # samples of the transform and of its Hann window
HOP = 256
NUM_BANDS = 128  # of the mel scale
_LEAST_WIDTH = 1e-6  # of power: -60 dB
_EPSILON = 1e-8  # least power of a bin, and what keeps divisions finite


def stft_distance(output_BCT: Tensor, original_BCT: Tensor) -> Tensor:
    """Spectral convergence plus L1 of the log magnitudes, (B,)."""
    return _distance(_magnitudes(output_BCT), _magnitudes(original_BCT))


def mel_distance(output_BCT: Tensor, original_BCT: Tensor, sample_rate: int) -> Tensor:
    """The same of 128 mel bands, (B,)."""
    bands_BF = _mel_bands(sample_rate).to(output_BCT.device)
    return _distance(bands_BF @ _magnitudes(output_BCT), bands_BF @ _magnitudes(original_BCT))


def si_sdr(output_BCT: Tensor, original_BCT: Tensor) -> Tensor:
    """Scale-invariant signal-to-distortion ratio in dB, mean over channels, (B,) (Le Roux et al. 2018)."""
    output = output_BCT.float() - output_BCT.float().mean(-1, keepdim=True)
    original = original_BCT.float() - original_BCT.float().mean(-1, keepdim=True)
    scale = (output * original).sum(-1) / (original.square().sum(-1) + _EPSILON)
    part = original * scale[..., None]
    ratio = part.square().sum(-1) / ((output - part).square().sum(-1) + _EPSILON)
    return (10 * torch.log10(ratio + _EPSILON)).mean(-1)


def distances(output_BCT: Tensor, original_BCT: Tensor, sample_rate: int) -> dict[str, Tensor]:
    """All three by name, (B,) each."""
    return {
        "stft": stft_distance(output_BCT, original_BCT),
        "mel": mel_distance(output_BCT, original_BCT, sample_rate),
        "si_sdr": si_sdr(output_BCT, original_BCT),
    }


def loudness_error(output_CT: Floats, original_CT: Floats) -> float:
    """By how many LU the integrated loudness differs, of stereo at 44.1 kHz; nan where one has none (silence,
    or less than 0.4 s)."""
    found = [_lufs(each) for each in (output_CT, original_CT)]
    return abs(found[0] - found[1])


def width_error(output_CT: Floats, original_CT: Floats) -> float:
    """By how many dB the level of the side under that of the middle differs; levels under -60 dB count as
    that. nan for silence, 0 for mono."""
    if len(original_CT) < NUM_CHANNELS:
        return 0.0
    found = [_width(each) for each in (output_CT, original_CT)]
    return abs(found[0] - found[1])


def _lufs(audio_CT: Floats) -> float:
    meter = Meter()
    stereo_TC = np.ascontiguousarray(np.broadcast_to(audio_CT, (NUM_CHANNELS, audio_CT.shape[1])).T)
    meter.feed(np.clip(np.rint(stereo_TC * 32_768), -32_768, 32_767).astype(np.int16))
    lufs = meter.finish().lufs
    return np.nan if lufs is None else lufs


def _width(audio_CT: Floats) -> float:
    middle, side = audio_CT[0] + audio_CT[1], audio_CT[0] - audio_CT[1]
    power = [float(np.square(each, dtype=np.float64).sum()) for each in (middle, side)]
    if not sum(power):
        return np.nan
    least = _LEAST_WIDTH * max(power)
    return 10 * float(np.log10(max(power[1], least) / max(power[0], least)))


def _distance(output_BCFS: Tensor, original_BCFS: Tensor) -> Tensor:
    every = (1, 2, 3)
    norm_B = original_BCFS.square().sum(every).sqrt()
    convergence_B = (original_BCFS - output_BCFS).square().sum(every).sqrt() / norm_B
    return convergence_B + (output_BCFS.log() - original_BCFS.log()).abs().mean(every)


def _magnitudes(x_BCT: Tensor) -> Tensor:
    """(B, C, F, S), float32."""
    window = torch.hann_window(SIZE, device=x_BCT.device)
    spectra = torch.stft(x_BCT.float().flatten(0, 1), SIZE, HOP, SIZE, window, return_complex=True)
    power = (spectra.real.square() + spectra.imag.square()).clamp(min=_EPSILON)
    return power.sqrt().view(*x_BCT.shape[:2], *power.shape[1:])


@functools.cache
def _mel_bands(sample_rate: int) -> Tensor:
    from librosa.filters import mel  # slow to import: librosa is compiled

    return torch.from_numpy(mel(sr=sample_rate, n_fft=SIZE, n_mels=NUM_BANDS))
