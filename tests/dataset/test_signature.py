"""A version signed and checked; what is not signed, or by somebody else, or was changed since."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sao_data.commands.main import main
from sao_data.dataset.proofs import signature
from sao_data.dataset.reader import open_dataset
from sao_data.dataset.verify import check
from sao_data.errors import UsageError
from tests.datasets_made import build, load, write_folder

PEM, SSH = serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.OpenSSH


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp = tmp_path_factory.mktemp("signed")
    build(load(tmp, write_folder(tmp / "in", 3)), tmp / "out")
    return tmp / "out"


def run(*words: object) -> int:
    return main([str(word) for word in words])


def test_a_version_is_signed_and_a_later_one_is_not(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(built, out)
    assert run("sign", out, "--make-key", tmp_path / "key.pem") == 0
    public = capsys.readouterr().out.split("public key: ")[1].strip()
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600
    assert run("verify", out, "--quick", "--signature", public) == 1
    assert "not signed" in capsys.readouterr().out
    assert run("sign", out, "--key", tmp_path / "key.pem") == 0
    dataset = open_dataset(str(out))
    assert f"{dataset.facts['version']} sha256:{dataset.facts['root_digest']}" in capsys.readouterr().out
    assert run("verify", out, "--signature", public) == 0
    assert check(dataset).findings == ()  # it is no part of what is checked without a key
    kept = next(row for row in dataset.catalogue() if row.kept)
    assert run("takedown", out, "--id", kept.id, "--reason", "asked", "--apply") == 0
    capsys.readouterr()
    assert run("verify", out, "--signature", public) == 1
    assert "has not signed what was made of it since" in capsys.readouterr().out.replace("\n", " ")


@pytest.mark.parametrize(("form", "secret"), [(PEM, b""), (PEM, b"open sesame"), (SSH, b"")])
def test_keys_of_other_tools_will_do(
    form: serialization.PrivateFormat,
    secret: bytes,
    built: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(built, tmp_path / "out")
    dataset, key = open_dataset(str(tmp_path / "out")), Ed25519PrivateKey.generate()
    lock = serialization.BestAvailableEncryption(secret) if secret else serialization.NoEncryption()
    (tmp_path / "key").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, lock))
    public = (serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    (tmp_path / "key.pub").write_bytes(key.public_key().public_bytes(*public))
    if secret:
        with pytest.raises(UsageError, match="its passphrase comes from SAO_SIGNING_PASSPHRASE"):
            signature.sign(dataset, tmp_path / "key")
        monkeypatch.setenv(signature.PASSPHRASE, secret.decode())
    signature.sign(dataset, tmp_path / "key")
    assert signature.finding(dataset, str(tmp_path / "key.pub")) == ""


def test_another_key_and_a_changed_signature_are_told(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built, tmp_path / "out")
    dataset = open_dataset(str(tmp_path / "out"))
    ours, theirs = (signature.make_key(tmp_path / name) for name in ("ours", "theirs"))
    signature.sign(dataset, tmp_path / "ours")
    assert "signed by another key" in signature.finding(dataset, theirs)
    path = tmp_path / "out" / "signature.json"
    path.write_text(path.read_text().replace(dataset.facts["version"], "0" * 12))
    assert "is not what this key signs" in signature.finding(dataset, ours)


def test_what_is_no_key_is_said(built: Path, tmp_path: Path) -> None:
    dataset = open_dataset(str(built))
    (tmp_path / "text").write_text("hello")
    other = ec.generate_private_key(ec.SECP256R1())
    plain = (serialization.Encoding.PEM, PEM, serialization.NoEncryption())
    (tmp_path / "other").write_bytes(other.private_bytes(*plain))
    signature.make_key(tmp_path / "there")
    for call, said in (
        (lambda: signature.sign(dataset, tmp_path / "none"), "no such file; sao sign DIR --make-key"),
        (lambda: signature.sign(dataset, tmp_path / "text"), "no private key"),
        (lambda: signature.sign(dataset, tmp_path / "other"), "of another kind; want Ed25519"),
        (lambda: signature.make_key(tmp_path / "there"), "a key is not written over"),
        (lambda: signature.finding(dataset, "hello"), "no Ed25519 public key"),
        (lambda: signature.finding(dataset, str(tmp_path / "text")), "no Ed25519 public key"),
    ):
        with pytest.raises(UsageError, match=said):
            call()
