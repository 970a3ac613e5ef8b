"""Proofs of trunks that are challenged: which are taken, and how guesses at them are slowed down."""

import threading
import time

import pytest

from abuse.dialogs import NO_X, SOURCE_HOST, served
from abuse.digest_caller import DigestCaller
from leaks.parties import CALLER

pytestmark = pytest.mark.timeout(300)

DOMAIN = "calls.example"
# What a call to nobody's X is answered once it is heard.
HEARD, ASKED = 404, 401
# More than are looked at at once, and so many that what one waits for meanwhile makes no difference.
GUESSES = 40


@pytest.fixture(scope="module")
def exchange(tmp_path_factory):
    place = tmp_path_factory.mktemp("guesses")
    (place / "secret").write_text("theirs")
    with served(place, settings=f'[sip]\ndomains = ["{DOMAIN}"]\n') as made:
        made.service.cli(
            "trunk", "set", "b-caller", "--challenge-username", "alice", "--challenge-secret-file", place / "secret"
        )
        yield made


@pytest.fixture(scope="module")
def uri(exchange):
    host, port = exchange.switch
    return f"sip:{NO_X}@{host}:{port}"


OURS, THEIRS = f"sip:{NO_X}@127.0.0.1", f"sip:{NO_X}@10.0.0.5"

PROOFS = [
    # What it is, the Request-URI (none: as usual), what else is in the proof, and whether it holds.
    ("as it was asked", None, {}, HEARD),
    ("without the port", None, {"said": OURS}, HEARD),
    ("with a parameter", None, {"said": f"{OURS};transport=udp"}, HEARD),
    ("one of our domains", None, {"said": f"sip:{NO_X}@{DOMAIN}"}, HEARD),
    ("our domain in capitals", None, {"said": f"sip:{NO_X}@{DOMAIN.upper()}"}, HEARD),
    ("digits that are escaped", None, {"said": OURS.replace("sip:1", "sip:%31")}, HEARD),
    ("a proxy rewrote what was asked", THEIRS, {"said": f"sip:{NO_X}@{DOMAIN}"}, HEARD),
    ("a proxy rewrote what was asked, to an address", THEIRS, {"said": OURS}, HEARD),
    ("the other algorithm", None, {"algorithm": "MD5"}, HEARD),
    ("a later count", None, {"count": 7}, HEARD),
    ("another number", None, {"said": OURS.replace(NO_X, "17000000001")}, ASKED),
    ("no number", None, {"said": "sip:127.0.0.1"}, ASKED),
    ("another service", None, {"said": f"sip:{NO_X}@elsewhere.example"}, ASKED),
    ("an address that is not ours", None, {"said": THEIRS}, ASKED),
    ("what was asked, at no host of ours", THEIRS, {"said": THEIRS}, ASKED),
    ("a domain that ends in ours", None, {"said": f"sip:{NO_X}@x.{DOMAIN}"}, ASKED),
    ("no URI", None, {"said": ""}, ASKED),
    ("another user", None, {"username": "bob"}, ASKED),
    ("the user in capitals", None, {"username": "Alice"}, ASKED),
    ("no user", None, {"username": ""}, ASKED),
    ("the user with its realm", None, {"username": "alice@maskline"}, ASKED),
    ("another password", None, {"password": "Theirs"}, ASKED),
    ("no password", None, {"password": ""}, ASKED),
    ("another realm", None, {"realm": "elsewhere"}, ASKED),
    ("another method", None, {"method": "REGISTER"}, ASKED),
    ("a nonce that is not ours", None, {"nonce": "0" * 64}, ASKED),
    ("a count of nothing", None, {"count": 0}, ASKED),
]


@pytest.mark.parametrize("stream", [False, True], ids=["udp", "tcp"])
@pytest.mark.parametrize(("what", "asked", "made", "status"), PROOFS, ids=[row[0] for row in PROOFS])
def test_a_proof_is_of_the_user_for_the_number_at_a_host_of_ours(exchange, uri, stream, what, asked, made, status):
    with DigestCaller(CALLER.host, exchange.switch, stream) as dialler:
        assert dialler.authenticate(asked or uri, **made) == status, what


def test_a_proof_is_taken_once(exchange, uri):
    with DigestCaller(CALLER.host, exchange.switch) as dialler, DigestCaller(SOURCE_HOST, exchange.switch) as other:
        assert dialler.authenticate(uri) == HEARD
        overheard = dialler.challenge
        for again in (dialler, other):
            again.challenge = overheard
            assert again.authenticate(uri) == ASKED
        dialler.challenge = overheard
        assert dialler.authenticate(uri, count=2) == HEARD


def guess(dialler, uri, count=GUESSES):
    """Guesses, each to the challenge that the one before brought."""
    for number in range(count):
        assert dialler.authenticate(uri, password=f"guess {number}") == ASKED


def slow_down(dialler, uri):
    """Guesses until not even the right answer is looked at."""
    begun = None
    # Each is forgotten after two seconds: a machine that is busy has to guess again.
    while begun is None or time.monotonic() - begun > GUESSES:
        begun = time.monotonic()
        guess(dialler, uri)
    assert dialler.authenticate(uri) == ASKED, "guesses are not slowed down"


OTHERS = [
    # Who else gives the right answer.
    ("another port of the address", SOURCE_HOST, False),
    ("a connection from the address", SOURCE_HOST, True),
    ("another address of the trunk", CALLER.host, False),
    ("a connection from another address", CALLER.host, True),
]


@pytest.mark.parametrize("stream", [False, True], ids=["udp", "tcp"])
def test_who_guesses_is_slowed_down_and_nobody_else(exchange, uri, stream):
    stop = threading.Event()
    failures = []

    def guess_on(dialler):
        try:
            while not stop.is_set():
                guess(dialler, uri, 1)
        except (AssertionError, OSError) as error:
            failures.append(error)

    with DigestCaller(SOURCE_HOST, exchange.switch, stream) as guesser:
        slow_down(guesser, uri)
        guessing = threading.Thread(target=guess_on, args=(guesser,))
        guessing.start()
        try:
            for what, host, by_stream in OTHERS * 3:
                with DigestCaller(host, exchange.switch, by_stream) as right:
                    assert right.authenticate(uri) == HEARD, what
        finally:
            stop.set()
            guessing.join()
        assert not failures, failures
        # Who stops guessing is heard again.
        deadline = time.monotonic() + 30
        while guesser.authenticate(uri) != HEARD:
            assert time.monotonic() < deadline, "it is never heard again"
            time.sleep(0.2)


def test_who_was_right_before_is_not_late_for_wrong_ones(exchange, uri):
    with DigestCaller(SOURCE_HOST, exchange.switch) as known, DigestCaller(SOURCE_HOST, exchange.switch) as guesser:
        assert known.authenticate(uri) == HEARD
        slow_down(guesser, uri)
        # Guesses at what was overheard of it, and its own mistakes.
        for number in range(GUESSES):
            guesser.challenge = known.challenge
            assert guesser.authenticate(uri, password="guess", count=2 + number) == ASKED
        guess(known, uri)
        assert known.authenticate(uri) == HEARD
