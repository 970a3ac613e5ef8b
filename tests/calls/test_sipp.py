"""sipp calls sipp, over datagrams and over connections: both are heard, and the call is on record."""

import pytest

from calls.exchange import CALLEE_HOST, CALLER_HOST
from calls.script import answers, calls
from calls.sipp import Sipp, header

CALLER_TONE, CALLEE_TONE = 440, 1000


def talk(exchange, scene, into="udp", out="udp", talk_ms=4000):
    a, n = exchange.party(), exchange.party()
    # Calls come from a carrier of its own, which may speak otherwise than the one that they go to.
    port = exchange.carrier(sources=(), transport=out)
    exchange.trunk("callers", f"{CALLER_HOST}:5060", transport=into, priority=9)
    x = exchange.axn(a)
    with (
        Sipp(scene, "callee", answers(), CALLEE_HOST, port=port, transport=out, tone=CALLEE_TONE) as callee,
        Sipp(
            scene, "caller", calls(talk_ms), CALLER_HOST, remote=exchange.sip, transport=into,
            tone=CALLER_TONE, service=x, caller=n,
        ) as caller,
    ):
        callee.await_listening()
        caller.wait()
        callee.wait()
        heard = caller.heard(), callee.heard()
    for who, sound, other, own in (
        ("caller", heard[0], CALLEE_TONE, CALLER_TONE),
        ("callee", heard[1], CALLER_TONE, CALLEE_TONE),
    ):
        assert len(sound.packets) >= talk_ms // 20 // 3, f"the {who} heard {len(sound.packets)} packets"
        assert sound.share_of(other) > 0.8 and sound.share_of(own) < 0.05, f"the {who} heard something else"
    [invite, *_] = callee.messages()
    assert x in header(invite, "From") and header(invite, "Via").startswith(f"SIP/2.0/{out.upper()}")
    for peer, secret in ((callee, n), (callee, CALLER_HOST), (caller, a), (caller, CALLEE_HOST)):
        assert secret not in "".join(peer.messages()), f"the {peer.name} was told {secret}"
    record = exchange.record(x)
    assert (record["situation"], record["release_by"], record["one_way"]) == ("hung_up", "caller", 0)
    return record


@pytest.mark.parametrize(("into", "out"), [("udp", "udp"), ("tcp", "udp"), ("udp", "tcp"), ("tcp", "tcp")])
def test_both_are_heard_and_the_call_is_on_record(exchange, scene, into, out):
    talk(exchange, scene, into, out)
