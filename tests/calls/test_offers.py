"""Offers and answers, message by message, as phones and carriers make them and as some should not."""

import re
import socket
import time

import pytest
from calls.exchange import CALLEE_HOST, CALLER_HOST
from calls.scripted_phone import PATIENCE_S, Call, Sound, header, media


def test_an_answer_with_another_codec_than_the_unreliable_early_one(exchange):
    call = Call(exchange, reliable=False)
    early = call.rings_with(call.phone.sdp(formats="8"), reliable=False)
    assert re.search(r"m=audio \d+ RTP/AVP 8\r", early), early
    ok = call.answers(call.phone.sdp(formats="0"))
    assert re.search(r"m=audio \d+ RTP/AVP 8\r", ok), "the first answer is the answer to the caller's offer"
    asked = call.caller.hears("INVITE ")
    assert re.search(r"m=audio \d+ RTP/AVP 0\r", asked), asked
    call.caller_takes(asked, call.own.sdp(2, formats="0"))
    for sound in (call.own, call.phone):
        sound.payload_type = 0
    call.talk(seconds=0.3)
    assert {number for number, _ in call.own.heard[-5:]} == {0}
    call.ends()


@pytest.mark.parametrize("protocol", ["RTP/AVPF", "rtp/avpf", "RTP/AVP"])
def test_feedback_that_is_not_insisted_on_costs_nothing(exchange, protocol):
    feedback = ["a=rtcp-fb:* nack", "a=rtcp-fb:8 trr-int 100"]
    call = Call(exchange, offer=lambda own: own.sdp(protocol=protocol, lines=feedback))
    assert re.search(r"m=audio \d+ RTP/AVP [08]", call.invite), call.invite
    assert "rtcp-fb" not in call.invite
    ok = call.answers(call.phone.sdp(formats="8"))
    assert re.search(rf"m=audio \d+ {protocol} 8\r", ok), "in the words of who has offered"
    call.talk()
    call.ends()


def test_an_invite_that_expires_is_ended_on_both_sides(exchange):
    began = time.monotonic()
    call = Call(exchange, lines=["Expires: 6"])
    call.callee.replies(call.invite, "180 Ringing", tag="s")
    call.caller.hears("SIP/2.0 180")
    refused = call.caller.hears("SIP/2.0 4", "INVITE")
    assert refused.startswith("SIP/2.0 487"), refused
    assert time.monotonic() - began > 6.0, "not before its time"
    cancel = call.callee.hears("CANCEL ")
    call.callee.replies(cancel, "200 OK")
    call.callee.replies(call.invite, "487 Request Terminated", tag="s")
    call.callee.hears("ACK ")
    assert exchange.record(call.x)["situation"] == "caller_gave_up"


def test_of_a_thousand_ringings_the_caller_hears_a_few(exchange):
    call = Call(exchange, reliable=False)
    began = time.monotonic()
    for count in range(1_000):
        call.callee.replies(call.invite, "180 Ringing", tag=f"s{count % 7}")
        # The service reads them as they come: none is lost on the way.
        time.sleep(0.001)
    deadline = time.monotonic() + PATIENCE_S
    ringings, text = 0, ""
    call.caller.socket.settimeout(0.5)
    while not text.startswith("SIP/2.0 200"):
        # It may be lost behind so many, and is repeated until it is acknowledged (RFC 3261 section 13.3.1.4).
        call.callee.replies(call.invite, "200 OK", tag="s0", sdp=call.phone.sdp(formats="8"))
        assert time.monotonic() < deadline
        try:
            while not text.startswith("SIP/2.0 200"):
                text = call.caller.socket.recv(65535).decode()
                ringings += text.startswith("SIP/2.0 180")
        except TimeoutError:
            continue
    call.caller.socket.settimeout(PATIENCE_S)
    # 32 at once, and one for each second since.
    allowed = 33 + time.monotonic() - began
    assert 1 <= ringings <= allowed, f"{ringings} of 1,000, {allowed:.0f} allowed"
    call.ok = text
    call.caller.asks("ACK", text, cseq=1)
    call.callee.hears("ACK ")
    call.from_caller = media(text)
    call.talk()
    call.ends()


def test_reports_go_to_the_port_that_a_description_names(exchange):
    reports = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    reports.bind((CALLER_HOST, 0))
    port = reports.getsockname()[1]
    call = Call(exchange, offer=lambda own: own.sdp(lines=[f"a=rtcp:{port}"]))
    call.answers(call.phone.sdp(formats="8"))
    call.talk()
    # One comes every five seconds.
    reports.settimeout(PATIENCE_S)
    report, source = reports.recvfrom(2048)
    assert report[1] in (200, 201), report
    to = call.from_caller
    assert source == (to[0], to[1] + 1), "from the port above that of the sound"
    call.ends()
    reports.close()


@pytest.mark.parametrize("takes", [True, False], ids=["taken", "not taken"])
def test_comfort_noise_is_sent_to_who_took_it(exchange, takes):
    call = Call(exchange, offer=lambda own: own.sdp(formats="8 13"))
    assert re.search(r"m=audio \d+ RTP/AVP 8 13\r", call.invite), call.invite
    ok = call.answers(call.phone.sdp(formats="8 13" if takes else "8"))
    assert ("13" in re.search(r"m=audio \d+ RTP/AVP (.*?)\r", ok)[1].split()) == takes
    call.talk()
    # Sound after the noise shows that the noise was looked at.
    deadline = time.monotonic() + PATIENCE_S
    call.phone.heard.clear()
    for _ in range(5):
        call.own.send(call.from_caller, payload_type=13, count=1)
    while not any(value == call.own.value and number == 8 for number, value in call.phone.heard):
        call.own.send(call.from_caller)
        time.sleep(0.02)
        call.phone.listen()
        assert time.monotonic() < deadline
    noise = [number for number, _ in call.phone.heard if number == 13]
    assert bool(noise) == takes, call.phone.heard
    call.ends()


def test_wide_band_sound_is_carried_with_its_keys(exchange):
    """AMR-WB, whose telephone-event has a clock of 16 kHz alone (RFC 4733 section 2.1)."""
    maps = ["a=rtpmap:104 AMR-WB/16000", "a=rtpmap:101 telephone-event/16000", "a=fmtp:101 0-15"]
    call = Call(exchange, offer=lambda own: own.sdp(formats="104 101", lines=maps))
    assert re.search(r"m=audio \d+ RTP/AVP 104 101\r", call.invite), call.invite
    assert all(f"{line}\r" in call.invite for line in maps[:2]), call.invite
    ok = call.answers(call.phone.sdp(formats="104 101", lines=maps))
    assert re.search(r"m=audio \d+ RTP/AVP 104 101\r", ok) and f"{maps[1]}\r" in ok, ok
    call.own.payload_type = call.phone.payload_type = 104
    call.talk()
    deadline = time.monotonic() + PATIENCE_S
    for speaker, to, hearer in ((call.own, call.from_caller, call.phone), (call.phone, call.from_callee, call.own)):
        hearer.heard.clear()
        while not any(number == 101 and value == speaker.value for number, value in hearer.heard):
            # The first of the four bytes is the key, here one that nobody has on a telephone.
            speaker.send(to, payload_type=101, count=4)
            time.sleep(0.02)
            hearer.listen()
            assert time.monotonic() < deadline, hearer.heard
    call.ends()


# Who offers it, where and how.
UNFIT = {
    "a loop": (lambda call: {"host": call.service[0], "port": media(call.invite)[1]}, "Warning: 399 "),
    "a loop by the other side": (lambda call: {"host": call.service[0], "port": call.from_caller[1]}, "Warning: 399 "),
    "another family": (lambda call: {"host": "2001:db8::7"}, "Warning: 301 "),
}


@pytest.mark.parametrize("unfit", UNFIT)
def test_an_offer_that_cannot_be_used_is_refused_and_the_call_goes_on(exchange, unfit):
    place, warning = UNFIT[unfit]
    call = Call(exchange)
    early = call.rings_with(call.phone.sdp(formats="8"))
    call.talk()
    told = place(call)

    def is_refused(answer):
        assert answer.startswith("SIP/2.0 488"), answer
        assert warning in answer, answer

    call.sends_update(call.phone.sdp(2, formats="8", **told))
    is_refused(call.callee.hears("SIP/2.0 ", "UPDATE"))
    call.caller.asks("UPDATE", early, sdp=call.own.sdp(2, **told))
    is_refused(call.caller.hears("SIP/2.0 ", "UPDATE"))
    call.talk()
    ok = call.answers()
    call.caller.asks("UPDATE", ok, sdp=call.own.sdp(3, **told))
    is_refused(call.caller.hears("SIP/2.0 ", "UPDATE"))
    call.sends_update(call.phone.sdp(3, formats="8", **told))
    is_refused(call.callee.hears("SIP/2.0 ", "UPDATE"))
    call.talk(seconds=0.3)
    call.ends()
    assert call.caller_was_asked() is None


def test_a_caller_that_is_ready_later_is_heard_then(exchange):
    call = Call(exchange, offer=lambda own: own.sdp(direction="inactive"))
    early = call.rings_with(call.phone.sdp(formats="8", direction="inactive"))
    assert "a=inactive" in early, early
    call.caller.asks("UPDATE", early, sdp=call.own.sdp(2))
    asked = call.callee.hears("UPDATE ")
    assert "a=sendrecv" in asked, asked
    call.callee.replies(asked, "200 OK", sdp=call.phone.sdp(2, formats="8"))
    answer = call.caller.hears("SIP/2.0 200", "UPDATE")
    assert "a=sendrecv" in answer, answer
    call.talk()
    call.callee.replies(call.invite, "180 Ringing", tag="s")
    call.caller.hears("SIP/2.0 18")
    call.answers()
    call.talk(seconds=0.3)
    call.ends()


def test_the_sound_of_a_second_answer_is_no_news(exchange):
    """The answer says again what was said early, and reliably: nobody is asked anything."""
    call = Call(exchange)
    call.rings_with(call.phone.sdp(formats="8"))
    server = Sound(CALLEE_HOST, 0x33)
    assert header(call.invite, "Supported").find("100rel") >= 0
    # What is said otherwise then is ignored (RFC 3261 section 13.2.1).
    call.answers(server.sdp(formats="8"))
    call.talk(seconds=0.3)
    server.listen()
    assert not server.heard
    call.ends()
    assert call.caller_was_asked() is None
