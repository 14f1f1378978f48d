"""Recorders, microphones, interfaces, programs and file formats. Instruments, pedals and plug-ins that sound
are none: "made with a Roland Juno-106" describes. What has another meaning ("reaper", a telephone that rings)
counts only behind a word of making: "edited in Reaper"."""

from __future__ import annotations

import re

from sao_data.captions._cleaning.rule import CUT, clauses, phrases

_I = re.IGNORECASE
_RECORDERS = (
    r"zoom ?(?:h|f|q|l)-?\d{1,2}(?:n|e)?(?: ?pro| ?essential)?|h[124568]n(?: pro)?"
    r"|tascam (?:dr|hd|dp|us|dv|portacapture)-?[ ]?[\dx]{1,4}\w{0,6}|dr-?(?:05|07|10|22|40|44|60|70"
    r"|100)\w{0,4}"
    r"|sony (?:pcm|mz|ecm|icd|tcd)-?[ ]?\w{0,6}(?:-\w{1,4})?|pcm-?(?:d|m|a)\d{1,3}|olympus (?:ls|ws|dm"
    r"|vn)-?[ ]?\d\w{0,5}"
    r"|marantz pmd-?[ ]?\d{1,4}\w{0,3}|pmd-?6\d\d|fostex fr-?[ ]?\w{1,6}|(?:edirol|roland) r-?(?:05|07|09"
    r"|26|44|88)\w{0,3}"
    r"|sound ?devices(?: mix ?pre(?:-?\d{1,2}\w{0,2})?(?: ?ii)?| ?\d{3}\w{0,2})|mix ?pre-?\d{1,2}\w{0,2}"
    r"|nagra \d?[a-z]{1,5}\d?"
    r"|korg mr-?\d{1,4}|yamaha pocketrak \w{1,4}|minidisc recorder|zoom (?:handy )?recorder"
)
_MICROPHONES = (
    r"r[øo]de ?(?:nt-?usb|ntg|nt|videomic|lavalier|wireless go)-?[ ]?\d{0,2}[a-z+]{0,2}(?: pro)?"
    r"|ntg-?[1-5]\+?|nt-?[1-5][ab]?"
    r"|sennheiser (?:mkh|mke|mk|md|me|e|k)-?[ ]?\d{1,4}\w{0,2}|mkh-?\d{2,4}|neumann (?:u|km|tlm|kus?"
    r"|kms)-?[ ]?\d{1,3}\w{0,3}|km ?18[345]"
    r"|akg (?:c|d|p|ck|se)-?[ ]?\d{1,4}\w{0,4}|shure (?:sm|beta|vp|ksm|mv)-?[ ]?\d{1,3}\w{0,2}|sm-?5[78]"
    r"|dpa \d{4}\w{0,2}"
    r"|audio-?[ ]?technica (?:at|bp)-?[ ]?\d{2,4}\w{0,3}|at-?(?:20|40|80)\d\d\w{0,3}|oktava mk-?[ ]?\d{2,4}"
    r"|schoeps (?:cmc|mk|ccm)-?[ ]?\w{1,5}"
    r"|lom (?:usi|elektrosluch|geofon)\w{0,4}(?: pro)?|primo em-?\d{2,4}|em-?172|soundman okm\w{0,4}"
    r"|line audio cm\d"
    r"|aquarian (?:audio )?h\d\w{0,3}|blue (?:yeti|snowball)|behringer (?:ecm|c|b)-?\d{1,4}|clippy (?:em"
    r"|xlr)\w{0,5}"
)
_PROGRAMS = (
    r"adobe (?:audition|premiere)(?: cc| cs\d| pro)?|ableton(?: live)?(?: \d{1,2})?|pro ?tools \d{1,2}"
    r"|logic pro(?: x| \d{1,2})?|fl ?studio(?: \d{1,2})?"
    r"|cubase(?: \d{1,2})?|wavelab(?: \d{1,2})?|sound ?forge(?: \d{1,2})?|i?zotope rx ?\d{0,2}"
    r"|cool edit(?: pro)?|ocenaudio|goldwave|wavosaur"
    r"|twisted ?wave"
)
_AMBIGUOUS = (
    r"audacity(?: \d[\d.]{0,6})?|audition(?: cc| cs\d)?|pro ?tools|logic|reaper(?: \d[\d.]{0,5})?|nuendo"
    r"|garage ?band|rx ?\d{1,2}|final cut(?: pro)?"
    r"|(?:focusrite )?scarlett (?:solo|\d{1,2}i\d{1,2})|(?:samsung )?galaxy s\d{1,2}|my (?:phone"
    r"|cell ?phone|smartphone)"
    r"|iphone(?: \d{1,2})?(?: ?s| ?pro| ?plus| ?max| ?mini){0,2}"
)
_MAKING = (
    "recorded", "recording", "edited", "editing", "made", "mixed", "mastered", "processed", "normalised",
    "normalized", "reduced", "cleaned", "created", "produced", "captured", "taped", "filmed", "trimmed",
    "cut", "exported", "rendered", "converted", "generated", "synthesised", "synthesized", "removed",
    "boosted", "bearbeitet", "aufgenommen", "enregistré", "enregistrée", "grabado", "grabada", "editado",
    "registrato", "gravado",
)  # fmt: skip
_MADE = "(?:" + "|".join(f"(?<={word} )" for word in (*_MAKING, CUT)) + ")"
_BITS = r"(?:16|24|32)[- ]?bits?(?: ?float)?"
_RATE = r"(?:44[.,]1|48|88[.,]2|96|176[.,]4|192) ?k(?:hz)?"
_FORMAT = (
    rf"(?:{_RATE}[ /,@&-]{{0,3}}{_BITS}|{_BITS}[ /,@&-]{{0,3}}(?:{_RATE}|(?:44100|48000|96000"
    r"|192000)(?: ?hz)?))"
)
_KIND = (
    r"(?:hand(?:y|held)|portable|digital|field|audio|sound|shotgun|stereo|condenser|dynamic|lavalier"
    r"|internal|built-in|"
    r"external|contact|pocket)"
)
_NOUN = (
    rf"(?:[ ,]{{0,2}}(?:\((?:xy|x/y|ortf|ms|m/s|ab|mid-side|stereo|mono)\)|\""
    rf"|(?:{_KIND} ){{0,3}}(?:recorders?|mics?|microphones?|mikes?|"
    r"preamps?|interface|capsules?|xy|ortf|mid-side)\b)){0,4}"
)
_ITEM = rf"(?:\d ?x ?|two |pair of |\")?\b(?:{_RECORDERS}|{_MICROPHONES})(?!\w){_NOUN}"
_BETWEEN = r"(?: ?[,+&/>|] ?| (?:and|und|et|y|e|with|into|through) (?:an? |the )?| -> | - | )"
_LIST = rf"{_ITEM}(?:{_BETWEEN}{_ITEM}){{0,6}}"
_BY = r"(?:with|using|on|in|via|into|through|by|from|mit|auf|avec|sur|con|com|à)"
_ARTICLE = r"(?:the|an?|my|our|un|une|mon|einem?|einer|meinem|mi|uno|uma?|el|le)"
_HINTS = (
    "zoom", "h1n", "h2n", "h4n", "h5n", "h6n", "h8n", "tascam", "dr", "sony", "pcm", "olympus", "pmd",
    "fostex", "edirol", "roland r", "devices", "pre", "nagra", "korg mr", "pocketrak", "minidisc", "rode",
    "røde", "nt", "sennheiser", "mkh", "neumann", "km", "akg", "shure", "sm", "dpa", "technica", "at",
    "oktava", "schoeps", "lom ", "primo", "em", "okm", "line audio", "aquarian", "blue ", "behringer",
    "clippy",
)  # fmt: skip

FORMAT_TEXT = rf"{_FORMAT}(?:[ ,/]{{1,2}}(?:stereo|mono)\b)?(?:[ ,/]{{1,2}}(?:wav|aiff?|flac)(?: files?)?\b)?"
GEAR_TEXT = rf"(?:{_RECORDERS}|{_MICROPHONES})"
TAG_GEAR = re.compile(
    rf"(?:{_RECORDERS}|{_MICROPHONES}|zoom recorder|audacity|fl ?studio|ableton(?: live)?|sennheiser|tascam"
    rf"|rode|r[øo]de ntg?)",
    _I,
)
TAG_FORMAT = re.compile(rf"(?:{_FORMAT}|{_BITS}|{_RATE}|wav|mp3|aiff?|flac|ogg)", _I)

FORMAT = phrases(
    "format",
    "bit depth with sample rate: “24bit 96k”, “44.1 kHz, 16 bit, stereo wav”",
    "every clip is brought to one format",
    re.compile(rf"\b{FORMAT_TEXT}(?!\w)", _I),
    hints=("bit",),
)
GEAR = phrases(
    "gear",
    "recorders, microphones and programs, by name",
    "they are not heard by name; instruments stay",
    re.compile(rf"(?<![\w-])(?:{_BY} )?(?:{_ARTICLE} )?{_LIST}(?![\w-])", _I),
    hints=_HINTS,
)
MADE_WITH = phrases(
    "made_with",
    "programs and telephones behind a word of making: “edited in Audacity”, “recorded on my phone”",
    "they are not heard by name",
    re.compile(rf"\b(?:in|with|using|mit|con|avec|via|by) (?:{_ARTICLE} )?(?:{_PROGRAMS})(?!\w)", _I),
    re.compile(rf"{_MADE}{_BY} (?:{_ARTICLE} )?(?:{_AMBIGUOUS})(?!\w)(?: and (?={_BY}))?", _I),
    hints=(
        "in ",
        "with",
        "using",
        "mit",
        "con",
        "avec",
        "via",
        "by",
        "on ",
        "auf",
        "sur",
        "com",
        "through",
        "into",
        "from",
    ),
)
GEAR_HEADING = clauses(
    "gear_heading",
    "“Gear: …”, “Equipment used: …”",
    "gear follows",
    whole=re.compile(
        r"^ ?(?:my |used )?(?:gear|equipment|recording (?:gear|equipment|chain|setup))(?: used)?$", _I
    ),
    hints=("gear", "equipment", "chain", "setup"),
)
