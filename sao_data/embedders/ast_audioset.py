"""AST, the Audio Spectrogram Transformer (Gong et al., 2021): how likely each of AudioSet's 527 classes is.

Default weights: MIT/ast-finetuned-audioset-10-10-0.4593 (BSD-3-Clause, 0.35 GB), for windows of 10.24 s. The
paper used PANNs, which was trained on the same classes. Nothing is downloaded here: the files must lie in a
folder or in the local hub cache, and are read without pickle. Without torchaudio, transformers makes the
features in numpy.

It is a tagger (`tag`: windows of a recording, for the screening) and an embedder (`embed`, `logits`: of
clips, for evaluation, in windows of ten seconds, five apart, as the paper's KL divergence has them).
"""

# Shapes: N or W windows, C channels or classes, T samples of a window at 16 kHz, D dimensions.

from __future__ import annotations

import functools
import warnings
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from sao_data.config import Location
from sao_data.embedders._weights import WeightFiles
from sao_data.errors import UsageError

Floats = npt.NDArray[np.float32]

FILES = ("config.json", "preprocessor_config.json", "model.safetensors")
_HEAD = "classifier.dense.weight"  # (C, hidden)
_TYPE = "audio-spectrogram-transformer"
_WINDOW, _STEP = 10.0, 5.0  # seconds, of what `embed` takes at a time
_FRAMES_PER_SECOND = 100  # the features' hop is 10 ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Which weights, where they lie, and where they are run."""

    model: str = "MIT/ast-finetuned-audioset-10-10-0.4593"  # hub id, looked up in the local hub cache
    folder: Location = ""  # a folder with the model's three files instead; '' = the hub cache
    revision: str = "main"  # branch, tag or commit in the hub cache
    device: Literal["cpu", "auto"] = "cpu"  # auto: the first GPU where there is one
    batch_size: int = 8  # windows at a time


class AstAudioset:
    """A tagger over one such model, which is loaded when tags are first asked for."""

    sample_rate: ClassVar[int] = 16_000  # Hz, of what it listens to

    def __init__(self, config: Config) -> None:
        self._config = config
        self._weights = WeightFiles(
            plugin="ast_audioset",
            files=FILES,
            model=config.model,
            folder=config.folder,
            revision=config.revision,
            instead='screening = "off" in the manifest; an evaluation leaves out kl',
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the config alone: on another node the files may lie elsewhere."""
        return _shared, (self._config,)

    @functools.cached_property
    def labels(self) -> tuple[str, ...]:
        """Display names of the classes, in the order of the probabilities."""
        names = self._weights.read_json("config.json").get("id2label", {})
        return tuple(names[str(number)] for number in range(len(names)))

    @functools.cached_property
    def window_seconds(self) -> float:
        """Length of a window (10.24 s)."""
        frames = int(self._weights.read_json("preprocessor_config.json")["max_length"])
        return frames / _FRAMES_PER_SECOND

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
        return self._weights.shape_of(_HEAD)[1]

    def check(self) -> None:
        """Raise UsageError, with the fix, unless the files are here and fit one another."""
        self._weights.check_type(_TYPE)
        num_classes = self._weights.shape_of(_HEAD)[0]
        if num_classes != len(self.labels):
            raise UsageError(
                f"ast_audioset: {self._weights.place}: {num_classes} classes in the weights, "
                f"{len(self.labels)} in config.json; {self._weights.fix}"
            )

    def digest(self) -> str:
        """sha256 (hex) over the model's files: other weights, other tags."""
        return self._weights.digest()

    def tag(self, audio_NT: Floats) -> Floats:
        """Probabilities (N, C), each class by itself (sigmoid), of mono windows at 16 kHz."""
        import torch

        num_samples = round(self.window_seconds * self.sample_rate)
        assert audio_NT.shape[1:] == (num_samples,), audio_NT.shape
        with torch.inference_mode():
            logits_NC = self._head(self._pooled(list(audio_NT)))
            return np.asarray(torch.sigmoid(logits_NC).cpu().numpy())

    def embed(self, audio_CT: Floats) -> Floats:
        """What the classes are told from, (W, D), of a clip at 16 kHz."""
        length = round(min(_WINDOW, self.window_seconds) * self.sample_rate)
        mono_T = audio_CT.mean(axis=0)
        starts = range(0, max(len(mono_T) - length, 0) + 1, round(length * _STEP / _WINDOW))
        return np.asarray(self._pooled([mono_T[start : start + length] for start in starts]).cpu().numpy())

    def logits(self, embeddings_WD: Floats) -> Floats:
        """(W, C), of what `embed` gave."""
        import torch

        _, model = self._loaded
        with torch.inference_mode():
            given = torch.from_numpy(embeddings_WD).to(model.device)
            return np.asarray(self._head(given).cpu().numpy())

    def _pooled(self, windows: list[Floats]) -> Any:
        """(N, D), before the last layer."""
        import torch

        extractor, model = self._loaded
        found = [torch.empty((0, self.num_dimensions), device=model.device)]
        for start in range(0, len(windows), self._config.batch_size):
            batch = windows[start : start + self._config.batch_size]
            features = extractor(batch, sampling_rate=self.sample_rate, return_tensors="pt")["input_values"]
            with torch.inference_mode():
                found.append(model.audio_spectrogram_transformer(features.to(model.device)).pooler_output)
        return torch.cat(found)

    def _head(self, pooled_ND: Any) -> Any:
        _, model = self._loaded
        return model.classifier(pooled_ND).float()

    @functools.cached_property
    def _loaded(self) -> tuple[Any, Any]:
        """Feature extractor and model."""
        from transformers import ASTFeatureExtractor, ASTForAudioClassification

        with warnings.catch_warnings():  # some of its mel filters are empty; they were in training, too
            warnings.filterwarnings("ignore", "At least one mel filter", UserWarning)
            extractor = ASTFeatureExtractor.from_pretrained(self._weights.place, local_files_only=True)
        return extractor, self._weights.load(ASTForAudioClassification, self._config.device)


def build(config: Config) -> AstAudioset:
    """Make the tagger; nothing is read yet."""
    if config.batch_size < 1:
        raise UsageError(f"ast_audioset: batch_size {config.batch_size}: want 1 or more")
    return AstAudioset(config)


@functools.lru_cache(maxsize=2)
def _shared(config: Config) -> AstAudioset:
    """One a process for all units that bring it along: its weights are loaded once."""
    return build(config)
