"""Zip files and folders alike: streamed, checked, never extracted; damaged is told from absent."""

from __future__ import annotations

import hashlib
import os
import pickle
import random
import struct
import zipfile
from pathlib import Path

import pytest

from sao_data.errors import UsageError
from sao_data.sources._common import member
from sao_data.sources._common.archive import Archive, DamagedFile, is_safe
from tests.paths import SHARED

SOUND = random.Random(1).randbytes(300_000) + bytes(300_000)
METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2]


def zipped(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Archive:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return archive_at(path)


def archive_at(path: Path) -> Archive:
    return Archive(path=str(path), key="path", plugin="test")


def read(archive: Archive, name: str = "0/7.wav") -> bytes:
    with archive.open(name) as file:
        return file.read()


def patch(path: Path, offset_in_entry: int, value: bytes) -> None:
    """Overwrite part of the first entry of the zip's central directory."""
    data = bytearray(path.read_bytes())
    start = data.index(b"PK\1\2") + offset_in_entry
    data[start : start + len(value)] = value
    path.write_bytes(data)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("step", [1_000, 262_144, 1 << 24])
def test_member_is_streamed_whole_in_any_steps(tmp_path: Path, method: int, step: int) -> None:
    archive = zipped(tmp_path / "x.zip", {"a": b"", "0/7.wav": SOUND, "b": b"end"}, method)
    with archive.open("0/7.wav") as file:
        parts = list(iter(lambda: file.read(step), b""))
    assert b"".join(parts) == SOUND
    assert read(archive, "a") == b""


def test_folder_gives_what_its_zip_gives(tmp_path: Path) -> None:
    members = {
        "r/metadata/m_1.csv": b"1",
        "r/metadata/m_0.csv": b"0",
        "r/0/7.wav": SOUND,
        "r/metadata/x.txt": b"",
    }
    zip_archive = zipped(tmp_path / "x.zip", members)
    for name, data in members.items():
        (tmp_path / "f" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "f" / name).write_bytes(data)
    for archive in (zip_archive, archive_at(tmp_path / "f")):
        archive.check()
        assert archive.files("r/metadata/m_*.csv") == ["r/metadata/m_0.csv", "r/metadata/m_1.csv"]
        assert archive.files("*.csv") == []
        assert archive.folders("metadata", "*/metadata") == ["r/metadata"]
        assert archive.folders("[0-9]", "*/[0-9]") == ["r/0"]
        assert read(archive, "r/0/7.wav") == SOUND
        facts = archive.facts("r/0/7.wav")
        assert facts is not None
        assert facts.num_bytes == len(SOUND)
        assert archive.facts("r/0/8.wav") is None
        assert archive.refused() == []
        with pytest.raises(FileNotFoundError):
            archive.open("r/0/8.wav")


@pytest.mark.parametrize("method", METHODS)
def test_flipped_byte_is_damage(tmp_path: Path, method: int) -> None:
    path = tmp_path / "x.zip"
    zipped(path, {"0/7.wav": SOUND}, method)
    data = bytearray(path.read_bytes())
    data[5_000] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(DamagedFile, match=r"0/7\.wav: "):
        read(archive_at(path))


def test_wrong_crc32_is_damage_that_names_both(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    zipped(path, {"0/7.wav": b"RIFF"}, zipfile.ZIP_STORED)
    patch(path, 16, b"\1\2\3\4")
    with pytest.raises(DamagedFile, match=r"0/7\.wav: crc32 [0-9a-f]{8}, declared 04030201"):
        read(archive_at(path))


@pytest.mark.parametrize(
    ("declared", "said"),
    [(599_999, "holds more than the 599999 bytes"), (600_001, "ends after 600000 of 600001")],
)
def test_size_other_than_declared_is_damage(tmp_path: Path, declared: int, said: str) -> None:
    path = tmp_path / "x.zip"
    zipped(path, {"0/7.wav": SOUND})
    patch(path, 24, struct.pack("<I", declared))
    with pytest.raises(DamagedFile, match=said):
        read(archive_at(path))


def test_offset_into_nothing_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    zipped(path, {"0/7.wav": SOUND})
    patch(path, 42, struct.pack("<I", 1_000))
    with pytest.raises(DamagedFile, match="nothing of it where"):
        archive_at(path).open("0/7.wav")


@pytest.mark.parametrize(
    ("offset", "value", "said"),
    [
        (8, b"\1", "is encrypted"),
        (10, struct.pack("<H", zipfile.ZIP_LZMA), "compressed by method 14"),
        (38, struct.pack("<I", 0o120777 << 16), "is a link"),
    ],
)
def test_member_that_must_not_be_opened_says_why(
    tmp_path: Path, offset: int, value: bytes, said: str
) -> None:
    path = tmp_path / "x.zip"
    zipped(path, {"0/7.wav": b"target"})
    patch(path, offset, value)
    with pytest.raises(DamagedFile, match=rf"0/7\.wav: .*{said}"):
        archive_at(path).open("0/7.wav")


def test_member_that_declares_too_much_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(member, "MOST_BYTES", 599_999)
    archive = zipped(tmp_path / "x.zip", {"0/7.wav": SOUND})
    with pytest.raises(DamagedFile, match="declares 600000 bytes > 599999"):
        archive.open("0/7.wav")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_name_that_stands_twice_is_not_guessed_at(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("0/7.wav", b"one")
        archive.writestr("0/7.wav", b"two")
    with pytest.raises(DamagedFile, match="twice"):
        archive_at(tmp_path / "x.zip").open("0/7.wav")


@pytest.mark.parametrize("cut", [0, 100, -1])
def test_cut_zip_is_a_usage_error_with_the_fix(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "x.zip"
    zipped(path, {"0/7.wav": SOUND})
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(UsageError, match=r"x\.zip: no whole zip file .*download it again"):
        archive_at(path).check()


def test_data_before_the_zip_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    zipped(path, {"0/7.wav": SOUND})
    path.write_bytes(b"stub" * 100 + path.read_bytes())
    assert read(archive_at(path)) == SOUND


def test_zip64_member_is_read(tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(tmp_path / "x.zip", "w") as archive,
        archive.open("0/7.wav", "w", force_zip64=True) as file,
    ):
        file.write(SOUND)
    assert read(archive_at(tmp_path / "x.zip")) == SOUND


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("000/000002.mp3", True),
        ("a b/é.wav", True),
        ("..wav", True),
        ("", False),
        ("../x.wav", False),
        ("a/../../x.wav", False),
        ("/etc/passwd", False),
        ("C:/x.wav", False),
        ("..\\x.wav", False),
        ("a//b.wav", False),
        ("./a.wav", False),
        ("a\n.wav", False),
    ],
)
def test_names_that_lead_out_are_told(name: str, safe: bool) -> None:
    assert is_safe(name) == safe


@pytest.mark.parametrize("name", ["../x.wav", "/etc/passwd", "a/../../x.wav", "..\\x.wav"])
def test_names_that_lead_out_are_not_opened(name: str, tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    archive = zipped(tmp_path / "x.zip", {name: b"1"})
    assert archive.refused() == [name]
    for each in (archive, archive_at(tmp_path / "f")):
        with pytest.raises(DamagedFile, match="leads out of the archive"):
            each.open(name)


def test_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "f" / "7.wav").symlink_to("../secret")
    with pytest.raises(DamagedFile, match="leaves the folder"):
        archive_at(tmp_path / "f").open("7.wav")


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is absent")
@pytest.mark.parametrize("name", ["zip-slip.zip", "zip-slip-win.zip"])
def test_zip_slip_is_named_and_not_opened(name: str) -> None:
    archive = archive_at(SHARED / "odd_audio" / "_archives" / "zip-slip" / name)
    (refused,) = archive.refused()
    assert ".." in refused
    with pytest.raises(DamagedFile, match="leads out"):
        archive.open(refused)


def test_archive_that_vanished_is_transient_not_a_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    archive = zipped(path, {"0/7.wav": SOUND})
    archive.check()
    path.unlink()
    with pytest.raises(OSError, match="vanished") as raised:
        archive.open("0/7.wav")
    assert not isinstance(raised.value, FileNotFoundError)


def test_replaced_archive_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    archive = zipped(path, {"0/7.wav": b"one"})
    assert read(archive) == b"one"
    zipped(path, {"0/7.wav": b"three"})
    assert read(archive) == b"three"


def test_used_archive_pickles_and_holds_no_open_file(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "x.zip", {"0/7.wav": SOUND})
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    copy = pickle.loads(pickle.dumps(archive))
    assert hashlib.sha256(read(copy)).digest() == hashlib.sha256(SOUND).digest()
    assert before == (len(os.listdir("/proc/self/fd")) if before else 0)


def test_absent_archive_is_a_usage_error_with_the_fix(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no such zip file or folder; set source\.path"):
        archive_at(tmp_path / "nowhere.zip").check()
