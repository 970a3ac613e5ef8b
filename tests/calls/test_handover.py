"""A ring-tone server hands over to the phone before the answer, as one does in an IMS: INVITE; 183 with the
server's SDP, acknowledged; UPDATE with the phone's SDP; 200 without SDP. Then both hear each other."""

import re

import pytest
from calls.exchange import CALLEE_HOST, CALLER_HOST
from calls.scripted_phone import Call, ScriptedCaller, ScriptedPhone, Sound, media, talk


@pytest.mark.parametrize("reliable", [True, False], ids=["100rel", "without"])
@pytest.mark.parametrize("handovers", [1, 3])
def test_a_ring_tone_server_hands_over_to_the_phone(exchange, reliable, handovers):
    call = Call(exchange, reliable=reliable)
    server = Sound(CALLEE_HOST, 0x33)
    call.rings_with(server.sdp(formats="8"))
    call.talk(callee=server)

    for version in range(2, 2 + handovers):
        call.sends_update(call.phone.sdp(version, formats="0 8"))
        answer = call.callee.hears("SIP/2.0 ", "UPDATE")
        assert answer.startswith("SIP/2.0 200"), answer
        assert re.search(r"m=audio \d+ RTP/AVP 8\r", answer), "the agreed codec stays"
    call.answers()
    server.listen()
    server.heard.clear()
    call.talk(seconds=0.5)
    server.listen()
    assert not server.heard, "the server is out of it"
    call.ends()
    assert call.caller_was_asked() is None


@pytest.mark.parametrize("reliable", [True, False], ids=["100rel", "without"])
@pytest.mark.parametrize("order", ["update first", "answer first", "after the acknowledgement"])
@pytest.mark.parametrize("formats", ["0 8", "0"], ids=["same codec", "another codec"])
def test_a_handover_that_crosses_the_answer(exchange, reliable, order, formats):
    """UPDATE and 200 go out at once, and arrive in either order."""
    call = Call(exchange, reliable=reliable)
    server = Sound(CALLEE_HOST, 0x33)
    call.rings_with(server.sdp(formats="8"))
    call.talk(callee=server)

    update = call.phone.sdp(2, formats=formats)
    stays = formats != "0"
    # A caller that cannot be asked before the answer has offered the other codec itself.
    at_once = stays or (order == "update first" and not reliable)
    if order == "update first":
        call.sends_update(update)
    call.callee.replies(call.invite, "200 OK", tag="s")
    if order == "update first" and at_once:
        takes_update(call)
    if order == "answer first":
        call.sends_update(update)
    call.callee.hears("ACK ")
    if order == "update first" and not at_once:
        takes_codec(call, "UPDATE ")
        takes_update(call)
    call.hears_answer()
    if order == "after the acknowledgement":
        call.sends_update(update)
    if not stays and (at_once or order != "update first"):
        takes_codec(call, "INVITE ")
    if order != "update first":
        takes_update(call)
    for sound in (call.own, call.phone):
        sound.payload_type = 8 if stays else 0
    call.talk(seconds=0.3)
    assert {number for number, _ in call.own.heard[-5:]} == {call.own.payload_type}
    call.ends()
    assert call.caller_was_asked() is None, "no more than it has to be"


def takes_update(call):
    answer = call.callee.hears("SIP/2.0 ", "UPDATE")
    assert answer.startswith("SIP/2.0 200"), answer


def takes_codec(call, method):
    asked = call.caller.hears(method)
    assert re.search(r"m=audio \d+ RTP/AVP 0\r", asked), asked
    call.caller_takes(asked, call.own.sdp(2, formats="0"))


def test_a_host_name_in_a_description_is_looked_up(exchange):
    service = exchange.switch
    a, n = exchange.party(), exchange.party()
    callee = ScriptedPhone(CALLEE_HOST, service)
    exchange.carrier(port=callee.port)
    x = exchange.axn(a)
    # The one name that every machine knows.
    own, phone = Sound("127.0.0.1", 0x11), Sound("127.0.0.1", 0x22)
    caller = ScriptedCaller(CALLER_HOST, service)
    caller.dials(n, x, own.sdp(host="localhost"), reliable=False)
    invite = callee.hears("INVITE ")
    callee.replies(invite, "200 OK", tag="s", sdp=phone.sdp(formats="8", host="localhost"))
    callee.hears("ACK ")
    ok = caller.hears("SIP/2.0 200", "INVITE")
    caller.asks("ACK", ok, cseq=1)
    talk(own, media(ok), phone, media(invite))
    caller.asks("BYE", ok)
    caller.hears("SIP/2.0 200", "BYE")
    callee.replies(callee.hears("BYE "), "200 OK")
    assert exchange.record(x)["situation"] == "hung_up"

    # A name that nobody has costs the call, and in time.
    caller = ScriptedCaller(CALLER_HOST, service)
    caller.dials(n, x, own.sdp(host="nobody.invalid"), reliable=False)
    assert "SIP/2.0 488" in caller.hears("SIP/2.0 4")
