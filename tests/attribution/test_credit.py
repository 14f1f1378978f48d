"""The credit sentence."""

import dataclasses

import pytest

from sao_data.attribution.credit import credit, work_from_decision, work_from_row
from sao_data.records import Decision, Evidence, Recording
from tests.attribution.made_rows import BY, CC0, KEPT, SAMPLING_PLUS, UNVERSIONED, kept

WORK = '"fire.crackling.mp3" by dobroide (https://freesound.org/people/dobroide/), '
SOURCE = "https://freesound.org/people/dobroide/sounds/4211/, "
CHANGES = " Changes: Converted from 48 kHz mono WAV to 44.1 kHz stereo FLAC."


@pytest.mark.parametrize(
    ("licence", "terms"),
    [
        (BY, "licensed under CC BY 3.0 (https://creativecommons.org/licenses/by/3.0/)."),
        (
            CC0,
            "dedicated to the public domain under CC0 1.0 (https://creativecommons.org/publicdomain/zero/1.0/).",
        ),
        (
            SAMPLING_PLUS,
            "licensed under CC Sampling+ 1.0 (https://creativecommons.org/licenses/sampling+/1.0/).",
        ),
        (
            UNVERSIONED,
            'licensed under CC BY (version not stated by the source, which says: "Attribution").',
        ),
        (
            {
                **BY,
                "license": "CC-BY-3.0-US",
                "license_url": "https://creativecommons.org/licenses/by/3.0/us/",
            },
            "licensed under CC BY 3.0 United States (https://creativecommons.org/licenses/by/3.0/us/).",
        ),
        (
            {
                "license": "",
                "license_family": "UNKNOWN",
                "license_version": "",
                "license_url": "",
                "license_claim": "",
            },
            "with no licence stated.",
        ),
    ],
)
def test_credit_names_the_exact_licence(licence: dict[str, str], terms: str) -> None:
    assert credit(kept(**licence)) == WORK + SOURCE + terms + CHANGES


def test_unknown_author_title_source_and_changes_are_said() -> None:
    row = kept(title=" ", author="\t", author_url="", page_url="", changes=())
    assert credit(row).startswith(
        "Untitled work by an unnamed author, source address not stated, licensed under"
    )
    assert credit(row).endswith(" Changes: none recorded.")


def test_notice_and_requested_credit_are_honoured() -> None:
    sentence = credit(kept(copyright_notice="© 2012 D", requested_credit="Fire by D, dobroide.example"))
    assert (
        " Copyright notice: © 2012 D. Credit requested by the author: Fire by D, dobroide.example. "
        in sentence
    )


def test_credit_wish_that_is_the_name_is_not_said_twice() -> None:
    assert "requested" not in credit(kept(requested_credit="dobroide"))


def test_credit_is_one_line_and_links_no_script() -> None:
    sentence = credit(
        kept(title="a\r\nb\u202ec\x1b[2J", page_url="java\tscript:alert(1)", author_url="javascript:x")
    )
    assert sentence.startswith('"a bc\ufffd[2J" by dobroide, source address not usable, licensed')
    assert sentence.isprintable()


def test_packing_and_catalogue_give_the_same_credit() -> None:
    recording = Recording(
        id=KEPT.id,
        source=KEPT.source,
        title=KEPT.title,
        author=KEPT.author,
        author_url=KEPT.author_url,
        page_url=KEPT.page_url,
        license_url=KEPT.license_claim,
    )
    decision = Decision(
        recording_id=KEPT.id,
        license=KEPT.license,
        family="BY",
        version="3.0",
        license_url=KEPT.license_url,
        verdict="allow",
        rule="by",
        evidence=Evidence(claim=KEPT.license_claim, field="license"),
    )
    work = work_from_decision(recording, decision, KEPT.changes)
    assert work == work_from_row(KEPT)
    assert credit(work) == credit(KEPT)
    assert dataclasses.replace(work, author="x") != work
