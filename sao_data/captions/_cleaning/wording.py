"""Sentences to the reader: licence, credit, adverts, packs, thanks; and what is left of sentences with holes.

Each is recognised by words that only such sentences hold ("please credit", never "credit" alone). A phrase
that may stand beside a description ("CC0", "royalty free") takes its clause along only if the clause says
nothing else.
"""

from __future__ import annotations

import re

from sao_data.captions._cleaning.rule import (
    ADDRESS,
    CUT,
    MARKS,
    PERSON,
    Removed,
    Rule,
    clauses,
    has_marks,
    has_words,
    hole,
    sentences,
    split_clauses,
    words,
)
from sao_data.captions._cleaning.vocabulary import (
    CONTACT_WORDS,
    FUNCTION_WORDS,
    LEFTOVER,
    LICENCE_WORDS,
    MADE_WORDS,
    MAKING_WORDS,
    THANKFUL_WORDS,
    THANKS_WORDS,
)

_I = re.IGNORECASE
_SITES = (
    r"(?:patreon|you ?tube|sound ?cloud|bandcamp|instagram|twitter|facebook|tik ?tok|spotify|mixcloud|twitch|"
    r"discord|ko-?fi|pay ?pal|web ?site|web ?page|home ?page|blog|channel|page|profile|pack|packs)"
)
_NOTHING = re.compile(r"^\W{0,4}(?:n/a|none|null|nil|no description(?: yet)?|tba|todo)\W{0,4}$", _I)
LICENCE = clauses(
    "licence",
    "under which licence the work is, what one may do with it",
    "rights stand in fields of their own",
    whole=re.compile(
        r"\b(?:you|u) (?:can|may|could|are free to|are welcome to|are allowed to|do ?n[o']t need|must"
        r"|have to|should) "
        r"(?:\w{1,40} ){0,2}(?:use|credit|do|download|modify|remix|share|sell|edit|give|link|mention"
        r"|attribute)\b"
        r"|\bfeel free\b|\bfree to use\b|\bfree for (?:\w{1,40} ){0,3}(?:use|projects?|purposes?)\b"
        r"|\bif (?:you|u|anyone|someone|anybody) (?:\w{1,40} ){0,3}(?:uses?|used|using|needs?|wants?)\b"
        r"|\bwhen you use (?:it|this)\b"
        r"|\bdo (?:whatever|what|anything|as) you (?:want|like|wish|please)\b"
        r"|\buse (?:it|this|them|these|the sounds?) (?:\w{1,40} ){0,3}(?:free|freely|any|anywhere|however"
        r"|whatever|as you|in your|for your)\b"
        r"|\b(?:is|are) (?:licen[cs]ed|released|published|distributed) under\b|^ ?licen[cs]ed? (?:under|by)\b"
        r"|\b(?:uso libre|de uso libre|libre de droits|libre de derechos|frei verwendbar|freie verwendung"
        r"|utilisation libre"
        r"|uso livre|liberi da diritti)\b|^ ?(?:©|copyright (?:\(c\)|©|\d{4}|by)|\(c\) ?\d{4})"
        r"|^ ?no rights reserved",
        _I,
    ),
    phrase=re.compile(
        r"\bcc[- ]?(?:by|0|zero)(?:[- ](?:sa|nc|nd|by)){0,3}(?:[- ]?[1-4]\.[05])?\b"
        r"|\bcreative[- ]commons(?: (?:attribution|zero|0|licen[cs]ed?))?"
        r"|\battribution(?:[- ](?:share ?alike|non ?commercial|no ?deriv\w{0,8})){0,2} [1-4]\.[05]"
        r"|\battribution[- ](?:share ?alike|non ?commercial)\b|\b(?:in(?:to)? "
        r"|to )?(?:the )?public domain\b|\broyalty[- ]free\b"
        r"|\bcopyright[- ]free\b|\bfree (?:of|from) copyright\b|\bno copyright\b|\ball rights reserved\b"
        r"|\bfor free\b|\bfree (?:download|of charge)\b|\bnon-?commercial(?: use)?\b|^ ?licen[cs]e\b",
        _I,
    ),
    husk=FUNCTION_WORDS | LICENCE_WORDS | MADE_WORDS,
    hints=(
        "licen",
        "use",
        "using",
        "you",
        "need",
        "want",
        "free",
        "copyright",
        "©",
        "(c)",
        "cc",
        "creative",
        "attribution",
        "domain",
        "rights",
        "commercial",
        "libre",
        "livre",
        "frei",
        "diritti",
    ),
)
CREDIT = clauses(
    "credit",
    "how, and whether, the author wants to be named",
    "the credit line stands in a field of its own",
    whole=re.compile(
        r"\b(?:please|pls|plz|kindly) (?:\w{1,40} ){0,2}(?:credit|mention (?:me|my|the)|attribute|cite"
        r"|name (?:me|my|the (?:author|source))|give (?:me |a )?(?:credit|link)|"
        r"(?:send )?(?:me )?a? ?link|leave (?:a|an|your)|rate|comment|let me|include (?:a|my|credit"
        r"|attribution))\b"
        r"|\bcredits? (?:me|us|my|would|not|required|needed|necessary|appreciated|is appreciated|is not"
        r"|isn't|are appreciated|if|goes? to me)\b"
        r"|\b(?:no|without|any) (?:credits?|attribution) (?:is |are )?(?:required|needed|necessary)\b"
        r"|\bno (?:attribution|credits?)$|\battribution (?:is |are )?(?:not )?(?:required|needed|necessary"
        r"|appreciated)\b"
        r"|\bgiv(?:e|ing) (?:me )?(?:some )?credits?\b|\bmention my name\b|\blink back to\b"
        r"|\bbitte (?:\w{1,40} ){0,4}(?:nennen|angeben|erwähnen)\b|\b(?:namens)?nennung (?:ist |wäre "
        r"|nicht |erwünscht|erforderlich)|^ ?namensnennung\b"
        r"|\bmerci de (?:me |m'|nous )?(?:créditer|citer|mentionner)|\bveuillez (?:me )?(?:créditer|citer"
        r"|mentionner)"
        r"|\bpor favor,? (?:\w{1,40} ){0,3}(?:crédit\w{0,4}|menci\w{0,6}|cita\w{0,3})|\b(?:da|dar|dame"
        r"|dando) cr[ée]ditos?\b|\bsi (?:lo|la|los|las) (?:usas|utilizas)\b|\bsi prega di citare\b",
        _I,
    ),
    hints=(
        "credit",
        "crédit",
        "attribution",
        "please",
        "pls",
        "plz",
        "kindly",
        "mention",
        "link back",
        "nenn",
        "angeben",
        "erwähn",
        "merci",
        "veuillez",
        "favor",
        "usas",
        "utilizas",
        "prega",
    ),
)
ADVERT = clauses(
    "advert",
    "calls to visit, follow, buy, give or write; other works of the author",
    "they are about the author",
    whole=re.compile(
        r"\bcheck (?:me )?out (?:my|our|me|us|the rest|more|other)\b|\bcheck my\b"
        rf"|\b(?:my|our) (?:\w{1, 40} ){{0,2}}{_SITES}\b|\b(?:support|buy|tip) (?:(?:me|us) (?:on|by|at|via"
        rf"|here|with|if|a coffee)|my|our|the (?:artists?|album|band|ep|record))\b"
        r"|\bfollow (?:me|us) (?:on|at|for|@)|^ ?follow (?:me|us)\b ?!?$|\blike and subscribe\b"
        r"|^ ?(?:subscribe|abonnez-vous|suscríbete|abonniert)\b|\bsubscribe to (?:my|our)\b"
        r"|\bplease (?:donate|subscribe|follow|visit|check|support|like)\b|\bdonations?\b (?:are "
        r"|is )?(?:welcome|appreciated|via|to)\b"
        r"|\bdonate (?:to (?:me|us|my|our)|via|at|on|here)\b|\blink in (?:the |my )?(?:bio|description"
        r"|profile|comments?)\b"
        r"|\b(?:rest|more|all|some|others?) of my (?:\w{1,40} ){0,2}(?:sounds?|samples?|packs?|work|music"
        r"|stuff|recordings?|tracks?|uploads)\b"
        r"|\bmy other (?:sounds?|samples?|packs?|work|music|recordings?|tracks?|uploads|albums?)\b"
        r"|\bif you (?:like|enjoy|love|liked|enjoyed) (?:my|this|it|these|what)\b"
        r"|\bleave (?:me )?an? (?:like|comment|rating|review|note|message)\b"
        r"|\blet me (?:know|hear|see)\b|\b(?:i'd|i would|would) (?:\w{1,40} )?(?:love|like|be happy"
        r"|be glad) to (?:hear|know|see)\b"
        r"|\b(?:on|via|at) patreon\b|\bbuy me a (?:coffee|beer)\b|\b(?:call|write to|e-?mail|contact"
        r"|message|pm|dm) (?:me|us)\b"
        r"|\brequests? (?:are )?welcome\b|\bcomments? (?:are )?(?:welcome|appreciated)\b|^ ?rate (?:and"
        r"|this|it|my)\b",
        _I,
    ),
    hints=(
        " my",
        "our",
        "me",
        " us",
        "follow",
        "subscribe",
        "abonn",
        "suscr",
        "please",
        "donat",
        "link",
        "you",
        "patreon",
        "love",
        "like",
        "request",
        "comment",
        "rate",
        "the ",
    ),
)
PACK = clauses(
    "pack",
    "of which pack or library a sound is a part",
    "it says where the file lies",
    whole=re.compile(
        r"\bparts? of (?:the|a|an|my|our|this) (?:[\w'-]{1,40} ){0,6}(?:pack|packs|sample library"
        r"|sound library|sample set|sfx library)\b"
        r"|^ ?(?:this (?:sound )?is )?(?:a )?parts? of (?:the|a|an|my|our|this) [ ]{0,60}(?:series"
        r"|collection|set)\W{0,3}$"
        r"|^ ?(?:uploaded|added) to (?:the|my|our) [ ]{0,60}(?:[\w'-]{1,40} ){0,5}pack\b"
        r"|^ ?(?:this (?:sound )?(?:is )?|taken )?from (?:the|my|our) (?:[\w'-]{1,40} ){0,5}(?:sample"
        r"|sound)? ?(?:pack|library)\b"
        r"|\bsee (?:all|the rest|the (?:\w{1,40} )?pack|other|the other"
        r"|also the) ?(?:\w{1,40} ){0,3}(?:samples?|sounds?|pack|there|files|here)?\b"
        r"|\b(?:other|more|all) (?:sounds?|samples?|files|versions) (?:in|of|from) (?:the|this) (?:pack"
        r"|series|set)\b"
        r"|^ ?(?:sound|sample|file|number|nr|no)?\.? ?#?\d{1,3} of \d{1,3}$",
        _I,
    ),
    hints=(" of ", "from", "see", "uploaded", "added"),
)
POINTER = clauses(
    "pointer",
    "clauses that lead to an address, or say how to reach somebody",
    "without the address they say nothing",
    whole=re.compile(
        rf"^\W{{0,3}}(?:see|visit|more|watch|listen|download|buy|find|info|infos|source|link|links|video"
        rf"|pictures?|photos?|"
        rf"go to|available|get|website|web|from|via|at|on|here|hear|full|original|also|check|and|or)\b"
        rf"[^{MARKS}]{{0,60}}{ADDRESS}"
        rf"|\b(?:contact|address|adress|e-?mail|mail|phone|tel|call|write|reach|booking|home|house|live"
        rf"|located|gps|coordinates|position|location)\b"
        rf"[^{MARKS}]{{0,40}}{PERSON}|^ ?(?:contact|booking|bookings|management) ?$",
        _I,
    ),
    hints=(ADDRESS, PERSON, "contact", "booking", "management"),
)


def _thanked(text: str) -> tuple[str, Removed]:
    removed: list[str] = []
    made = []
    for sentence, end in sentences(text):
        said = words(sentence)
        is_thanks = bool(said & THANKFUL_WORDS) and said <= THANKS_WORDS
        removed += [sentence] if is_thanks else []
        made += [CUT if is_thanks else sentence, end]
    return "".join(made), tuple(removed)


THANKS = Rule(
    name="thanks",
    what="“Enjoy!”, “Thanks for listening, hope you like it.”",
    why="they greet the reader",
    apply=_thanked,
)


def _said_nothing(text: str) -> tuple[str, Removed]:
    return (CUT, (text,)) if _NOTHING.match(text) else (text, ())


NOTHING = Rule(
    name="nothing",
    what="“n/a”, “none”, “no description”",
    why="they say that nothing is said",
    apply=_said_nothing,
    patterns=(_NOTHING,),
)


def _left_over(text: str) -> tuple[str, Removed]:
    """Clauses of sentences with a hole, and whole sentences, that hold no word of their own."""
    removed: list[str] = []
    made = []
    for sentence, end in sentences(text):
        said = words(sentence)
        if said and said <= _empty_words(sentence) and (has_marks(sentence) or said & MAKING_WORDS):
            removed.append(_without_marks(sentence))
            made += [CUT, end]
        else:
            made += [_without_empty_clauses(sentence, removed) if has_marks(sentence) else sentence, end]
    return "".join(made), tuple(removed)


def _without_empty_clauses(sentence: str, removed: list[str]) -> str:
    parts = split_clauses(sentence)
    headed = False  # "Write to me: NAME, STREET"
    for n in range(0, len(parts), 2):
        empty = words(parts[n]) <= _empty_words(sentence) and not _in_brackets(parts, n)
        if has_words(parts[n]) and (headed or empty):
            removed.append(_without_marks(parts[n]))
            parts[n] = hole(parts[n])
        headed = headed or _is_heading(parts, n)
    return "".join(parts)


def _empty_words(sentence: str) -> frozenset[str]:
    """ "Phone" and "call" may be heard, unless a number or an address stands by."""
    return LEFTOVER | CONTACT_WORDS if PERSON in sentence or ADDRESS in sentence else LEFTOVER


def _is_heading(parts: list[str], n: int) -> bool:
    """Is it a hole before a colon, and is an address or a person behind it?"""
    is_hole = has_marks(parts[n]) and not has_words(parts[n])
    behind = "".join(parts[n + 1 :])
    return is_hole and parts[n + 1 : n + 2] == [": "] and (PERSON in behind or ADDRESS in behind)


def _in_brackets(parts: list[str], n: int) -> bool:
    """Is it said aside? "(stereo)" belongs to the words before it, not to the hole."""
    return n > 0 and parts[n - 1] in ("(", "[") and not has_marks(parts[n])


def _without_marks(text: str) -> str:
    return " ".join("".join(" " if character in MARKS else character for character in text).split())


LEFT_OVER = Rule(
    name="left_over",
    what="what remains of a sentence and says nothing alone: “Recorded … .”, “or”",
    why="its content was taken out by another rule",
    apply=_left_over,
)
