"""Two softphones talk through an AXN number: each hears the other, and each is shown X alone."""

import pytest

from calls.exchange import PHONE_HOST
from calls.hearing import APART_MAX_S, TALK_S, assert_hears, assert_silent
from calls.phone import Phone
from calls.voice import OTHER_MAX, RATE, SAME_MIN, likeness, read_wav


def dial(exchange, x, suffix=""):
    return f"sip:{x}@{exchange.sip}{suffix}"


@pytest.fixture
def phones(exchange, scene):
    """The caller's phone, and that of A, to which the carrier leads."""
    with (
        Phone(scene, "caller", exchange.party(), voice=1) as caller,
        Phone(scene, "callee", exchange.party(), voice=2) as callee,
    ):
        exchange.carrier(callee.port, PHONE_HOST, sources=())
        yield caller, callee


def connect(exchange, caller, callee, **binding):
    """X, once both talk."""
    x = exchange.axn(callee.number, **binding)
    caller.do("dial", uri=dial(exchange, x))
    incoming = callee.await_event("CALL_INCOMING")
    assert x in incoming["peer"] and caller.number not in str(incoming), incoming
    caller.await_event("CALL_RINGING")
    callee.do("answer")
    established = caller.await_event("CALL_ESTABLISHED")
    assert x in established["peer"], established
    callee.await_event("CALL_ESTABLISHED")
    return x


def test_each_hears_the_other_and_sees_x_alone(exchange, phones):
    caller, callee = phones
    x = connect(exchange, caller, callee)
    assert_hears(caller, callee)
    assert_hears(callee, caller)
    caller.do("hangup")
    callee.await_event("CALL_CLOSED")

    record = exchange.record(x)
    assert (record["caller"], record["callee"]) == (caller.number, callee.number)
    assert (record["situation"], record["release_by"], record["one_way"]) == ("hung_up", "caller", 0)
    for phone, other in ((caller, callee), (callee, caller)):
        assert x in phone.trace()
        for secret in (other.number, f":{other.port}"):
            assert secret not in phone.trace(), f"{phone.name} was told {secret}"


def test_hold_is_heard_as_silence_and_resume_brings_the_voice_back(exchange, phones):
    caller, callee = phones
    x = connect(exchange, caller, callee)
    assert_hears(callee, caller)
    caller.do("hold")
    callee.await_event("CALL_HOLD")
    assert_silent(caller)
    assert_silent(callee)
    caller.do("resume")
    callee.await_event("CALL_RESUME")
    assert_hears(callee, caller)
    assert_hears(caller, callee)
    callee.do("hold")
    caller.await_event("CALL_HOLD")
    callee.do("resume")
    caller.await_event("CALL_RESUME")
    assert_hears(caller, callee)
    callee.do("hangup")
    caller.await_event("CALL_CLOSED")
    assert exchange.record(x)["release_by"] == "callee"


@pytest.mark.parametrize("digits", ["8001#", "*0AD"])
def test_digits_pass_both_ways(exchange, phones, digits):
    caller, callee = phones
    connect(exchange, caller, callee)
    caller.do("dtmf", digits=digits)
    assert callee.digits(len(digits)) == digits
    callee.do("dtmf", digits=digits[::-1])
    assert caller.digits(len(digits)) == digits[::-1]


@pytest.mark.parametrize("sent", ["rtpevent", "info"])
def test_digits_reach_a_phone_that_sends_them_otherwise(exchange, scene, sent):
    other = {"rtpevent": "info", "info": "rtpevent"}[sent]
    with (
        Phone(scene, "caller", exchange.party(), dtmf=sent, voice=1) as caller,
        Phone(scene, "callee", exchange.party(), dtmf=other, voice=2) as callee,
    ):
        exchange.carrier(callee.port, PHONE_HOST, sources=())
        connect(exchange, caller, callee)
        caller.do("dtmf", digits="159")
        assert callee.digits(3) == "159"


def test_a_recording_holds_the_caller_left_and_the_callee_right(exchange, phones):
    caller, callee = phones
    x = connect(exchange, caller, callee, IsRecordingEnabled="true")
    assert_hears(caller, callee)
    caller.do("hangup")
    callee.await_event("CALL_CLOSED")
    record = exchange.record(x)
    left, right = read_wav(exchange.recordings / record["recording"])
    talked_s = (record["released_at"] - record["answered_at"]) / 1_000
    assert len(left) == len(right) and abs(len(left) / RATE - talked_s) < APART_MAX_S, f"{len(left) / RATE} s of {talked_s}"
    window = TALK_S * RATE
    for side, voice, other in ((left, caller.voice, callee.voice), (right, callee.voice, caller.voice)):
        # Somewhere in it; a softphone on a busy machine stutters.
        parts = [side[at : at + window] for at in range(0, len(side), window)]
        assert max(likeness(part, voice) for part in parts) > SAME_MIN and likeness(side, other) < OTHER_MAX


def test_without_recording_no_sound_is_kept_anywhere(exchange, phones):
    caller, callee = phones
    before = exchange.kept_sounds()
    x = connect(exchange, caller, callee, IsRecordingEnabled="false")
    assert_hears(caller, callee, seconds=1.2)
    caller.do("hangup")
    assert exchange.record(x)["recording"] is None
    assert exchange.kept_sounds() == before
