"""Kamailio between us and the telephones, as a carrier's edge: a plain proxy that stays in the path."""

from calls.exchange import CALLEE_HOST, CALLER_HOST, PROXY_HOST
from calls.kamailio import Kamailio
from calls.script import answers, calls
from calls.sipp import Sipp


def test_a_call_goes_through_a_proxy_on_both_sides(exchange, scene):
    a, n = exchange.party(), exchange.party()
    with Sipp(scene, "callee", answers(), CALLEE_HOST, tone=1000) as callee:
        callee.await_listening()
        phones = f"{CALLEE_HOST}:{callee.port}"
        with Kamailio(scene, PROXY_HOST, exchange.sip, phones) as proxy:
            exchange.carrier(proxy.port, PROXY_HOST, sources=())
            x = exchange.axn(a)
            proxy_at = f"{PROXY_HOST}:{proxy.port}"
            with Sipp(
                scene, "caller", calls(3500), CALLER_HOST, remote=proxy_at, tone=440, service=x, caller=n
            ) as caller:
                caller.wait()
                callee.wait()
                heard = caller.heard(), callee.heard()
    assert heard[0].share_of(1000) > 0.8 and heard[1].share_of(440) > 0.8
    assert n not in "".join(callee.messages()) and a not in "".join(caller.messages())
    record = exchange.record(x)
    assert (record["situation"], record["release_by"], record["one_way"]) == ("hung_up", "caller", 0)
    # Every request came by way of the proxy, so those within the call followed the route (RFC 3261 16.12).
    for peer in (caller, callee):
        requests = [one for one in peer.messages() if not one.startswith("SIP/2.0")]
        assert requests or peer is caller
        assert all(f"Via: SIP/2.0/UDP {PROXY_HOST}" in request for request in requests)
