"""Media where it should not go: to a victim who never called, to a stranger, and round in a loop."""

import re
import time

from abuse.minimal_phone import PACKET_S, Media, Phone, carrier, media_in, sdp
from calls.exchange import CALLEE_HOST, CALLER_HOST
from support.settings import default

VICTIM_HOST = "127.0.1.66"
STRANGER_HOST = "127.0.1.99"
# What a caller is sent before anything has come from where it says it is.
UNHEARD_BYTES = default("rtp", "unheard_kib_max") * 1_024


def prompted(exchange, place, media, speaks=False):
    """Calls an X that plays a prompt, with media at `media`: bytes sent to it, and bytes that asked for it."""
    caller = place(Phone(CALLER_HOST, exchange.switch))
    caller.dial(exchange.vacant(), sdp(media.host, media.port))
    progress = caller.await_message("^SIP/2.0 183")
    if speaks:
        media.say(media_in(progress))
    asked = caller.sent_bytes
    caller.await_final()
    # What is under way has come when the last answer has.
    time.sleep(0.1)
    return media.heard_bytes(), asked


def test_a_victim_who_is_named_in_an_invite_gets_little(exchange, place, record_property):
    carrier(exchange, place)
    heard, asked = prompted(exchange, place, place(Media(VICTIM_HOST)))
    print(f"{heard} bytes for {asked}: {heard / asked:.1f}")
    record_property("amplification", round(heard / asked, 1))
    assert heard <= UNHEARD_BYTES


def test_who_speaks_hears_the_whole_prompt(exchange, place):
    carrier(exchange, place)
    heard, _ = prompted(exchange, place, place(Media(VICTIM_HOST)), speaks=True)
    assert heard > 2 * UNHEARD_BYTES


def test_a_trunk_that_lists_its_networks_has_prompts_there_and_nowhere_else(exchange, place):
    carrier(exchange, place, media_networks=[f"{CALLER_HOST}/32"])
    heard, asked = prompted(exchange, place, place(Media(VICTIM_HOST)))
    print(f"{heard} bytes for {asked}")
    assert heard == 0
    heard, _ = prompted(exchange, place, place(Media(CALLER_HOST)))
    assert heard > 2 * UNHEARD_BYTES


def ringing(exchange, place, **fields):
    """A call that rings: the phones, and what each was told of our media."""
    callee = carrier(exchange, place, **fields)
    caller = place(Phone(CALLER_HOST, exchange.switch))
    x = exchange.axn(exchange.party())
    return caller, callee, x


def test_a_stray_packet_on_every_port_does_not_take_a_call_behind_nat(exchange, place):
    caller, callee, x = ringing(exchange, place, nat=True)
    # Each says an address at which it cannot be reached.
    real, other = place(Media(CALLER_HOST)), place(Media(CALLEE_HOST))
    caller.dial(x, sdp("10.99.99.1", 4_000))
    ours = media_in(callee.await_invite())
    callee.reply(183, sdp("10.99.99.2", 4_000))
    ours_for_caller = media_in(caller.await_message("^SIP/2.0 183"))
    stranger = place(Media(STRANGER_HOST))
    for port in exchange.service.media_ports.range[::2]:
        stranger.say((ours_for_caller[0], port), ssrc=99, byte=0x77)
        if port % 200 == 0:
            time.sleep(0.005)

    def both():
        real.say(ours_for_caller, ssrc=1, byte=0x11)
        other.say(ours, ssrc=2, byte=0x22)

    assert real.await_byte(0x22, both), "the caller hears the callee before the answer"
    callee.reply(200, sdp("10.99.99.2", 4_000))
    caller.await_final()
    assert real.await_byte(0x22, both) and other.await_byte(0x11, both), "and after it"
    assert stranger.heard() == []
    # A port is bound anew; and a source gets another name.
    moved = place(Media(CALLER_HOST))

    def moved_too():
        moved.say(ours_for_caller, ssrc=5, byte=0x33)
        other.say(ours, ssrc=6, byte=0x44)

    assert moved.await_byte(0x44, moved_too) and other.await_byte(0x33, moved_too)
    caller.request("BYE")
    caller.await_message("^SIP/2.0 200")
    exchange.await_closed(x)


def test_a_stranger_who_is_heard_in_a_pause_gives_way_when_the_side_speaks_again(exchange, place):
    networks = [f"{host}/32" for host in (CALLER_HOST, CALLEE_HOST, STRANGER_HOST)]
    caller, callee, x = ringing(exchange, place, nat=True, media_networks=networks)
    real, other, stranger = place(Media(CALLER_HOST)), place(Media(CALLEE_HOST)), place(Media(STRANGER_HOST))
    caller.dial(x, sdp("10.99.99.1", 4_000))
    ours = media_in(callee.await_invite())
    callee.reply(200, sdp("10.99.99.2", 4_000))
    ours_for_caller = media_in(caller.await_final())

    def say(*sides):
        other.say(ours, ssrc=2, byte=0x22)
        for ssrc, side in enumerate(sides, 3):
            side.say(ours_for_caller, ssrc=ssrc, byte=0x11)

    assert real.await_byte(0x22, lambda: say(real))
    # Next to nothing must have been heard of it no longer.
    for _ in range(10):
        say(real)
        time.sleep(PACKET_S)
    assert stranger.await_byte(0x22, lambda: say(stranger)), "it speaks from elsewhere now, it seems"
    real.heard()
    assert real.await_byte(0x22, lambda: say(stranger, real)), "it is back, whether the other goes on or not"
    stranger.heard()
    for _ in range(50):
        # The side itself goes first: behind a moment in which this machine stood still both have paused.
        other.say(ours, ssrc=2, byte=0x22)
        real.say(ours_for_caller, ssrc=4, byte=0x11)
        stranger.say(ours_for_caller, ssrc=3, byte=0x11)
        time.sleep(PACKET_S)
    assert not stranger.heard() and real.heard()
    caller.request("BYE")
    caller.await_message("^SIP/2.0 200")


def test_media_that_would_come_back_is_refused(exchange, place):
    # A callee who names the very port to which its sound is to be sent.
    caller, callee, x = ringing(exchange, place)
    caller.dial(x, sdp(CALLER_HOST, 4_000))
    callee.reply(200, sdp(*media_in(callee.await_invite())))
    assert caller.await_final().startswith("SIP/2.0 488")
    # Or the one of the other side, which it could guess.
    caller, callee, x = ringing(exchange, place)
    caller.dial(x, sdp(CALLER_HOST, 4_000))
    callee.await_invite()
    callee.reply(183, sdp(CALLEE_HOST, 4_000))
    ours_for_caller = media_in(caller.await_message("^SIP/2.0 183"))
    callee.reply(200, sdp(*ours_for_caller))
    assert caller.await_final().startswith("SIP/2.0 488")


def test_a_new_offer_that_leads_back_is_refused_and_the_call_goes_on(exchange, place):
    caller, callee, x = ringing(exchange, place)
    mine, other = place(Media(CALLER_HOST)), place(Media(CALLEE_HOST))
    caller.dial(x, sdp(mine.host, mine.port))
    ours = media_in(callee.await_invite())
    callee.reply(200, sdp(other.host, other.port))
    ours_for_caller = media_in(caller.await_final())
    for address in (ours_for_caller, ours, ("127.0.0.1", ours[1]), (ours[0], ours[1] + 1)):
        caller.request("INVITE", sdp(*address))
        assert caller.await_final().startswith("SIP/2.0 488"), address

    def both():
        mine.say(ours_for_caller, byte=0x11)
        other.say(ours, byte=0x22)

    assert mine.await_byte(0x22, both) and other.await_byte(0x11, both)
    caller.request("BYE")
    caller.await_message("^SIP/2.0 200")


def test_two_calls_that_name_each_others_ports_do_not_make_a_media_loop(exchange, place):
    first, callee, x = ringing(exchange, place)
    first.dial(x, sdp(CALLER_HOST, 4_000))
    first_for_callee = media_in(callee.await_invite())
    callee.reply(200, sdp(CALLEE_HOST, 4_000))
    first_for_caller = media_in(first.await_final())
    # The second call leads into the first one, at both of its sides.
    second = place(Phone(CALLER_HOST, exchange.switch))
    second.dial(exchange.axn(exchange.party()), sdp(*first_for_caller))
    second_for_callee = media_in(callee.await_invite())
    callee.reply(200, sdp(*first_for_callee))
    answer = second.await_final()
    assert answer.startswith("SIP/2.0 200"), "a PBX may send one call's media into another"
    # And now the first one back into the second.
    first.request("INVITE", sdp(*media_in(answer)))
    assert first.await_final().startswith("SIP/2.0 488")
    first.request("INVITE", sdp(*second_for_callee))
    assert first.await_final().startswith("SIP/2.0 488")
    for phone in (first, second):
        phone.request("BYE")
        phone.await_message("^SIP/2.0 200")


def test_media_at_an_address_of_ipv6_is_refused_with_a_warning_or_taken_at_the_other(exchange, place):
    caller, callee, x = ringing(exchange, place)
    caller.dial(x, sdp("2001:db8::7", 4_000, family=6))
    answer = caller.await_final()
    assert answer.startswith("SIP/2.0 488")
    assert re.search(r'(?m)^Warning: 301 \S+ "', answer), answer
    # Both are there: the one that can be spoken with is taken, and the other line refused.
    caller = place(Phone(CALLER_HOST, exchange.switch))
    media, other = place(Media(CALLER_HOST)), place(Media(CALLEE_HOST))
    both = sdp("2001:db8::7", 4_000, family=6)
    both += f"m=audio {media.port} RTP/AVP 8 101\r\nc=IN IP4 {media.host}\r\na=rtpmap:101 telephone-event/8000\r\n"
    caller.dial(x, both)
    ours = media_in(callee.await_invite())
    callee.reply(200, sdp(other.host, other.port))
    answer = caller.await_final()
    ports = [int(port) for port in re.findall(r"\r\nm=audio (\d+) ", answer)]
    assert len(ports) == 2 and ports[0] == 0 and ports[1] > 0, answer

    def speak():
        other.say(ours, byte=0x22)

    assert media.await_byte(0x22, speak)
    caller.request("BYE")
    caller.await_message("^SIP/2.0 200")


def test_a_packet_above_the_mtu_arrives_whole(exchange, place):
    caller, callee, x = ringing(exchange, place)
    mine, other = place(Media(CALLER_HOST)), place(Media(CALLEE_HOST))
    caller.dial(x, sdp(mine.host, mine.port))
    ours = media_in(callee.await_invite())
    callee.reply(200, sdp(other.host, other.port))
    caller.await_final()
    deadline = time.monotonic() + 20
    got = []
    while not got and time.monotonic() < deadline:
        other.sequence += 1
        head = bytes([0x80, 8]) + other.sequence.to_bytes(2, "big") + bytes(4) + b"name"
        other.socket.sendto(head + b"\x22" * 1_900, ours)
        time.sleep(PACKET_S)
        got = [packet for packet in mine.heard() if len(packet) > 200]
    assert len(got[0]) == 1_912
    caller.request("BYE")
    caller.await_message("^SIP/2.0 200")
