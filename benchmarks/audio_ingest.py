"""Whole ingests of made recordings, for benchmarks/audio.py: CPU seconds an hour of audio, by stage."""

from __future__ import annotations

import csv
import os
import resource
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import soundfile
from audio_made import RATE, sound

from sao_data import manifest
from sao_data.execution import executor
from sao_data.ingest import run
from sao_data.stages import base

IN_UNITS = ("judge", "prepare", "pack")  # steps that run bucket by bucket, here or on a cluster
BUCKET_SECONDS = 3_600  # of audio
BY = "https://creativecommons.org/licenses/by/4.0/"


class Clock:
    """A progress that notes the CPU time of each step, and of each stage inside."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self._step, self._since = "start", cpu_seconds()

    def start(self, step: str, total: int | None) -> None:
        """A step begins; what is between two counts for the one before."""
        self._note()
        self._step = step

    def advance(self, num: int) -> None:
        """Nothing is shown."""

    def finish(self) -> None:
        """A step ends."""
        self._note()

    def timed(self, make: Callable[..., None]) -> Callable[..., None]:
        """A stage's work, noted under its name."""

        def noted(stage: base.Stage, *rest: Any) -> None:
            start = cpu_seconds()
            make(stage, *rest)
            name = f"stage {stage.name}"
            self.spent[name] = self.spent.get(name, 0.0) + cpu_seconds() - start

        return noted

    def _note(self) -> None:
        now = cpu_seconds()
        self.spent[self._step] = self.spent.get(self._step, 0.0) + now - self._since
        self._since = now


def report(folder: Path, num_short: int, num_tracks: int, *, with_ray: bool) -> str:
    """Ingest both kinds; two tables in Markdown."""
    lines = []
    for kind, num, seconds in (("ogg", num_short, 5), ("mp3", num_tracks, 300)):
        source = folder / kind
        make_recordings(source, kind, num, seconds)
        chosen = described(source, max(1, round(num * seconds / BUCKET_SECONDS)))
        hours = num * seconds / 3_600
        clock, wall = ingested(chosen, folder / f"{kind}-local", "local")
        lines += [f"{num} files of {seconds} s ({kind}), {hours:.2f} hours:", "", *table(clock, hours)]
        if with_ray:
            by_ray = ingested(chosen, folder / f"{kind}-ray", "ray")[1]
            lines += [f"By Ray {by_ray:.1f} s, here {wall:.1f} s: {by_ray / wall:.2f} times.", ""]
    return "\n".join(lines) + "\n"


def table(clock: Clock, hours: float) -> list[str]:
    """Steps and stages with their shares."""
    steps = {name: spent for name, spent in clock.spent.items() if not name.startswith("stage ")}
    total = sum(steps.values())
    driver = sum(spent for name, spent in steps.items() if name not in IN_UNITS)
    rows = [("whole", total), ("driver", driver), *clock.spent.items()]
    return [
        "| part | CPU s | CPU s an hour of audio | share |",
        "|---|---:|---:|---:|",
        *(f"| {name} | {spent:.2f} | {spent / hours:.2f} | {spent / total:.1%} |" for name, spent in rows),
        "",
    ]


def make_recordings(folder: Path, kind: str, num: int, seconds: int) -> None:
    """Sounds with a metadata.csv; mono Ogg Vorbis, or stereo MP3 at 48 kHz."""
    folder.mkdir()
    with (folder / "metadata.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("file_name", "title", "author", "license", "url"))
        for n in range(num):
            name = f"{n:05d}.{kind}"
            if kind == "ogg":
                wave = sound(seconds, RATE, seed=n)[:, 0]
                soundfile.write(folder / name, wave, RATE, subtype="VORBIS", format="OGG")
            else:
                wave = sound(seconds, 48_000, seed=n)
                soundfile.write(folder / name, wave, 48_000, subtype="MPEG_LAYER_III", format="MP3")
            rows.writerow((name, f"Sound {n}", f"Author {n % 50}", BY, f"https://example.org/{n}"))


def described(folder: Path, num_buckets: int) -> manifest.Manifest:
    """A manifest over the folder."""
    path = folder.with_suffix(".toml")
    path.write_text(
        f'name = "made"\nnum_buckets = {num_buckets}\nscreening = "off"\n'
        f'[[source]]\nplugin = "folder"\npath = "{folder}"\n'
    )
    return manifest.load(path, [], cwd=folder.parent)


def ingested(chosen: manifest.Manifest, out: Path, name: str) -> tuple[Clock, float]:
    """What an ingest takes: CPU time by step, and seconds."""
    make, start = base._make, time.perf_counter()
    clock = Clock()
    base._make = clock.timed(make)
    try:
        with closing(executor.make(name)) as runner:
            run.ingest(chosen, str(out), runner, clock)
    finally:
        base._make = make
    clock.finish()
    return clock, time.perf_counter() - start


def cpu_seconds() -> float:
    """Of this process, of its children that have ended, and of those that run."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime + sum(map(_of, _children()))


def _children() -> list[int]:
    listed = (path.read_text().split() for path in Path("/proc/self/task").glob("*/children"))
    return [int(pid) for pids in listed for pid in pids]


def _of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
