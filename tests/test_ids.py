"""Ids, buckets and names are pure functions of the id, and safe as file names."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sao_data.ids import bucket_of, check_id, clip_id, id_hash, parse_key, sample_key

OWN = st.text(string.ascii_letters + string.digits, min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("recording_id", "number", "key"),
    [
        ("freesound:12345", 0, "freesound-000012345"),
        ("freesound:12345", 1, "freesound-000012345-0001"),
        ("freesound:1234567890", 0, "freesound-1234567890"),
        ("synthetic:0007", 0, "synthetic-000000007"),
        ("folder:take-1", 0, "folder-take-1"),
        ("folder:2014-05-20140501", 1, "folder-2014-05-20140501-0001"),
        # names that the rule for the others would give to two of them
        ("catalogue:7", 0, "catalogue-000000007"),
        ("catalogue:007", 0, "catalogue-007"),
        ("catalogue:000000007", 0, "catalogue-~00000007"),
        ("catalogue:0000000007", 0, "catalogue-0000000007"),
        ("synthetic:7", 0, "synthetic-7"),
        ("folder:rain", 1, "folder-rain-0001"),
        ("folder:rain-0001", 0, "folder-rain~0001"),
        ("folder:rain-0001", 1, "folder-rain~0001-0001"),
        ("folder:rain-0001-0001", 0, "folder-rain-0001~0001"),
        ("freesound:000012345-0001", 0, "freesound-000012345~0001"),
        ("folder:rain-on-roof", 0, "folder-rain-on-roof"),
        ("fma:2", 12, "fma-000000002-0012"),
    ],
)
def test_sample_key_is_made_from_the_id_alone(recording_id: str, number: int, key: str) -> None:
    assert sample_key(recording_id, number) == key
    assert parse_key(key) == (recording_id, number)


SOURCES = st.sampled_from(["catalogue", "synthetic", "freesound", "a_b"])
# what hostile own ids are made of: digits, leading zeros, clip numbers, hashes, other people's padding
PIECES = st.sampled_from(
    ["0", "00", "7", "007", "000000007", "12345", "-0001", "-00010", "-0", "-", "_", "a", "A"]
)
HOSTILE = st.lists(PIECES, min_size=1, max_size=6).map("".join).filter(lambda own: own[0] not in "-_")


@given(source=SOURCES, own=HOSTILE | OWN, number=st.sampled_from([0, 1, 7, 10, 9999, 10_000, 99_999]))
def test_a_key_names_one_clip_and_reads_back(source: str, own: str, number: int) -> None:
    key = sample_key(f"{source}:{own}", number)
    assert parse_key(key) == (f"{source}:{own}", number)
    assert re.fullmatch(r"[A-Za-z0-9_~-]+", key)


@pytest.mark.parametrize(
    "name",
    ["", "rain", "freesound-12345", "catalogue-~07", "folder-a~b", "x-~0001", "X-1", "a-b.c", "a-b-0000"],
)
def test_what_names_no_sample_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"no sample|bad recording id"):
        parse_key(name)


@pytest.mark.parametrize(
    "bad", ["12345", "freesound:", "free sound:1", "freesound:../1", "x:a.b", "x:a/b", "X:1", "x:" + "a" * 81]
)
def test_unsafe_ids_are_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="bad recording id"):
        check_id(bad)


@given(own=OWN, num_buckets=st.integers(1, 5000))
def test_every_recording_has_exactly_one_bucket(own: str, num_buckets: int) -> None:
    recording_id = f"folder:{own}"
    check_id(recording_id)
    bucket = bucket_of(recording_id, num_buckets)
    assert 0 <= bucket < num_buckets
    assert bucket == int(id_hash(recording_id).hex(), 16) % num_buckets


@given(own=OWN, number=st.integers(0, 9999))
def test_sample_keys_fit_a_ustar_name_and_have_no_dot(own: str, number: int) -> None:
    key = sample_key(f"folder:{own}", number)
    assert "." not in key
    assert len(f"{key}.flac") <= 100


def test_clip_ids_name_further_clips() -> None:
    assert clip_id("x:1", 0) == "x:1"
    assert clip_id("x:1", 2) == "x:1#2"
