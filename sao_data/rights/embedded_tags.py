"""What a file's own tags say against what its source says of licence and author.

Written for few false alarms: a tag that agrees, is empty, is junk, names a program or only an address does
nothing; one that reserves all rights, names another licence or another author is a question for a person.
tests/rights/test_embedded_tags.py has the table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from sao_data.embedded_tag import EmbeddedTag
from sao_data.licences import parse
from sao_data.licences.contradiction import contradiction
from sao_data.licences.words import comparable
from sao_data.records import Decision, Recording

OWN = "the file's own"  # stands in evidence before the name of a tag from which something was taken

_MOST_SHOWN = 160  # characters of each text in a detail
_PUBLIC_DOMAIN = frozenset(("CC0", "PDM"))
_ADDRESS = re.compile(
    r"(?:https?://|www\.)\S+|\S+@\S+\.\w+|\b[\w-]+\.(?:com|org|net|de|fr|io|eu|co\.uk)\b\S*", re.I
)
_MARK = re.compile(r"©|℗|\([cp]\)|\bcopyright\b|\bcopr\b", re.I)
_YEARS = re.compile(r"\b(?:19|20)\d\d\b")
# Rights kept back, in text without accents and in lower case.
_RESERVED = re.compile(
    r"\b(?:all rights? reserved|alle rechte vorbehalten|alle rechten voorbehouden|tous droits reserves"
    r"|todos los derechos reservados|todos os direitos reservados|tutti i diritti riservati"
    r"|alla rattigheter (?:forbehallna|reserverade)|wszelkie prawa zastrzezone|todos direitos reservados"
    r"|unauthori[sz]ed (?:copying|duplication|reproduction|distribution|use)"
    r"|(?:may|must) not be (?:copied|reproduced|used|distributed|sold)"
    r"|do not (?:copy|distribute|redistribute|share)"
    r"|(?:under|by) exclusive licen[cs]e"
    r"|not for (?:resale|distribution|redistribution|commercial use|broadcast)"
    r"|(?:promo|promotional|personal|private|non-?commercial)(?: use)? only)\b"
    r"|版权所有|版權所有|無断転載|全著作権"
    rf"|{comparable('все права защищены')}"
)
_LICENCE_WORDS = re.compile(
    r"licen[cs]|lizenz|licencia|creative commons|\bcc[- ]?(?:by|0|zero)\b|attribution|public domain"
    r"|(?:all|some|no) rights|\bunder\b|\bverify\b",
    re.I,
)
# Words of permission and of prose: what holds one is not a name.
_PROSE = frozenset((
    "free", "use", "used", "royalty", "any", "permission", "allowed", "ok", "okay", "credit", "enjoy",
    "please", "recorded", "recording", "made", "sample", "samples", "none", "no", "not", "for", "from",
    "with", "this", "is", "are", "you", "see", "website", "contact", "released", "published", "provided",
    "distributed", "into", "work", "sound", "sounds", "control",
))  # fmt: skip
_PLACEHOLDERS = frozenset((
    "", "unknown", "unknown artist", "various", "various artists", "va", "none", "no artist", "na",
    "n a", "nil", "null", "nan", "untitled", "artist", "author", "me", "myself", "test",
    "not applicable", "default", "user", "admin", "cc", "interpret", "artist name", "new artist",
    "freesound", "field recording", "sound effect", "sound effects", "anonymous", "anon", "unbekannt",
    "unbekannter kunstler", "artiste inconnu", "artista desconocido", "interprete desconocido",
    "copyright", "undefined", "other", "misc", "owner",
))  # fmt: skip
_PROGRAMS = re.compile(
    r"(?:audacity|ableton(?: live)?|logic(?: pro)?|reaper|fl studio|pro ?tools|cubase|garageband|sound ?forge"
    r"|adobe audition|ffmpeg|lavf|lame|sox|zoom|tascam|olympus|roland|iphone|ipad|android|voice memos?"
    r"|track|sound devices)(?: (?:pro|x|[a-z]*\d[\w.-]*))*"
)
_SMALL = frozenset((
    "the", "and", "by", "feat", "ft", "featuring", "with", "a", "dj", "mc", "recorded", "created", "produced",
    "composed", "performed",
))  # fmt: skip
_DEED = re.compile(r"(?:https?://|www\.|creativecommons\.org/)\S+", re.I)
_LICENCE_PAGE = re.compile(r"licen[cs]|lizenz|/gpl|copyleft", re.I)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What a file's own tags may say about it."""

    # off: nothing; contradict: what they say against the source is a question for a person; fill: that, and
    # they stand where a source whose files are at hand says nothing of a licence or an author
    embedded_tags: Literal["off", "contradict", "fill"] = "contradict"


def contradictions(
    tags: Iterable[EmbeddedTag], recording: Recording, decision: Decision, others: Iterable[str] = ()
) -> tuple[str, ...]:
    """One sentence with both texts for each tag that says otherwise; `others`: more names of the author."""
    tags = _without_cut_names(tags)
    names = _names(recording, others)
    said = (_against(tag, decision, names) for tag in tags)
    source = {"license": decision.license, "author": recording.author}
    return tuple(
        f"{OWN} tag {tag.name} says {_shown(tag.text)}, its source {_shown(source[what])}"
        for tag, what in zip(tags, said, strict=True)
        if what
    )


def licence_in(tags: Iterable[EmbeddedTag]) -> EmbeddedTag | None:
    """The tag that names a licence, if all that name any name the same and none keeps the rights back."""
    tags = tuple(tags)
    found = [(tag, _families(tag.text)) for tag in tags if tag.kind != "author"]
    named = {family for _, families in found for family in families}
    if len(named) != 1 or any(_keeps_rights(tag.text) for tag in tags if tag.kind != "author"):
        return None
    return next(tag for tag, families in found if families)


def author_in(tags: Iterable[EmbeddedTag]) -> EmbeddedTag | None:
    """The first tag that names an author, rather than a placeholder, a program or an address."""
    return next(
        (tag for tag in _without_cut_names(tags) if tag.kind == "author" and not _is_junk(tag.text)), None
    )


def _against(
    tag: EmbeddedTag, decision: Decision, names: tuple[str, ...]
) -> Literal["license", "author", ""]:
    """What of the source's word a tag contradicts; '' if nothing."""
    if tag.kind == "author":
        return "author" if _is_another(tag.text, names) else ""
    if _keeps_rights(tag.text):
        return "license"
    families = _families(tag.text)
    if families - _alike(decision.family):
        return "license"
    if tag.kind == "license" and not families and _is_foreign_licence(tag.text):
        return "license"
    owner = _owner(tag)
    return "author" if owner and _is_another(owner, names) else ""


def _keeps_rights(text: str) -> bool:
    return bool(_RESERVED.search(comparable(text)) or contradiction(text))


def _families(text: str) -> frozenset[str]:
    """Licence families that a text names: by its deeds where it has any, else by its words."""
    deeds = [parse(address.rstrip(").,;")) for address in _DEED.findall(text)]
    known = [licence for licence in deeds if licence.family != "UNKNOWN"]
    bare = _YEARS.sub(" ", _MARK.sub(" ", _ADDRESS.sub(" ", text)))
    licences = known or ([parse(bare)] if bare.strip() else [])
    families = {licence.family for licence in licences if licence.family != "UNKNOWN"}
    if any(licence.rule == "public_domain_statement" for licence in licences):
        families.add("PDM")
    return frozenset(families)


def _alike(family: str) -> frozenset[str]:
    """Families that say the same as one; older and ported versions are of the same family."""
    return _PUBLIC_DOMAIN if family in _PUBLIC_DOMAIN else frozenset((family,))


def _is_foreign_licence(text: str) -> bool:
    """Does it speak of some licence that is not one of those known, or point to the page of one?"""
    if any(_LICENCE_PAGE.search(address) for address in _DEED.findall(text)):
        return True
    bare = _ADDRESS.sub(" ", text)
    found = re.search(r"licen[cs]|lizenz|licencia", bare, re.I)
    return bool(found) and parse(bare).rule == "unknown_license" and len(_words(bare)) > 1


def _owner(tag: EmbeddedTag) -> str:
    """The name in a copyright line, '' if there is none."""
    if tag.kind == "license" and not _MARK.search(tag.text):
        return ""
    text = _ADDRESS.sub(" ", tag.text)
    cut = _LICENCE_WORDS.search(text)
    name = _YEARS.sub(" ", _MARK.sub(" ", text[: cut.start()] if cut else text))
    words = name.split()
    prose = not _PROSE.isdisjoint(comparable(name).split())
    return "" if prose or len(words) > 6 else " ".join(words).strip(" -–,.;:|/()[]")


def _is_another(text: str, names: tuple[str, ...]) -> bool:
    """Does it name somebody else than the source does? Not if the source names nobody."""
    return bool(names) and not _is_junk(text) and not any(_is_same(text, name) for name in names)


def _is_junk(text: str) -> bool:
    """No name: empty, digits, a placeholder, a program, an address, or letters in the wrong encoding."""
    bare = _ADDRESS.sub(" ", text)
    words = " ".join(re.findall(r"\w+", comparable(bare)))
    letters = [c for c in bare if c.isalpha()]
    garbled = sum("\x80" <= c <= "\xff" for c in bare) > len(bare.strip()) / 2 or "\ufffd" in text
    is_program = bool(_PROGRAMS.fullmatch(comparable(bare).strip()))
    return not letters or garbled or is_program or words in _PLACEHOLDERS


def _is_same(one: str, other: str) -> bool:
    """One name in two spellings: with or without titles, guests, blanks, accents and dots."""
    first, second = _words(one), _words(other)
    if first <= second or second <= first:
        return True
    short, long = sorted(("".join(_in_order(one)), "".join(_in_order(other))), key=len)
    return len(short) >= 6 and short in long


def _words(name: str) -> frozenset[str]:
    return frozenset(_in_order(name))


def _in_order(name: str) -> list[str]:
    plain = re.sub(r"\b(\w)\.(?=\s?\w\b|\s|$)", r"\1", comparable(name))
    return [word for word in re.findall(r"[^\W_]+", plain) if word not in _SMALL]


def _names(recording: Recording, others: Iterable[str]) -> tuple[str, ...]:
    """What the source calls the author, nothing if it names none."""
    if not recording.author.strip():
        return ()
    own = recording.author_url.rstrip("/").rpartition("/")[2]
    said = (recording.author, recording.requested_credit, recording.copyright_notice, own, *others)
    return tuple(name for name in said if _words(name))


def _without_cut_names(tags: Iterable[EmbeddedTag]) -> tuple[EmbeddedTag, ...]:
    """Without ID3v1's artist, cut at thirty bytes and of no known encoding, where another tag names one."""
    tags = tuple(tags)
    better = any(tag.kind == "author" and not tag.name.startswith("ID3v1") for tag in tags)
    return tuple(tag for tag in tags if not (better and tag.name.startswith("ID3v1")))


def _shown(text: str) -> str:
    return repr(text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN] + "…")
