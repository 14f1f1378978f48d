"""CLAP (Wu et al. 2023; transformers' ClapModel): sounds and texts as directions in one space.

Default weights: laion/clap-htsat-fused (Apache-2.0, 0.6 GB); unfused checkpoints work, too. Windows of ten
seconds one after another, mono at 48 kHz; a rest below one second is left out. The paper's scores are of
laion_clap's 630k-audioset-fusion-best.pt, with other preparation of the audio: they are not these.
Nothing is downloaded here: the files must lie in a folder or in the local hub cache, and are read without
pickle.
"""

# Shapes: W windows, C channels, T samples at 48 kHz, N texts, D dimensions.

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from sao_data.config import Location
from sao_data.embedders._weights import WeightFiles
from sao_data.errors import UsageError

Floats = npt.NDArray[np.float32]

FILES = (
    "config.json",
    "preprocessor_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
)
_LAST = "audio_projection.linear2.weight"  # (D, D)
_LEAST_SECONDS = 1.0  # of a last window
_MOST_TOKENS = 77  # as laion_clap cuts texts


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Which weights, where they lie, and where they are run."""

    model: str = "laion/clap-htsat-fused"  # hub id, looked up in the local hub cache
    folder: Location = ""  # a folder with the model's files instead; '' = the hub cache
    revision: str = "main"  # branch, tag or commit in the hub cache
    device: Literal["cpu", "auto"] = "cpu"  # auto: the first GPU where there is one
    batch_size: int = 8  # windows at a time


class Clap:
    """An embedder over one such model, which is loaded when it is first asked."""

    sample_rate: ClassVar[int] = 48_000  # Hz, of what it listens to

    def __init__(self, config: Config) -> None:
        self._config = config
        self._weights = WeightFiles(
            plugin="clap",
            files=FILES,
            model=config.model,
            folder=config.folder,
            revision=config.revision,
            instead="mel_stats needs no weights; only the CLAP score needs these",
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the config alone: on another node the files may lie elsewhere."""
        return _shared, (self._config,)

    @property
    def model(self) -> str:
        return self._weights.named

    @property
    def revision(self) -> str:
        return self._config.revision

    @property
    def fetch(self) -> str:
        return self._weights.fetch

    @functools.cached_property
    def num_dimensions(self) -> int:
        return self._weights.shape_of(_LAST)[0]

    def check(self) -> None:
        """Raise UsageError, with the fix, unless the files are here and fit one another."""
        self._weights.check_type("clap")
        rate = self._weights.read_json("preprocessor_config.json").get("sampling_rate")
        if rate != self.sample_rate:
            raise UsageError(f"clap: {self._weights.place}: made for {rate} Hz; want {self.sample_rate}")
        assert self.num_dimensions > 0, self.num_dimensions

    def digest(self) -> str:
        """sha256 (hex) over the model's files."""
        return self._weights.digest()

    def embed(self, audio_CT: Floats) -> Floats:
        """(W, D), each of length one, of a clip at 48 kHz."""
        import torch

        _, extractor, model = self._loaded
        mono_T, length = audio_CT.mean(axis=0), int(extractor.nb_max_samples)
        least = round(_LEAST_SECONDS * self.sample_rate)
        starts = [n for n in range(0, max(len(mono_T), 1), length) if not n or len(mono_T) - n >= least]
        found = []
        for at in range(0, len(starts), self._config.batch_size):
            batch = [mono_T[n : n + length] for n in starts[at : at + self._config.batch_size]]
            features = extractor(batch, sampling_rate=self.sample_rate, return_tensors="pt", **self._how)
            with torch.inference_mode():
                given = model.get_audio_features(
                    input_features=features["input_features"].to(model.device, torch.float32),
                    is_longer=torch.zeros((len(batch), 1), dtype=torch.bool, device=model.device),
                )
            found.append(given.pooler_output.cpu().numpy())
        return np.concatenate(found)

    def embed_texts(self, texts: Sequence[str]) -> Floats:
        """(N, D), each of length one."""
        import torch

        tokenizer, _, model = self._loaded
        found = [np.empty((0, self.num_dimensions), np.float32)]
        for at in range(0, len(texts), self._config.batch_size):
            batch = list(texts[at : at + self._config.batch_size])
            words = tokenizer(
                batch, padding=True, truncation=True, max_length=_MOST_TOKENS, return_tensors="pt"
            )
            with torch.inference_mode():
                given = model.get_text_features(
                    input_ids=words["input_ids"].to(model.device),
                    attention_mask=words["attention_mask"].to(model.device),
                )
            found.append(given.pooler_output.cpu().numpy())
        return np.concatenate(found)

    @property
    def _how(self) -> dict[str, str]:
        """Fused checkpoints take four channels, others one. transformers marks a random clip of a fused batch
        as longer than it is, which nothing here is: the mark is not passed on."""
        audio = self._weights.read_json("config.json").get("audio_config", {})
        return {"truncation": "fusion" if audio.get("enable_fusion") else "rand_trunc"}

    @functools.cached_property
    def _loaded(self) -> tuple[Any, Any, Any]:
        """Tokenizer, feature extractor and model."""
        from transformers import AutoTokenizer, ClapFeatureExtractor, ClapModel

        place: Any = self._weights.place
        tokenizer = AutoTokenizer.from_pretrained(place, local_files_only=True)
        extractor = ClapFeatureExtractor.from_pretrained(place, local_files_only=True)
        return tokenizer, extractor, self._weights.load(ClapModel, self._config.device)


def build(config: Config) -> Clap:
    """Make the embedder; nothing is read yet."""
    if config.batch_size < 1:
        raise UsageError(f"clap: batch_size {config.batch_size}: want 1 or more")
    return Clap(config)


@functools.lru_cache(maxsize=2)
def _shared(config: Config) -> Clap:
    """One a process for all units that bring it along: its weights are loaded once."""
    return build(config)
