"""Qwen2-Audio (Chu et al., 2024; transformers' Qwen2AudioForConditionalGeneration): says what it hears.

Default weights: Qwen/Qwen2-Audio-7B-Instruct (Apache-2.0, 16.8 GB; checked 2026-12-01). A GPU with 24 GB is
wanted; on a CPU in float32 it takes 34 GB and minutes a clip. It hears the first 30 s of a clip, and answers
greedily. Words of a clip follow from that clip alone as long as `batch_size` is 1: with more, a last bit may
differ with the neighbours, and so may a word. Nothing is downloaded here: the files must lie in a folder or
in the local hub cache, and are read without pickle.
"""

# Shapes: T samples at 16 kHz, N clips, L tokens.

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from sao_data import config as configs
from sao_data.config import Location
from sao_data.embedders._weights import WeightFiles
from sao_data.errors import UsageError

Floats = npt.NDArray[np.float32]

FILES = ("config.json", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json")
WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"  # weights in one file, or in several
_TYPE = "qwen2_audio"
_SECONDS = 30  # that it hears
_LEAST = 3_200  # samples: from less transformers makes a single token, and stumbles over it
_ENDS = ("<|im_end|>", "<|endoftext|>")
_ASKED = (
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    "<|im_start|>user\nAudio 1: <|audio_bos|><|AUDIO|><|audio_eos|>\n{}<|im_end|>\n"
    "<|im_start|>assistant\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Which weights, where they lie, where they are run, and what is asked."""

    model: str = "Qwen/Qwen2-Audio-7B-Instruct"  # hub id, looked up in the local hub cache
    folder: Location = ""  # a folder with the model's files instead; '' = the hub cache
    revision: str = "main"  # branch, tag or commit in the hub cache
    device: Literal["cpu", "auto"] = "auto"  # auto: the first GPU where there is one
    dtype: Literal["bfloat16", "float32"] = "bfloat16"  # of the weights while they are run
    batch_size: int = 1  # clips at a time; more is faster, and last bits may then decide words
    max_tokens: int = 64  # of an answer
    question: str = "Describe the sound in one sentence."  # asked of every clip

    def __post_init__(self) -> None:
        for name in ("batch_size", "max_tokens"):
            if getattr(self, name) < 1:
                raise UsageError(f"captioner qwen2_audio: {name} {getattr(self, name)}: want 1 or more")


class Qwen2Audio:
    """A captioner over one such model, which is loaded when it is first asked."""

    sample_rate: ClassVar[int] = 16_000  # Hz, of what it listens to
    max_seconds: ClassVar[int] = _SECONDS

    def __init__(self, config: Config) -> None:
        self._config = config

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the config alone: on another node the files may lie elsewhere."""
        return build, (self._config,)

    @property
    def written_by(self) -> str:
        """Model, revision and weights, for the mark that its words carry."""
        weights = self._weights
        revision = f", revision {self._config.revision}" if not self._config.folder else ""
        return f"{weights.named}{revision}, weights sha256 {self._weights_digest}"

    def check(self) -> None:
        """Raise UsageError, with the fix, unless the files are here and of such a model."""
        self._weights.check_type(_TYPE)

    def digest(self) -> str:
        """sha256 (hex) of all that decides its words: weights, question, length, precision."""
        config = self._config
        said = configs.digest(self._weights_digest, config.question, config.max_tokens, config.dtype)
        return hashlib.sha256(said.encode()).hexdigest()

    def describe(self, clips: Sequence[Floats]) -> list[str]:
        """What it says of each clip, mono at 16 kHz."""
        size = self._config.batch_size
        return [text for at in range(0, len(clips), size) for text in self._answers(clips[at : at + size])]

    def _answers(self, clips: Sequence[Floats]) -> list[str]:
        import torch

        processor, model, limits = self._loaded
        heard = [_padded(clip_T[: _SECONDS * self.sample_rate]) for clip_T in clips]
        asked = [_ASKED.format(self._config.question)] * len(heard)
        given = processor(
            text=asked, audio=heard, sampling_rate=self.sample_rate, return_tensors="pt", padding=True
        ).to(model.device)
        given["input_features"] = given["input_features"].to(model.dtype)
        with torch.inference_mode():
            tokens_NL = model.generate(**given, generation_config=limits)
        answers_NL = tokens_NL[:, given["input_ids"].shape[1] :]
        return [text.strip() for text in processor.batch_decode(answers_NL, skip_special_tokens=True)]

    @functools.cached_property
    def _weights(self) -> WeightFiles:
        """In one file, or in several that an index names."""
        one = self._files(WHOLE)
        if one.is_here():
            return one
        several = self._files(INDEX)
        return self._files(INDEX, *sorted(set(several.read_json(INDEX)["weight_map"].values())))

    @functools.cached_property
    def _weights_digest(self) -> str:
        return self._weights.digest()

    def _files(self, *weights: str) -> WeightFiles:
        return WeightFiles(
            plugin="captioner qwen2_audio",
            files=(*FILES, *weights),
            model=self._config.model,
            folder=self._config.folder,
            revision=self._config.revision,
            instead="leave out [captioner]: captions are then what authors wrote, as in the paper",
            fetches_all=True,
        )

    @functools.cached_property
    def _loaded(self) -> tuple[Any, Any, Any]:
        """Processor, model, and how it answers."""
        import transformers as hf

        place: Any = self._weights.place
        tokenizer = hf.AutoTokenizer.from_pretrained(place, local_files_only=True, padding_side="left")
        extractor = hf.WhisperFeatureExtractor.from_pretrained(place, local_files_only=True)
        new_processor: Any = hf.Qwen2AudioProcessor
        processor = new_processor(feature_extractor=extractor, tokenizer=tokenizer)
        model = self._weights.load(
            hf.Qwen2AudioForConditionalGeneration, self._config.device, dtype=self._config.dtype
        )
        ends = [tokenizer.convert_tokens_to_ids(text) for text in _ENDS]
        new_limits: Any = hf.GenerationConfig
        limits = new_limits(
            max_new_tokens=self._config.max_tokens, do_sample=False, eos_token_id=ends, pad_token_id=ends[-1]
        )
        return processor, model, limits


def build(config: Config) -> Qwen2Audio:
    """Make the captioner; nothing is read yet."""
    return Qwen2Audio(config)


def _padded(clip_T: Floats) -> Floats:
    return np.pad(clip_T, (0, max(0, _LEAST - len(clip_T))))
