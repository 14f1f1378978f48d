"""Licence names in Creative Commons' languages, copyright lines around them, addresses in normal form."""

from __future__ import annotations

import tomllib

import pytest

from sao_data.licences import Policy, Release, judge, parse
from sao_data.licences.address import normal
from tests.paths import MANIFESTS

TABLE = MANIFESTS / "licences.toml"
LANGUAGES = tomllib.loads(TABLE.read_text(encoding="utf-8"))["translations"]["language"]


def read(claim: str) -> tuple[str, str]:
    licence = parse(claim)
    return licence.license_id, judge(licence, Policy(), Release()).verdict


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_of_every_language_are_read_and_restrictions_never_allowed(language: str) -> None:
    words = LANGUAGES[language]
    for by in words["by"]:
        for form in ("{} 3.0", "{} 3,0", "CC {} 3.0", "{} 3.0 (CC BY 3.0)", "Creative Commons {} 3.0"):
            assert read(form.format(by)) == ("CC-BY-3.0", "allow"), form.format(by)
        for label in words.get("label", ()):
            assert read(f"{by} 4.0 {label}") == ("CC-BY-4.0", "allow"), (by, label)
        assert read(by)[1] != "allow", "a plain word"
        for kind, slug in (("nc", "BY-NC"), ("nd", "BY-ND"), ("sa", "BY-SA")):
            for restriction in words[kind]:
                assert read(f"{by}-{restriction} 3.0") == (f"CC-{slug}-3.0", "deny"), restriction
                for form in (
                    "{1} {0} 3.0",
                    "{0} 3.0 {1}",
                    "{0} 4.0, {1}",
                    "CC BY 4.0 {1}",
                    "CC0 {1}",
                    "{0}{1}",
                ):
                    assert read(form.format(by, restriction))[1] != "allow", (form, by, restriction)
        for reserved in words["reserved"]:
            for form in (
                "{1}",
                "{0} 3.0, {1}",
                "{1}. {0} 3.0",
                "CC BY 3.0 {1}",
                "© 2012 A. Person {1}, {0} 3.0",
            ):
                assert read(form.format(by, reserved))[1] != "allow", (form, by, reserved)
    for reserved in words["reserved"]:
        assert read(reserved) == ("UNKNOWN", "deny"), reserved


def test_words_of_all_languages_together_mean_one_thing_each() -> None:
    """No word that restricts in one language only labels in another."""
    kinds: dict[str, set[str]] = {}
    for words in LANGUAGES.values():
        for kind, phrases in words.items():
            for phrase in phrases:
                kinds.setdefault(phrase, set()).add(kind)
    assert {phrase: found for phrase, found in kinds.items() if len(found) > 1} == {}


NEAR_MISSES = [
    ("Atribuição 3.0 Brasil (CC BY 3.0)", "LicenseRef-CC-BY-3.0-BR", "allow"),
    ("クリエイティブ・コモンズ 表示 2.1 日本", "LicenseRef-CC-BY-2.1-JP", "allow"),
    ("知识共享署名 3.0 许可协议", "CC-BY-3.0", "allow"),
    ("CC0 1.0 全球", "CC0-1.0", "allow"),
    ("CC BY 3.0 © 2012 A. Person", "CC-BY-3.0", "allow"),
    ("© A. Person, CC BY 3.0", "CC-BY-3.0", "allow"),
    ("Copyright © 2012-2014 J. R. Smith - CC BY 4.0", "CC-BY-4.0", "allow"),
    ("(c) 2012 A.B. Otter; CC0", "CC0-1.0", "allow"),
    ("CC BY 4.0 (© B. Guðmundsdóttir)", "CC-BY-4.0", "allow"),
    ("Copyright © 2012-2014 Kevin Otter - CC BY 4.0", "UNKNOWN", "review"),
    ("(c) 2012 Ann & Bo Otter; CC0", "CC0-1.0", "review"),
    ("CC BY 4.0 (© Björk Guðmundsdóttir)", "CC-BY-4.0", "review"),
    ("CC BY 3.0 © 2012 A. Person Solely", "CC-BY-3.0", "review"),
    # near misses
    ("Atribuição-NãoComercial 3.0 Brasil (CC BY 3.0)", "UNKNOWN", "review"),
    ("Atribuição 3.0 Brasil (CC BY-NC 3.0)", "UNKNOWN", "review"),
    ("nicht Namensnennung 3.0", "UNKNOWN", "deny"),
    ("未授權 署名 3.0", "UNKNOWN", "deny"),
    ("知识共享署名非商业性使用3.0许可协议", "CC-BY-NC-3.0", "deny"),
    ("© Sony Music", "UNKNOWN", "deny"),
    ("© 2012 A. Person", "UNKNOWN", "deny"),
    ("© A. Person, all rights reserved unless CC BY 3.0", "UNKNOWN", "review"),
    ("CC BY 3.0 © 2012 A. Person Personal Use Only", "CC-BY-NC-3.0", "deny"),
    ("CC BY 3.0 © 2012 A. Person NC", "CC-BY-NC-3.0", "deny"),
    ("CC BY 3.0 © 2012 N. C.", "CC-BY-3.0", "review"),
    ("CC BY 3.0 © 2012 S.A.", "CC-BY-3.0", "review"),
    ("CC BY 3.0 © 2012 Contact Me First", "CC-BY-3.0", "review"),
    ("CC BY 3.0 © 2012 Ann Editorial Only", "CC-BY-3.0", "review"),
    ("CC BY 3.0 © Ann, No AI Training", "CC-BY-3.0", "review"),
    ("CC BY 3.0 © Ann. Nutzung Verboten", "CC-BY-3.0", "review"),
    ("© Ann, CC BY-SA 4.0", "CC-BY-SA-4.0", "deny"),
    ("© Ann, CC BY 3.0 or CC BY-NC 3.0", "UNKNOWN", "review"),
    ("CC BY 3,0 4,0", "UNKNOWN", "review"),
    ("CC BY 3,7", "CC-BY-3.0", "review"),
    *(
        (f"CC BY 4.0 © {line}", "CC-BY-4.0", "review")
        for line in (
            "非商用", "禁止转载", "ممنوع", "אסור", "Untersagt", "Banned", "LLMs Excluded",
            "Never", "Dilarang", "EULA", "Patreon Members", "Gewerblich Untersagt",
            "Hobby Projects Solely", "N. C. Smith", "N. Person", "A.I. Excluded",
            "S. A. Smith", "T. D. M. Excluded", "A. Person Solely", "A. Person's",
            "A. PERSON", "a. Person", "А. Запрещено", "A. B. C. D. Person",
            "A. Person - Banned", "A. Person-Banned",
        )
    ),
    # addresses (RFC 3986, 6.2)
    ("https://creativecommons.org:443/licenses/by/3.0/", "CC-BY-3.0", "allow"),
    ("http://creativecommons.org:80/licenses/by/2.0/", "CC-BY-2.0", "allow"),
    ("https://creativecommons.org./licenses/by/4.0/", "CC-BY-4.0", "allow"),
    ("<a href='https://creativecommons.org:443/licenses/by/3.0/'>CC BY 3.0</a>", "CC-BY-3.0", "allow"),
    ("https://licensebuttons.net:443/l/by/4.0/88x31.png", "CC-BY-4.0", "allow"),
    ("https://creativecommons.org/licenses/%62y/4.0/", "CC-BY-4.0", "review"),
    ("https://creativecommons.org/licenses/by/../by-nc/4.0/", "CC-BY-NC-4.0", "deny"),
    ("https://creativecommons.org:443/licenses/by-nd/3.0/", "CC-BY-ND-3.0", "deny"),
    ("https://creativecommons.org:80/licenses/by/3.0/", "UNKNOWN", "deny"),
    ("http://creativecommons.org:443/licenses/by/3.0/", "UNKNOWN", "deny"),
    ("https://creativecommons.org:8443/licenses/by/3.0/", "UNKNOWN", "deny"),
    ("https://creativecommons.org@evil.example/licenses/by/4.0/", "UNKNOWN", "deny"),
    ("https://creativecommons.org:443@evil.example/licenses/by/4.0/", "UNKNOWN", "deny"),
    ("https://evil.example@creativecommons.org/licenses/by/4.0/", "UNKNOWN", "deny"),
    ("https://evil.example%40creativecommons.org/licenses/by/4.0/", "UNKNOWN", "deny"),
    ("https://creativecommons.org:443.evil.example/licenses/by/4.0/", "UNKNOWN", "deny"),
    ("https://creativecommons.org\\@evil.example/licenses/by/4.0/", "UNKNOWN", "deny"),
    ("https://./creativecommons.org/licenses/by/4.0/", "UNKNOWN", "deny"),
    ("https://:443/creativecommons.org/licenses/by/4.0/", "UNKNOWN", "deny"),
    ("https://creativecommons.org../licenses/by/4.0/", "UNKNOWN", "deny"),
    ("https://cr\u0435ativecommons.org/licenses/by/4.0/", "UNKNOWN", "deny"),
    ("https://xn--cratvecommons-rhb5g.org/licenses/by/4.0/", "UNKNOWN", "deny"),
    ("https://creativecommons.org/licenses/by%2f4.0/", "UNKNOWN", "deny"),
    ("https://creativecommons.org/licenses/by/4.0/deed.sr-latn", "CC-BY-4.0", "allow"),
    ("https://creativecommons.org/licenses/by/4.0/legalcode.txt", "CC-BY-4.0", "allow"),
    ("https://creativecommons.org/licenses/by/4.0/deed-nc", "CC-BY-4.0", "review"),
    ("https://creativecommons.org/licenses/by/4.0/deed.es-compartirigual", "CC-BY-4.0", "review"),
    ("https://creativecommons.org/licenses/by/4.0/deed.sv#ickekommersiell", "CC-BY-4.0", "review"),
]  # fmt: skip


def test_claims_and_near_misses() -> None:
    read_as = [(claim, *read(claim)) for claim, _, _ in NEAR_MISSES]
    assert [(got, case) for got, case in zip(read_as, NEAR_MISSES, strict=True) if got != case] == []


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("HTTPS://Example.ORG:443/a", "https://example.org/a"),
        ("http://example.org:80", "http://example.org/"),
        ("http://example.org.:/a", "http://example.org/a"),
        ("http://example.org/%7Eann/%c3%a9", "http://example.org/~ann/%C3%A9"),
        ("http://example.org/a/./b/../c", "http://example.org/a/c"),
        ("http://example.org/../a", "http://example.org/a"),
        ("http://example.org?x=1#y", "http://example.org/?x=1#y"),
        ("http://example.org:8080/a", "http://example.org:8080/a"),
        ("https://example.org:80/", "https://example.org:80/"),
        ("http://ann@example.org/", "http://ann@example.org/"),
        ("http://example.org/a%2Fb", "http://example.org/a%2Fb"),
        ("http://[2001:db8::1]/a", "http://[2001:db8::1]/a"),
        ("a/b.wav", "a/b.wav"),
        ("ftp://example.org:21/", "ftp://example.org:21/"),
        ("", ""),
    ],
)
def test_equal_addresses_are_equal_text(url: str, same: str) -> None:
    assert normal(url) == same
    assert normal(same) == same
