"""What counts as heard of a phone, or as silence, and how far a recording may be from its call."""

import time

from calls.voice import OTHER_MAX, QUIET, SAME_MIN, energy, likeness
from sip.media import share_of

TALK_S = 2
# A watchdog, no more: it bounds how long a sound, or silence, is waited for.
HEARS_S = 40
# How far the sound in the file may be from the record's own times. The exact rule is held on virtual time; here two
# processes see a moment at different times, so what is silent lasts far longer than a machine stands still.
APART_MAX_S = 2.5


def assert_hears(phone, other, seconds=TALK_S):
    """So much of the other's voice is heard in one piece. On a busy machine a softphone stutters, and what was
    heard while it did is like no voice: only who never hears the other right does not hear it."""
    deadline = time.monotonic() + HEARS_S
    while True:
        heard = phone.await_sound(seconds, phone.heard_bytes())
        same, own = likeness(heard, other.voice), likeness(heard, phone.voice)
        assert own < OTHER_MAX, f"{phone.name} heard {own:.2f} of its own voice"
        if same > SAME_MIN:
            return
        assert time.monotonic() < deadline, f"{phone.name} heard {same:.2f} of the other's voice"


def assert_hears_tone(phone, other, seconds=1.5):
    """The other's tone is heard, and its own is not."""
    deadline = time.monotonic() + HEARS_S
    while True:
        heard = phone.await_sound(seconds, phone.heard_bytes())
        own = share_of(heard, phone.voice.frequency)
        assert own < 0.05, f"{phone.name} heard {own:.0%} of its own tone"
        share = share_of(heard, other.voice.frequency)
        if share > 0.8:
            return
        assert time.monotonic() < deadline, f"{phone.name} heard {share:.0%} of the other's tone"


def assert_silent(phone, seconds=1.0):
    """For so long nothing is heard. What was said before the hold may be on its way still when it begins."""
    deadline = time.monotonic() + HEARS_S
    while True:
        since = phone.heard_bytes()
        time.sleep(seconds)
        if energy(phone.heard(since)) < QUIET / 100:
            return
        assert time.monotonic() < deadline, f"{phone.name} hears something while on hold"
