"""Small folders of made audio, manifests over them, and datasets built from these, for everybody's tests."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path

import numpy as np
import soundfile

from sao_data import manifest
from sao_data.attribution.info import DatasetInfo
from sao_data.dataset import report
from sao_data.dataset.reader import Dataset
from sao_data.dataset.summary import Summary
from sao_data.execution.executor import LocalExecutor
from sao_data.ingest import run
from sao_data.loading.heard import works
from sao_data.storage.backend import Storage

BY = "https://creativecommons.org/licenses/by/4.0/"
CC0 = "https://creativecommons.org/publicdomain/zero/1.0/"
NC = "https://creativecommons.org/licenses/by-nc/4.0/"
SAMPLING = "http://creativecommons.org/licenses/sampling+/1.0/"
PDM = "https://creativecommons.org/publicdomain/mark/1.0/"
COLUMNS = ("file_name", "title", "author", "license", "url", "tags")


class Quiet:
    """A progress that shows nothing."""

    def start(self, step: str, total: int | None) -> None: ...
    def advance(self, num: int) -> None: ...
    def finish(self) -> None: ...


def tone_wav(hz: float, seconds: float = 0.6, rate: int = 44_100, channels: int = 1) -> bytes:
    """A WAV file of a tone at -6 dBFS."""
    time = np.arange(int(seconds * rate)) / rate
    wave = (0.5 * np.sin(2 * np.pi * hz * time) * 32767).astype(np.int16)
    buffer = io.BytesIO()
    soundfile.write(buffer, np.repeat(wave[:, None], channels, axis=1), rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def write_folder(folder: Path, num: int, *, first: int = 0, licenses: tuple[str, ...] = (BY, CC0)) -> Path:
    """`num` tones with a metadata.csv, from the `first`-th on; earlier rows of the table stay."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = read_rows(folder)
    for n in range(first, first + num):
        name = f"tone-{n:03d}.wav"
        (folder / name).write_bytes(tone_wav(200 + 10 * n))
        author = f"Author {int(hashlib.sha256(name.encode()).hexdigest(), 16) % 5}"
        rows.append(
            [name, f"Tone {n}", author, licenses[n % len(licenses)], f"https://example.org/{n}", "tone,sine"]
        )
    return write_rows(folder, rows)


def read_rows(folder: Path) -> list[list[str]]:
    path = folder / "metadata.csv"
    return list(csv.reader(io.StringIO(path.read_text(), newline="")))[1:] if path.exists() else []


def write_rows(folder: Path, rows: list[list[str]]) -> Path:
    with (folder / "metadata.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return folder


def manifest_text(folder: Path | str, extra: str = "", *, name: str = "made", num_buckets: int = 3) -> str:
    return (
        f'name = "{name}"\nnum_buckets = {num_buckets}\nscreening = "off"\n{extra}\n'
        f'[[source]]\nplugin = "folder"\npath = "{folder}"\n\n'
        '[[filter]]\nplugin = "min_seconds"\nseconds = 0.3\n'
    )


def load(
    tmp: Path, folder: Path, extra: str = "", sets: tuple[str, ...] = (), **options: object
) -> manifest.Manifest:
    path = tmp / "manifest.toml"
    path.write_text(manifest_text(folder, extra, **options))  # type: ignore[arg-type]
    return manifest.load(path, list(sets), cwd=tmp)


def build(chosen: manifest.Manifest, out: Path, executor: LocalExecutor | None = None) -> Summary:
    return run.ingest(chosen, str(out), executor or LocalExecutor(), Quiet())


def tree(out: Path, *, work: bool = False) -> dict[str, str]:
    """sha256 of every file of a version that a reader can see (and of work/, if asked for); of earlier
    versions, which a fresh build has never had, nothing."""
    files = (p for p in sorted(out.rglob("*")) if p.is_file())
    named = ((p.relative_to(out).as_posix(), p) for p in files)
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in named
        if name != "lock" and not name.startswith("history/") and (work or not name.startswith("work/"))
    }


def report_on(dataset: Dataset, out: Storage, checkpoint: Path) -> DatasetInfo:
    """The report on what a checkpoint has seen, as pipelines/report.py writes it."""
    heard = works.seen_samples(dataset, checkpoint)
    return report.write(dataset, out, heard, heard.remarks(checkpoint.name))
