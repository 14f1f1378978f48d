"""What ships beside the code is found in a checkout and in an installed wheel."""

from pathlib import Path

import pytest

from sao_data import shipped
from tests.paths import MANIFESTS


def test_the_manifests_are_the_repositorys_or_the_copy_in_the_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shipped.manifests_folder() == MANIFESTS
    monkeypatch.setattr(shipped, "ROOT", tmp_path)
    monkeypatch.setattr(shipped, "PACKAGE", tmp_path / "sao_data")
    assert shipped.manifests_folder() == tmp_path / "sao_data" / "_manifests"
