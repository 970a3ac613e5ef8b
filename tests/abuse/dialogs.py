"""Phones whose messages somebody else sends, what somebody else gets, and a service with trunks of both."""

import hashlib
import re
import socket
import time
from contextlib import contextmanager

from leaks.exchange import Exchange
from leaks.phone import Phone, Stream, field
from support.process import Maskline

THIRD_HOST = "127.0.0.98"
OTHER_TRUNK_HOST = "127.0.0.61"
SOURCE_HOST = "127.0.0.62"
# A number that is nobody's X.
NO_X = "17099999999"


class Place:
    """A socket at an address, from which forged messages are sent and at which answers and sound are heard."""

    def __init__(self, host, switch, stream=False):
        kind = socket.SOCK_STREAM if stream else socket.SOCK_DGRAM
        self.switch, self.stream = switch, stream
        self.socket = socket.socket(socket.AF_INET, kind)
        self.socket.bind((host, 0))
        self.host, self.port = self.socket.getsockname()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def say(self, text):
        """Sends a message; false where no connection is taken."""
        if not self.stream:
            self.socket.sendto(text.encode(), self.switch)
            return True
        try:
            self.socket.connect(self.switch)
            self.socket.sendall(text.encode())
        except OSError:
            return False
        return True

    def status(self, seconds=30):
        """The status of the answer; none where the connection is closed instead."""
        self.socket.settimeout(seconds)
        try:
            data = self.socket.recv(65_535)
        except ConnectionError:
            return None
        return int(data.split()[1]) if data else None

    def hears(self, seconds):
        """How many bytes came within so long."""
        heard, deadline = 0, time.monotonic() + seconds
        while True:
            self.socket.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                heard += len(self.socket.recv(65_535))
            except TimeoutError:
                return heard


def sdp_at(place, word="forged"):
    return (
        f"v=0\r\no=- 9 9 IN IP4 {place.host}\r\ns={word}\r\nc=IN IP4 {place.host}\r\nt=0 0\r\n"
        f"m=audio {place.port} RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"
    )


class _CapturingLink:
    """In the place of a link: keeps what would have been sent."""

    def __init__(self, link):
        self.link, self.texts = link, []

    def __getattr__(self, name):
        return getattr(self.link, name)

    def send(self, data):
        self.texts.append(data.decode())


@contextmanager
def capturing(phone):
    """What the phone says within is not sent; it is in the list."""
    link = phone.link
    phone.link = _CapturingLink(link)
    try:
        yield phone.link.texts
    finally:
        phone.link = link


def forged(phone, method, body=None):
    """What the phone would say next in its call, with every id right."""
    headers, kind = "", "application/sdp"
    if method == "INFO":
        kind, body = "application/dtmf-relay", "Signal=5\r\nDuration=160\r\n"
    if method == "PRACK":
        headers = "RAck: 1 4712 INVITE\r\n"
    with capturing(phone) as texts:
        if method == "CANCEL":
            phone.cancel()
        else:
            phone.ask(method, headers, kind, body)
    return texts[0]


class Hidden(Phone):
    """A phone behind NAT: what it tells of itself is known in its own network only."""

    at = "10.87.65.43:5062"

    def _request(self, method, target, cseq, branch, headers="", kind="application/sdp", body=None):
        # Nor does its network know of rport.
        with capturing(self) as texts:
            super()._request(method, target, cseq, branch, headers, kind, body)
        self.link.send(texts[0].replace(";rport", "").encode())


def authorization(challenge, method, uri, username, password, count=1, **changes):
    """The answer to a challenge (RFC 7616), SHA-256 or MD5; `changes` are of what it is made with."""
    said = {**dict(_fields(challenge)), **changes}
    algorithm = said.get("algorithm", "MD5")
    kind = hashlib.sha256 if algorithm == "SHA-256" else hashlib.md5

    def digest(text):
        return kind(text.encode()).hexdigest()

    secret = digest(f"{username}:{said['realm']}:{password}")
    asked = digest(f"{method}:{uri}")
    nc, cnonce = f"{count:08x}", "c0ffee"
    response = digest(f"{secret}:{said['nonce']}:{nc}:{cnonce}:auth:{asked}")
    return (
        f'Authorization: Digest username="{username}", realm="{said["realm"]}", nonce="{said["nonce"]}", '
        f'uri="{uri}", response="{response}", algorithm={algorithm}, cnonce="{cnonce}", qop=auth, nc={nc}\r\n'
    )


def _fields(challenge):
    found = re.findall(r'(\w+)=(?:"([^"]*)"|([^",\s]+))', challenge)
    return [(name, quoted or plain) for name, quoted, plain in found]


@contextmanager
def untold(*phones, seconds=0.3):
    """Asserts that these phones are told nothing while something is done, nor for a while after it.

    What had come before counts for nothing, and neither does a copy of it (RFC 3261 section 17.1.1.2), which a
    busy machine may send.
    """
    marks = [len(phone.received) for phone in phones]
    yield
    deadline = time.monotonic() + seconds
    for phone, mark in zip(phones, marks):
        while (left := deadline - time.monotonic()) > 0:
            if _new(phone, mark):
                break
            time.sleep(min(left, 0.02))
    for phone, mark in zip(phones, marks):
        told = _new(phone, mark)
        who = "caller" if phone.is_caller else "callee"
        assert not told, f"the {who} was to be told nothing, but heard {told}"


def _new(phone, mark):
    before = set(phone.received[:mark])
    return [data for data in phone.received[mark:] if data not in before]


def challenge_of(message):
    return field(message, "WWW-Authenticate")


@contextmanager
def served(place, *words, settings="", **params):
    """A service of its own, with trunks to both phones, another trunk, and a second address of the caller's."""
    (place / "settings.toml").write_text(settings)
    service = Maskline(place / "data", args=["--log-level", "debug", "--config", place / "settings.toml"])
    service.start()
    try:
        made = Exchange(service, *words, **params)
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
        until_known(made, SOURCE_HOST, stream=made.transport is Stream)
        yield made
    finally:
        service.stop()


def until_known(exchange, host, stream=False):
    """Waits until requests from there are a trunk's: a probe is not refused any more."""
    deadline = time.monotonic() + 20
    while True:
        with Place(host, exchange.switch, stream) as place:
            at = f"{place.host}:{place.port}"
            place.say(
                f"OPTIONS sip:{at} SIP/2.0\r\nVia: SIP/2.0/{'TCP' if stream else 'UDP'} {at};rport;branch=z9hG4bK{at}{time.monotonic_ns()}\r\n"
                f"From: <sip:{at}>;tag=1\r\nTo: <sip:{at}>\r\nCall-ID: {time.monotonic_ns()}\r\n"
                "CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
            )
            if place.status() == 200:
                return
        assert time.monotonic() < deadline, f"{host} is taken for a stranger"
        time.sleep(0.1)
