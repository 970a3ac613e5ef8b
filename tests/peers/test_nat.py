"""Phones of other makers behind a box that translates addresses: the address that they tell is a private one.

A peer that does not register can only call: nobody could reach it before it has sent something.
"""

import pytest

from calls.exchange import Exchange
from calls.network import Network
from calls.phone import Phone
from calls.test_two_phones import assert_silent
from peers.test_peers import OTHER_TONE, PEER_TONE, PEERS, assert_hears
from support.process import Maskline

SERVER, CALLEE, OUTSIDE, INSIDE = "10.77.0.1", "10.77.0.3", "10.77.0.2", "192.168.77.2"


@pytest.fixture
def network():
    with Network() as network:
        yield network


@pytest.fixture
def office(network, tmp_path):
    """Maskline on a host of its own, reached at SERVER; its customer and operator live there too."""
    settings = tmp_path / "settings.toml"
    settings.write_text(f'[rtp]\nbind = "{SERVER}"\n')
    host = network.host("server", SERVER)
    with host:
        service = Maskline(tmp_path / "data", args=["--config", str(settings), "--sip", f"{SERVER}:5060"]).start()
        try:
            yield host, Exchange(service)
        finally:
            service.stop()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_behind_nat_is_called_back_in_the_call(network, office, scene, peer, transport):
    """Sound both ways, a hold from each side, and the end from the other side."""
    server, exchange = office
    phone_host, callee_host = network.behind_nat("phone", INSIDE, OUTSIDE), network.host("callee", CALLEE)
    with callee_host:
        other = Phone(scene, "softphone", exchange.party(), host=CALLEE, voice=OTHER_TONE)
        other.__enter__()
    with phone_host:
        caller = PEERS[peer](scene, peer, exchange.party(), host=INSIDE, transport=transport, voice=PEER_TONE)
        caller.__enter__()
    try:
        with server:
            exchange.trunk("softphone", f"{CALLEE}:{other.port}")
            exchange.trunk("peer", f"{OUTSIDE}:5060", nat=True, outgoing=False, transport=transport)
            exchange.await_trunks()
            x = exchange.axn(other.number)
            way = f";transport={transport}" if transport != "udp" else ""
            caller.do("dial", uri=f"sip:{x}@{exchange.sip}{way}")
            other.await_event("CALL_INCOMING")
            other.do("answer")
            caller.await_event("CALL_ESTABLISHED")
            other.await_event("CALL_ESTABLISHED")
            assert_hears(caller, other)
            assert_hears(other, caller)
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
            assert_hears(caller, other)
            assert_hears(other, caller)
            other.do("hangup")
            caller.await_event("CALL_CLOSED")
            record = exchange.record(x)
            assert (record["situation"], record["release_by"], record["one_way"]) == ("hung_up", "callee", 0)
            assert INSIDE in caller.trace() and INSIDE not in other.trace() and OUTSIDE not in other.trace()
    finally:
        caller.end()
        other.end()
