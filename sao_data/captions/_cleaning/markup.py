"""Markup: entities however often they were encoded, HTML, BBCode, placeholders, rulers of dashes."""

from __future__ import annotations

import html
import re
import unicodedata

from sao_data.captions._cleaning.rule import MOST_INPUT, Removed, Rule, phrases

_MOST_ROUNDS = 12  # of decoding: honest texts need three
_JOINERS = "\u200c\u200d"  # invisible, but they spell words (Persian, Indic scripts, emoji)

_UNSEEN = re.compile(
    r"<(script|style)\b[^<>]{0,300}>.{0,10000}?</\1 {0,3}>|<!--.{0,10000}?-->", re.IGNORECASE | re.DOTALL
)
_BREAK = re.compile(r"</?(?:br|p|div|li|ul|ol|tr|td|h[1-6]|hr|blockquote|img)\b[^<>]*+>", re.IGNORECASE)
_TAG = re.compile(r"<(?:/?([a-z][\w:.-]{0,60})|[/!?])[^<>]*+>", re.IGNORECASE)
_ELEMENT_NAMES = (
    "a abbr address area article aside audio b base bdi bdo big blockquote body br button canvas "
    "caption center cite code col dd del details dfn dialog dir div dl dt em embed fieldset "
    "figcaption figure font footer form frame frameset h1 h2 h3 h4 h5 h6 head header hr html i iframe "
    "img input ins kbd label legend li link main map mark marquee math meta meter nav noscript object "
    "ol option p param picture pre q s samp script section select small source span strike strong "
    "style sub summary sup svg table tbody td template textarea tfoot th thead time title tr track tt "
    "u ul var video wbr"
)
_ELEMENTS = frozenset(_ELEMENT_NAMES.split())
_AMP = re.compile(r"&(?:amp;|#38;|#x26;)++", re.IGNORECASE)
_BBCODE = re.compile(
    r"\[/?(?:b|i|u|s|url|img|quote|code|size|colou?r|center|list|email|youtube|\*)(?:=[^\[\]\n]{0,300})?\]",
    re.IGNORECASE,
)


def visible(text: str) -> str:
    """NFC, without characters that cannot be seen; every white space but a line's end is one blank."""
    if text.isascii() and text.isprintable() and len(text) <= MOST_INPUT:  # most titles: nothing to look for
        return " ".join(text.split())
    seen = unicodedata.normalize("NFC", "".join(_shown(character) for character in text[:MOST_INPUT]))
    return "\n".join(line for line in (" ".join(line.split()) for line in seen.split("\n")) if line)


def _shown(character: str) -> str:
    category = unicodedata.category(character)
    if character in "\n\u2028\u2029":
        return "\n"
    if category[0] == "Z" or character in "\t\r\v\f":
        return " "
    return "" if category in ("Cc", "Cf", "Cs", "Co") and character not in _JOINERS else character


def _decoded(text: str) -> tuple[str, Removed]:
    """Entities and tags, until there are none: one may hide another. A text that has some after many rounds
    was made to; what makes markup of it goes."""
    if "<" not in text and "&" not in text:
        return text, ()
    removed: list[str] = []

    def tag(match: re.Match[str]) -> str:
        removed.append(match[0])
        inner = match[0].strip("</>")
        return (
            "" if (match[1] or "p").lower() in _ELEMENTS else inner
        )  # "<live>" in a title is a word in brackets

    for _ in range(_MOST_ROUNDS):
        before = text
        for pattern, by in ((_UNSEEN, " "), (_BREAK, "\n")):
            removed += [match[0] for match in pattern.finditer(text)]
            text = pattern.sub(by, text)
        text = _TAG.sub(tag, text)
        decoded = html.unescape(_AMP.sub("&", text))
        if decoded != text:
            removed += ["&"] if not removed else []
        text = visible(decoded)
        if text == before:
            return text, tuple(removed)
    return visible(re.sub("[<>&]", " ", text)), (*removed, "&")


MARKUP = Rule(
    name="markup",
    what="HTML tags, scripts, comments, and entities such as &amp;amp;quot;",
    why="they say how a page looks",
    apply=_decoded,
    patterns=(_UNSEEN, _BREAK, _TAG, _AMP),
)
BBCODE = Rule(
    name="bbcode",
    what="[b], [/i], [url=…] and their like; the words between them stay",
    why="they say how a page looks",
    apply=lambda text: (_BBCODE.sub("", text), tuple(m[0] for m in _BBCODE.finditer(text))),
    patterns=(_BBCODE,),
)
PLACEHOLDER = phrases(
    "placeholder",
    "${sound_url} and its like",
    "Freesound fills them in on its pages",
    re.compile(r"\$\{\w{1,40}\}"),
)
RULER = phrases(
    "ruler",
    "lines of dashes, stars and other signs alone",
    "they part paragraphs",
    re.compile(r"^[-=*_~#.+|·• ]{3,200}$", re.MULTILINE),
)
