"""Phones of other makers behind a box that translates addresses: the address that they tell is a private one.

A peer that does not register can only call: nobody could reach it before it has sent something.
"""

import contextlib
import json
import socket
import time

import pytest

from calls.hearing import assert_hears_tone, assert_silent
from calls.network import CALLEE, INSIDE, OUTSIDE, served
from calls.phone import Phone
from peers.peer import OTHER_TONE, PEER_TONE, PEERS, Diago

SILENCE_MAX_S = 8
# docs/media.md: a second of silence at the old place, and three packets from the new one. Of a phone that sends
# fifty a second so many are taken for somebody else's at most; twice as many where it stutters.
FOREIGN_MAX = 2 * (50 + 3)


@pytest.fixture
def deployment(network, tmp_path):
    with served(network, tmp_path, f"[calls]\nsilence_max_s = {SILENCE_MAX_S}\n") as deployment:
        yield deployment


@contextlib.contextmanager
def talk(network, deployment, scene, kind, transport="udp", other_kind=Phone, **of_other):
    """A peer behind NAT and another phone, in a call; the phones, what ends the test's part, and the peer's host."""
    server, exchange = deployment
    phone_host, callee_host = network.behind_nat("phone", INSIDE, OUTSIDE), network.host("callee", CALLEE)
    with callee_host:
        other = other_kind(scene, "other", exchange.party(), host=CALLEE, voice=OTHER_TONE)
        other.__enter__()
    with phone_host:
        caller = kind(scene, "peer", exchange.party(), host=INSIDE, transport=transport, voice=PEER_TONE)
        caller.__enter__()
    try:
        with server:
            exchange.trunk("other", f"{CALLEE}:{other.port}", **of_other)
            exchange.trunk("peer", f"{OUTSIDE}:5060", nat=True, outgoing=False, transport=transport)
            exchange.await_trunks()
            x = exchange.axn(other.number)
            way = f";transport={transport}" if transport != "udp" else ""
            caller.do("dial", uri=f"sip:{x}@{exchange.sip}{way}")
            other.await_event("CALL_INCOMING")
            other.do("answer")
            caller.await_event("CALL_ESTABLISHED")
            other.await_event("CALL_ESTABLISHED")
            assert_talk(caller, other)
            yield caller, other, phone_host, lambda: exchange.record(x)
    finally:
        caller.end()
        other.end()


class Names:
    """What the streams that reach a host are called: the SSRCs of RTP with sound, by their senders."""

    ALL_PACKETS = 0x0003
    # Of Ethernet, IPv4 and UDP.
    HEADERS = 14 + 20 + 8

    def __init__(self, host):
        with host:
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(self.ALL_PACKETS))
            self.socket.bind(("up0", 0))
        self.socket.setblocking(False)
        self.seen = {}

    def of(self, sender):
        with contextlib.suppress(BlockingIOError):
            while True:
                packet = self.socket.recv(2048)
                rtp = packet[self.HEADERS :]
                if packet[12:14] == b"\x08\x00" and packet[23] == socket.IPPROTO_UDP and len(rtp) > 12:
                    if rtp[0] >> 6 == 2 and rtp[1] & 0x7F == 8:
                        self.seen.setdefault(socket.inet_ntoa(packet[26:30]), set()).add(rtp[8:12])
        return self.seen.get(sender, set())


def assert_talk(caller, other):
    assert_hears_tone(caller, other)
    assert_hears_tone(other, caller)


def hold_and_resume(one, other):
    one.do("hold")
    other.await_event("CALL_HOLD")
    assert_silent(one)
    one.do("resume")
    other.await_event("CALL_RESUME")
    assert_talk(one, other)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_behind_nat_is_called_back_in_the_call(network, deployment, scene, peer, transport):
    """Sound both ways, a hold from each side, and the end from the other side."""
    with talk(network, deployment, scene, PEERS[peer], transport) as (caller, other, _, record):
        other.do("hold")
        caller.await_event("CALL_HOLD")
        assert_silent(caller)
        other.do("resume")
        caller.await_event("CALL_RESUME")
        caller.do("hold")
        other.await_event("CALL_HOLD")
        assert_silent(caller)
        caller.do("resume")
        other.await_event("CALL_RESUME")
        assert_talk(caller, other)
        other.do("hangup")
        caller.await_event("CALL_CLOSED")
        record = record()
        assert (record["situation"], record["release_by"], record["one_way"]) == ("hung_up", "callee", 0)
        assert INSIDE in caller.trace() and INSIDE not in other.trace() and OUTSIDE not in other.trace()


@pytest.mark.parametrize("peer", PEERS)
def test_a_mapping_that_changes_in_the_call_is_followed(network, deployment, scene, peer):
    """Sound comes from another port of the box and goes there, and so does what is said of the call."""
    with talk(network, deployment, scene, PEERS[peer]) as (caller, other, host, record):
        for _ in range(2):
            host.rebind()
            assert_talk(caller, other)
        # Whoever is behind a box must speak first, or nothing comes in to it.
        caller.do("hold")
        other.await_event("CALL_HOLD")
        caller.await_event("CHANGED")
        caller.do("resume")
        other.await_event("CALL_RESUME")
        assert_talk(caller, other)
        other.do("hangup")
        caller.await_event("CALL_CLOSED")
        record = record()
        assert (record["situation"], record["release_by"], record["one_way"]) == ("hung_up", "callee", 0)
        foreign = json.loads(record["media"])["caller"]["foreign"]
        assert foreign <= 2 * FOREIGN_MAX, f"{foreign} packets were taken for somebody else's"


@pytest.mark.parametrize("both", [False, True], ids=["one side", "both sides"])
def test_a_stream_with_another_name_is_the_same_phone(network, deployment, scene, both):
    """RFC 3550 8.2: an SSRC may change. The call goes on beyond the time after which a silent one is cut."""
    with talk(network, deployment, scene, Diago, other_kind=Diago, nat=True) as (caller, other, _, record):
        names = Names(deployment[0])
        assert_talk(caller, other)
        assert [len(names.of(at)) for at in (OUTSIDE, CALLEE)] == [1, 1]
        for phone in (caller, other) if both else (caller,):
            phone.do("rename")
            phone.await_event("CHANGED")
        until = time.monotonic() + SILENCE_MAX_S + 2
        while True:
            assert_talk(caller, other)
            if time.monotonic() > until:
                break
        assert [len(names.of(at)) for at in (OUTSIDE, CALLEE)] == [2, 1 + both]
        other.do("hangup")
        caller.await_event("CALL_CLOSED")
        record = record()
        assert (record["situation"], record["release_by"], record["one_way"]) == ("hung_up", "callee", 0)
        media = json.loads(record["media"])
        # A packet may come before the answer that says whose it is; a stream that is not taken would be hundreds.
        assert all(media[side]["foreign"] < FOREIGN_MAX for side in ("caller", "callee")), media
