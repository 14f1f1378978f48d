"""Foreign text made fit to print: one line, bounded, in the reader's order; links only to http and https.

Only what is shown passes through here. The raw values stay in attribution.json and in the catalogue.
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import urlsplit

from sao_data.licences.address import normal
from sao_data.records import CatalogueRow

MAX_MARKS = 3  # combining marks in a row; more than any orthography stacks, fewer than fill a page
MAX_URL = 2048  # characters; longer ones are shown as text

_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252})(?::[0-9]{1,5})?")
_DIRECTION = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
_FORBIDDEN_IN_URL = frozenset(" \"'<>\\^`{|}")


def one_line(text: str) -> str:
    """Collapse blanks and line breaks, drop direction overrides, show other unprintables as U+FFFD."""
    if not text.isprintable():
        text = "".join(_printable(char) for char in text)
    return " ".join(text.split())


def shorten(text: str, limit: int = 120) -> str:
    """At most `limit` characters of the text on one line, with at most MAX_MARKS combining marks in a row."""
    text = one_line(text)
    if not text.isascii():
        text = _few_marks(text)
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def safe_url(text: str) -> str:
    """The URL if it may become a link (http or https, plain host, no user, nothing unprintable), else ''."""
    if not text or len(text) > MAX_URL or not text.isprintable() or _FORBIDDEN_IN_URL & set(text):
        return ""
    try:
        parts = urlsplit(text)
    except ValueError:  # "http://[": no address at all, so nothing to link to
        return ""
    is_web = parts.scheme in ("http", "https") and text.lower().startswith(f"{parts.scheme}://")
    return text if is_web and _HOST.fullmatch(parts.netloc) else ""


def work_order(row: CatalogueRow) -> tuple[str, list[str | int], str]:
    """Sort key: by source, then by id with its numbers compared as numbers."""
    own = row.id.partition(":")[2]
    # re.split alternates text and digits, so that equal places always hold equal types
    parts: list[str | int] = [
        int(part) if place % 2 else part for place, part in enumerate(re.split("([0-9]+)", own))
    ]
    return row.source, parts, row.id


def author_key(row: CatalogueRow) -> str:
    """Who made it: the source's id of the author, else the page, else the name; '' = nobody is named."""
    if not one_line(row.author):
        return ""
    page = normal(row.author_url)
    return f"{row.source} {row.author_id or page or unicodedata.normalize('NFC', row.author)}"


def count(number: int, one: str, many: str = "") -> str:
    """ "1 recording", "2,000 recordings"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def length(seconds: float) -> str:
    """A duration for people: "5.0 s", "16 min 32 s", "7,300 h 12 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60} min"


def reason_in_words(reason: str) -> str:
    """A rejection reason for people: known ones as a phrase, the others with their underscores taken out."""
    return _REASONS.get(reason, reason.replace("_", " ").replace("license", "licence"))


_REASONS = {
    "duplicate_id": "offered more than once; counted once",
    "taken_down": "taken out on request",
    "ai_preference_forbids": "the uploader wants no training of generative models",
    "ai_preference_not_met": "the uploader's wish about generative AI is not met by the declared use",
    "screening_hit": "resembles a known piece of music",
    "not_done_yet": "not done yet; the next run goes on with it",
    "withdrawn": "no longer offered when its file was to be fetched",
    "same_file_as_denied": "the same file as a recording that is not allowed",
    "duplicate_audio": "the same audio as another recording",
    "not_seen": "in the dataset, but not seen by this checkpoint",
    "in_other_shards": "in the dataset, but not in this shard",
    "missing_file": "the source has no file for it",
    "too_short": "shorter than the minimum length",
    "too_long": "longer than the maximum length",
    "truncated": "the file ends too early",
    "corrupt": "the file is damaged",
    "not_audio": "the file is not audio",
}


def _printable(char: str) -> str:
    if char.isprintable():
        return char
    if char.isspace():
        return " "
    if char in _DIRECTION:
        return ""
    return char if unicodedata.category(char) == "Cf" else "\ufffd"  # Cf: joiners that scripts and emoji need


def _few_marks(text: str) -> str:
    kept: list[str] = []
    num_marks = 0
    for char in text:
        num_marks = num_marks + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        if num_marks <= MAX_MARKS:
            kept.append(char)
    return "".join(kept)
