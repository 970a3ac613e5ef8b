"""What the tests take for hearing: not a share of a second, and not nothing."""

import array

import pytest

from calls import hearing
from calls.hearing import assert_hears, assert_silent
from calls.voice import RATE, SAME_MIN, Voice, likeness

pytestmark = pytest.mark.offline


def stuttering(samples, every_ms=400, gap_ms=60):
    """The samples with silence put between them, as by a softphone that comes too late."""
    out, every, gap = array.array("h"), every_ms * RATE // 1000, gap_ms * RATE // 1000
    for at in range(0, len(samples), every):
        out.extend(samples[at : at + every])
        out.extend([0] * gap)
    return out


class Fake:
    """A phone that hears one stretch after the other, the last of them for ever."""

    name = "fake"

    def __init__(self, voice, stretches=()):
        self.voice, self.stretches, self.at = Voice(voice), list(stretches), 0

    def heard_bytes(self):
        return 0

    def await_sound(self, seconds, since):
        return self.heard(since)

    def heard(self, _):
        stretch = self.stretches[min(self.at, len(self.stretches) - 1)]
        self.at += 1
        return stretch


def said(voice, begins_s=3):
    return Voice(voice).samples[begins_s * RATE : (begins_s + 2) * RATE]


def test_a_stutter_is_not_like_the_voice_and_is_waited_out():
    broken = stuttering(said(2))[: 2 * RATE]
    assert likeness(broken, Voice(2)) < SAME_MIN
    assert_hears(Fake(1, [broken, broken, said(2, 7)]), Fake(2))


@pytest.mark.parametrize("heard", [said(3), array.array("h", [0] * 2 * RATE)])
def test_who_hears_another_or_nothing_does_not_hear(monkeypatch, heard):
    monkeypatch.setattr(hearing, "HEARS_S", 0)
    with pytest.raises(AssertionError, match="of the other's voice"):
        assert_hears(Fake(1, [heard]), Fake(2))


def test_who_hears_itself_fails_at_once():
    with pytest.raises(AssertionError, match="its own voice"):
        assert_hears(Fake(1, [said(1)]), Fake(2))


def test_what_was_under_way_when_a_hold_began_may_be_heard_and_no_more(monkeypatch):
    quiet = array.array("h", [0] * RATE)
    assert_silent(Fake(1, [said(2), quiet]), seconds=0)
    monkeypatch.setattr(hearing, "HEARS_S", 0)
    with pytest.raises(AssertionError, match="while on hold"):
        assert_silent(Fake(1, [said(2)]), seconds=0)
