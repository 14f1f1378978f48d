"""An evaluation as files: OUT/evaluation.json (every number, and of what), OUT/scores.csv (every clip), and
OUT/sets (the embeddings, so that two evaluations can be compared pair by pair).
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import sao_data
from sao_data.errors import UsageError
from sao_data.storage import documents
from sao_model.evaluation import embeddings
from sao_model.evaluation.embed import EmbeddedSounds
from sao_model.evaluation.scoring import ResultRow
from sao_model.evaluation.sounds import LeftOutSound
from sao_model.metrics.embedded import EmbeddedSet, Identity

FILE, CLIPS, SETS, PAGE = "evaluation.json", "scores.csv", "sets", "index.html"
FORMAT, FORMAT_VERSION = "sao-evaluation", 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolFacts:
    """By what was measured."""

    name: str
    title: str
    digest: str
    seconds: float  # that sounds were cut to
    over: str  # of the Fréchet distance
    scores: tuple[str, ...]  # asked for
    files: Mapping[str, str]  # sha256 of the user's lists


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFacts:
    """One side."""

    what: str
    digest: str  # of keys and audio
    num: int
    left_out: tuple[LeftOutSound, ...]
    notes: tuple[str, ...] = ()

    @property
    def reasons(self) -> str:
        """How many were left out, by reason, in words."""
        counts: dict[str, int] = {}
        for each in self.left_out:
            counts[each.reason] = counts.get(each.reason, 0) + 1
        return ", ".join(f"{num} {reason}" for reason, num in sorted(counts.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationFacts:
    """evaluation.json."""

    format: str = FORMAT
    format_version: int = FORMAT_VERSION
    tool_version: str = sao_data.__version__
    protocol: ProtocolFacts
    num_prompts: int
    measured: SetFacts
    reference: SetFacts | None
    embedders: tuple[Identity, ...]
    scores: tuple[ResultRow, ...]
    not_measured: tuple[str, ...]
    not_comparable: tuple[str, ...]
    sampled: Mapping[str, str | int | float]  # how --model made the sounds; {} = they were there
    memorisation: str = ""  # a sentence; all of it is in memorisation.json; '' = not asked


def facts_of(found: EmbeddedSounds, what: str, notes: Sequence[str]) -> SetFacts:
    return SetFacts(
        what=what,
        digest=found.digest,
        num=len(found.clips),
        left_out=tuple(found.left_out),
        notes=tuple(notes),
    )


def check_free(out: Path) -> None:
    """UsageError if something else lies where the evaluation goes."""
    if out.is_file():
        raise UsageError(f"--out {out}: is a file; give a folder")
    if (
        out.is_dir()
        and any(out.iterdir())
        and not any((out / n).exists() for n in (FILE, "sounds", "embeddings"))
    ):
        raise UsageError(f"--out {out}: holds something else; give an empty folder, or an evaluation's own")


def write(
    out: Path,
    facts: EvaluationFacts,
    measured: EmbeddedSounds,
    reference: Mapping[str, EmbeddedSet],
    by_clip: Mapping[str, Mapping[str, float]],
) -> None:
    """Publish all of it, evaluation.json last."""
    for name, clips in measured.sets.items():
        embeddings.write(out / SETS / f"{name}.measured.npz", clips)
    for name, clips in reference.items():
        embeddings.write(out / SETS / f"{name}.reference.npz", clips)
    publish(out / CLIPS, _csv(measured, by_clip))
    text = json.dumps(asdict(facts), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    publish(out / FILE, text + "\n")


def publish(path: Path, text: str) -> None:
    """A text file, by temporary file, fsync and rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{path.name}")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def read(folder: Path) -> EvaluationFacts:
    """The facts of an evaluation; UsageError if the folder is none."""
    path = folder / FILE
    if not path.is_file():
        raise UsageError(f"{folder}: no evaluation here (no {FILE}); pipelines/evaluate.py --out makes one")
    return documents.read(
        EvaluationFacts, path.read_bytes(), where=str(path), fix="run the evaluation again", error=UsageError
    )


def read_set(folder: Path, embedder: str, side: str) -> EmbeddedSet:
    """The embeddings of one side."""
    return embeddings.read(str(folder / SETS / f"{embedder}.{side}.npz"))


def _csv(measured: EmbeddedSounds, by_clip: Mapping[str, Mapping[str, float]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("key", "prompt", "group", "seconds", "sha256", *by_clip))
    for clip in measured.clips:
        values = (values.get(clip.key) for values in by_clip.values())
        shown = ("" if value is None else f"{value:.6f}" for value in values)
        writer.writerow((clip.key, clip.prompt, clip.group, f"{clip.seconds:.3f}", clip.sha256, *shown))
    return text.getvalue()
