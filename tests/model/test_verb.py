import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

from sao_model import checkpoint
from sao_model.model import StableAudioModel
from sao_model.verbs import model as verb


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    assert verb.run(parser.parse_args(arguments)) == 0
    return capsys.readouterr().out


def test_the_big_model_in_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    table = json.loads(shown(capsys, "stable_audio_open", "--json"))
    assert table["name"] == "stable_audio_open"
    assert {key: part["parameters"] for key, part in table["parts"].items()} == {
        "vae": 156_112_514,
        "dit": 1_056_828_544,
        "conditioners": 396_544,
        "text_encoder": 109_628_544,
    }
    assert table["total"] == 1_322_966_146
    assert table["parts"]["dit"] == {
        "parameters": 1_056_828_544, "bytes": 4_227_314_176, "dtype": "float32", "digest": "", "terms": "",
    }  # fmt: skip


def test_a_checkpoint_shows_its_digests(
    tiny: StableAudioModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint.save(tiny, tmp_path / "ckpt")
    table = json.loads(shown(capsys, str(tmp_path / "ckpt"), "--json"))
    stored = checkpoint.describe(tmp_path / "ckpt").parts
    assert {key: part["digest"] for key, part in table["parts"].items()} == {
        key: part.sha256 for key, part in stored.items()
    }
    assert all(part["digest"] for part in table["parts"].values())
    assert "terms not stated" in shown(capsys, str(tmp_path / "ckpt"))


def test_help_brings_no_torch() -> None:
    code = "import sys, sao_model.verbs.model; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"
