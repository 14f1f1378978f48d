"""The 48 works of the demo: invented authors and titles, and every outcome a recording can have.

32 of them pass a default policy and the usual filters. The others are there to be counted: five are flawed
(silent, clipped, a duplicate, corrupt, very short), seven are not openly licensed, four uploaders wish
otherwise. Licences and preferences are spelled as Freesound spells them, as deed URLs or as names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sao_data.sources._synthetic import textures, voices
from sao_data.sources._synthetic.voices import Pitches, Voice

Licence = tuple[str, str]  # (claim in words, URL)
Form = Literal["wav", "wav24", "flac", "aiff", "mp3"]  # no Ogg: its serial numbers are drawn from the clock
Flaw = Literal["", "clipped", "corrupt"]

CC0: Licence = ("", "http://creativecommons.org/publicdomain/zero/1.0/")
CC0_NAME: Licence = ("Creative Commons 0", "")
BY3: Licence = ("Attribution", "http://creativecommons.org/licenses/by/3.0/")
BY4: Licence = ("", "https://creativecommons.org/licenses/by/4.0/")
BY_NAME: Licence = ("Attribution", "")
SAMPLING: Licence = ("Sampling+", "http://creativecommons.org/licenses/sampling+/1.0/")
NC3: Licence = ("Attribution NonCommercial", "http://creativecommons.org/licenses/by-nc/3.0/")
NC4: Licence = ("", "https://creativecommons.org/licenses/by-nc/4.0/")
ND4: Licence = ("", "https://creativecommons.org/licenses/by-nd/4.0/")
PDM: Licence = ("", "https://creativecommons.org/publicdomain/mark/1.0/")
RESERVED: Licence = ("All rights reserved", "")
UNKNOWN: Licence = ("Free for everyone, have fun", "")
NONE: Licence = ("", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """One work: how it sounds and what its uploader says."""

    name: str  # stable: tests and texts refer to it
    title: str
    author: str
    voice: Voice
    seconds: float
    tags: tuple[str, ...]
    text: str  # description, HTML as on the site
    pitches: Pitches = (69,)
    licence: Licence = CC0
    wish: str = "no-additional-preferences"  # generative-AI preference
    form: Form = "wav"
    rate: int = 44_100  # Hz
    channels: int = 1
    peak: float = -3.0  # dBFS
    flaw: Flaw = ""
    copy_of: str = ""  # name of an earlier work whose bytes this one repeats


# fmt: off
WORKS: tuple[Made, ...] = (
    Made(name="sine", title="Concert A (sine).wav", author="tuning_room", voice=voices.tone, seconds=1.5,
         tags=("sine", "tone", "tuning", "440hz"), text="A plain sine at 440 Hz, for tuning."),
    Made(name="rain", title="Rain_on_tin_roof.wav", author="Mira Solberg", voice=textures.rain, seconds=4,
         licence=BY4, channels=2,
         tags=("rain", "roof", "field-recording", "ambience"),
         text="Rain on a <b>tin</b> roof.<br>Close and steady &amp; without wind."),
    Made(name="kick", title="bd_deep-01.aif", author="Okoro Drums", voice=textures.kick, seconds=0.7,
         pitches=(31,), form="aiff", peak=-1,
         tags=("kick", "drum", "one-shot", "percussion"), text="Deep kick drum, one shot."),
    Made(name="minor-chord", title="Soft minor chord", author="lune&tide", voice=voices.tone, seconds=2.5,
         pitches=(57, 60, 64), licence=BY3, channels=2,
         tags=("chord", "minor", "pad", "soft"), text="A minor triad of pure sines, swelling and fading."),
    Made(name="robin", title="Small bird at dawn.flac", author="Mira Solberg", voice=voices.bird, seconds=3,
         pitches=(93, 97, 100), licence=BY4, form="flac", rate=48_000,
         tags=("bird", "chirp", "dawn", "nature"),
         text="A small bird singing in short groups. Recorded at dawn, more at https://example.org/dawn."),
    Made(name="noncommercial", title="Warm organ phrase", author="K. Ferreira", voice=voices.organ, seconds=2,
         pitches=(48, 55, 64), licence=NC4,
         tags=("organ", "chord", "warm"), text="Organ chord with tremolo."),
    Made(name="guitar", title="Glass strings Am9 (C#).wav", author="Juno Pascal", voice=voices.pluck,
         seconds=3, pitches=(45, 52, 57, 61, 64), form="wav24", channels=2,
         tags=("guitar", "strum", "plucked", "chord"), text="Strummed steel strings, slow, left to ring."),
    Made(name="silent", title="Room tone, very quiet room.wav", author="tuning_room", voice=textures.silence,
         seconds=2,
         tags=("room-tone", "silence"), text="Room tone."),
    Made(name="bell", title="Church bell, three strokes", author="Zoë Brânză", voice=voices.bell, seconds=4,
         pitches=(60, 60, 55), licence=BY3, rate=48_000, peak=-4,
         tags=("bell", "church", "strokes"), text="Three strokes of a large bell, the last one lower."),
    Made(name="no-gen-ai", title="Night theremin", author="Elif Aydın", voice=voices.theremin, seconds=3,
         pitches=(69, 76, 72, 64), wish="no-gen-ai",
         tags=("theremin", "glide", "eerie"), text="A sliding tone with wide vibrato."),
    Made(name="beat", title="120 bpm drum loop.wav", author="Okoro Drums", voice=textures.beat, seconds=4,
         pitches=(33,), licence=CC0_NAME, channels=2, peak=-1,
         tags=("drums", "loop", "120bpm", "beat"),
         text="Two bars of kick, snare and hi-hat at 120 bpm. Loops cleanly."),
    Made(name="wind", title="Wind_in_the_chimney.wav", author="Hollis Vane", voice=textures.wind, seconds=4,
         licence=BY4, wish="", channels=2,
         tags=("wind", "gusts", "whistle", "weather"), text="Gusts of wind, whistling in a chimney."),
    Made(name="white-noise", title="White noise 2 s", author="tuning_room", voice=textures.white, seconds=2,
         peak=-9,
         tags=("noise", "white-noise", "test"), text="Equal power at all frequencies."),
    Made(name="clipped", title="PHASER CANNON max gain!!.wav", author="xX_brickwall_Xx", voice=voices.siren,
         seconds=1.5, pitches=(57, 64), peak=0, flaw="clipped",
         tags=("siren", "loud"), text="Louder is better."),
    Made(name="marimba", title="Marimba run up", author="Anan Suksai", voice=voices.marimba, seconds=2,
         pitches=(60, 62, 64, 67, 69, 72), licence=BY4,
         tags=("marimba", "wood", "scale", "pentatonic"), text="A pentatonic run on wooden bars."),
    Made(name="surf", title="waves, pebble beach", author="Mira Solberg", voice=textures.surf, seconds=5,
         licence=BY4, channels=2,
         tags=("waves", "sea", "beach", "field-recording"), text="One long wave on a pebble beach."),
    Made(name="empty-licence", title="Old radio noise", author="", voice=textures.pink, seconds=1.5,
         licence=NONE,
         tags=("radio", "noise"), text=""),
    Made(name="snare", title="sd_tight-04.wav", author="Okoro Drums", voice=textures.snare, seconds=0.6,
         pitches=(55,), licence=CC0_NAME,
         tags=("snare", "drum", "one-shot"), text="Tight snare, one shot."),
    Made(name="flute", title="Flute, four notes", author="Zoë Brânză", voice=voices.flute, seconds=2.5,
         pitches=(74, 76, 79, 74), licence=BY3,
         tags=("flute", "melody", "breathy"), text="Four slow notes with a little breath."),
    Made(name="duplicate", title="steel strings strummed (my upload)", author="free_samples_4u",
         voice=voices.pluck, seconds=3, licence=BY4, form="wav24", channels=2, copy_of="guitar",
         tags=("guitar", "strum"), text="Nice guitar."),
    Made(name="crickets", title="Crickets_summer_night.mp3", author="Hollis Vane", voice=voices.cricket,
         seconds=2.5, pitches=(103,), licence=BY4, form="mp3",
         tags=("crickets", "night", "insects", "summer"), text="Crickets on a warm night."),
    Made(name="sampling-plus", title="Gong_low.aiff", author="riverbed", voice=voices.bell, seconds=3.5,
         pitches=(43,), licence=SAMPLING, wish="", form="aiff",
         tags=("gong", "metal", "low"), text="A single low gong stroke."),
    Made(name="telephone", title="phone line hum 8k.wav", author="riverbed", voice=textures.engine,
         seconds=1.5, pitches=(47,), rate=8_000,
         tags=("hum", "telephone", "mains"), text="Mains hum as heard on a phone line."),
    Made(name="all-rights-reserved", title="Signature synth riff", author="Neon Harbour Records",
         voice=voices.chip, seconds=1.5, pitches=(64, 67, 71, 76), licence=RESERVED,
         tags=("synth", "riff"), text="(c) All rights reserved."),
    Made(name="clock", title="Kitchen clock ticking", author="lune&tide", voice=textures.ticks, seconds=3,
         pitches=(91, 88),
         tags=("clock", "tick", "kitchen", "mechanism"), text="Tick, tock, four a second."),
    Made(name="ultrasonic", title="sweep_20Hz_40kHz_96k.wav", author="tuning_room", voice=voices.sweep,
         seconds=2, pitches=(16, 147), form="wav24", rate=96_000, peak=-6,
         tags=("sweep", "sine", "test-signal", "96khz"), text="Logarithmic sine sweep at 96 kHz."),
    Made(name="fire", title="fire.crackling.wav", author="Hollis Vane", voice=textures.fire, seconds=3.5,
         licence=BY3, channels=2,
         tags=("fire", "crackle", "campfire"), text="A small fire, crackling."),
    Made(name="open-models-only", title="Electric piano, late", author="Juno Pascal", voice=voices.keys,
         seconds=2.5, pitches=(53, 57, 60, 64), licence=BY4, wish="open-source-models",
         tags=("electric-piano", "chord", "mellow"), text="One soft chord on an electric piano."),
    Made(name="corrupt", title="recovered take 3.flac", author="Anan Suksai", voice=voices.organ, seconds=2,
         pitches=(50, 57), form="flac", flaw="corrupt",
         tags=("organ", "damaged"), text="From a failing disk."),
    Made(name="drops", title="Water drops in a cave", author="Mira Solberg", voice=textures.drops,
         seconds=3.5, pitches=(84, 89, 93), licence=BY4, form="flac",
         tags=("water", "drops", "cave", "drip"), text="Slow drops falling into a pool."),
    Made(name="quad", title="City hum, four microphones", author="Zoë Brânză", voice=textures.brown,
         seconds=2.5, channels=4, peak=-6,
         tags=("city", "ambience", "surround", "quad"), text="Front left and right, rear left and right."),
    Made(name="coin", title="coin_pickup.wav", author="pixel-otter", voice=voices.chip, seconds=0.8,
         pitches=(83, 88), licence=CC0_NAME,
         tags=("game", "coin", "8-bit", "retro"), text="Coin sound for games."),
    Made(name="noncommercial-models-only", title="Heartbeat calm", author="Elif Aydın", voice=textures.heart,
         seconds=3, pitches=(34,), wish="noncommercial-open-source-models",
         tags=("heart", "heartbeat", "body"), text="A calm heartbeat."),
    Made(name="click", title="mouse click.wav", author="pixel-otter", voice=textures.clap, seconds=0.15,
         tags=("click", "ui", "button"), text="One very short click."),
    Made(name="thunder", title="Thunder, near &amp; rolling", author="Hollis Vane", voice=textures.thunder,
         seconds=4, licence=BY3, form="flac", channels=2,
         tags=("thunder", "storm", "weather"), text="A near strike that rolls away."),
    Made(name="no-derivatives", title="Hymn for strings", author="K. Ferreira", voice=voices.drone, seconds=3,
         pitches=(45, 52), licence=ND4,
         tags=("strings", "drone"), text="Please do not change it."),
    Made(name="hat", title="hh_open_02.wav", author="Okoro Drums", voice=textures.hat, seconds=0.8,
         rate=48_000,
         tags=("hi-hat", "cymbal", "one-shot"), text="Open hi-hat."),
    Made(name="engine", title="Diesel engine idling", author="riverbed", voice=textures.engine, seconds=3,
         pitches=(28,), licence=SAMPLING,
         tags=("engine", "diesel", "idle", "machine"), text="A diesel engine, idling."),
    Made(name="unknown-licence", title="bubbles", author="free_samples_4u", voice=textures.drops, seconds=2,
         pitches=(77,), licence=UNKNOWN,
         tags=("bubbles",), text="Use it how you like."),
    Made(name="geiger", title="Geiger counter.aif", author="pixel-otter", voice=textures.geiger, seconds=2.5,
         pitches=(98,), form="aiff",
         tags=("geiger", "clicks", "random", "radiation"), text="Random clicks."),
    Made(name="public-domain", title="Lullaby, from an old cylinder", author="Anonymous", voice=voices.flute,
         seconds=2.5, pitches=(67, 64, 62, 60), licence=PDM,
         tags=("lullaby", "old"), text="Believed to be free."),
    Made(name="harp", title="Harp arpeggio F major.wav", author="Juno Pascal", voice=voices.pluck,
         seconds=2.5, pitches=(53, 57, 60, 65, 69, 72, 77), licence=BY_NAME, channels=2,
         tags=("harp", "arpeggio", "major", "plucked"), text="Up the chord of F major."),
    Made(name="no-gen-ai-rain", title="Rain, soft, far away", author="Elif Aydın", voice=textures.rain,
         seconds=3, licence=BY4, wish="no-gen-ai",
         tags=("rain", "soft"), text="Distant rain."),
    Made(name="laser", title="laser_zap_03.wav", author="pixel-otter", voice=voices.sweep, seconds=0.6,
         pitches=(105, 45), licence=CC0_NAME, rate=22_050,
         tags=("laser", "zap", "sci-fi", "game"), text="Falling zap."),
    Made(name="shaker", title="Shaker groove", author="Anan Suksai", voice=textures.shaker, seconds=2,
         licence=BY4, form="mp3",
         tags=("shaker", "percussion", "groove"), text="Eighth notes, accents on the beat."),
    Made(name="noncommercial-clap", title="Claps in a hall", author="xX_brickwall_Xx", voice=textures.clap,
         seconds=1, licence=NC3,
         tags=("clap", "hall"), text="Hand claps."),
    Made(name="drone", title="Deep drone in D", author="lune&tide", voice=voices.drone, seconds=5,
         pitches=(38, 45, 50), licence=SAMPLING, form="flac", channels=2,
         tags=("drone", "dark", "ambient", "synth"), text="Detuned saws that open and close slowly."),
    Made(name="siren", title="Two-tone horn (loop).wav", author="Hollis Vane", voice=voices.siren, seconds=2,
         pitches=(69, 76), licence=CC0_NAME,
         tags=("siren", "alarm", "horn", "loop"), text="Alarm that swings between two tones."),
)
# fmt: on
