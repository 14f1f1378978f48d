"""Titles that are names of files: recorders' numbering, track and take numbers, dates, counters, formats."""

from __future__ import annotations

import re

from sao_data.captions._cleaning.gear import FORMAT, FORMAT_TEXT, GEAR_TEXT
from sao_data.captions._cleaning.rule import CUT, DIGITS, Removed, Rule, phrases, sentences, words
from sao_data.captions._cleaning.vocabulary import LEFTOVER

_I = re.IGNORECASE
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|"
    r"nov(?:ember)?|dec(?:ember)?)\.?"
)
_YMD = r"(?:19[5-9]\d|20[0-4]\d)(?P<sep>[-._/ ]?)(?:0[1-9]|1[0-2])(?P=sep)(?:0[1-9]|[12]\d|3[01])"
_DMY = r"(?:0?[1-9]|[12]\d|3[01])(?P<s2>[-./])(?:0?[1-9]|1[0-2])(?P=s2)(?:19[5-9]\d|20[0-4]\d)"
_WORDED = (
    rf"(?:\d{{1,2}}(?:st|nd|rd|th)?\.?(?: of)? {_MONTH},? (?:19|20)\d\d|{_MONTH} \d{{1,2}}(?:st|nd|rd"
    r"|th)?,? (?:19|20)\d\d)"
)
_SHORT = r"(?:[01]\d|2[0-6])(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"  # YYMMDD
_DAY = re.compile(
    rf"(?:\b(?:on|am|le|el|il) )?(?:the )?(?:(?<![\d.]){_YMD}(?!\d)|(?<![\d.]){_DMY}(?!\d)"
    rf"|(?<!\w){_WORDED}(?!\w))",
    _I,
)
_MADE = re.compile(r"\b(?:record|captur|taken|taped|date|made|aufgenommen|enregistr|grabad|registrat)", _I)

SUFFIX = phrases(
    "suffix",
    "endings of audio files",
    "the file is another one now",
    re.compile(r"(?:\.(?:wave?|aiff?|aifc|flac|mp[234]|ogg|oga|opus|m4a|wma|wv|caf|au) {0,3})++$", _I),
    hints=(".",),
)
UNDERSCORE = Rule(
    name="underscore",
    what="“_” for a blank",
    why="names of files have no blanks",
    apply=lambda text: (" ".join(text.replace("_", " ").split()), ("_",) if "_" in text else ()),
)
RECORDER_NAME = phrases(
    "recorder_name",
    "names that recorders and telephones give: ZOOM0023_LR, STE-001, AUDIO_20190412_083012",
    "numbering of files",
    re.compile(
        r"^(?:zoom ?\d{4}|ste-?\d{3,4}|dm-?\d{5,6}|dr-?\d{4,6}(?: \d{4})?|dw [a-z]\d{4}|tascam[ -]?\d{3,4}"
        r"|vn-?\d{5,6}|ds-?\d{5,6}|r\d\d[- ]\d{4}"
        r"|rec-?\d{3,5}|(?:audio|voice|rec|vid|ptt)[ -]?\d{8}[ -](?:\d{4,6}|wa\d{4})|img[ -]?\d{4}"
        r"|mvi[ -]?\d{4}|dsc[ -]?\d{4,5}|gopr\d{4}|mzr?\d{3,6})"
        r"(?:[ -](?:lr|tr\d{1,2}(?:-\d{1,2})?|mix|xy|ms|tr|s\d{1,2}|l|r|\d{1,2})(?![^\W_]))*+(?![^\W_])",
        _I,
    ),
)
NO_NAME = phrases(
    "no_name",
    "“untitled”, “New Recording 14”, “Track 05”, also with a number",
    "no title at all",
    re.compile(
        r"^(?:un ?titled|no ?name|unnamed|no title|new (?:recording|audio recording|project|track)"
        r"|voice (?:memo|\d{3})|audio track|audio ?\d{1,4}|track|recording|memo|"
        r"sans titre|ohne titel|sin t[ií]tulo|senza titolo|sem t[ií]tulo|neue aufnahme|nouvel enregistrement)"
        r"(?: ?[#(-]? ?\d{1,4}\)?)?$",
        _I,
    ),
)
TRACK_NUMBER = phrases(
    "track_number",
    "“03 - ”, “07. ”, “01-” before a title; not “3 knocks” or “808 kick”",
    "the place on a record",
    re.compile(r"^\(?(?:\d{1,2} [-–—] |0\d(?:[.)] ?|[-–] ?| )|[1-9]\d[.)] )(?=[^\W\d_])"),
    hints=DIGITS,
)
DATE = phrases(
    "date",
    "dates of the day; a year alone stays",
    "when it was recorded is not heard",
    re.compile(rf"(?<![\d.]){_YMD}(?:[- ](?:\d{{6}}|\d\d[-:.]\d\d(?:[-:.]\d\d)?))?(?!\d)"),
    re.compile(rf"(?<![\d.]){_DMY}(?!\d)|(?<!\w){_WORDED}(?!\w)", _I),
    re.compile(rf"^{_SHORT}(?= [^\W\d_])|(?<=[^\W\d_] ){_SHORT}$"),
    hints=DIGITS,
)
TAKE = phrases(
    "take",
    "“take 3”, “(Take 2)” behind other words",
    "numbering of files",
    re.compile(r"(?<=\w)[ ,]{0,2}[-–([]{0,2} ?\btake ?#?\d{1,3}(?: of \d{1,3})?[)\]]?", _I),
    hints=("take",),
)
TITLE_FORMAT = phrases(
    "format",
    FORMAT.what,
    FORMAT.why,
    re.compile(rf"[(\[] ?{FORMAT_TEXT} ?[)\]]|(?<=\w )\b{FORMAT_TEXT}$", _I),
    re.compile(r"[(\[] ?(?:wav|mp3|aiff?|flac|(?:16|24|32)[- ]?bits?) ?[)\]]", _I),
    hints=("bit", "(", "["),
)
TITLE_GEAR = phrases(
    "gear",
    "recorders and microphones behind a comma, a dash or in brackets",
    "they are not heard by name",
    re.compile(rf"(?<=\w)(?: ?, | - | ?[(\[]){GEAR_TEXT}[)\]]?$", _I),
    hints=(",", " - ", "(", "["),
)
TITLE_LICENCE = phrases(
    "licence",
    "a licence in brackets",
    "rights stand in fields of their own",
    re.compile(
        r"[(\[] ?(?:cc0|cc[- ]by[^()\[\]]{0,20}|creative commons[^()\[\]]{0,30}|public domain"
        r"|royalty[- ]free|copyright[- ]free|no copyright|free download) ?[)\]]",
        _I,
    ),
    hints=("(", "["),
)
COUNTER = phrases(
    "counter",
    "numbers of three digits and more that begin with 0, at the end",
    "numbering of files",
    re.compile(r"(?<=[^\W\d]{2})[ -]?0\d{2,5}$|(?<=[^\W\d]{2}) 0\d{2,5}$"),
    hints=("0",),
)


def _dated(text: str) -> tuple[str, Removed]:
    """Dates in sentences that speak of recording or say nothing else; "a speech on 3 March 1919" stays."""
    removed: list[str] = []

    made = []
    for sentence, end in sentences(text):
        rest = _DAY.sub(" ", sentence)
        if rest != sentence and (_MADE.search(sentence) or words(rest) <= LEFTOVER):
            removed += [match[0] for match in _DAY.finditer(sentence)]
            sentence = _DAY.sub(CUT, sentence)
        made += [sentence, end]
    return "".join(made), tuple(removed)


TEXT_DATE = Rule(name="date", what=DATE.what, why=DATE.why, apply=_dated, patterns=(_DAY, _MADE))
