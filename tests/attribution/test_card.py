"""Dataset card and Croissant: what they say of reading the shards is true."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from sao_data.attribution.card import dataset_card, split_name
from sao_data.attribution.croissant import croissant
from sao_data.attribution.features import SampleField, sample_features
from tests.attribution.made_rows import CC0, KEPT, SAMPLING_PLUS, dropped, info_of, kept

ROWS = [
    kept(1),
    kept(2, **CC0),
    kept(3, **SAMPLING_PLUS, shards=("train-sampling-plus-000000.tar",)),
    dropped(4, num_offers=2),
]


def sample_json(**values: object) -> dict[str, object]:
    """A sample's JSON with the declared types and empty values."""
    empty = {"string": "", "int64": 0}
    facts = {field.name: [] if field.is_list else empty[field.dtype] for field in sample_features()}
    return {**facts, **values}


def write_shard(path: Path, prompts: list[str]) -> None:
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for number, prompt in enumerate(prompts):
            facts = sample_json(prompt=prompt, credit="c", tags=["rain"] * number)
            for ending, data in (("flac", b"fLaC"), ("json", json.dumps(facts).encode())):
                member = tarfile.TarInfo(f"freesound-{number:09d}.{ending}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))


def code_block(card: str, start: str) -> str:
    return next(block for block in card.split("```python\n")[1:] if block.startswith(start)).partition("```")[
        0
    ]


def test_features_follow_the_record() -> None:
    fields = {field.name: field for field in sample_features()}
    assert fields["tags"] == SampleField(name="tags", dtype="string", is_list=True)
    assert fields["clip"] == SampleField(name="clip", dtype="int64")
    assert list(fields) == sorted(fields)


def test_card_says_counts_licences_and_limits() -> None:
    card = dataset_card(info_of(ROWS, contact="x@example.org"))
    for said in (
        "- cc-by-3.0\n- cc0-1.0\n- other\n",
        "- n<1K",
        "| recordings | 3 |",
        "| offered by the sources | 5 |",
        "(`license_not_allowed`) | −1 |",
        "| **kept** | **3** |",
        "non-commercially only",
        "x@example.org",
        "dropped.csv",
    ):
        assert said in card, said


def test_card_is_loud_without_contact() -> None:
    assert "**No contact was stated" in dataset_card(info_of(ROWS))


def test_card_of_an_empty_dataset_is_written() -> None:
    assert dataset_card(info_of([])).startswith("---\npretty_name:")


def test_front_matter_survives_a_hostile_name() -> None:
    card = dataset_card(
        info_of(ROWS, name='a"\n---\nlicense: mit', description="</details><script>x</script>")
    )
    front = card.split("\n---\n")[0]
    assert front.splitlines()[1] == 'pretty_name: "a\\" --- license: mit"'
    assert "<script>" not in card.replace("\\<", "")


# webdataset leaves the closing of its files to the garbage collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_webdataset_snippet_reads_the_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shard(tmp_path / "shards" / "train-000000.tar", ["rain", "fire"])
    monkeypatch.chdir(tmp_path)
    exec(code_block(dataset_card(info_of(ROWS)), "import json"), {})
    assert capsys.readouterr().out == "rain - c\nfire - c\n"


def test_datasets_snippet_reads_the_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    write_shard(tmp_path / "shards" / "train-000000.tar", ["rain", "fire"])
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(code_block(dataset_card(info_of(ROWS)), "from datasets"), names)
    samples = list(names["samples"])  # type: ignore[call-overload]
    assert [sample["json"]["prompt"] for sample in samples] == ["rain", "fire"]
    assert samples[1]["json"]["tags"] == ["rain"]
    assert samples[0]["flac"] == b"fLaC"


def test_front_matter_declares_the_same_features() -> None:
    datasets = pytest.importorskip("datasets")
    yaml = pytest.importorskip("yaml")
    card = dataset_card(info_of(ROWS))
    front = yaml.safe_load(card.split("---\n")[1])
    declared = datasets.Features._from_yaml_list(front["dataset_info"][0]["features"])
    names: dict[str, object] = {}
    exec(code_block(card, "from datasets").partition("samples =")[0], names)
    assert declared == names["features"]


def test_no_series_takes_the_shards_of_another(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    front = yaml.safe_load(dataset_card(info_of(ROWS)).split("---\n")[1])
    for name in ("train-000000.tar", "train-sampling-plus-000000.tar"):
        write_shard(tmp_path / "shards" / name, [])
    found = {
        entry["split"]: [path.name for path in tmp_path.glob(entry["path"])]
        for entry in front["configs"][0]["data_files"]
    }
    assert found == {"train": ["train-000000.tar"], "train_sampling_plus": ["train-sampling-plus-000000.tar"]}
    assert split_name("train-sampling-plus") == "train_sampling_plus"


def test_croissant_lists_every_shard_and_field() -> None:
    info = info_of(ROWS)
    described = croissant(info, sample_features())
    files = [entry for entry in described["distribution"] if entry["@type"] == "cr:FileObject"]
    assert [(f["@id"], f["sha256"]) for f in files] == [(shard.name, shard.sha256) for shard in info.shards]
    fields = {field["name"]: field for field in described["recordSet"][0]["field"]}
    assert set(fields) == {"key", "flac"} | {field.name for field in sample_features()}
    assert fields["tags"]["isArray"] is True
    assert KEPT.license_url in described["license"]
    assert described == croissant(info_of(ROWS[::-1]))
