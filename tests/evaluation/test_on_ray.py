"""Sounds are embedded on a Ray cluster as they are here."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests import processes
from tests.conftest import Cluster
from tests.evaluation.conftest import Weights
from tests.paths import ROOT


@pytest.mark.slow
@pytest.mark.ray_cluster
def test_an_evaluation_on_a_cluster_is_that_of_one_process(
    ray_cluster: Cluster, near: Path, reference: Path, weights: Weights, tmp_path: Path
) -> None:
    found = {}
    for name in ("local", "ray"):
        out = tmp_path / name
        status, said = processes.ran(
            *(sys.executable, str(ROOT / "pipelines" / "evaluate.py"), "--protocol", "own_validation"),
            *("--executor", name, "--sounds", str(near), "--reference", str(reference), "--out", str(out)),
            *(word for each in weights.sets for word in ("--set", each)),
            env=ray_cluster.env(),
        )
        assert status == 0, said
        found[name] = json.loads((out / "evaluation.json").read_text())
        assert len(list((out / "embeddings").rglob("*.npz"))) == 140  # 40 sounds by three, 20 texts
    assert found["ray"] == found["local"]
