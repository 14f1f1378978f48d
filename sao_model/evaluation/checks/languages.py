"""Languages: the same six sounds asked for in English and in others, from the same noise.

T5's words are those of English, German, French and Romanian; of other languages some signs are unknown to
it, and the captions of the paper's data are mostly English. Three numbers say what is left: the share of
tokens that are unknown; how far the sound is from the English one of the same noise, against how far sounds
of two different English prompts are (1: as far as another prompt); and CLAP's cosine with the English words,
where its weights are here.

The translations are ours, and were not looked at by native speakers.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from sao_data.embedders import clap
from sao_data.errors import UsageError
from sao_model.evaluation.checks import heard
from sao_model.evaluation.checks.finding import Cell, CheckFinding
from sao_model.metrics import intervals
from sao_model.model import StableAudioModel
from sao_model.request import Sampling, Sound
from sao_model.training.loop import RunProgress

ENGLISH = "English"
_UNKNOWN = 2  # T5's <unk>
_FAR = "distance from the English sound (1: another prompt)"
PROMPTS: dict[str, tuple[str, ...]] = {
    ENGLISH: ("rain on a tin roof", "a dog barks", "church bells", "a slow piano melody", "waves on a beach",
              "a car drives past"),
    "German": ("Regen auf einem Blechdach", "ein Hund bellt", "Kirchenglocken",
               "eine langsame Klaviermelodie", "Wellen an einem Strand", "ein Auto fährt vorbei"),
    "French": ("la pluie sur un toit de tôle", "un chien aboie", "des cloches d'église",
               "une lente mélodie au piano", "des vagues sur une plage", "une voiture passe"),
    "Romanian": ("ploaie pe un acoperiș de tablă", "un câine latră", "clopote de biserică",
                 "o melodie lentă la pian", "valuri pe o plajă", "trece o mașină"),
    "Spanish": ("lluvia sobre un tejado de chapa", "un perro ladra", "campanas de iglesia",
                "una melodía lenta de piano", "olas en una playa", "pasa un coche"),
    "Italian": ("pioggia su un tetto di lamiera", "un cane abbaia", "campane di chiesa",
                "una lenta melodia di pianoforte", "onde su una spiaggia", "passa un'auto"),
    "Portuguese": ("chuva num telhado de zinco", "um cão ladra", "sinos de igreja",
                   "uma melodia lenta de piano", "ondas numa praia", "passa um carro"),
    "Japanese": ("トタン屋根に降る雨", "犬が吠える", "教会の鐘", "ゆっくりしたピアノのメロディー",
                 "浜辺の波", "車が通り過ぎる"),
    "Chinese": ("雨落在铁皮屋顶上", "狗在叫", "教堂的钟声", "缓慢的钢琴旋律",
                "海滩上的波浪", "一辆汽车驶过"),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Which languages, how many sounds."""

    languages: tuple[str, ...] = tuple(PROMPTS)  # English among them
    num_seeds: int = 2  # sounds of each prompt
    seconds: float = 0.0  # of each sound; 0 = the window
    clap: clap.Config = field(default_factory=clap.Config)  # weights that hear whether sounds fit the words

    def __post_init__(self) -> None:
        unknown = [each for each in self.languages if each not in PROMPTS]
        if unknown or ENGLISH not in self.languages or self.num_seeds < 1:
            raise UsageError(
                f"languages: want {ENGLISH}, others of {', '.join(PROMPTS)}, and at least one seed; "
                f"not: {', '.join(unknown) or 'these'}"
            )


def run(
    model: StableAudioModel, config: Config, how: Sampling, made_with: dict[str, str], shown: RunProgress
) -> CheckFinding:
    """Ask in every language."""
    listener, seconds = heard.listener(config.clap), heard.length(model, config.seconds)
    rate, english = model.config.sample_rate, PROMPTS[ENGLISH]
    shown.start("sounds", len(config.languages) * len(english) * config.num_seeds, "sounds")
    sounds: dict[str, list[Tensor]] = {}
    for language in config.languages:
        asked = [
            Sound(prompt=text, seconds=seconds, seed=heard.seed(n))  # one noise for all prompts
            for n in range(config.num_seeds)
            for text in PROMPTS[language]
        ]
        sounds[language] = heard.made(model, asked, how, shown)
    shown.finish()
    other = _of_other_prompts(sounds[ENGLISH], len(english), rate)
    rows: list[tuple[Cell, ...]] = []
    shares, fits = {}, {}
    for language in config.languages:
        far = [
            heard.apart(a, b, rate) / other for a, b in zip(sounds[language], sounds[ENGLISH], strict=True)
        ]
        shares[language] = intervals.of_mean(far)
        if listener:
            cosines_NX = listener.cosines(sounds[language], rate, english)
            fits[language] = intervals.of_mean([row[n % len(english)] for n, row in enumerate(cosines_NX)])
        fit = round(fits[language].value, 4) if listener else ""
        unknown = _unknown(model, PROMPTS[language])
        rows.append((len(rows) + 1, language, unknown, round(shares[language].value, 3), fit, len(far)))
    return _finding(config, rows, shares, fits, {
        **made_with, "seconds": f"{seconds:.2f}", "CLAP": listener.named if listener else "not at hand",
    })  # fmt: skip


def _of_other_prompts(sounds: list[Tensor], num: int, rate: int) -> float:
    """Mean distance of sounds of one noise and different prompts; above 0."""
    found = [
        heard.apart(sounds[first + n], sounds[first + m], rate)
        for first in range(0, len(sounds), num)
        for n in range(num)
        for m in range(n)
    ]
    return max(float(np.mean(found)), 1e-9)


def _unknown(model: StableAudioModel, prompts: tuple[str, ...]) -> Cell:
    """Share of tokens that the text encoder does not know; '' for one that knows no words at all."""
    tokenize = getattr(model.text, "tokenize", None)
    if not tokenize or not getattr(getattr(model.text, "config", None), "pretrained", ""):
        return ""
    ids = [token for each in tokenize(list(prompts)) for token in each]
    return float(round(sum(token == _UNKNOWN for token in ids) / max(len(ids), 1), 3))


def _finding(
    config: Config,
    rows: list[tuple[Cell, ...]],
    shares: dict[str, intervals.Estimate],
    fits: dict[str, intervals.Estimate],
    made_with: dict[str, str],
) -> CheckFinding:
    shown = fits or shares
    others = [each for each in config.languages if each != ENGLISH]
    num = len(PROMPTS[ENGLISH])
    said = f"{num} prompts, each from {config.num_seeds} noises, in {len(config.languages)} languages. "
    if others:
        near, far = min(others, key=lambda e: shares[e].value), max(others, key=lambda e: shares[e].value)
        said += (
            f"From the English sound of the same noise they were {shares[near].value:.2f} ({near}) to "
            f"{shares[far].value:.2f} ({far}) of the distance between different English prompts. "
        )
    if fits:
        said += (
            "CLAP with the English words: " + ", ".join(f"{k} {v.value:.3f}" for k, v in fits.items()) + "."
        )
    else:
        said += "Whether they fit the words was not measured: the weights of CLAP are not here."
    return CheckFinding(
        check="languages",
        title="Does it understand other languages than English?",
        paragraph=said,
        x_label="language, by its number in the table",
        y_label="CLAP cosine with the English words" if fits else _FAR,
        curves=(heard.curve("mean of all sounds", range(1, len(shown) + 1), shown.values()),),
        columns=("", "language", "tokens unknown, share", _FAR,
                 "CLAP with the English words", "sounds"),
        rows=tuple(rows),
        made_with=made_with,
    )  # fmt: skip
