"""Phones of other makers talk through a privacy number with a baresip: what each feature of a call becomes.

Every peer has a cell for every feature. What a peer cannot do stands in CANNOT with the reason, and its cell
is skipped with these words.
"""

import json
import re
import time

import pytest

from calls.exchange import PHONE_HOST
from calls.hearing import assert_hears_tone, assert_silent
from calls.phone import EVENT_S, Phone
from peers.peer import OTHER_TONE, PEER_TONE, PEERS
from sip.media import share_of

# An address of its own, so that what one side learns of the other can be told.
OWN_HOST = "127.0.1.5"
# linphone tells in its SDP the address of the machine's first interface, whatever it is bound to, and sends its
# media from where the routes say: as from behind NAT. Both hold with the softphone's address, whose trunk it
# shares, and with `nat`.
SHARES = {"linphone": {"nat": True}}
TRANSPORTS = ("udp", "tcp", "tls")
# (peer, feature): why there is no such thing.
CANNOT = {
    ("linphone", "called over tls"): "linphone takes no TLS connections; its log: arriving on TLS, not handled",
    ("linphone", "challenges us"): "linphone challenges nobody",
    ("linphone", "UPDATE"): "linphonec has no command that sends UPDATE",
    ("diago", "100rel"): "diago has no PRACK",
    ("diago", "keys by INFO, in"): "diago answers INFO with 406, and its offers name telephone-event",
}  # fmt: skip

@pytest.fixture(params=PEERS)
def peer(request):
    return request.param


def assert_told_by_info(phone, keys):
    deadline = time.monotonic() + EVENT_S
    while True:
        told = re.findall(r"\nINFO [^\0]*?\r?\nSignal= ?(.)", phone.trace())
        if "".join(told) == keys:
            return
        assert time.monotonic() < deadline, f"{phone.name} was told {told}"
        time.sleep(0.05)


def proven_byes(phone):
    return re.findall(r"\nBYE sip[^\0]*?\nAuthorization: [^\0]*?\r?\n\r?\n", phone.trace())


def can(peer, feature):
    if (peer, feature) in CANNOT:
        pytest.skip(f"{peer}, {feature}: {CANNOT[(peer, feature)]}")


class Scene:
    """A peer and a baresip, and who of them calls: the trunk of the other is where calls go."""

    def __init__(self, deployment, place, peer, role, transport="udp", trunk=(), of_other=(), **of_peer):
        self.deployment, self.exchange = deployment, deployment.exchange
        self.x = None
        self.shares = SHARES.get(peer)
        self.host = PHONE_HOST if self.shares else OWN_HOST
        certificate, key, _ = deployment.authority.signed(f"peer-{transport}", self.host)
        self.peer = PEERS[peer](
            place, peer, self.exchange.party(), host=self.host, transport=transport, voice=PEER_TONE,
            certificate=str(certificate), key=str(key), authority=str(deployment.authority.certificate), **of_peer,
        )  # fmt: skip
        self.transport, self.role, self.trunk = transport, role, dict(trunk)
        # A trunk has one transport; who calls by a trunk that others share speaks it too.
        self.other_speaks = transport if self.shares and role == "callee" else "udp"
        self.other = Phone(
            place, "softphone", self.exchange.party(), transport=self.other_speaks, voice=OTHER_TONE, **dict(of_other)
        )
        self.caller, self.callee = (
            (self.peer, self.other) if role == "caller" else (self.other, self.peer)
        )

    def __enter__(self):
        self.peer.__enter__()
        self.other.__enter__()
        exchange, calls_in = self.exchange, self.role == "caller"
        peer, other = f"{self.host}:{self.peer.port}", f"{PHONE_HOST}:{self.other.port}"
        self.trunks = ["peer"]
        if self.shares:
            to, transport = (other, "udp") if calls_in else (peer, self.transport)
            exchange.trunk("peer", to, transport=transport, **self.shares, **self.trunk)
        else:
            self.trunks.append("softphone")
            exchange.trunk("peer", peer, transport=self.transport, outgoing=not calls_in, **self.trunk)
            exchange.trunk("softphone", other, outgoing=calls_in)
        exchange.await_trunks()
        return self

    def __exit__(self, _kind, error, _trace):
        self.peer.end()
        self.other.end()
        if error is not None and self.x is not None:
            error.add_note(self.told())
        self.exchange.operator.apply(f"[remove]\ntrunks = {json.dumps(self.trunks)}\n")

    def told(self):
        """What the service and the baresip know of a call that failed: whose sound came, and how far it came."""
        service = self.exchange.operator.service
        calls = json.loads(service.cli("call", "ls", "--x", self.x, "--json").stdout)["items"]
        shown = [service.cli("call", "show", call["call_id"], "--json").stdout for call in calls]
        return "\n".join([*shown, self.other.trace()[-3000:]])

    def dial(self, **binding):
        """The caller dials X, under which the callee is reached; X, once the callee is called."""
        self.x = self.exchange.axn(self.callee.number, **binding)
        uri = self.deployment.uri(self.x, self.transport if self.role == "caller" else self.other_speaks)
        self.caller.do("dial", uri=uri)
        return self.x

    def connect(self, **binding):
        x = self.dial(**binding)
        incoming = self.callee.await_event("CALL_INCOMING")
        assert x in incoming["peer"] and self.caller.number not in str(incoming), incoming
        self.callee.do("answer")
        self.caller.await_event("CALL_ESTABLISHED")
        self.callee.await_event("CALL_ESTABLISHED")
        return x

    def hang_up(self, phone):
        other = self.callee if phone is self.caller else self.caller
        phone.do("hangup")
        other.await_event("CALL_CLOSED")
        by = "caller" if phone is self.caller else "callee"
        record = self.exchange.record(self.x)
        assert (record["situation"], record["release_by"], record["one_way"]) == ("hung_up", by, 0)
        return record

    def assert_talk(self):
        assert_hears_tone(self.peer, self.other)
        assert_hears_tone(self.other, self.peer)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("role", ["caller", "callee"])
def test_call(deployment, scene, peer, role, transport):
    if role == "callee":
        can(peer, f"called over {transport}")
    with Scene(deployment, scene, peer, role, transport) as call:
        x = call.connect()
        call.assert_talk()
        call.hang_up(call.peer if transport == "udp" else call.other)
        for phone, other in ((call.caller, call.callee), (call.callee, call.caller)):
            assert x in phone.trace()
            for secret in (other.number, f":{other.port}"):
                assert secret not in phone.trace(), f"{phone.name} was told {secret}"
        if transport != "udp":
            assert f"/{transport.upper()}" in call.peer.trace()


def test_early_media_is_heard_by_the_peer(deployment, scene, peer):
    with Scene(deployment, scene, peer, "caller") as call:
        call.dial(RingConfig=json.dumps({"AXNRing_N": "0"}))
        call.callee.await_event("CALL_INCOMING")
        call.peer.await_event("CALL_PROGRESS")
        # The network's own ring tone: 450 Hz, 1 s of 5.
        heard = call.peer.await_sound(0.9)
        assert share_of(heard, 450) > 0.8
        call.callee.do("answer")
        call.peer.await_event("CALL_ESTABLISHED")
        call.assert_talk()
        call.hang_up(call.peer)


def test_early_media_of_the_peer_is_heard(deployment, scene, peer):
    with Scene(deployment, scene, peer, "callee", early=True) as call:
        call.dial()
        call.peer.await_event("CALL_INCOMING")
        call.peer.do("early")
        call.other.await_event("CALL_PROGRESS")
        assert_hears_tone(call.other, call.peer)
        call.peer.do("answer")
        call.other.await_event("CALL_ESTABLISHED")
        call.assert_talk()
        call.hang_up(call.other)


@pytest.mark.parametrize("role", ["caller", "callee"])
def test_hold_from_each_side(deployment, scene, peer, role):
    with Scene(deployment, scene, peer, role) as call:
        call.connect()
        call.assert_talk()
        call.peer.do("hold")
        call.other.await_event("CALL_HOLD")
        call.peer.await_event("CHANGED")
        assert_silent(call.peer)
        # linphone plays to whom it holds.
        if peer != "linphone":
            assert_silent(call.other)
        call.peer.do("resume")
        call.other.await_event("CALL_RESUME")
        call.assert_talk()
        call.other.do("hold")
        call.peer.await_event("CALL_HOLD")
        assert_silent(call.peer)
        call.other.do("resume")
        call.peer.await_event("CALL_RESUME")
        call.assert_talk()
        call.hang_up(call.peer)


@pytest.mark.parametrize("role", ["caller", "callee"])
@pytest.mark.parametrize("how", ["re-INVITE", "UPDATE"])
def test_an_offer_in_mid_call(deployment, scene, peer, role, how):
    can(peer, how)
    with Scene(deployment, scene, peer, role) as call:
        call.connect()
        call.assert_talk()
        call.peer.do({"re-INVITE": "reinvite", "UPDATE": "update"}[how])
        call.peer.await_event("CHANGED")
        if peer != "linphone":
            call.assert_talk()
            call.hang_up(call.other)
            return
        # It has put the call into a conference, which offers every codec that it has, and whose sound is no file's.
        # Another codec comes first now, so the other side was asked; and when the call ends linphonec hangs.
        assert re.search(r"\nINVITE sip[^\0]*?\nm=audio \d+ RTP/AVP 96 ", call.peer.trace())
        assert call.other.trace().count("m=audio") > 2
        call.other.do("hangup")
        record = call.exchange.record(call.x)
        assert (record["situation"], record["one_way"]) == ("hung_up", 0)


@pytest.mark.parametrize("role", ["caller", "callee"])
def test_media_that_begins_anew_in_mid_call(deployment, scene, role):
    """Another port and another SSRC at once; PJSIP alone of the peers does so when told."""
    with Scene(deployment, scene, "pjsip", role) as call:
        call.connect()
        call.assert_talk()
        for _ in range(3):
            call.peer.do("renew")
            call.peer.await_event("CHANGED")
            call.assert_talk()
        ports = re.findall(r"\nINVITE sip(?s:.*?)\nm=audio (\d+)", call.peer.trace())
        assert len(set(ports)) > 3, f"PJSIP kept its port: {ports}"
        call.hang_up(call.peer)


@pytest.mark.parametrize("how", ["rtpevent", "info"])
def test_keys_of_the_peer_arrive(deployment, scene, peer, how):
    with Scene(deployment, scene, peer, "caller", dtmf=how) as call:
        call.connect()
        call.peer.do("dtmf", digits="159#", how=how)
        if (peer, how) == ("linphone", "info"):
            # It names no telephone-event, so its INFO is passed on as such, of which a baresip shows nothing.
            assert_told_by_info(call.other, "159#")
        else:
            assert call.other.digits(4) == "159#"
        call.hang_up(call.other)


@pytest.mark.parametrize("how", ["rtpevent", "info"])
def test_keys_reach_the_peer(deployment, scene, peer, how):
    if how == "info":
        can(peer, "keys by INFO, in")
    # Who uses INFO names no telephone-event, and then a softphone tells no keys in its stream either.
    with Scene(deployment, scene, peer, "callee", dtmf=how, of_other={"dtmf": how}) as call:
        call.connect()
        call.other.do("dtmf", digits="159#")
        assert call.peer.digits(4) == "159#"
        # Who names telephone-event is told keys in the stream, whatever told us of them.
        assert ("\nINFO sip" in call.peer.trace()) == ((peer, how) == ("linphone", "info"))
        call.hang_up(call.peer)


@pytest.mark.parametrize("role", ["caller", "callee"])
def test_cancel(deployment, scene, peer, role):
    with Scene(deployment, scene, peer, role) as call:
        x = call.dial()
        call.callee.await_event("CALL_INCOMING")
        if call.callee is call.peer:
            call.callee.do("ring")
        call.caller.await_event("CALL_RINGING")
        call.caller.do("hangup")
        call.callee.await_event("CALL_CLOSED")
        record = call.exchange.record(x)
        assert (record["situation"], record["release_by"]) == ("caller_gave_up", "caller")


def test_we_challenge_the_peer(deployment, scene, peer):
    trunk = {"challenge_username": "a-line", "challenge_secret": "open-sesame"}
    with Scene(
        deployment, scene, peer, "caller", trunk=trunk, username="a-line", password="open-sesame"
    ) as call:
        call.connect()
        call.assert_talk()
        assert "401" in call.peer.trace() and "open-sesame" not in call.peer.trace()
        # BYE is challenged too. diago gives up on it then and is gone; it is asked whether the call stands, and the
        # other side need not sit in silence until somebody notices.
        call.hang_up(call.peer)
    # Some write their traces to the end only when they end.
    assert bool(proven_byes(call.peer)) == (peer != "diago")



def test_the_peer_challenges_us(deployment, scene, peer):
    can(peer, "challenges us")
    trunk = {"auth_username": "maskline", "auth_secret": "open-sesame"}
    with Scene(
        deployment, scene, peer, "callee", trunk=trunk, asks_username="maskline", asks_password="open-sesame"
    ) as call:
        call.connect()
        call.assert_talk()
        assert "401 " in call.peer.trace()
        call.hang_up(call.other)


@pytest.mark.parametrize("role", ["caller", "callee"])
def test_reliable_provisional_answers(deployment, scene, peer, role):
    can(peer, "100rel")
    with Scene(deployment, scene, peer, role, reliable=True) as call:
        call.dial(RingConfig=json.dumps({"AXNRing_N": "0"}))
        call.callee.await_event("CALL_INCOMING")
        if role == "callee":
            call.peer.do("early")
        call.caller.await_event("CALL_PROGRESS")
        call.callee.do("answer")
        call.caller.await_event("CALL_ESTABLISHED")
        call.assert_talk()
        assert "PRACK " in call.peer.trace()
        call.hang_up(call.peer)


def test_what_a_peer_cannot_do_names_peers_and_features_that_there_are():
    features = {f"called over {transport}" for transport in TRANSPORTS}
    features |= {"challenges us", "re-INVITE", "UPDATE", "100rel", "keys by INFO, in"}
    assert {peer for peer, _ in CANNOT} <= set(PEERS) and {feature for _, feature in CANNOT} <= features
