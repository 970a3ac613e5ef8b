"""A recording lasts as long as the talk, whoever spoke last and when: silence is part of it."""

import time

import pytest

from calls.exchange import CALLEE_HOST, CALLER_HOST
from calls.hearing import APART_MAX_S
from calls.scripted_phone import ScriptedCaller, ScriptedPhone, Sound, media
from calls.voice import ALAW, RATE, energy, read_wav

PACKET_S = 0.02
CALLER_BYTE, CALLEE_BYTE = 0x11, 0x33

# (what happens, how long the talk lasts, when the caller speaks, when the callee does), in seconds.
TALKS = [
    ("a silent end", 5.0, [(0.0, 0.5)], [(0.0, 0.5)]),
    ("a wholly silent call", 4.5, [], []),
    ("the caller speaks late", 4.8, [(4.2, 4.6)], []),
    ("the callee speaks late", 4.8, [(0.0, 0.4)], [(4.2, 4.6)]),
    ("the caller alone, up to the end", 4.5, [(0.0, 4.5)], []),
    ("the callee alone, up to the end", 4.5, [], [(0.0, 4.5)]),
    ("one after the other", 4.8, [(0.2, 0.9)], [(3.9, 4.6)]),
    ("a pause in the middle", 5.0, [(0.0, 0.4), (4.4, 4.8)], [(0.0, 0.4)]),
    ("a single packet", 4.8, [(4.4, 4.42)], []),
    ("hardly a call", 0.4, [(0.0, 0.2)], [(0.0, 0.2)]),
]


def speaks(at, stretches):
    return any(begin <= at < end for begin, end in stretches)


def talk(lasts_s, sides):
    """Each of `sides` (a sound, where to, when) speaks in its stretches; when it did, on the wall clock."""
    begun, said, packet = time.monotonic(), [[] for _ in sides], 0
    while (at := packet * PACKET_S) < lasts_s:
        time.sleep(max(0.0, begun + at - time.monotonic()))
        for (sound, to, stretches), times in zip(sides, said):
            if speaks(at, stretches):
                times.append(time.time())
                sound.send(to)
            else:
                # What it does not say takes time all the same.
                sound.sequence += 1
        packet += 1
    time.sleep(max(0.0, begun + lasts_s - time.monotonic()))
    return said


def call(exchange, lasts_s, caller_speaks, callee_speaks):
    """The record of such a call, its channels, and when each side spoke."""
    service = exchange.switch
    callee, caller = ScriptedPhone(CALLEE_HOST, service), ScriptedCaller(CALLER_HOST, service)
    exchange.carrier(port=callee.port)
    x = exchange.axn(exchange.party(), IsRecordingEnabled="true")
    one, other = Sound(CALLER_HOST, CALLER_BYTE), Sound(CALLEE_HOST, CALLEE_BYTE)
    caller.dials(exchange.party(), x, one.sdp(), reliable=False)
    invite = callee.hears("INVITE ")
    callee.replies(invite, "200 OK", tag="s", sdp=other.sdp(formats="8"))
    callee.hears("ACK ")
    ok = caller.hears("SIP/2.0 200", "INVITE")
    caller.asks("ACK", ok, cseq=1)
    said = talk(lasts_s, [(one, media(ok), caller_speaks), (other, media(invite), callee_speaks)])
    caller.asks("BYE", ok)
    caller.hears("SIP/2.0 200", "BYE")
    callee.replies(callee.hears("BYE "), "200 OK")
    record = exchange.record(x)
    return record, read_wav(exchange.recordings / record["recording"]), said


def first_sound_s(channel, value):
    """Where the first sample of this value lies."""
    return next((at / RATE for at, sample in enumerate(channel) if sample == value), None)


@pytest.mark.parametrize(("what", "lasts_s", "caller_speaks", "callee_speaks"), TALKS, ids=[row[0] for row in TALKS])
def test_a_recording_lasts_as_long_as_the_talk(exchange, what, lasts_s, caller_speaks, callee_speaks):
    record, (left, right), said = call(exchange, lasts_s, caller_speaks, callee_speaks)
    talked_s = (record["released_at"] - record["answered_at"]) / 1_000
    assert len(left) == len(right)
    assert abs(len(left) / RATE - talked_s) <= APART_MAX_S, f"{len(left) / RATE} s of {talked_s} s"
    for channel, byte, times in ((left, CALLER_BYTE, said[0]), (right, CALLEE_BYTE, said[1])):
        if not times:
            assert energy(channel) < 1_000, "somebody who said nothing is heard"
            continue
        found = first_sound_s(channel, ALAW[byte])
        wanted = times[0] - record["answered_at"] / 1_000
        assert found is not None and abs(found - wanted) <= APART_MAX_S, f"said at {wanted} s, lies at {found} s"
