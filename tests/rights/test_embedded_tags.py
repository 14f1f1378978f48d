"""The table of what a file's own tags may say: what is a question for a person, and what is nothing."""

from __future__ import annotations

import pytest

from sao_data.embedded_tag import EmbeddedTag
from sao_data.licences import Policy, Release, decide
from sao_data.records import Recording
from sao_data.rights.embedded_tags import author_in, contradictions, licence_in

BY3 = "http://creativecommons.org/licenses/by/3.0/"
BY4 = "https://creativecommons.org/licenses/by/4.0/"
CC0 = "https://creativecommons.org/publicdomain/zero/1.0/"
NC = "http://creativecommons.org/licenses/by-nc-sa/3.0/us/"
FMA = "2009 Ada Lovelace. Licensed to the public under %s verify at http://freemusicarchive.org/"

# kind of tag, its text, the source's licence, its author, what it contradicts
TABLE = [
    # the same licence, in any spelling
    ("license", BY4, BY4, "Ada Lovelace", ""),
    ("license", "http://creativecommons.org/licenses/by/4.0/deed.de", BY4, "Ada Lovelace", ""),
    ("license", "CC BY 4.0", BY4, "Ada Lovelace", ""),
    ("license", "Creative Commons Attribution", BY4, "Ada Lovelace", ""),
    ("license", BY3, BY4, "Ada Lovelace", ""),  # an older version of it
    ("license", "http://creativecommons.org/licenses/by/2.5/es/", BY4, "Ada Lovelace", ""),
    ("copyright", FMA % BY3, BY4, "Ada Lovelace", ""),
    ("copyright", "© 2012 Ada Lovelace, CC BY 3.0", BY4, "Ada Lovelace", ""),
    ("license", "CC0", CC0, "Ada Lovelace", ""),
    ("copyright", "Public Domain", CC0, "Ada Lovelace", ""),
    ("copyright", "Attribution 3.0 US: http://creativecommons.org/licenses/by/3.0/us/", BY3, "Ada", ""),
    # another licence
    ("license", "https://creativecommons.org/licenses/by-nc/4.0/", BY4, "Ada Lovelace", "license"),
    ("license", "CC BY-NC-SA 3.0", BY4, "Ada Lovelace", "license"),
    ("license", CC0, BY4, "Ada Lovelace", "license"),
    ("license", BY4, CC0, "Ada Lovelace", "license"),
    ("license", "GPL", BY4, "Ada Lovelace", "license"),
    ("license", "Jamendo Standard License", BY4, "Ada Lovelace", "license"),
    ("copyright", FMA % NC, BY4, "Ada Lovelace", "license"),
    ("copyright", "Public Domain", BY4, "Ada Lovelace", "license"),
    ("license", "creativecommons.org/licenses/by-nc/4.0", BY4, "Ada Lovelace", "license"),
    ("license", "creativecommons.org/licenses/by/4.0", BY4, "Ada Lovelace", ""),
    ("license", "https://www.gnu.org/licenses/gpl-3.0.html", BY4, "Ada Lovelace", "license"),
    ("license", "http://artlibre.org/licence/lal", BY4, "Ada Lovelace", "license"),
    ("license", f"{BY4} {NC}", BY4, "Ada Lovelace", "license"),
    ("copyright", "Copyright Ada Lovelace. Licensed under CC Attribution 4.0", BY4, "Ada Lovelace", ""),
    ("license", f"CC BY 4.0. To view a copy visit {BY4}", BY4, "Ada", ""),
    ("copyright", "Released under CC0", CC0, "Ada Lovelace", ""),
    ("copyright", "Released into the public domain", CC0, "Ada Lovelace", ""),
    ("copyright", "No Rights Reserved", CC0, "Ada Lovelace", ""),
    # rights kept back
    ("copyright", "© Ada Lovelace under exclusive license to Sony Music", BY4, "Ada Lovelace", "license"),
    ("copyright", "All rights reserved", BY4, "Ada Lovelace", "license"),
    ("copyright", "(C) 2012 Ada Lovelace. ALL RIGHTS RESERVED.", BY4, "Ada Lovelace", "license"),
    ("copyright", "Tous droits réservés", CC0, "Ada Lovelace", "license"),
    ("copyright", "Alle Rechte vorbehalten", CC0, "Ada Lovelace", "license"),
    ("copyright", "Все права защищены", CC0, "Ada Lovelace", "license"),
    ("copyright", "Unauthorized copying prohibited", BY4, "Ada Lovelace", "license"),
    ("license", "Non-commercial use only", BY4, "Ada Lovelace", "license"),
    ("copyright", "promo use only", BY4, "Ada Lovelace", "license"),
    # a copyright line
    ("copyright", "© 2012 Ada Lovelace", BY4, "Ada Lovelace", ""),
    ("copyright", "Copyright (c) 2011-2012 by ADA LOVELACE", CC0, "ada_lovelace", ""),
    ("copyright", "℗ 2012 Lovelace, Ada", BY4, "Ada Lovelace", ""),
    ("copyright", "2012", BY4, "Ada Lovelace", ""),
    ("copyright", "© 2012", BY4, "Ada Lovelace", ""),
    ("copyright", "© 2012 Sony Music", BY4, "Ada Lovelace", "author"),
    ("copyright", "Sony Music", BY4, "Ada Lovelace", "author"),
    ("copyright", "Copyright 2010 Sony Music, CC BY 3.0", BY4, "Ada Lovelace", "author"),
    ("copyright", "© 2012 Sony Music", BY4, "", ""),  # the source names nobody: no contradiction
    # addresses, junk, permission in words, other people's habits
    ("copyright", "http://www.jamendo.com", BY4, "Ada Lovelace", ""),
    ("copyright", "www.freesfx.co.uk", BY4, "Ada Lovelace", ""),
    ("copyright", "ada@example.org", BY4, "Ada Lovelace", ""),
    ("license", "http://www.jamendo.com/terms", BY4, "Ada Lovelace", ""),
    ("copyright", "Copyright", BY4, "Ada Lovelace", ""),
    ("copyright", "none", BY4, "Ada Lovelace", ""),
    ("copyright", "0", BY4, "Ada Lovelace", ""),
    ("copyright", "©", BY4, "Ada Lovelace", ""),
    ("copyright", "\ufffd\ufffd\ufffd", BY4, "Ada Lovelace", ""),
    ("copyright", "Some rights reserved", BY4, "Ada Lovelace", ""),
    ("license", "Creative Commons", BY4, "Ada Lovelace", ""),
    ("license", "unknown", BY4, "Ada Lovelace", ""),
    ("copyright", "royalty free", BY4, "Ada Lovelace", ""),
    ("copyright", "free for any use", BY4, "Ada Lovelace", ""),
    ("copyright", "recorded with a Zoom H4n in my garden", BY4, "Ada Lovelace", ""),
    # authors
    ("author", "Ada Lovelace", BY4, "Ada Lovelace", ""),
    ("author", "ADA  LOVELACE", CC0, "Ada Lovelace", ""),
    ("author", "Ada Lovelace feat. Bo", BY4, "Ada Lovelace", ""),
    ("author", "AdaLovelace", BY4, "Ada Lovelace", ""),
    ("author", "Ada", BY4, "Ada Lovelace", ""),
    ("author", "Adà Lovelàce", BY4, "Ada Lovelace", ""),
    ("author", "The U.S. Army Strings", BY4, "Johannes Brahms / US Army Strings", ""),
    ("author", "Somebody Else", BY4, "Ada Lovelace", "author"),
    ("author", "Rihanna", CC0, "Ada Lovelace", "author"),
    ("author", "山田太郎", BY4, "Ada Lovelace", "author"),
    ("author", "Somebody Else", BY4, "", ""),
    ("author", "Unknown Artist", BY4, "Ada Lovelace", ""),
    ("author", "Various Artists", BY4, "Ada Lovelace", ""),
    ("author", "Unbekannter Künstler", BY4, "Ada Lovelace", ""),
    ("author", "Not Applicable", BY4, "Ada Lovelace", ""),
    ("author", "DJ Ada", BY4, "Ada Lovelace", ""),
    ("author", "Recorded by Ada Lovelace", BY4, "Ada Lovelace", ""),
    ("author", "Track 01", BY4, "Ada Lovelace", ""),
    ("author", "Ada Smith", BY4, "Ada Lovelace", "author"),
    ("copyright", "cc", BY4, "Ada Lovelace", ""),
    ("copyright", "Copyright Control", BY4, "Ada Lovelace", ""),
    ("author", "1", BY4, "Ada Lovelace", ""),
    ("author", "Audacity 2.3", BY4, "Ada Lovelace", ""),
    ("author", "Zoom H4n", BY4, "Ada Lovelace", ""),
    ("author", "http://ada.example", BY4, "Ada Lovelace", ""),
    ("author", "Å¬·Ðµéçàè", BY4, "Ada Lovelace", ""),
]  # fmt: skip


def tag(kind: str, text: str, name: str = "comment X") -> EmbeddedTag:
    return EmbeddedTag(kind=kind, name=name, text=text)


def recording(licence: str = BY4, author: str = "Ada Lovelace", **more: str) -> Recording:
    return Recording(id="folder:a", source="folder", title="t", license_url=licence, author=author, **more)


def said(tags: list[EmbeddedTag], work: Recording) -> tuple[str, ...]:
    return contradictions(tags, work, decide(work, Policy(), Release()))


def test_the_table() -> None:
    for case in TABLE:
        kind, text, licence, author, what = case
        work = recording(licence, author)
        found = said([tag(kind, text)], work)
        assert bool(found) == bool(what), case
        if what:
            decision = decide(work, Policy(), Release())
            source = {"license": decision.license, "author": author}[what]
            assert found == (f"the file's own tag comment X says {text!r}, its source {source!r}",), case


def test_the_author_has_more_than_one_name() -> None:
    work = recording(
        author="klankbeeld", requested_credit="Jan de Vries", author_url="https://x.example/people/kb99/"
    )
    assert said([tag("author", "Jan de Vries"), tag("author", "kb99")], work) == ()
    assert len(said([tag("author", "Piet")], work)) == 1


def test_an_artist_cut_at_thirty_bytes_yields_to_a_whole_one() -> None:
    cut = tag("author", "Another Name Altogether Which I", "ID3v1 artist")
    assert said([tag("author", "Ada Lovelace"), cut], recording()) == ()
    assert len(said([cut], recording())) == 1


@pytest.mark.parametrize(
    ("tags", "licence"),
    [
        ([tag("license", "CC BY 4.0")], "CC BY 4.0"),
        ([tag("copyright", FMA % BY3)], FMA % BY3),
        ([tag("license", "CC BY 4.0"), tag("license", BY3)], "CC BY 4.0"),
        ([tag("license", "CC BY 4.0"), tag("license", CC0)], None),
        ([tag("license", "CC BY 4.0"), tag("copyright", "All rights reserved")], None),
        ([tag("copyright", "© 2012 Ada")], None),
        ([tag("author", "CC BY 4.0")], None),
        ([], None),
    ],
)
def test_the_licence_that_tags_name(tags: list[EmbeddedTag], licence: str | None) -> None:
    found = licence_in(tags)
    assert (found.text if found else None) == licence


def test_the_author_that_tags_name() -> None:
    tags = [tag("author", "Unknown Artist"), tag("copyright", "Bo"), tag("author", "Ada")]
    assert author_in(tags) == tags[2]
    assert author_in(tags[:2]) is None
