"""A ring-tone server hands over to the phone before the answer, as one does in an IMS: INVITE; 183 with the
server's SDP, acknowledged; UPDATE with the phone's SDP; 200 without SDP. Then both hear each other."""

import re
import socket
import struct
import time

import pytest
from calls.exchange import CALLEE_HOST, CALLER_HOST

PATIENCE_S = 20
PACKET_BYTES = 160


class Sound:
    """A place that sends one value in all its samples, and remembers what comes."""

    def __init__(self, host, value, payload_type=8):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.setblocking(False)
        self.host, self.port = self.socket.getsockname()
        self.value, self.payload_type, self.sequence = value, payload_type, 0
        self.heard = []

    def sdp(self, version=1, formats="8 0", host=None):
        return (
            f"v=0\r\no=- 7 {version} IN IP4 {self.host}\r\ns=-\r\nc=IN IP4 {host or self.host}\r\nt=0 0\r\n"
            f"m=audio {self.port} RTP/AVP {formats}\r\na=sendrecv\r\n"
        )

    def send(self, to):
        self.sequence += 1
        head = struct.pack("!BBHII", 0x80, self.payload_type, self.sequence, self.sequence * PACKET_BYTES, self.value)
        self.socket.sendto(head + bytes([self.value]) * PACKET_BYTES, to)

    def listen(self):
        while True:
            try:
                packet = self.socket.recv(2048)
            except BlockingIOError:
                return
            self.heard.append((packet[1] & 0x7F, packet[12]))


class Phone:
    """What speaks SIP for one side, message by message."""

    def __init__(self, host, service, port=0):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, port))
        self.socket.settimeout(PATIENCE_S)
        self.host, self.port = self.socket.getsockname()
        self.service = service
        self.branches = 0

    def hears(self, first, method=None):
        """The next message that begins so, and is about this method; copies of others are passed over."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            text = self.socket.recv(65535).decode()
            about = header(text, "CSeq").split()[1]
            if text.startswith(first) and method in (None, about):
                return text
        raise AssertionError(f"{first} did not come")

    def says(self, first, lines, sdp=""):
        kind = "Content-Type: application/sdp\r\n" if sdp else ""
        text = "\r\n".join([first, *lines]) + f"\r\n{kind}Content-Length: {len(sdp)}\r\n\r\n{sdp}"
        self.socket.sendto(text.encode(), self.service)

    def via(self):
        self.branches += 1
        return f"Via: SIP/2.0/UDP {self.host}:{self.port};branch=z9hG4bK{self.port}x{self.branches};rport"

    @property
    def contact(self):
        return f"Contact: <sip:phone@{self.host}:{self.port}>"

    def replies(self, request, status, *lines, tag="", sdp=""):
        same = [line for line in request.split("\r\n\r\n")[0].split("\r\n") if line.split(":")[0] in (
            "Via", "Record-Route", "From", "Call-ID", "CSeq",
        )]
        to = header(request, "To")
        to += f";tag={tag}" if tag and "tag=" not in to else ""
        self.says(f"SIP/2.0 {status}", [*same, f"To: {to}", self.contact, *lines], sdp)


def header(text, name):
    return re.search(rf"^{name}: *(.*?)\r?$", text, re.MULTILINE | re.IGNORECASE)[1]


def target(text):
    return re.search(r"<([^>]*)>", header(text, "Contact"))[1]


def media(text):
    """Where a description says that media is received."""
    return re.search(r"c=IN IP4 (\S+)", text)[1], int(re.search(r"m=audio (\d+)", text)[1])


class Dialling(Phone):
    """The caller."""

    def dials(self, caller, x, sdp, reliable):
        self.start = [f"From: <sip:{caller}@{self.host}>;tag=c", f"Call-ID: {self.port}-{time.time_ns()}"]
        self.uri = f"sip:{x}@{self.service[0]}:{self.service[1]}"
        supported = ["Supported: 100rel"] if reliable else []
        self.cseq = 1
        self.says(
            f"INVITE {self.uri} SIP/2.0",
            [self.via(), *self.start, f"To: <{self.uri}>", "CSeq: 1 INVITE", self.contact, "Max-Forwards: 70",
             "Allow: INVITE, ACK, CANCEL, BYE, PRACK, UPDATE", *supported],
            sdp,
        )

    def asks(self, method, response, *lines, sdp="", cseq=None):
        if cseq is None:
            self.cseq += 1
        self.says(
            f"{method} {target(response)} SIP/2.0",
            [self.via(), *self.start, f"To: {header(response, 'To')}", f"CSeq: {cseq or self.cseq} {method}",
             self.contact, "Max-Forwards: 70", *lines],
            sdp,
        )




def talk(one, one_to, other, other_to, seconds=0.0):
    """Both speak until each has heard the other, and for some time more; fails if they never do."""
    deadline = time.monotonic() + PATIENCE_S
    until = None
    while True:
        one.send(one_to)
        other.send(other_to)
        time.sleep(0.02)
        one.listen()
        other.listen()
        heard = any(value == other.value for _, value in one.heard) and any(
            value == one.value for _, value in other.heard
        )
        now = time.monotonic()
        if heard and until is None:
            until = now + seconds
        if until is not None and now >= until:
            return
        assert now < deadline, f"they hear {one.heard[-3:]} and {other.heard[-3:]}"


@pytest.mark.parametrize("reliable", [True, False], ids=["100rel", "without"])
@pytest.mark.parametrize("handovers", [1, 3])
def test_a_ring_tone_server_hands_over_to_the_phone(exchange, reliable, handovers):
    host, port = exchange.sip.split(":")
    service = (host, int(port))
    a, n = exchange.party(), exchange.party()
    callee = Phone(CALLEE_HOST, service)
    exchange.carrier(port=callee.port)
    x = exchange.axn(a)
    caller = Dialling(CALLER_HOST, service)
    own, server, phone = Sound(CALLER_HOST, 0x11), Sound(CALLEE_HOST, 0x33), Sound(CALLEE_HOST, 0x22)
    caller.dials(n, x, own.sdp(), reliable)

    invite = callee.hears("INVITE ")
    callee.replies(invite, "100 Trying")
    callee.replies(
        invite, "183 Session Progress", "Require: 100rel", "RSeq: 1",
        "Allow: INVITE, ACK, CANCEL, BYE, PRACK, UPDATE", tag="s", sdp=server.sdp(formats="8"),
    )
    callee.replies(callee.hears("PRACK "), "200 OK", tag="s")
    early = caller.hears("SIP/2.0 183")
    if reliable:
        caller.asks("PRACK", early, f"RAck: {header(early, 'RSeq')} 1 INVITE")
        caller.hears("SIP/2.0 200", "PRACK")
    to_caller_side, to_callee_side = media(early), media(invite)
    talk(own, to_caller_side, server, to_callee_side)

    for version in range(2, 2 + handovers):
        callee.says(
            f"UPDATE {target(invite)} SIP/2.0",
            [callee.via(), f"From: {header(invite, 'To')};tag=s", f"To: {header(invite, 'From')}",
             f"Call-ID: {header(invite, 'Call-ID')}", f"CSeq: {version} UPDATE", callee.contact,
             "Max-Forwards: 70"],
            phone.sdp(version, formats="0 8"),
        )
        answer = callee.hears("SIP/2.0 ", "UPDATE")
        assert answer.startswith("SIP/2.0 200"), answer
        assert re.search(r"m=audio \d+ RTP/AVP 8\r", answer), "the agreed codec stays"
    callee.replies(invite, "200 OK", tag="s")
    callee.hears("ACK ")
    ok = caller.hears("SIP/2.0 200", "INVITE")
    caller.asks("ACK", ok, cseq=1)
    own.listen()
    own.heard.clear()
    server.listen()
    server.heard.clear()
    talk(own, to_caller_side, phone, to_callee_side, seconds=0.5)
    server.listen()
    assert not server.heard, "the server is out of it"

    caller.asks("BYE", ok)
    caller.hears("SIP/2.0 200", "BYE")
    callee.replies(callee.hears("BYE "), "200 OK")
    record = exchange.record(x)
    assert record["situation"] == "hung_up"
    assert not record["one_way"]
    # The caller was asked nothing: its phone would have said so.
    caller.socket.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            assert not caller.socket.recv(65535).startswith((b"INVITE", b"UPDATE"))


def test_a_host_name_in_a_description_is_looked_up(exchange):
    host, port = exchange.sip.split(":")
    service = (host, int(port))
    a, n = exchange.party(), exchange.party()
    callee = Phone(CALLEE_HOST, service)
    exchange.carrier(port=callee.port)
    x = exchange.axn(a)
    # The one name that every machine knows.
    own, phone = Sound("127.0.0.1", 0x11), Sound("127.0.0.1", 0x22)
    caller = Dialling(CALLER_HOST, service)
    caller.dials(n, x, own.sdp(host="localhost"), reliable=False)
    invite = callee.hears("INVITE ")
    callee.replies(invite, "200 OK", tag="s", sdp=phone.sdp(formats="8", host="localhost"))
    callee.hears("ACK ")
    ok = caller.hears("SIP/2.0 200", "INVITE")
    caller.asks("ACK", ok, cseq=1)
    talk(own, media(ok), phone, media(invite))
    caller.asks("BYE", ok)
    caller.hears("SIP/2.0 200", "BYE")
    callee.replies(callee.hears("BYE "), "200 OK")
    assert exchange.record(x)["situation"] == "hung_up"

    # A name that nobody has costs the call, and in time.
    caller = Dialling(CALLER_HOST, service)
    caller.dials(n, x, own.sdp(host="nobody.invalid"), reliable=False)
    assert "SIP/2.0 488" in caller.hears("SIP/2.0 4")
