"""Licence claims are read like money: one table of inputs, and invariants over generated ones.

licence_claims.tsv is ours (expected values from what the licences say, not from the parser), with backslash
escapes for characters that would not survive in a table; ../shared holds claims seen in the wild.
"""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sao_data.errors import UsageError
from sao_data.licences import (
    Licence,
    Policy,
    Release,
    judge,
    license_name,
    license_url,
    parse,
    parse_fields,
)
from sao_data.licences.claims import _id
from sao_data.licences.table import read, table
from tests.paths import MANIFESTS

HERE = Path(__file__).parent
WILD = HERE.parent.parent / "shared" / "data" / "licence_strings.tsv"

# Rows of the shared table that contradict each other or invent a version; the decisions agree.
WILD_EXCEPTIONS = {
    # Flickr's name for version 2.0, but the string states none
    "Attribution-NonCommercial-ShareAlike License": ("CC-BY-NC-SA", ""),
    # the id says 1.0 and the version column nothing; other rows of the same licence have 1.0 in both
    "Attribution-Noncommercial-Sampling Plus": ("LicenseRef-CC-NC-Sampling-Plus-1.0", "1.0"),
    # the US port is dropped from the id here, while Italy's, Canada's and Poland's are kept
    "Attribution-Noncommercial-No Derivative Works 3.0 United States": (
        "LicenseRef-CC-BY-NC-ND-3.0-US",
        "3.0",
    ),
    "Attribution-Noncommercial-Share Alike 3.0 United States": ("LicenseRef-CC-BY-NC-SA-3.0-US", "3.0"),
    "http://www.myspace.com/awayoflifemusic  http://creativecommons.org/licenses/by-nc-sa/3.0/us/": (
        "LicenseRef-CC-BY-NC-SA-3.0-US",
        "3.0",
    ),
}
ALLOWED_NAMES = ("CC BY 4.0", "Attribution", "CC0", "Sampling+", "Creative Commons Attribution 3.0 Unported")
ALLOWED_URLS = (
    "https://creativecommons.org/licenses/by/4.0/",
    "http://creativecommons.org/licenses/by/3.0/us/",
    "http://creativecommons.org/publicdomain/zero/1.0/",
    "http://creativecommons.org/licenses/sampling+/1.0/",
)
RESTRICTIONS = (
    "NC", "nd", "SA", "NonCommercial", "Non-Commercial", "non commercial", "NoDerivs", "No Derivatives",
    "No Derivative Works", "ShareAlike", "Share Alike", "no commercial use",
)  # fmt: skip
LOOKALIKES = str.maketrans({"c": "с", "e": "е", "o": "о", "a": "а", "b": "Ь", "y": "у", "i": "і", "0": "О"})


def rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)


def unescape(text: str) -> str:
    pattern = r"\\(?:u[0-9a-f]{4}|U[0-9a-f]{8}|x[0-9a-f]{2}|[tn\\])"
    return re.sub(pattern, lambda found: found[0].encode().decode("unicode_escape"), text)


def verdict(licence: Licence) -> str:
    return judge(licence, Policy(), Release()).verdict


def is_allowed(claim: str) -> bool:
    return verdict(parse(claim)) == "allow"


def texts() -> Iterator[tuple[str, str, str]]:
    """Every published text: unit, version, port."""
    for unit in table().units.values():
        yield from ((unit.slug, version, "") for version in unit.versions if version)
        yield from ((unit.slug, version, port) for version, ports in unit.ports.items() for port in ports)


CLAIMS = tuple(rows(HERE / "licence_claims.tsv"))


def test_claims_are_read_as_the_table_says() -> None:
    wrong = []
    for row in CLAIMS:
        licence = parse(unescape(row["claim"]))
        got = (licence.license_id, licence.family, licence.version, verdict(licence))
        if got != (row["license_id"], row["family"], row["version"], row["decision"]):
            wrong.append((row, got, licence.why))
    assert wrong == []


def test_table_has_three_hundred_different_claims() -> None:
    claims = [row["claim"] for row in CLAIMS]
    assert len(set(claims)) == len(claims) >= 300


@pytest.mark.skipif(not WILD.exists(), reason="../shared/data/licence_strings.tsv is absent")
def test_claims_seen_in_the_wild_are_read_and_decided_as_they_should() -> None:
    wrong = []
    for row in rows(WILD):
        claim = {"<EMPTY>": "", "<NaN>": "nan"}.get(row["claim"], row["claim"])
        wanted = WILD_EXCEPTIONS.get(claim, (row["licence"], row["version"]))
        licence = parse(claim)
        if (licence.license_id, licence.version, verdict(licence)) != (*wanted, row["decision"]):
            wrong.append((claim, licence))
    assert not wrong


def test_every_published_text_has_one_reading_in_every_url_form() -> None:
    for slug, version, port in texts():
        unit = table().units[slug]
        path = "/".join(part for part in (slug, version, port) if part)
        hosts = ("https://creativecommons.org", "//creativecommons.org", "creativecommons.org")
        hosts += (
            "http://www.creativecommons.org",
            "HTTP://CreativeCommons.org",
            "(http:///creativecommons.org/",
        )
        forms = [f"{host}/{unit.category}/{path}/" for host in hosts]
        forms += [
            f"{forms[0]}{end}" for end in ("deed", "deed.en_US", "legalcode", "?ref=x", "#a", ".", ")", "rdf")
        ]
        assert {parse(form) for form in forms} == {parse(forms[0])}, path
        assert parse(forms[0]).url == f"https://creativecommons.org/{unit.category}/{path}/"
        assert parse(forms[0].replace("+", "%2B")) == parse(forms[0])


def test_ids_and_names_are_read_back_as_the_same_licence() -> None:
    for slug, version, port in texts():
        unit = table().units[slug]
        license_id = _id(unit, version, port)
        assert parse(license_id).license_id == license_id
        if not unit.id:
            assert parse(license_name(license_id)).license_id == license_id, license_name(license_id)
            assert license_url(license_id) == parse(license_id).url != ""


def test_only_versions_and_ports_that_were_published_are_allowed() -> None:
    published = set(texts())
    ports = ["", *table().jurisdictions, "xx", "zz"]
    versions = ["0.9", "1.0", "1.1", "2.0", "2.1", "2.2", "2.5", "3.0", "3.5", "4.0", "4.1", "5.0"]
    for slug in ("by", "zero", "sampling+"):
        category = table().units[slug].category
        for version in versions:
            for port in ports:
                path = "/".join(part for part in (slug, version, port) if part)
                allowed = is_allowed(f"https://creativecommons.org/{category}/{path}/")
                wanted = (slug, version, port) in published and not (slug == "sampling+" and port)
                assert allowed == wanted, path


def test_countries_whose_names_hold_restriction_letters_stay_unrestricted() -> None:
    for code, names in table().jurisdictions.items():
        for version, ports in table().units["by"].ports.items():
            for name in names if code in ports else ():
                licence = parse(f"Attribution {version} {name}")
                assert (licence.family, licence.jurisdiction, verdict(licence)) == ("BY", code, "allow"), name


@given(st.sampled_from(ALLOWED_NAMES + ALLOWED_URLS), st.sampled_from(RESTRICTIONS), st.booleans(), st.data())
def test_a_restriction_anywhere_is_never_allowed(
    claim: str, restriction: str, before: bool, data: st.DataObject
) -> None:
    separator = data.draw(st.sampled_from([" ", "-", ", ", " / ", " (", "\t", "\u2013", " \u200b", "; "]))
    if claim in ALLOWED_URLS and separator.strip(" \u200b\t") in ("-", "\u2013"):
        separator = " "
    joined = f"{restriction}{separator}{claim}" if before else f"{claim}{separator}{restriction}"
    assert not is_allowed(joined)


@given(
    st.sampled_from(ALLOWED_NAMES + ALLOWED_URLS),
    st.from_regex(r"[a-z]{3,12}", fullmatch=True),
    st.booleans(),
)
@example("CC BY 4.0", "not", True)
@example("CC BY 4.0", "except", False)
def test_a_word_that_is_not_known_is_never_allowed(claim: str, word: str, before: bool) -> None:
    known = {w for entries in table().phrases.values() for entry in entries for w in entry.words}
    known |= {w for places in table().places.values() for words, _ in places for w in words}
    if word not in known:
        assert not is_allowed(f"{word} {claim}" if before else f"{claim} {word}")


@given(st.from_regex(r"[a-z0-9.@:%/\\-]{1,20}", fullmatch=True), st.sampled_from(ALLOWED_URLS))
@example("www2.", ALLOWED_URLS[0])
@example("user@", ALLOWED_URLS[0])
@example("evil.invalid/", ALLOWED_URLS[0])
@example("./", ALLOWED_URLS[0])
@example(":443/", ALLOWED_URLS[0])
@example(":80", ALLOWED_URLS[0])
def test_no_other_host_is_accepted(extra: str, url: str) -> None:
    scheme, rest = url.split("//")
    host, path = rest.split("/", 1)
    if extra not in ("www.", "/", "//") and extra.strip("/") not in ("", "www."):
        assert not is_allowed(f"{scheme}//{extra}{rest}")
    own_port = "443" if scheme == "https:" else "80"
    if extra.strip("/") and not re.fullmatch(rf"\.?(?::(?:{own_port})?)?/*", extra):  # RFC 3986, 6.2.3
        assert not is_allowed(f"{scheme}//{host}{extra}/{path}")
    assert not is_allowed(f"{scheme}//{extra.strip('/') or 'x'}.invalid/?u={url}")


@given(st.sampled_from(ALLOWED_NAMES + ALLOWED_URLS), st.data())
def test_lookalike_letters_are_never_allowed(claim: str, data: st.DataObject) -> None:
    places = [i for i, letter in enumerate(claim) if letter.lower() in "ceoabyi0"]
    at = data.draw(st.sampled_from(places))
    if claim[at] != "0" or not claim[max(at - 1, 0)].isdigit():
        assert not is_allowed(claim[:at] + claim[at].lower().translate(LOOKALIKES) + claim[at + 1 :])


@given(st.sampled_from(ALLOWED_URLS), st.sampled_from("ａｃｅｏ／．０"))
def test_compatibility_letters_are_refused_in_urls(url: str, wide: str) -> None:
    narrow = chr(ord(wide) - 0xFEE0)
    if narrow in url:
        assert not is_allowed(url.replace(narrow, wide))


@given(st.text(max_size=60))
def test_no_text_breaks_the_parser_and_none_is_allowed_by_accident(text: str) -> None:
    licence = parse(text)
    assert licence.status in ("named", "repairable", "unknown")
    if verdict(licence) == "allow":
        assert re.search(r"by|attribution|cc ?-?0|sampling", text, re.IGNORECASE), text


@given(
    st.lists(
        st.sampled_from(["CC", "BY", "NC", "0", "3.0", "4.0", "or", "not", "license", "Netherlands", "US"])
    )
)
def test_shuffled_licence_words_are_allowed_only_without_doubt(words: list[str]) -> None:
    licence = parse(" ".join(words))
    if verdict(licence) == "allow":
        assert not {"NC", "or", "not"} & set(words)
        assert licence.version in {"", "1.0", *words}  # none invented but CC0's only one


def test_megabytes_of_text_go_to_a_person_unread() -> None:
    licence = parse("CC BY 4.0 " * 100_000)
    assert (licence.status, licence.rule) == ("repairable", "too_long")


@pytest.mark.parametrize(
    "claim", ["https://creativecommons.org/licenses/by/4.0/deed" + "-" * 3900, "1" * 3900]
)
def test_hostile_lengths_are_read_in_linear_time(claim: str) -> None:
    assert not is_allowed(claim)


@pytest.mark.parametrize(
    ("url", "name", "license_id", "decision", "rule"),
    [
        ("cc:by/3.0/", "Attribution", "CC-BY-3.0", "allow", "named"),
        ("", "Attribution", "CC-BY", "allow", "version_not_stated"),
        ("cc:by/3.0/", "", "CC-BY-3.0", "allow", "named"),
        ("cc:by/3.0/", "nan", "CC-BY-3.0", "allow", "named"),
        ("cc:by/3.0/", "-", "CC-BY-3.0", "allow", "named"),
        ("cc:by/3.0/", "N/A", "CC-BY-3.0", "allow", "named"),
        ("cc:by/3.0/", "<null>", "CC-BY-3.0", "allow", "named"),
        ("cc:by/3.0/", "License: n/a", "CC-BY-3.0", "allow", "named"),
        ("cc:by/3.0/", "Unknown", "UNKNOWN", "review", "license_conflict"),
        ("cc:by/3.0/", "None", "UNKNOWN", "review", "license_conflict"),
        ("cc:by/3.0/", "no licence", "UNKNOWN", "review", "license_conflict"),
        ("cc:by/3.0/", "No license specified", "UNKNOWN", "review", "license_conflict"),
        ("cc:by/3.0/", "unlicensed", "UNKNOWN", "review", "license_conflict"),
        ("cc:by/3.0/", "see description", "UNKNOWN", "review", "license_conflict"),
        ("unknown", "CC BY 3.0", "UNKNOWN", "review", "license_conflict"),
        ("nan", "Unknown", "UNKNOWN", "deny", "no_license"),
        ("cc:by/3.0/", "Creative Commons", "CC-BY-3.0", "allow", "named"),
        ("cc:by/3.0/us/", "Attribution 3.0", "CC-BY-3.0-US", "allow", "named"),
        ("cc:by/3.0/", "CC BY 4.0", "CC-BY-3.0", "allow", "named"),
        ("CC BY", "Attribution 4.0", "CC-BY-4.0", "allow", "named"),
        ("", "", "UNKNOWN", "deny", "no_license"),
        ("nan", "None", "UNKNOWN", "deny", "no_license"),
        ("", "Creative Commons", "UNKNOWN", "deny", "family_not_stated"),
        ("cc:by-nc/3.0/", "CC BY 3.0", "UNKNOWN", "review", "license_conflict"),
        ("cc:by/3.0/", "CC BY-NC", "UNKNOWN", "review", "license_conflict"),
        ("cc:by/3.0/", "Custom", "UNKNOWN", "review", "license_conflict"),
        ("http://freemusicarchive.org/FMA_License", "Attribution", "UNKNOWN", "review", "license_conflict"),
        ("cc:by/3.0/", "CC BY, maybe", "CC-BY-3.0", "review", "words_not_understood"),
        ("cc:by/", "Attribution 3.0", "CC-BY-3.0", "review", "url_repaired"),
        ("cc:by-nc/3.0/", "BY-NC", "CC-BY-NC-3.0", "deny", "named"),
        ("http://freemusicarchive.org/FMA_License", "Custom", "UNKNOWN", "deny", "unknown_license"),
    ],
)  # fmt: skip
def test_url_and_name_together(url: str, name: str, license_id: str, decision: str, rule: str) -> None:
    licence = parse_fields(url.replace("cc:", "http://creativecommons.org/licenses/"), name)
    assert (licence.license_id, verdict(licence), licence.rule) == (license_id, decision, rule)


def test_a_third_field_can_only_confirm_or_contradict() -> None:
    url = "http://creativecommons.org/licenses/by/3.0/"
    assert verdict(parse_fields(url, "Attribution", "", "CC BY 3.0")) == "allow"
    assert (
        verdict(parse_fields(url, "Attribution", "http://i.creativecommons.org/l/by-nd/3.0/88x31.png"))
        == "review"
    )


@pytest.mark.parametrize(
    ("license_id", "name", "url"),
    [
        ("CC-BY-3.0", "CC BY 3.0", "https://creativecommons.org/licenses/by/3.0/"),
        ("CC0-1.0", "CC0 1.0", "https://creativecommons.org/publicdomain/zero/1.0/"),
        (
            "LicenseRef-CC-Sampling-Plus-1.0",
            "CC Sampling+ 1.0",
            "https://creativecommons.org/licenses/sampling+/1.0/",
        ),
        ("LicenseRef-CC-BY-3.0-PL", "CC BY 3.0 Poland", "https://creativecommons.org/licenses/by/3.0/pl/"),
        ("CC-BY", "CC BY (version not stated by the source)", ""),
        ("CC-BY-NC", "CC BY-NC (version not stated by the source)", ""),
        ("LAL-1.3", "LAL-1.3", ""),
        ("UNKNOWN", "licence not known", ""),
    ],
)
def test_ids_are_shown_in_words_with_their_url(license_id: str, name: str, url: str) -> None:
    assert (license_name(license_id), license_url(license_id)) == (name, url)


def test_the_shipped_table_gives_every_group_a_source_and_a_date() -> None:
    data = tomllib.loads((MANIFESTS / "licences.toml").read_text(encoding="utf-8"))
    groups = [group for group in data.values() if isinstance(group, dict)]
    assert len(groups) == 10
    for group in groups:
        assert group["source"]
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", group["checked"])


def test_a_table_with_an_unknown_key_is_refused() -> None:
    raw = (MANIFESTS / "licences.toml").read_bytes()
    with pytest.raises(UsageError, match="unknown key 'slugg'; did you mean 'slug'"):
        read(raw.replace(b'slug = "by"\n', b'slugg = "by"\n'))
