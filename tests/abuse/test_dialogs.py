"""What others may do to a call whose Call-ID, tags and branches they know: nothing."""

import re
import time
from contextlib import contextmanager

import pytest
from abuse.dialogs import (
    Hidden,
    NO_X,
    OTHER_TRUNK_HOST,
    Place,
    SOURCE_HOST,
    THIRD_HOST,
    authorization,
    capturing,
    challenge_of,
    forged,
    sdp_at,
    served,
    untold,
)
from leaks.parties import CALLEE, CALLER
from leaks.phone import Phone, Stream, Udp, close, field

pytestmark = pytest.mark.timeout(300)

# No trunk of the demo is here, not even one that is disabled.
STRANGER_HOST = "127.0.0.97"
SOUND_S = 0.4


@pytest.fixture(scope="module")
def exchange(tmp_path_factory):
    with served(tmp_path_factory.mktemp("abuse")) as made:
        yield made


@pytest.fixture(scope="module")
def streams(tmp_path_factory):
    """The same with trunks over TCP."""
    with served(tmp_path_factory.mktemp("streams"), Stream, 'transport = "tcp"') as made:
        yield made


@pytest.fixture(scope="module")
def behind_nat(tmp_path_factory):
    with served(tmp_path_factory.mktemp("nat"), trunk="nat = true") as made:
        yield made


def connect(exchange, caller, callee, **params):
    caller.dial(exchange.to_the_callee(**params))
    callee.await_heard("INVITE")
    callee.reply(180)
    caller.await_heard("180 INVITE")
    callee.reply(200, body="audio")
    caller.await_heard("200 INVITE")
    callee.await_heard("ACK")


def hang_up(caller, callee):
    """The call has lived to this moment, and ends as its parties want it."""
    caller.bye()
    caller.await_heard("200 BYE")
    callee.await_heard("BYE")


METHODS = ("BYE", "INVITE", "UPDATE", "INFO", "OPTIONS", "PRACK")
PLACES = (
    ("a stranger", STRANGER_HOST, False, {403}),
    # Its connection is closed unheard.
    ("a stranger by TCP", STRANGER_HOST, True, {None}),
    ("another trunk", OTHER_TRUNK_HOST, False, {481}),
    ("another trunk by TCP", OTHER_TRUNK_HOST, True, {481}),
)


@pytest.mark.parametrize("trunks", ["exchange", "streams"])
@pytest.mark.parametrize("whose", ["caller", "callee"])
def test_others_change_nothing_in_a_call(trunks, whose, request):
    exchange = request.getfixturevalue(trunks)
    with exchange.phones("abuse") as (caller, callee), Place(THIRD_HOST, exchange.switch) as third:
        connect(exchange, caller, callee)
        victim = caller if whose == "caller" else callee
        with untold(caller, callee):
            for what, host, stream, expected in PLACES:
                for method in METHODS:
                    body = sdp_at(third) if method in ("INVITE", "UPDATE") else None
                    text = forged(victim, method, body)
                    with Place(host, exchange.switch, stream) as place:
                        told = place.say(text) and place.status()
                    assert told in expected or (stream and told is False), f"{method} from {what}: {told}"
        callee.speak(10)
        caller.speak(10)
        assert third.hears(SOUND_S) == 0, "somebody else hears the call"
        hang_up(caller, callee)


@pytest.mark.parametrize("trunks", ["exchange", "streams"])
@pytest.mark.parametrize("whose", ["caller", "callee"])
def test_others_change_nothing_before_the_answer(trunks, whose, request):
    """While it rings, with sound before the answer that was acknowledged (RFC 3262)."""
    exchange = request.getfixturevalue(trunks)
    with exchange.phones("early") as (caller, callee), Place(THIRD_HOST, exchange.switch) as third:
        caller.is_reliable = callee.is_reliable = True
        caller.dial(exchange.to_the_callee())
        callee.await_heard("INVITE")
        callee.reply(183, body="audio")
        callee.await_heard("PRACK")
        caller.await_heard("183 INVITE")
        caller.await_heard("200 PRACK")
        victim = caller if whose == "caller" else callee
        with untold(caller, callee):
            for what, host, stream, expected in PLACES:
                for method in METHODS:
                    body = sdp_at(third) if method in ("INVITE", "UPDATE", "PRACK") else None
                    with Place(host, exchange.switch, stream) as place:
                        told = place.say(forged(victim, method, body)) and place.status()
                    assert told in expected or (stream and told is False), f"{method} from {what}: {told}"
        callee.speak(10)
        caller.speak(10)
        assert third.hears(SOUND_S) == 0, "somebody else hears the call"
        callee.reply(200)
        caller.await_heard("200 INVITE")
        callee.await_heard("ACK")
        hang_up(caller, callee)


def another(name, text):
    """A request with one of its ids changed to another that could be."""
    call_id, tag = field(text, "Call-ID"), re.search(r";tag=(\S+)", field(text, "From")).group(1)
    branch = re.search(r"branch=([^;\s]+)", field(text, "Via")).group(1)
    number, method = field(text, "CSeq").split(" ")
    to_tag = re.search(r";tag=(\S+)", field(text, "To"))
    return {
        "Call-ID": lambda: text.replace(call_id, "guessed@elsewhere"),
        "shorter Call-ID": lambda: text.replace(call_id, call_id[:-1]),
        "From tag": lambda: text.replace(f";tag={tag}", ";tag=guessed"),
        "no From tag": lambda: text.replace(f";tag={tag}", ""),
        "To tag": lambda: (
            text.replace(to_tag.group(0), ";tag=0123456789abcdef")
            if to_tag
            else re.sub(r"(?m)^(To: [^\r]*>)", r"\1;tag=0123456789abcdef", text)
        ),
        "no To tag": lambda: text.replace(to_tag.group(0), ""),
        "lower CSeq": lambda: text.replace(f"CSeq: {number} ", f"CSeq: {int(number) - 1} "),
        "higher CSeq": lambda: text.replace(f"CSeq: {number} ", f"CSeq: {int(number) + 1} "),
        "branch": lambda: text.replace(f"branch={branch}", "branch=z9hG4bKguessed", 1),
        "branch without cookie": lambda: text.replace(f"branch={branch}", f"branch={branch[7:]}", 1),
        "Via host": lambda: re.sub(r"(?m)^(Via: SIP/2.0/\w+) [^;]+", r"\1 127.0.0.97:5060", text, count=1),
    }[name]()


CANCEL_IDS = (
    "Call-ID", "shorter Call-ID", "From tag", "no From tag", "To tag", "lower CSeq", "higher CSeq", "branch",
    "branch without cookie", "Via host",
)


def test_a_call_is_not_cancelled_by_others(exchange):
    with exchange.phones("cancel") as (caller, callee):
        caller.dial(exchange.to_the_callee())
        callee.await_heard("INVITE")
        callee.reply(180)
        caller.await_heard("180 INVITE")
        text = forged(caller, "CANCEL")
        with untold(caller, callee):
            for _, host, stream, expected in PLACES:
                with Place(host, exchange.switch, stream) as place:
                    told = place.say(text) and place.status()
                assert told in expected or (stream and told is False), f"{host}: {told}"
            # From the right place with all ids but one.
            for name in CANCEL_IDS:
                with Place(CALLER.host, exchange.switch) as place:
                    place.say(another(name, text))
                    assert place.status() == 481, f"another {name}"
        callee.reply(200, body="audio")
        caller.await_heard("200 INVITE")
        callee.await_heard("ACK")
        hang_up(caller, callee)
        # The caller itself may.
    with exchange.phones("cancel") as (caller, callee):
        caller.dial(exchange.to_the_callee())
        callee.await_heard("INVITE")
        callee.reply(180)
        caller.await_heard("180 INVITE")
        caller.cancel()
        caller.await_heard("487 INVITE")
        callee.await_heard("CANCEL")


ACK_IDS = ("Call-ID", "shorter Call-ID", "From tag", "no From tag", "To tag", "no To tag", "lower CSeq", "higher CSeq")


@pytest.mark.parametrize("trunks", ["exchange", "streams"])
@pytest.mark.parametrize("offers", ["the caller offers", "the caller answers"])
def test_an_acknowledgement_of_others_moves_no_media(trunks, offers, request):
    """An ACK cannot be refused, so what it does is looked for: the true one is held back meanwhile."""
    exchange = request.getfixturevalue(trunks)
    delayed = offers == "the caller answers"
    with exchange.phones("ack") as (caller, callee), Place(THIRD_HOST, exchange.switch) as third:
        caller.acknowledges_with_sdp = delayed
        caller.dial(exchange.to_the_callee(), body=None if delayed else "audio")
        callee.await_heard("INVITE")
        callee.reply(180)
        caller.await_heard("180 INVITE")
        with capturing(caller) as texts:
            callee.reply(200, body="audio")
            caller.await_heard("200 INVITE")
            callee.await_heard("ACK")
        ack = next(text for text in texts if text.startswith("ACK "))
        wrong = pointed(ack, third)

        def attack():
            acknowledge_as_others(exchange, wrong, third)

        # The caller hears our answer again and again until it has acknowledged it.
        with untold(caller, callee):
            attack()
        callee.speak(10)
        assert third.hears(SOUND_S) == 0, "somebody else hears the callee before the true ACK"
        caller.link.send(ack.encode())
        # And once more when the call is acknowledged.
        with untold(caller, callee):
            attack()
        heard = len(caller.media.received)
        callee.speak(10)
        caller.speak(10)
        assert third.hears(SOUND_S) == 0, "somebody else hears the call"
        assert len(caller.media.received) > heard, "the caller hears it"
        hang_up(caller, callee)


def acknowledge_as_others(exchange, ack, third):
    attacks = [(what, host, stream, ack) for what, host, stream, _ in PLACES]
    # What comes from the caller's trunk with every id cannot be told from the caller.
    attacks += [(f"another {name}", CALLER.host, False, another(name, ack)) for name in ACK_IDS]
    for what, host, stream, text in attacks:
        with Place(host, exchange.switch, stream) as place:
            place.say(text)
            assert third.hears(0) == 0, what


@pytest.mark.parametrize("trunks", ["exchange", "streams"])
def test_an_acknowledgement_of_others_answers_no_offer_of_ours_in_a_call(trunks, request):
    """A re-INVITE without a description is answered with an offer, which the ACK answers."""
    exchange = request.getfixturevalue(trunks)
    with exchange.phones("again") as (caller, callee), Place(THIRD_HOST, exchange.switch) as third:
        connect(exchange, caller, callee)
        caller.acknowledges_with_sdp = True
        with capturing(caller) as texts:
            caller.ask("INVITE")
            caller.link.link.send(texts[0].encode())
            caller.await_heard("200 INVITE")
        ack = next(text for text in texts if text.startswith("ACK "))
        with untold(caller, callee):
            acknowledge_as_others(exchange, pointed(ack, third), third)
        callee.speak(10)
        assert third.hears(SOUND_S) == 0, "somebody else hears the callee before the true ACK"
        caller.link.send(ack.encode())
        heard = len(caller.media.received)
        callee.speak(10)
        assert third.hears(SOUND_S) == 0, "somebody else hears the call"
        assert len(caller.media.received) > heard, "the caller hears it"
        hang_up(caller, callee)


def pointed(ack, place):
    """An ACK with a description that names the place."""
    head = ack.split("\r\n\r\n", 1)[0]
    head = re.sub(r"(?im)^content-(type|length):[^\r]*\r\n", "", head + "\r\n")
    body = sdp_at(place)
    return f"{head}Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n{body}"


def test_an_answer_is_taken_from_the_callee_alone(exchange):
    with exchange.phones("answer") as (caller, callee), Place(THIRD_HOST, exchange.switch) as third:
        caller.dial(exchange.to_the_callee())
        callee.await_heard("INVITE")
        invite = callee.invite
        lines = "".join(
            f"{name}: {field(invite, name)}\r\n" for name in ("Via", "From", "Call-ID", "CSeq")
        )
        body = sdp_at(third)
        text = (
            f"SIP/2.0 200 OK\r\n{lines}To: {field(invite, 'To')};tag=forged\r\n"
            f"Contact: <sip:x@{third.host}:{third.port}>\r\nContent-Type: application/sdp\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )
        with untold(caller, callee):
            for host in (STRANGER_HOST, OTHER_TRUNK_HOST, THIRD_HOST):
                with Place(host, exchange.switch) as place:
                    place.say(text)
                    assert place.hears(0.1) == 0, f"it is acknowledged to {host}"
        assert third.hears(0.1) == 0
        callee.reply(200, body="audio")
        caller.await_heard("200 INVITE")
        callee.await_heard("ACK")
        hang_up(caller, callee)


@pytest.mark.parametrize("stream", [False, True], ids=["udp", "tcp"])
def test_the_other_of_a_pair_takes_over(exchange, stream):
    with exchange.phones("pair") as (caller, callee):
        connect(exchange, caller, callee)
        text = forged(caller, "BYE")
        with Place(SOURCE_HOST, exchange.switch, stream) as place:
            place.say(text)
            assert place.status() == 200
        callee.await_heard("BYE")


def test_a_challenged_trunk_proves_what_it_says_in_a_call(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("theirs")
    with served(tmp_path) as exchange, exchange.phones("challenge") as (caller, callee):
        exchange.service.cli(
            "trunk", "set", "b-caller", "--challenge-username", "alice", "--challenge-secret-file", secret
        )
        x = exchange.to_the_callee()
        uri = f"sip:{x}@{exchange.switch[0]}"
        proven(caller, lambda asked: caller.dial(x, headers=authorization(asked, "INVITE", uri, "alice", "theirs")))
        callee.await_heard("INVITE")
        callee.reply(200, body="audio")
        caller.await_heard("200 INVITE")
        callee.await_heard("ACK")
        with untold(callee):
            for method in ("INFO", "UPDATE", "BYE"):
                caller.ask(method)
                caller.await_heard(f"401 {method}")
            challenge = challenge_of(caller.received[-1].decode())
            for uri, password in ((caller.target, "guess"), ("sip:1@elsewhere.example", "theirs")):
                caller.ask("BYE", authorization(challenge, "BYE", uri, "alice", password))
                caller.await_heard("401 BYE")
        caller.ask("BYE", authorization(challenge, "BYE", caller.target, "alice", "theirs"))
        caller.await_heard("200 BYE")
        callee.await_heard("BYE")


def proven(caller, dial, seconds=20):
    """Waits until the trunk is asked who it is, which it is a moment after that was set; then dials with a proof."""
    deadline = time.monotonic() + seconds
    while True:
        caller.dial(NO_X, headers="")
        heard = caller.heard.get(timeout=10)
        if heard == "401 INVITE":
            break
        assert heard == "404 INVITE", heard
        assert time.monotonic() < deadline, "the caller is never asked for a proof"
        time.sleep(0.05)
    challenge = challenge_of(caller.received[-1].decode())
    dial(challenge)


@contextmanager
def phones(exchange, caller_kind, callee_kind):
    caller = caller_kind(CALLER, Udp(CALLER.host, exchange.switch), True)
    callee = callee_kind(CALLEE, Udp(CALLEE.host, exchange.switch, exchange.callee_port), False)
    try:
        yield caller, callee
    finally:
        caller.close()
        callee.close()


def test_a_phone_behind_nat_hears_the_end_of_its_call(behind_nat):
    with phones(behind_nat, Hidden, Phone) as (caller, callee):
        connect(behind_nat, caller, callee)
        # A re-INVITE of ours and its ACK.
        callee.direction = "sendonly"
        callee.ask("INVITE", body=callee.sdp())
        caller.await_heard("INVITE")
        caller.await_heard("ACK")
        callee.bye()
        caller.await_heard("BYE")


def test_a_callee_behind_nat_is_acknowledged_and_hears_the_end(behind_nat):
    with phones(behind_nat, Phone, Hidden) as (caller, callee):
        connect(behind_nat, caller, callee)
        caller.bye()
        callee.await_heard("BYE")


def test_an_answer_finds_a_caller_whose_connection_broke(streams):
    with streams.phones("broken") as (caller, callee):
        caller.dial(streams.to_the_callee())
        callee.await_heard("INVITE")
        callee.reply(180)
        caller.await_heard("180 INVITE")
        broken = caller.link.link
        caller.link.link = None
        close(broken)
        callee.reply(200, body="audio")
        caller.await_heard("200 INVITE")
        callee.await_heard("ACK")
        hang_up(caller, callee)
