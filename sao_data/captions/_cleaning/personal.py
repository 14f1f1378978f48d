"""Addresses on the net, and what reaches a person: e-mail, telephone, house, the place on the globe."""

from __future__ import annotations

import re

from sao_data.captions._cleaning.rule import ADDRESS, DIGITS, PERSON, Rule, phrases

_I = re.IGNORECASE
_TLD = (
    r"(?:com|org|net|edu|gov|info|biz|io|tv|fm|me|cc|xyz|app|dev|art|audio|band|music|blog|site|online|shop|"
    r"co\.uk|org\.uk|ac\.uk|com\.au|com\.br|de|fr|es|it|nl|be|at|ch|pl|cz|se|no|dk|fi|pt|ru|ua|jp|cn|kr|ca"
    r"|us|eu)"
)
_BARE = r"(?:com|org|net|edu|co\.uk|org\.uk|io|info|de|fr)"  # that no word of a sentence ends in
_STREET = (
    r"(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Square|Sq|Terrace|Way|Close"
    r"|Place|"
    r"Gardens|Crescent|Hill|Row|Mews|Parkway)"
)
_NAME = r"[A-ZÀ-Þ][\w'’.-]{1,30}"

LINK = phrases(
    "link",
    "addresses of pages, with or without a scheme; @names",
    "they lead away from the sound",
    re.compile(r"\b(?:https?|ftp)://[^\s<>\"]{1,2000}", _I),
    re.compile(r"\bwww\.[^\s<>\"]{1,2000}", _I),
    re.compile(
        rf"(?<![\w@.-])(?:[a-z0-9][a-z0-9-]{{0,62}}\.){{1,4}}(?:{_TLD}/[^\s<>\"]{{0,500}}|{_BARE}(?![\w@-]"
        rf"|\.\w))",
        _I,
    ),
    re.compile(r"(?<![\w@])@[A-Za-z_][\w.]{1,30}"),
    mark=ADDRESS,
    hints=("://", ".", "@"),
)
TITLE_LINK = phrases(  # "Thunder.com" may be what a title says
    LINK.name, LINK.what, LINK.why,
    *LINK.patterns[:2],
    re.compile(
        rf"(?<![\w@.-])(?:[a-z0-9][a-z0-9-]{{0,62}}\.){{1,4}}{_TLD}/[^\s<>\"]{{0,500}}"
        rf"|[(\[]@?(?:[a-z0-9][a-z0-9-]{{0,62}}\.){{1,4}}{_BARE}[)\]]", _I
    ),
    *LINK.patterns[3:],
    mark=ADDRESS,
    hints=("://", ".", "@"),
)  # fmt: skip
EMAIL = phrases(
    "email",
    "e-mail addresses, also with “at” and “dot” spelled out",
    "personal data",
    re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"),
    re.compile(
        r"(?<![\w.+-])[\w.+-]{1,64} ?[\[({<] ?(?:at|@) ?[\])}>] ?[\w-]{1,63}"
        r"(?:(?: ?[\[({<] ?(?:dot|\.) ?[\])}>] ?|\.)[a-z]{2,12}){1,4}",
        _I,
    ),
    re.compile(r"(?<![\w.+-])[\w.+-]{1,64} at [\w-]{1,63} dot [a-z]{2,12}\b", _I),
    re.compile(
        rf"(?<![A-Za-z0-9.+-])[A-Za-z0-9.+]{{1,64}}[-_ ]AT[-_ ][A-Za-z0-9-]{{1,63}}[._]{_TLD}(?![A-Za-z])"
    ),
    mark=PERSON,
    hints=("@", "at"),
)
COORDINATES = phrases(
    "coordinates",
    "latitude and longitude",
    "personal data: often the recordist's home",
    re.compile(
        r"\b\d{1,3} ?° ?\d{1,2}(?:[.,]\d{1,6})? ?['′’] ?(?:\d{1,2}(?:[.,]\d{1,4})? ?(?:[\"″”]|''"
        r"|′′) ?)?[NSEWO]\b"
        r"(?:[,;/ ]{0,3}\d{1,3} ?° ?\d{1,2}(?:[.,]\d{1,6})? ?['′’] ?"
        r"(?:\d{1,2}(?:[.,]\d{1,4})? ?(?:[\"″”]|''|′′) ?)?[NSEWO]\b)?"
    ),
    re.compile(
        r"\blat(?:itude)?\W{0,3}[-+]?\d{1,3}[.,]\d{1,10}\W{1,4}(?:lon|lng|long)(?:gitude)?\W{0,3}"
        r"[-+]?\d{1,3}[.,]\d{1,10}",
        _I,
    ),
    re.compile(
        r"(?<![\w.])[-+]?\d{1,2}\.\d{4,10}°? ?[NS]?[,;/ ]{1,3}[-+]?\d{1,3}\.\d{4,10}(?:°? ?[EWO]\b"
        r"|°)?(?!\w|\.\d)"
    ),
    re.compile(r"(?<![\w.])\d{1,2}[.,]\d{2,10} ?°? ?[NS]\b[,;/ ]{1,3}\d{1,3}[.,]\d{2,10} ?°? ?[EWO]\b"),
    mark=PERSON,
    hints=DIGITS,
)
PHONE = phrases(
    "phone",
    "telephone numbers",
    "personal data",
    re.compile(r"(?<![\w+])\+\d{1,3}(?:[ .()/-]{0,2}\d){7,14}(?!\d)"),
    re.compile(r"(?<![\w.])\(\d{3}\) ?\d{3}[-. ]\d{4}(?!\d)|(?<![\w.-])\d{3}([-.])\d{3}\1\d{4}(?![\d-])"),
    re.compile(
        r"\b(?:tel|phone|telephone|mobile|whatsapp|fax|telefon|handy|tél|móvil)(?:\.|\b)[ :.]{1,3}"
        r"\(?\d(?:[ ()/.-]{0,2}\d){6,14}",
        _I,
    ),
    mark=PERSON,
    hints=DIGITS,
)
POSTAL = phrases(
    "postal_address",
    "house number, street and post code together; the name of a place alone stays",
    "personal data",
    re.compile(
        rf"\b\d{{1,5}}[A-Za-z]? (?:{_NAME} ){{1,4}}{_STREET}\b\.?,?(?: (?:Apt|Unit|Flat|#)\.? ?\w{{1,6}},?)?"
        rf"(?: {_NAME},?){{1,3}} (?:[A-Z]{{2}} \d{{5}}(?:-\d{{4}})?|[A-Z]{{1,2}}\d[A-Z\d]? ?\d[A-Z]{{2}})\b"
    ),
    re.compile(
        r"\b[A-ZÄÖÜ][\w.-]{0,30}(?:straße|strasse|str\.|weg|gasse|platz|allee|ring|damm"
        r"|ufer) \d{1,4} ?[a-z]?,? "
        r"(?:D-|A-|CH-)?\d{4,5} [A-ZÄÖÜ][\w-]{1,30}"
    ),
    re.compile(
        r"\b\d{1,4}(?: bis| ter)?,? (?:rue|avenue|boulevard|place|chemin|impasse|allée|quai) [^,\n]{2,40}, ?"
        r"\d{5} [A-ZÀ-Þ][\w-]{1,30}",
        _I,
    ),
    re.compile(
        r"\b(?:Calle|Via|Viale|Piazza|Avenida"
        r"|Rua) [^,\n\d]{2,40},? (?:n[º°.]? ?)?\d{1,4},? \d{4,5}(?:-\d{3})? "
        r"[A-ZÀ-Þ][\w-]{1,30}"
    ),
    re.compile(
        rf"\b(?:my|our) (?:flat|house|home|place|address|studio|apartment)(?: (?:at|is|in"
        rf"|on))?:? \d{{1,5}}[A-Za-z]? "
        rf"(?:{_NAME} ){{1,4}}{_STREET}\b"
    ),
    mark=PERSON,
    hints=DIGITS,
)
PERSONAL: tuple[Rule, ...] = (EMAIL, COORDINATES, PHONE, POSTAL)
