"""Other people's readers, with the very snippets of the dataset card, read what the tars hold."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest
import soundfile

from tests import processes
from tests.conftest import Cluster

COLLECT = """
rows = samples.take_all() if hasattr(samples, "take_all") else samples
for row in rows:
    facts = json.loads(row["json"]) if isinstance(row["json"], (bytes, str)) else row["json"]
    found[row["__key__"].split("/")[-1]] = [facts, hashlib.sha256(row["flac"]).hexdigest()]
"""
Samples = dict[str, tuple[dict[str, object], bytes]]


@pytest.fixture(scope="module")
def held(demo_dataset: Path) -> Samples:
    """Every sample as the tars hold it: facts and FLAC by key."""
    members: dict[str, dict[str, bytes]] = {}
    for path in sorted((demo_dataset / "shards").glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                file = tar.extractfile(member)
                assert file is not None
                key, _, kind = member.name.partition(".")
                members.setdefault(key, {})[kind] = file.read()
    return {key: (json.loads(parts["json"]), parts["flac"]) for key, parts in members.items()}


def snippets(dataset: Path) -> list[str]:
    """The Python of the card's "How to read it", in order: webdataset, datasets, Ray Data."""
    card = (dataset / "README.md").read_text()
    reading = card.partition("## How to read it")[2].partition("\n## ")[0]
    return [part.partition("```")[0] for part in reading.split("```python\n")[1:]]


def read(dataset: Path, code: str, tmp: Path, env: dict[str, str] | None = None) -> dict[str, list[object]]:
    """Run a snippet in the dataset directory, on the shard it names and on all others; what it read."""
    first = next(word for word in code.split('"') if word.endswith(".tar"))
    shards = sorted(f"shards/{path.name}" for path in (dataset / "shards").glob("*.tar"))
    assert first in shards
    script = tmp / "snippet.py"
    parts = [code.replace(first, shard) + COLLECT for shard in shards]
    lines = ["import hashlib, json", "found = {}", *parts, 'print("FOUND " + json.dumps(found))']
    script.write_text("\n".join(lines))
    env = (env or processes.environment()) | {"HF_HOME": str(tmp), "HF_HUB_OFFLINE": "1"}
    status, said = processes.ran(str(processes.BIN / "python"), str(script), env=env, cwd=dataset)
    assert status == 0, said
    line = next(line for line in said.splitlines() if line.startswith("FOUND "))
    found: dict[str, list[object]] = json.loads(line.removeprefix("FOUND "))
    return found


def digested(held: Samples) -> dict[str, list[object]]:
    return {key: [facts, hashlib.sha256(flac).hexdigest()] for key, (facts, flac) in held.items()}


def test_every_flac_is_stereo_at_44100_with_the_frames_its_facts_state(held: Samples) -> None:
    assert len(held) == 34
    for key, (facts, flac) in held.items():
        info = soundfile.info(io.BytesIO(flac))
        assert (info.format, info.samplerate, info.channels) == ("FLAC", 44_100, 2), key
        assert len(soundfile.read(io.BytesIO(flac))[0]) == facts["num_frames"], key


def test_the_snippet_for_webdataset(demo_dataset: Path, held: Samples, tmp_path: Path) -> None:
    code = snippets(demo_dataset)[0]
    assert "import webdataset" in code
    assert read(demo_dataset, code, tmp_path) == digested(held)


@pytest.mark.parametrize("streaming", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_snippet_for_datasets(streaming: bool, demo_dataset: Path, held: Samples, tmp_path: Path) -> None:
    code = snippets(demo_dataset)[1]
    assert "streaming=True" in code
    code = code.replace("streaming=True", f"streaming={streaming}")
    assert read(demo_dataset, code, tmp_path) == digested(held)


@pytest.mark.ray_cluster
def test_the_snippet_for_ray_data(
    demo_dataset: Path, held: Samples, tmp_path: Path, ray_cluster: Cluster
) -> None:
    code = snippets(demo_dataset)[2]
    assert "ray.data" in code
    assert read(demo_dataset, code, tmp_path, ray_cluster.env()) == digested(held)
