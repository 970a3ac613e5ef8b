"""Calls by a service that listens on `[::]`, so that each side may be of either family of addresses: on a host of the
test's own, since `[::]` is every address of a host."""

import subprocess

import pytest

from abuse.minimal_phone import Media, Phone, field, host_port, media_in, sdp
from calls.addresses import free_port
from calls.exchange import Exchange
from calls.names import AAAA, A, Names
from calls.network import Network
from support.process import Maskline

# Where the two sides are, and where the service is told to be, in each family.
PLACES = {
    4: ("127.0.1.2", "127.0.1.3", "127.0.0.1"),
    6: ("fd00:79::2", "fd00:79::3", "fd00:79::1"),
}
SETTINGS = """
[sip]
advertised = "127.0.0.1:0"
resolver = "{resolver}"

[rtp]
advertised = "127.0.0.1"
"""


@pytest.fixture(scope="module")
def exchange(tmp_path_factory):
    """A service on every address of a host, where the tests run too."""
    home = tmp_path_factory.mktemp("families")
    with Network() as network, network.host("server", "10.79.0.1") as host, Names() as names:
        for address in PLACES[6]:
            try:
                host.run("ip", "-6", "address", "add", f"{address}/128", "dev", "lo", "nodad")
            except subprocess.CalledProcessError as error:
                pytest.skip(f"this machine has no IPv6: {error.stderr}")
        for n, name in enumerate(("caller.example", "callee.example")):
            names.records[name] = [(A, PLACES[4][n]), (AAAA, PLACES[6][n])]
        settings = home / "settings.toml"
        settings.write_text(SETTINGS.format(resolver=names.address))
        service = Maskline(home / "data", args=["--config", str(settings), "--sip", "[::]:0"])
        try:
            yield Exchange(service.start())
        finally:
            service.stop()


def trunk(exchange, name, family, host, port, **fields):
    """Where the service is for this trunk."""
    told, sip = PLACES[family][2], int(exchange.sip.rpartition(":")[2])
    fields |= {"sip_advertised": host_port(told, sip), "rtp_advertised": told, "prompts": "none"}
    exchange.trunk(name, host_port(host, port), **fields)
    return told, sip


def sides(exchange, place, caller_family, callee_family):
    """The phones of a call: who calls and who is called, each on a trunk of its family."""
    host = PLACES[caller_family][0]
    caller = place(Phone(host, trunk(exchange, f"from-{caller_family}", caller_family, host, 5060, outgoing=False)))
    host = PLACES[callee_family][1]
    port = free_port(host)
    return caller, place(Phone(host, trunk(exchange, "carrier", callee_family, host, port), port))


@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("caller_family, callee_family", [(4, 4), (4, 6), (6, 4), (6, 6)])
def test_a_call_crosses_from_one_family_to_the_other(exchange, place, caller_family, callee_family, by_name):
    caller, callee = sides(exchange, place, caller_family, callee_family)
    mine, other = place(Media(caller.host)), place(Media(callee.host))
    # The names have addresses of both families: that of the trunk counts.
    says = ("caller.example", "callee.example") if by_name else (caller.host, callee.host)
    x = exchange.axn(exchange.party())
    caller.dial(x, sdp(says[0], mine.port, family=caller_family))
    invite = callee.await_invite()
    ours = media_in(invite)
    # Each side is told an address of its own family, and none of the other's.
    assert ours[0] == PLACES[callee_family][2] and f"c=IN IP{callee_family} " in invite
    own = host_port(*callee.switch)
    assert field(invite, "Via").startswith(f"SIP/2.0/UDP {own};") and f"<sip:{own}>" in field(invite, "Contact")
    callee.reply(200, sdp(says[1], other.port, family=callee_family))
    answer = caller.await_final()
    assert answer.startswith("SIP/2.0 200"), answer
    ours_for_caller = media_in(answer)
    assert ours_for_caller[0] == PLACES[caller_family][2]
    assert f"<sip:{host_port(*caller.switch)}>" in field(answer, "Contact")
    if caller_family != callee_family:
        for message, family in ((invite, caller_family), (answer, callee_family)):
            assert not [address for address in PLACES[family] if address in message], message

    def both():
        mine.say(ours_for_caller, byte=0x11)
        other.say(ours, byte=0x22)

    assert mine.await_byte(0x22, both) and other.await_byte(0x11, both)
    # It moves within the call.
    moved = place(Media(caller.host))
    caller.request("INVITE", sdp(says[0], moved.port, family=caller_family))
    callee.invite = callee.await_message("^INVITE ").replace(";tag=callee", "")
    callee.reply(200, sdp(says[1], other.port, family=callee_family))
    assert caller.await_final().startswith("SIP/2.0 200")

    def moved_too():
        moved.say(ours_for_caller, byte=0x33)
        other.say(ours, byte=0x44)

    assert moved.await_byte(0x44, moved_too) and other.await_byte(0x33, moved_too)
    caller.request("BYE")
    callee.invite = callee.await_message("^BYE ")
    callee.reply(200)
    caller.await_message("^SIP/2.0 200")
    record = exchange.record(x)
    assert (record["situation"], record["trunk_in"]) == ("hung_up", f"from-{caller_family}")


@pytest.mark.parametrize("caller_family", [4, 6])
def test_an_offer_of_the_other_family_is_refused_with_the_reason(exchange, place, caller_family):
    caller, _ = sides(exchange, place, caller_family, 4)
    caller.dial(exchange.axn(exchange.party()), sdp(PLACES[10 - caller_family][0], 4_000))
    answer = caller.await_final()
    assert answer.startswith("SIP/2.0 488") and field(answer, "Warning").startswith("301 "), answer
