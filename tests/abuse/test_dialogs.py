"""What others may do to a call whose Call-ID, tags and branches they know: nothing."""

import json
import re
import time

import pytest
from abuse.dialogs import (
    THIRD_HOST,
    Hidden,
    Place,
    await_nothing,
    challenge_of,
    forged,
    proof,
    sdp_at,
)
from leaks.exchange import NOBODY_HOST, Exchange
from leaks.people import CALLEE, CALLER
from leaks.phone import Phone, Stream, Udp, field
from support.process import Maskline

pytestmark = pytest.mark.timeout(300)

OTHER_TRUNK_HOST = "127.0.0.61"
SOURCE_HOST = "127.0.0.62"
SOUND_S = 0.4


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    service = Maskline(tmp_path_factory.mktemp("abuse") / "data", args=["--log-level", "debug"])
    yield service.start()
    service.stop()


@pytest.fixture(scope="module")
def exchange(service):
    made = Exchange(service)
    made.operator.apply(
        f"""
        [[trunk]]
        name = "z-other"
        peer = "{OTHER_TRUNK_HOST}:5060"
        outgoing = false
        [[trunk]]
        name = "b-caller"
        sources = ["{SOURCE_HOST}"]
        """
    )
    until_known(made, OTHER_TRUNK_HOST)
    until_known(made, SOURCE_HOST)
    return made


def until_known(exchange, host):
    """Waits until requests from there are a trunk's: a probe is not refused any more."""
    deadline = time.monotonic() + 20
    while True:
        with Place(host, exchange.switch) as place:
            at = f"{place.host}:{place.port}"
            place.say(
                f"OPTIONS sip:{at} SIP/2.0\r\nVia: SIP/2.0/UDP {at};rport;branch=z9hG4bK{at}{time.monotonic_ns()}\r\n"
                f"From: <sip:{at}>;tag=1\r\nTo: <sip:{at}>\r\nCall-ID: {time.monotonic_ns()}\r\n"
                "CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
            )
            if place.status() == 200:
                return
        assert time.monotonic() < deadline, f"{host} is taken for a stranger"
        time.sleep(0.1)


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
    ("a stranger", NOBODY_HOST, False, {403}),
    # Its connection is closed unheard.
    ("a stranger by TCP", NOBODY_HOST, True, {None}),
    ("another trunk", OTHER_TRUNK_HOST, False, {481}),
    ("another trunk by TCP", OTHER_TRUNK_HOST, True, {481}),
)


@pytest.mark.parametrize("transport", [Udp, Stream], ids=["udp", "tcp"])
@pytest.mark.parametrize("whose", ["caller", "callee"])
def test_others_change_nothing_in_a_call(service, transport, whose, request):
    exchange = request.getfixturevalue("exchange") if transport is Udp else None
    if exchange is None:
        request.getfixturevalue("exchange")
        exchange = Exchange(service, transport, 'transport = "tcp"')
    with exchange.phones("abuse") as (caller, callee), Place(THIRD_HOST, exchange.switch) as third:
        connect(exchange, caller, callee)
        victim = caller if whose == "caller" else callee
        for what, host, stream, expected in PLACES:
            for method in METHODS:
                body = sdp_at(third) if method in ("INVITE", "UPDATE") else None
                text = forged(victim, method, body)
                with Place(host, exchange.switch, stream) as place:
                    told = place.say(text) and place.status()
                assert told in expected or (stream and told is False), f"{method} from {what}: {told}"
        await_nothing(caller, 0.2)
        await_nothing(callee, 0.2)
        callee.speak(10)
        caller.speak(10)
        assert third.hears(SOUND_S) == 0, "somebody else hears the call"
        hang_up(caller, callee)


def test_a_call_is_not_cancelled_by_others(exchange):
    with exchange.phones("cancel") as (caller, callee):
        caller.dial(exchange.to_the_callee())
        callee.await_heard("INVITE")
        callee.reply(180)
        caller.await_heard("180 INVITE")
        text = forged(caller, "CANCEL")
        for _, host, stream, expected in PLACES:
            with Place(host, exchange.switch, stream) as place:
                told = place.say(text) and place.status()
            assert told in expected or (stream and told is False), f"{host}: {told}"
        # From the right place with the branch alone.
        for name, wrong in (
            ("Call-ID", text.replace(caller.call_id, "guessed")),
            ("From", text.replace(f";tag={caller.tag}", ";tag=guessed")),
            ("CSeq", re.sub(r"CSeq: \d+", "CSeq: 1", text)),
            ("To", re.sub(r"(?m)^(To: [^\r]*)", r"\1;tag=guessed", text)),
        ):
            with Place(CALLER.host, exchange.switch) as place:
                place.say(wrong)
                assert place.status() == 481, f"another {name}"
        await_nothing(callee, 0.2)
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
        for host in (NOBODY_HOST, OTHER_TRUNK_HOST, THIRD_HOST):
            with Place(host, exchange.switch) as place:
                place.say(text)
                assert place.hears(0.1) == 0, f"it is acknowledged to {host}"
        await_nothing(caller, 0.2)
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


def test_a_challenged_trunk_proves_what_it_says_in_a_call(service, tmp_path):
    exchange = Exchange(service)
    secret = tmp_path / "secret"
    secret.write_text("theirs")
    service.cli(
        "trunk", "set", "b-caller", "--challenge-username", "alice", "--challenge-secret-file", secret
    )
    try:
        with exchange.phones("challenge") as (caller, callee):
            x = exchange.to_the_callee()
            proven(exchange, caller, lambda headers: caller.dial(x, headers=headers), "INVITE")
            callee.await_heard("INVITE")
            callee.reply(200, body="audio")
            caller.await_heard("200 INVITE")
            callee.await_heard("ACK")
            for method in ("INFO", "UPDATE", "BYE"):
                caller.ask(method)
                caller.await_heard(f"401 {method}")
            await_nothing(callee, 0.3)
            challenge = challenge_of(caller.received[-1].decode())
            wrong = proof(challenge, "BYE", caller.target, "alice", "guess")
            caller.ask("BYE", wrong)
            caller.await_heard("401 BYE")
            other = proof(challenge, "BYE", "sip:1@elsewhere.example", "alice", "theirs")
            caller.ask("BYE", other)
            caller.await_heard("401 BYE")
            await_nothing(callee, 0.3)
            caller.ask("BYE", proof(challenge, "BYE", caller.target, "alice", "theirs", 2))
            caller.await_heard("200 BYE")
            callee.await_heard("BYE")
    finally:
        without = json.dumps({"challenge_username": None})
        assert without
        exchange.operator.apply('[[trunk]]\nname = "b-caller"\nchallenge_username = ""\n')


def proven(exchange, caller, say, method):
    """Says something until the trunk is asked who it is, and then proves it."""
    deadline = time.monotonic() + 20
    while True:
        say(None if method == "INVITE" else "")
        heard = caller.heard.get(timeout=10)
        while heard.startswith("100"):
            heard = caller.heard.get(timeout=10)
        if heard == f"401 {method}":
            break
        # The trunk is not known as it was set yet; that call is given up.
        caller.cancel()
        assert time.monotonic() < deadline
        time.sleep(0.2)
    challenge = challenge_of(caller.received[-1].decode())
    say(proof(challenge, method, caller.target, "alice", "theirs"))


def test_a_phone_behind_nat_hears_the_end_of_its_call(service):
    exchange = Exchange(service, trunk="nat = true")
    caller = Hidden(CALLER, Udp(CALLER.host, exchange.switch), True)
    callee = Phone(CALLEE, Udp(CALLEE.host, exchange.switch, exchange.callee_port), False)
    try:
        connect(exchange, caller, callee)
        # A re-INVITE of ours and its ACK.
        callee.direction = "sendonly"
        callee.ask("INVITE", body=callee.sdp())
        caller.await_heard("INVITE")
        caller.await_heard("ACK")
        callee.bye()
        caller.await_heard("BYE")
    finally:
        caller.close()
        callee.close()


def test_a_callee_behind_nat_is_acknowledged_and_hears_the_end(service):
    exchange = Exchange(service, trunk="nat = true")
    caller = Phone(CALLER, Udp(CALLER.host, exchange.switch), True)
    callee = Hidden(CALLEE, Udp(CALLEE.host, exchange.switch, exchange.callee_port), False)
    try:
        connect(exchange, caller, callee)
        caller.bye()
        callee.await_heard("BYE")
    finally:
        caller.close()
        callee.close()


def test_an_answer_finds_a_caller_whose_connection_broke(service):
    exchange = Exchange(service, Stream, 'transport = "tcp"')
    with exchange.phones("broken") as (caller, callee):
        caller.dial(exchange.to_the_callee())
        callee.await_heard("INVITE")
        callee.reply(180)
        caller.await_heard("180 INVITE")
        broken = caller.link.link
        caller.link.link = None
        broken.close()
        callee.reply(200, body="audio")
        caller.await_heard("200 INVITE")
        callee.await_heard("ACK")
        hang_up(caller, callee)
