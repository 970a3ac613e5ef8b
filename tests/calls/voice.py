"""Sounds that can be told apart, and the proof that what was heard is what was said.

A voice is a row of syllables of 80 ms, each with a pitch and a loudness drawn from the voice's seed, so
that two voices have nothing in common and no stretch of a voice looks like another. What was heard is
compared by correlation of the waves: 1 for the same sound however late or loud, near 0 for another.
"""

import array
import functools
import math
import random
import struct
import wave

from sip.media import DECODED

RATE = 8000
SYLLABLE = RATE * 80 // 1000
VOICE_S = 30
# A-law and mu-law keep nearly all of a wave; a lost packet spoils its own piece only.
SAME_MIN = 0.85
OTHER_MAX = 0.5
# Where in the voice we are is found by the loudness of so long a stretch, then wave by wave in pieces.
STRETCH = RATE
WINDOW = RATE // 50
PIECE = RATE // 20
PIECES = 5
QUIET = 100_000


class Voice:
    """The voice of a seed, `pcm` as 16 bits at 8 kHz."""

    def __init__(self, seed):
        rng = random.Random(f"voice {seed}")
        self.samples = array.array("h")
        phase = 0.0
        for _ in range(VOICE_S * RATE // SYLLABLE):
            step = 2 * math.pi * rng.uniform(300, 1500) / RATE
            loud = rng.uniform(3_000, 16_000)
            for _ in range(SYLLABLE):
                phase += step
                self.samples.append(int(loud * math.sin(phase)))

    @property
    def pcm(self):
        return self.samples.tobytes()

    @functools.cached_property
    def loudness(self):
        return _loudness(self.samples)


class Tone:
    """An endless tone, to be told from another by its pitch alone."""

    def __init__(self, frequency):
        self.frequency = frequency
        step = 2 * math.pi * frequency / RATE
        # Whole periods, so that nothing is heard where it begins anew.
        self.samples = array.array("h", (int(12_000 * math.sin(step * at)) for at in range(VOICE_S * RATE)))

    @property
    def pcm(self):
        return self.samples.tobytes()


def samples_of(pcm):
    samples = array.array("h")
    samples.frombytes(pcm[: len(pcm) // 2 * 2])
    return samples


def read_wav(path):
    """The channels of a recording: a WAV file with A-law or mu-law (formats 6 and 7), played as a player
    would, which stops where the header says that the sound ends."""
    file = path.read_bytes()
    assert file[:4] == b"RIFF" and file[8:12] == b"WAVE", f"{path} is no WAV file"
    assert int.from_bytes(file[4:8], "little") + 8 <= len(file), "the header promises more than there is"
    chunks, at = {}, 12
    while at + 8 <= len(file):
        name, length = file[at : at + 4], int.from_bytes(file[at + 4 : at + 8], "little")
        chunks[name] = file[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
    form, channels, rate = struct.unpack("<HHI", chunks[b"fmt "][:8])
    assert rate == RATE
    table = {6: ALAW, 7: MULAW}[form]
    sound = array.array("h", (table[byte] for byte in chunks[b"data"]))
    return [sound[channel::channels] for channel in range(channels)]


def save_wav(path, samples):
    """One channel of linear samples."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())


def _mulaw(byte):
    code = ~byte & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << (code >> 4 & 0x07)) - 0x84
    return -magnitude if code & 0x80 else magnitude


ALAW = DECODED
MULAW = [_mulaw(byte) for byte in range(256)]


def likeness(heard, voice):
    """How much what was heard is this voice, 0 to 1: the median over pieces of it of their correlation
    with the place of the voice that is most like them; 0 where less than a second was heard."""
    first = next((at for at in range(0, len(heard), WINDOW) if energy(heard[at : at + WINDOW]) > QUIET), None)
    if first is None or first + STRETCH > len(heard):
        return 0.0
    loudness = voice.loudness
    found = []
    for start in range(first, len(heard) - STRETCH + 1, STRETCH):
        stretch = heard[start : start + STRETCH]
        shape = _loudness(stretch)
        places = range(len(loudness) - len(shape))
        place = max(places, key=lambda at: correlation(shape, loudness[at : at + len(shape)]))
        found += [
            _best(stretch[at : at + PIECE], voice.samples, place * WINDOW + at)
            for at in range(0, STRETCH, STRETCH // PIECES)
        ]
    found.sort()
    return found[len(found) // 2]


def energy(samples):
    """The mean square."""
    return sum(sample * sample for sample in samples) / max(1, len(samples))


def _best(piece, samples, near):
    """The best correlation of the waves within a window of that place."""
    starts = range(max(0, near - WINDOW), min(len(samples) - len(piece), near + WINDOW) + 1)
    halved = piece[::2]
    return max(
        (correlation(halved, samples[start : start + len(piece) : 2]) for start in starts), default=0.0
    )


def _loudness(samples):
    return [
        math.sqrt(energy(samples[start : start + WINDOW]))
        for start in range(0, len(samples) - WINDOW + 1, WINDOW)
    ]


def correlation(one, other):
    """How alike two waves of the same length are, -1 to 1; 0 where one is flat."""
    middle_one, middle_other = sum(one) / len(one), sum(other) / len(other)
    above = below_one = below_other = 0.0
    for left, right in zip(one, other):
        left -= middle_one
        right -= middle_other
        above += left * right
        below_one += left * left
        below_other += right * right
    return above / math.sqrt(below_one * below_other) if below_one and below_other else 0.0
