"""Calls whose signalling and sound are of IPv6 alone, over TCP and TLS."""

import ssl

import pytest

from abuse.minimal_phone import ListeningPhone, Media, StreamPhone, field, media_in, sdp
from calls.addresses import free_port, has_ipv6
from calls.certificates import Authority
from calls.exchange import Exchange
from support.process import Maskline

HOST = "::1"

pytestmark = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    """A service on IPv6: the exchange, where it listens for each transport, and what its peers show and believe."""
    home = tmp_path_factory.mktemp("six")
    authority = Authority(home)
    certificate, key, _ = authority.signed("deployment", HOST)
    port = free_port(HOST)
    settings = home / "settings.toml"
    settings.write_text(
        f"""
        [sip]
        listen = "[{HOST}]:0"
        tls = "[{HOST}]:{port}"
        certificate = "{certificate}"
        private_key = "{key}"
        server_authorities = "{authority.certificate}"
        """
    )
    service = Maskline(home / "data", args=["--config", str(settings), "--sip", f"[{HOST}]:0"])
    try:
        exchange = Exchange(service.start())
        yield exchange, {"TCP": int(exchange.sip.rpartition(":")[2]), "TLS": port}, authority
    finally:
        service.stop()


def contexts(authority):
    """How a peer opens a connection, and how it takes one."""
    certificate, key, _ = authority.signed("peer", HOST)
    calls = ssl.create_default_context(cafile=authority.certificate)
    called = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    called.load_cert_chain(certificate, key)
    return calls, called


@pytest.mark.parametrize("caller_by, callee_by", [("TCP", "TCP"), ("TLS", "TLS"), ("TCP", "TLS"), ("TLS", "TCP")])
def test_a_call_is_carried_over_connections_of_ipv6(deployment, place, caller_by, callee_by):
    exchange, ports, authority = deployment
    calls, called = contexts(authority)
    near, far = free_port(HOST), free_port(HOST)
    exchange.trunk("callers", f"[{HOST}]:{near}", transport=caller_by.lower(), outgoing=False)
    exchange.trunk("carrier", f"[{HOST}]:{far}", transport=callee_by.lower())
    callee = place(ListeningPhone(HOST, None, far, called if callee_by == "TLS" else None))
    caller = place(StreamPhone(HOST, (HOST, ports[caller_by]), near, calls if caller_by == "TLS" else None))
    mine, other = place(Media(HOST)), place(Media(HOST))
    a = exchange.party()
    x = exchange.axn(a)

    caller.dial(x, sdp(HOST, mine.port))
    invite = callee.await_invite()
    assert invite.startswith(f"INVITE sip:{a}@[{HOST}]:{far}"), invite
    own = f"[{HOST}]:{ports[callee_by]}"
    assert field(invite, "Via").startswith(f"SIP/2.0/{callee_by} {own};"), invite
    assert f"<sip:{own}" in field(invite, "Contact") and "c=IN IP6 ::1\r\n" in invite, invite
    callee.reply(200, sdp(HOST, other.port))
    answer = caller.await_final()
    assert answer.startswith("SIP/2.0 200"), answer
    assert f"<sip:[{HOST}]:{ports[caller_by]}" in field(answer, "Contact"), answer
    ours, ours_for_caller = media_in(invite), media_in(answer)
    assert ours[0] == ours_for_caller[0] == HOST

    def both():
        mine.say(ours_for_caller, byte=0x11)
        other.say(ours, byte=0x22)

    assert mine.await_byte(0x22, both) and other.await_byte(0x11, both)
    caller.target = field(answer, "Contact").strip("<>")
    caller.request("BYE")
    callee.invite = callee.await_message("^BYE ")
    callee.reply(200)
    caller.await_message("^SIP/2.0 200")
    record = exchange.record(x)
    assert (record["situation"], record["one_way"]) == ("hung_up", 0)
    assert (record["trunk_in"], record["trunk_out"]) == ("callers", "carrier")
