"""AST, the Audio Spectrogram Transformer (Gong et al., 2021): how likely each of AudioSet's 527 classes is.

Default weights: MIT/ast-finetuned-audioset-10-10-0.4593 (BSD-3-Clause, 0.35 GB), for windows of 10.24 s. The
paper used PANNs, which was trained on the same classes. Nothing is downloaded here: the files must lie in a
folder or in the local hub cache, and are read without pickle. Without torchaudio, transformers makes the
features in numpy.
"""

# Shapes: N windows, T samples of a window at 16 kHz, C classes.

from __future__ import annotations

import functools
import hashlib
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from sao_data.config import Location
from sao_data.errors import UsageError

Floats = npt.NDArray[np.float32]

FILES = ("config.json", "preprocessor_config.json", "model.safetensors")
_HEAD = "classifier.dense.weight"  # (C, hidden)
_TYPE = "audio-spectrogram-transformer"
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

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the config alone: on another node the files may lie elsewhere."""
        return build, (self._config,)

    @functools.cached_property
    def labels(self) -> tuple[str, ...]:
        """Display names of the classes, in the order of the probabilities."""
        names = self._read_json("config.json").get("id2label", {})
        return tuple(names[str(number)] for number in range(len(names)))

    @functools.cached_property
    def window_seconds(self) -> float:
        """Length of a window (10.24 s)."""
        frames = int(self._read_json("preprocessor_config.json")["max_length"])
        return frames / _FRAMES_PER_SECOND

    def check(self) -> None:
        """Raise UsageError, with the fix, unless the files are here and fit one another."""
        kind = self._read_json("config.json").get("model_type")
        if kind != _TYPE:
            raise UsageError(f"ast_audioset: {self._folder}: a model of type {kind!r}; want {_TYPE!r}")
        num_classes = self._num_classes()
        if num_classes != len(self.labels):
            raise UsageError(
                f"ast_audioset: {self._folder}: {num_classes} classes in the weights, {len(self.labels)} in "
                f"config.json; {self._fix}"
            )

    def digest(self) -> str:
        """sha256 (hex) over the model's files: other weights, other tags."""
        digest = hashlib.sha256()
        for name in FILES:
            with (self._folder / name).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    def tag(self, audio_NT: Floats) -> Floats:
        """Probabilities (N, C), each class by itself (sigmoid), of mono windows at 16 kHz."""
        import torch

        num_samples = round(self.window_seconds * self.sample_rate)
        assert audio_NT.shape[1:] == (num_samples,), audio_NT.shape
        extractor, model = self._loaded
        found = []
        for start in range(0, len(audio_NT), self._config.batch_size):
            batch = list(audio_NT[start : start + self._config.batch_size])
            features = extractor(batch, sampling_rate=self.sample_rate, return_tensors="pt")["input_values"]
            with torch.inference_mode():
                logits_NC = model(features.to(model.device)).logits
            found.append(torch.sigmoid(logits_NC.float()).cpu().numpy())
        return np.concatenate(found) if found else np.empty((0, len(self.labels)), np.float32)

    @functools.cached_property
    def _loaded(self) -> tuple[Any, Any]:
        """Feature extractor and model."""
        import torch
        from transformers import ASTFeatureExtractor, ASTForAudioClassification
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        with warnings.catch_warnings():  # some of its mel filters are empty; they were in training, too
            warnings.filterwarnings("ignore", "At least one mel filter", UserWarning)
            extractor = ASTFeatureExtractor.from_pretrained(self._folder, local_files_only=True)
        loaded: Any = ASTForAudioClassification.from_pretrained(
            self._folder,
            local_files_only=True,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
        model, info = loaded
        if info["missing_keys"]:  # transformers would go on with random numbers
            missing = sorted(info["missing_keys"])[0]
            raise UsageError(f"ast_audioset: {self._folder}: no {missing} in the weights; {self._fix}")
        on_gpu = self._config.device == "auto" and torch.cuda.is_available()
        return extractor, model.eval().to("cuda" if on_gpu else "cpu")

    @functools.cached_property
    def _folder(self) -> Path:
        """Where the files lie; UsageError says where it was looked and how to get them."""
        config = self._config
        found = _in_folder(Path(config.folder)) if config.folder else _in_cache(config.model, config.revision)
        if found is None:
            where = config.folder or f"{config.model}@{config.revision} in {_cache()}"
            raise UsageError(f"ast_audioset: {where}: want {', '.join(FILES)} there; {self._fix}")
        return found

    @property
    def _fix(self) -> str:
        config = self._config
        target = f" --local-dir {config.folder}" if config.folder else ""
        revision = f" --revision {config.revision}" if config.revision != "main" else ""
        fetch = f"hf download {config.model} {' '.join(FILES)}{revision}{target}"
        return f'fetch them (`{fetch}`), or do without: screening = "off" in the manifest'

    def _read_json(self, name: str) -> dict[str, Any]:
        path = self._folder / name
        try:
            read = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UsageError(f"ast_audioset: {path}: no JSON ({error}); {self._fix}") from error
        assert isinstance(read, dict), path
        return read

    def _num_classes(self) -> int:
        """Rows of the last layer; reads the header of the weights only."""
        import safetensors

        path = self._folder / "model.safetensors"
        try:
            with safetensors.safe_open(path, framework="numpy") as weights:
                if _HEAD not in set(weights.keys()):
                    raise UsageError(f"ast_audioset: {path}: no {_HEAD} in it; {self._fix}")
                return int(weights.get_slice(_HEAD).get_shape()[0])
        except safetensors.SafetensorError as error:
            raise UsageError(f"ast_audioset: {path}: damaged or no weights ({error}); {self._fix}") from error


def build(config: Config) -> AstAudioset:
    """Make the tagger; nothing is read yet."""
    if config.batch_size < 1:
        raise UsageError(f"ast_audioset: batch_size {config.batch_size}: want 1 or more")
    return AstAudioset(config)


def _in_folder(folder: Path) -> Path | None:
    return folder if all((folder / name).is_file() for name in FILES) else None


def _in_cache(model: str, revision: str) -> Path | None:
    """The snapshot in the local hub cache that has all files."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        paths = [try_to_load_from_cache(model, name, revision=revision) for name in FILES]
    except HFValidationError as error:
        raise UsageError(
            f"ast_audioset: model {model!r}: no hub id, want owner/name; files of your own: set folder"
        ) from error
    folders = {Path(path).parent for path in paths if isinstance(path, str)}
    whole = all(isinstance(path, str) for path in paths)
    return folders.pop() if whole and len(folders) == 1 else None


def _cache() -> str:
    from huggingface_hub import constants

    return str(constants.HF_HUB_CACHE)
