"""The content descriptors of a sound: made up, always the same, null while the sound is not analysed."""

from __future__ import annotations

import math
from typing import Any

from tests.fakes.freesound.chance import mix
from tests.fakes.freesound.things import Sound

# name → lowest and highest value
NUMERIC = {
    "amplitude_peak_ratio": (0.0, 1.0),
    "beat_count": (0.0, 60.0),
    "boominess": (0.0, 100.0),
    "bpm": (0.0, 200.0),
    "bpm_confidence": (0.0, 1.0),
    "brightness": (0.0, 100.0),
    "depth": (0.0, 100.0),
    "dissonance": (0.0, 1.0),
    "duration_effective": (0.0, 2.0),
    "dynamic_range": (0.0, 40.0),
    "hardness": (0.0, 100.0),
    "inharmonicity": (0.0, 1.0),
    "log_attack_time": (-3.0, 1.0),
    "loudness": (-60.0, 0.0),
    "note_midi": (0.0, 127.0),
    "onset_count": (0.0, 50.0),
    "pitch": (20.0, 5000.0),
    "roughness": (0.0, 100.0),
    "sharpness": (0.0, 100.0),
    "silence_rate": (0.0, 1.0),
    "spectral_centroid": (50.0, 10000.0),
    "temporal_centroid": (0.0, 1.0),
    "warmth": (0.0, 100.0),
    "zero_crossing_rate": (0.0, 0.5),
}
FLAGS = ("has_audio_problems", "loopable", "reverbness", "single_event")
VECTORS = {"hpcp": 12, "mfcc": 13, "tristimulus": 3}
SPACES = {"sim_laion_clap": 512}  # asked for by name or with all_similarity_spaces
NAMES = tuple(sorted((*NUMERIC, *FLAGS, *VECTORS)))


def value(sound: Sound, name: str) -> Any:
    """What the API returns for one descriptor."""
    if sound.category_code is None:
        return None
    if name in NUMERIC:
        return round(number(sound, name), 4)
    if name in FLAGS:
        return mix(sound.id, _salt(name)) % 4 == 0
    num = VECTORS.get(name) or SPACES[name]
    vector = [mix(sound.id, _salt(name) + place) / 2**63 - 1 for place in range(num)]
    length = math.sqrt(sum(each * each for each in vector)) if name in SPACES else 1.0
    return [round(each / length, 6) for each in vector]


def number(sound: Sound, name: str) -> float:
    """A numeric descriptor before rounding; not a number while the sound is not analysed."""
    low, high = NUMERIC[name]
    return low + mix(sound.id, _salt(name)) / 2**64 * (high - low) if sound.category_code else math.nan


def _salt(name: str) -> int:
    return int.from_bytes(name.encode(), "big") & 0xFFFFFFFF
