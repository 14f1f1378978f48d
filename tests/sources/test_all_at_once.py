"""One manifest with every kind of source at once, as a user runs it: nothing offered is unaccounted for.

The fake Freesound serves the shared excerpts over loopback; the data pack repeats some of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from sao_data.dataset.reader import open_dataset
from sao_data.dataset.verify import verify
from tests.fakes.freesound import FakeFreesound, World
from tests.paths import ROOT

SHARED = ROOT.parent / "shared" / "data"
INGEST = [sys.executable, str(ROOT / "pipelines" / "ingest.py")]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SHARED.is_dir(), reason="the shared recordings are not here"),
]

MANIFEST = """
name = "everything"
num_buckets = 4
screening = "off"

[[source]]
plugin = "freesound_api"
base_url = "{base}"
cdn_url = "{cdn}"
licenses = []
level = 99

[[source]]
plugin = "freesound_pack"
path = "{shared}/freesound_data_pack.zip"

[[source]]
plugin = "fma"
metadata = "{shared}/fma/fma_metadata.zip"
audio = "{shared}/fma/fma_full"

[[source]]
plugin = "folder"
path = "{shared}/folder"
"""


def run(tmp: Path, environment: dict[str, str], *more: str) -> subprocess.CompletedProcess[str]:
    command = [
        *INGEST,
        "--manifest",
        tmp / "everything.toml",
        "--out",
        tmp / "out",
        "--executor",
        "local",
        *more,
    ]
    return subprocess.run(
        [str(part) for part in command], env=environment, capture_output=True, text=True, timeout=600
    )


def test_every_offered_recording_of_every_source_is_accounted_for(tmp_path: Path) -> None:
    world = World.from_folder(SHARED / "freesound")
    with FakeFreesound(world, level=99) as fake:
        token = fake.login("operator")
        environment = os.environ | {
            "HOME": str(tmp_path),
            "FREESOUND_TOKEN": fake.client.key,
            "FREESOUND_CLIENT_ID": fake.client.client_id,
        }
        grant = {
            "access_token": token.access,
            "refresh_token": token.refresh,
            "expires_at": 4e9,
            "client_id": fake.client.client_id,
            "base_url": fake.base,
        }
        path = tmp_path / ".config" / "sao" / "freesound.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(grant))
        path.chmod(0o600)
        text = MANIFEST.format(base=fake.base, cdn=fake.cdn + "/", shared=SHARED)
        (tmp_path / "everything.toml").write_text(text)

        refused = run(tmp_path, environment)
        assert refused.returncode == 2
        assert "--accept-terms" in refused.stderr
        made = run(tmp_path, environment, "--accept-terms")
        assert made.returncode == 0, made.stderr
        num_downloads = len(fake.record.of("download", statuses=[200]))
        again = run(tmp_path, environment)
        assert again.returncode == 0
        assert "was complete already" in again.stdout
        assert len(fake.record.of("download", statuses=[200])) == num_downloads
        asked = [sys.executable, "-m", "sao_data", "recheck", str(tmp_path / "out")]
        asked += ["--manifest", str(tmp_path / "everything.toml")]
        world.relicense(next(iter(world.ids())), "by-nc4")
        said = subprocess.run(asked, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=600)
        assert said.returncode == 1, said.stderr
        assert "relicensed" in said.stdout
        assert not fake.record.leaks
        secret = fake.client.key
    dataset = open_dataset(str(tmp_path / "out"))
    assert verify(dataset) == []
    rows = list(dataset.catalogue())
    offers = Counter[str]()
    for row in rows:
        offers[row.source] += row.num_offers
    assert offers == {"freesound": 190 + 24, "fma": 4, "folder": 3}
    assert sum(row.num_offers for row in rows) == dataset.facts["counts"]["offered"]
    assert all(row.kept or row.reason for row in rows)
    reasons = Counter(row.reason for row in rows if not row.kept)
    assert reasons["license_not_allowed"] == 1 + 2 + 1  # Freesound, FMA, folder: their NonCommercial works
    assert reasons["license_needs_review"] == 1  # the folder's public-domain mark
    assert num_downloads == 189
    for file in (tmp_path / "out").rglob("*"):
        assert not file.is_file() or secret.encode() not in file.read_bytes(), file
