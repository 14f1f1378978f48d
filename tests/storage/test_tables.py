"""Records survive Parquet; nothing stated is a null there; bytes depend on rows alone."""

import dataclasses
import io
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sao_data.errors import IntegrityError
from sao_data.records import Decision, Evidence, MediaFacts, Offer, Recording, SampleRow, SeekPoint
from sao_data.rights.known_audio import KnownAudio
from sao_data.storage import tables
from sao_data.storage.backend import LocalStorage

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)


@given(
    title=TEXT, tags=st.lists(TEXT, max_size=4), seconds=st.none() | st.floats(0, 1e6), explicit=st.booleans()
)
def test_recordings_survive(title: str, tags: list[str], seconds: float | None, explicit: bool) -> None:
    recording = Recording(
        id="x:1",
        source="x",
        title=title,
        tags=tuple(tags),
        is_explicit=explicit,
        media=MediaFacts(seconds=seconds),
    )
    data = tables.to_bytes(Offer, [Offer(recording=recording, raw="{}")])
    storage = _Memory(data)
    assert tables.read(storage, "t", Offer) == [Offer(recording=recording, raw="{}")]  # type: ignore[arg-type]


def test_only_a_column_that_was_added_later_may_be_missing() -> None:
    fields = {field.name: "" for field in dataclasses.fields(KnownAudio)}
    row = KnownAudio(**fields | {"spectral_hash": "A"})
    whole = pq.read_table(io.BytesIO(tables.to_bytes(KnownAudio, [row])))
    for left_out, is_read in (("spectral_hash", True), ("fingerprint", False)):
        buffer = io.BytesIO()
        pq.write_table(whole.drop_columns([left_out]), buffer)
        storage = _Memory(buffer.getvalue())
        if is_read:
            assert tables.read(storage, "t", KnownAudio) == [dataclasses.replace(row, spectral_hash="")]  # type: ignore[arg-type]
        else:
            with pytest.raises(IntegrityError, match="no column fingerprint"):
                tables.read(storage, "t", KnownAudio)  # type: ignore[arg-type]


def test_unstated_strings_are_nulls_in_the_file() -> None:
    decision = Decision(
        recording_id="x:1", license="", family="UNKNOWN", verdict="deny", rule="r", evidence=Evidence()
    )
    table = pq.read_table(io.BytesIO(tables.to_bytes(Decision, [decision])))
    assert table.column("license").null_count == 1
    assert table.column("version").null_count == 1
    assert table.schema.metadata is None
    assert tables.read(_Memory(tables.to_bytes(Decision, [decision])), "t", Decision) == [decision]  # type: ignore[arg-type]


def test_equal_rows_give_equal_bytes_and_row_groups_are_fixed(tmp_path: Path) -> None:
    rows = [_row(n) for n in range(tables.ROW_GROUP + 1)]
    storage = LocalStorage(tmp_path)
    first = tables.write(storage, "a.parquet", SampleRow, rows)
    assert first == tables.write(storage, "b.parquet", SampleRow, iter(rows))
    with storage.open("a.parquet") as file:
        assert pq.ParquetFile(file).num_row_groups == 2
    assert list(tables.iterate(storage, "a.parquet", SampleRow)) == rows


def _row(n: int) -> SampleRow:
    return SampleRow(
        key=f"x-k{n}",
        recording_id=f"x:{n}",
        shard="train-000000.tar",
        flac_offset=n,
        flac_size=1,
        json_offset=2,
        json_size=3,
        sha256=64 * "a",
        json_sha256=64 * "b",
        num_frames=5,
        seek_points=(SeekPoint(frame=0, byte=42), SeekPoint(frame=441_000, byte=n)),
        credit="c",
    )


class _Memory:
    url = "memory"

    def __init__(self, data: bytes) -> None:
        self._data = data

    def open(self, _name: str) -> io.BytesIO:
        return io.BytesIO(self._data)
