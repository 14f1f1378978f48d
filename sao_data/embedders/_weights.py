"""Weights that lie in a folder or in the local hub cache: found, digested, never downloaded."""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sao_data.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class WeightFiles:
    """The files of one model, and what to say where they are missing."""

    plugin: str  # that needs them
    files: tuple[str, ...]
    model: str  # hub id
    folder: str  # '' = the hub cache
    revision: str
    instead: str  # what works without them
    fetches_all: bool = False  # the command that gets them names no files: how many there are is the model's

    @functools.cached_property
    def place(self) -> Path:
        """Where the files lie; UsageError says where it was looked and how to get them."""
        found = self._in_folder(Path(self.folder)) if self.folder else self._in_cache()
        if found is None:
            where = self.folder or f"{self.model}@{self.revision} in {_cache()}"
            raise UsageError(f"{self.plugin}: {where}: want {', '.join(self.files)} there; {self.fix}")
        return found

    def is_here(self) -> bool:
        """Are all files there?"""
        return (self._in_folder(Path(self.folder)) if self.folder else self._in_cache()) is not None

    @property
    def fetch(self) -> str:
        """The command that gets them."""
        target = f" --local-dir {self.folder}" if self.folder else ""
        revision = f" --revision {self.revision}" if self.revision != "main" else ""
        files = "" if self.fetches_all else f" {' '.join(self.files)}"
        return f"hf download {self.model}{files}{revision}{target}"

    @property
    def fix(self) -> str:
        return f"fetch them (`{self.fetch}`), or do without: {self.instead}"

    @property
    def named(self) -> str:
        """What the weights are called: a hub id, or the name of a folder of one's own."""
        return Path(self.folder).name if self.folder else self.model

    def digest(self) -> str:
        """sha256 (hex) over the files: other weights, other numbers."""
        digest = hashlib.sha256()
        for name in self.files:
            with (self.place / name).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    def read_json(self, name: str) -> dict[str, Any]:
        """One of the files, a JSON object."""
        path = self.place / name
        try:
            read = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UsageError(f"{self.plugin}: {path}: no JSON ({error}); {self.fix}") from error
        assert isinstance(read, dict), path
        return read

    def check_type(self, wanted: str) -> None:
        """UsageError for the config of another kind of model."""
        kind = self.read_json("config.json").get("model_type")
        if kind != wanted:
            raise UsageError(f"{self.plugin}: {self.place}: a model of type {kind!r}; want {wanted!r}")

    def shape_of(self, tensor: str) -> tuple[int, ...]:
        """Shape of one tensor; reads the header of the weights only."""
        import safetensors

        path = self.place / "model.safetensors"
        try:
            with safetensors.safe_open(path, framework="numpy") as weights:
                if tensor not in set(weights.keys()):
                    raise UsageError(f"{self.plugin}: {path}: no {tensor} in it; {self.fix}")
                return tuple(weights.get_slice(tensor).get_shape())
        except safetensors.SafetensorError as error:
            raise UsageError(f"{self.plugin}: {path}: damaged or no weights ({error}); {self.fix}") from error

    def load(self, cls: Any, device: str, *, dtype: str = "float32") -> Any:
        """The model of transformers, whole: it would go on with random numbers where any are missing."""
        import torch
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        model, info = cls.from_pretrained(
            self.place,
            local_files_only=True,
            use_safetensors=True,
            dtype=getattr(torch, dtype),
            output_loading_info=True,
        )
        if info["missing_keys"]:
            missing = sorted(info["missing_keys"])[0]
            raise UsageError(f"{self.plugin}: {self.place}: no {missing} in the weights; {self.fix}")
        on_gpu = device == "auto" and torch.cuda.is_available()
        return model.eval().to("cuda" if on_gpu else "cpu")

    def _in_folder(self, folder: Path) -> Path | None:
        return folder if all((folder / name).is_file() for name in self.files) else None

    def _in_cache(self) -> Path | None:
        """The snapshot in the local hub cache that has all files."""
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError

        try:
            paths = [try_to_load_from_cache(self.model, name, revision=self.revision) for name in self.files]
        except HFValidationError as error:
            raise UsageError(
                f"{self.plugin}: model {self.model!r}: no hub id, want owner/name; "
                "files of your own: set folder"
            ) from error
        folders = {Path(path).parent for path in paths if isinstance(path, str)}
        whole = all(isinstance(path, str) for path in paths)
        return folders.pop() if whole and len(folders) == 1 else None


def _cache() -> str:
    from huggingface_hub import constants

    return str(constants.HF_HUB_CACHE)
