"""What was found, as text, JSON, CSV, and as a page on which both sounds can be heard.

OUT/memorisation.html, .json, .csv      OUT/neighbours/*.flac: both windows of each pair on the page
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from sao_data.dataset.reader import Dataset
from sao_data.records import SAMPLE_RATE
from sao_data.storage import shards
from sao_model.evaluation import page, results, sounds
from sao_model.evaluation.generated import name_of
from sao_model.evaluation.memorisation.found import AskedSound, MemorisationFound, NearWork
from sao_model.evaluation.memorisation.settings import MemorisationSettings
from sao_model.evaluation.sounds import LeftOutSound, SoundItem

PAGE, FACTS, TABLE = "memorisation.html", "memorisation.json", "memorisation.csv"
AUDIO = "neighbours"
_COLUMNS = (
    "sound", "too_near", "embedder", "similarity", "id", "title", "author", "license", "page_url",
    "at_seconds", "work_seconds", "fingerprint", "credit",
)  # fmt: skip


def lines(found: MemorisationFound) -> list[str]:
    """For a terminal."""
    told = []
    for each in found.asked:
        told.append(f"{each.key}  ({each.seconds:.2f} s)")
        told.append(f"  {'TOO NEAR' if each.is_too_near else 'not too near'}: {each.says}")
        for work in each.nearest:
            near = "     –" if work.similarity is None else f"{work.similarity:6.3f}"
            agrees = f"; fingerprint agrees: {work.fingerprint}" if work.fingerprint else ""
            told.append(f"  {near} {work.embedder}: {work.id} at {work.work_seconds:g} s, here at "
                        f"{work.at_seconds:g} s{agrees}")  # fmt: skip
            told += [f"         {work.credit}", f"         {work.page_url or 'no page stated'}"]
    for left in found.left_out:
        told.append(f"{left.key}: left out, {left.reason} ({left.detail})")
    if found.unheard:
        told.append(
            f"{len(found.unheard)} clips of the dataset could not be read, first {found.unheard[0].key}"
        )
    return [*told, found.summary]


def as_json(found: MemorisationFound) -> str:
    """Everything, as one object; paths of this machine are left out."""
    facts = asdict(found)
    for each in facts["asked"]:
        del each["path"]
        for work in each["nearest"]:
            del work["row"]
    facts["summary"] = found.summary
    return json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)


def write(out: Path, found: MemorisationFound, dataset: Dataset, settings: MemorisationSettings) -> Path:
    """Publish all of it in a folder, the page last; its path."""
    ranked = sorted(found.asked, key=lambda each: (not each.is_too_near, -_best(each), each.key))
    pairs = [_pair(out, each, dataset, settings) for each in ranked[: settings.num_listed] if each.nearest]
    results.publish(out / TABLE, _csv(found))
    results.publish(out / FACTS, as_json(found) + "\n")
    text = page.templates().get_template("memorisation.html.j2").render(found=found, pairs=pairs)
    results.publish(out / PAGE, text)
    return out / PAGE


def _best(each: AskedSound) -> float:
    return max((work.similarity for work in each.nearest if work.similarity is not None), default=-1.0)


def _shown(each: AskedSound) -> NearWork:
    """The work that is heard beside a sound: one whose fingerprint agrees, else the nearest."""
    return next((work for work in each.nearest if work.fingerprint), each.nearest[0])


def _pair(out: Path, each: AskedSound, dataset: Dataset, settings: MemorisationSettings) -> dict[str, Any]:
    work, seconds = _shown(each), settings.window_seconds
    stem = f"{name_of(each.key)}-{each.sha256[:12]}"
    theirs = SoundItem(key=work.clip, prompt="", group="", open=_opener(dataset, work.clip))
    ours = SoundItem(key=each.key, prompt="", group="", open=_file(each.path)) if each.path else None
    return {
        "asked": each,
        "work": work,
        "ours": _cut(out, f"{stem}-sound.flac", ours, work.at_seconds, seconds) if ours else "",
        "theirs": _cut(out, f"{stem}-work.flac", theirs, work.work_seconds, seconds),
        "others": [other for other in each.nearest if other is not work],
        "page": work.page_url if work.page_url.startswith(("https://", "http://")) else "",
    }


def _opener(dataset: Dataset, key: str) -> Any:
    row = next(row for row in dataset.samples() if row.key == key)
    return lambda: io.BytesIO(shards.read_sample(dataset.storage, row)[0])


def _file(path: Path) -> Any:
    return lambda: path.open("rb")


def _cut(out: Path, name: str, item: SoundItem, start: float, seconds: float) -> str:
    """A window as FLAC beside the page; its address, '' if the sound cannot be read."""
    read = sounds.read(item, start + seconds, 0.0)
    if isinstance(read, LeftOutSound):
        return ""
    part_TC = np.ascontiguousarray(read.pcm_TC[round(start * SAMPLE_RATE) :])
    path = out / AUDIO / name
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{os.getpid()}-{name}")
    with temporary.open("wb") as file:
        soundfile.write(file, part_TC, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    return f"{AUDIO}/{name}"


def _csv(found: MemorisationFound) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows(_rows(found))
    return text.getvalue()


def _rows(found: MemorisationFound) -> Iterator[tuple[object, ...]]:
    for each in found.asked:
        for work in each.nearest:
            near = "" if work.similarity is None else f"{work.similarity:.6f}"
            yield (
                each.key, int(each.is_too_near), work.embedder, near, work.id, work.title, work.author,
                work.license, work.page_url, work.at_seconds, work.work_seconds, work.fingerprint,
                work.credit,
            )  # fmt: skip
