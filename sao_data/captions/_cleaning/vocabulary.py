"""Words by which clauses are known to say nothing: what stands around licences, wishes, gear and thanks."""

from __future__ import annotations


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# What is left of a licence, a wish or a gear list when its own words are gone. No word of it names a sound.
FUNCTION_WORDS = _set(
    "a an the this that these those it its is are was were be been i me my we our us you your he she "
    "they them and or but if so as at by for from in into of on onto to with without via using than "
    "then too also not no any all some more other own just only please can could may might will would "
    "do does did have has had der die das den dem ein eine einem einer und oder mit im auf von zu ist "
    "bei le la les un une des du de et ou avec en dans sur par pour est el los las una y o con por "
    "para es che il lo gli di da del nel e um uma com em na favor porfavor"
)
MAKING_WORDS = _set(
    "recorded captured edited mastered normalised normalized converted exported uploaded aufgenommen "
    "enregistré enregistrée enregistrés enregistrées grabado grabada grabados registrato gravado"
)  # a sentence of nothing but these and the words below says nothing
MADE_WORDS = MAKING_WORDS | _set(
    "recording recordings recorder taped made edit editing mixed processed sound sounds sample "
    "samples file files audio track date equipment used setup mic mics microphone microphones "
    "internal built external stereo mono pair xy ab ortf ms wav aiff flac mp3 ogg format quality rate "
    "bits khz original originally self myself aufnahme enregistrement grabación opname preamp "
    "software daw handheld portable gps coordinates coords"
)
LICENCE_WORDS = _set(
    "licence license licenced licensed licences licenses attribution copyright copyrighted free "
    "freely freeware use used using usage uses work works commercial commercially noncommercial non "
    "private personal public domain creative commons international unported generic version required "
    "needed necessary appreciated welcome optional credit credits credited under terms rights "
    "reserved dedicated placed released waived waive government project projects purpose purposes "
    "whatever anything anywhere however want like modify modified modifications adapt remix remixed "
    "share shared redistribute distribute artist artists owner author authors respective by cc sa nc "
    "nd full royalty fee"
)
CONTACT_WORDS = _set(
    "contact contacts email mail e booking bookings phone tel telephone fax mobile call write reach "
    "website web site link links url source info information address see visit here twitter facebook "
    "instagram soundcloud youtube bandcamp patreon or"
)
LEFTOVER = FUNCTION_WORDS | MADE_WORDS | LICENCE_WORDS
THANKS_WORDS = _set(
    "enjoy enjoyed thanks thank you cheers hope have fun a lot very much so for listening downloading "
    "using your i it this that these them like likes find useful helps helpful is be can someone "
    "somebody well all the and everyone guys friends peace hi hello hey merci danke gracias grazie "
    "obrigado viel spaß it'll will sound sounds of my in any way to people welcome"
)
THANKFUL_WORDS = _set("enjoy thanks thank cheers hope fun merci danke gracias grazie obrigado spaß")
