"""Phones that speak SIP message by message, as a test writes it, and that hear and speak one value of sound."""

import re
import socket
import struct
import time

from calls.exchange import CALLEE_HOST, CALLER_HOST

PATIENCE_S = 30
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

    def sdp(
        self, version=1, formats="8 0", host=None, direction="sendrecv", protocol="RTP/AVP", port=None, lines=()
    ):
        host = host or self.host
        kind = "IP6" if ":" in host else "IP4"
        more = "".join(f"{line}\r\n" for line in lines)
        return (
            f"v=0\r\no=- 7 {version} IN IP4 {self.host}\r\ns=-\r\nc=IN {kind} {host}\r\nt=0 0\r\n"
            f"m=audio {port or self.port} {protocol} {formats}\r\n{more}a={direction}\r\n"
        )

    def send(self, to, payload_type=None, count=PACKET_BYTES):
        """A packet of sound, or of so many bytes of something else."""
        self.sequence += 1
        number = self.payload_type if payload_type is None else payload_type
        head = struct.pack("!BBHII", 0x80, number, self.sequence, self.sequence * PACKET_BYTES, self.value)
        self.socket.sendto(head + bytes([self.value]) * count, to)

    def listen(self):
        while True:
            try:
                packet = self.socket.recv(2048)
            except BlockingIOError:
                return
            self.heard.append((packet[1] & 0x7F, packet[12]))


class ScriptedPhone:
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


class ScriptedCaller(ScriptedPhone):
    """The caller."""

    def dials(self, caller, x, sdp, reliable, *lines):
        self.start = [f"From: <sip:{caller}@{self.host}>;tag=c", f"Call-ID: {self.port}-{time.time_ns()}"]
        self.uri = f"sip:{x}@{self.service[0]}:{self.service[1]}"
        supported = ["Supported: 100rel"] if reliable else []
        self.cseq = 1
        self.says(
            f"INVITE {self.uri} SIP/2.0",
            [self.via(), *self.start, f"To: <{self.uri}>", "CSeq: 1 INVITE", self.contact, "Max-Forwards: 70",
             "Allow: INVITE, ACK, CANCEL, BYE, PRACK, UPDATE", *supported, *lines],
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


class Call:
    """One call between two of them, step by step as an IMS-like phone makes them. The callee says UPDATE and PRACK."""

    allow = "Allow: INVITE, ACK, CANCEL, BYE, PRACK, UPDATE"

    def __init__(self, exchange, offer=None, reliable=True, lines=()):
        """`offer` makes the caller's description of its sound; with `reliable` it knows 100rel."""
        self.exchange, self.service = exchange, exchange.switch
        self.a, self.n = exchange.party(), exchange.party()
        self.callee = ScriptedPhone(CALLEE_HOST, self.service)
        exchange.carrier(port=self.callee.port)
        self.x = exchange.axn(self.a)
        self.caller = ScriptedCaller(CALLER_HOST, self.service)
        self.own, self.phone = Sound(CALLER_HOST, 0x11), Sound(CALLEE_HOST, 0x22)
        self.reliable = reliable
        self.caller.dials(self.n, self.x, offer(self.own) if offer else self.own.sdp(), reliable, *lines)
        self.invite = self.callee.hears("INVITE ")
        self.callee.replies(self.invite, "100 Trying")
        self.updates = 0

    @property
    def from_callee(self):
        """Where the callee's sound goes."""
        return media(self.invite)

    def rings_with(self, sdp, reliable=True):
        """The callee has early media; what the caller hears of it, acknowledged."""
        lines = ["Require: 100rel", "RSeq: 1"] if reliable else []
        self.callee.replies(self.invite, "183 Session Progress", *lines, self.allow, tag="s", sdp=sdp)
        if reliable:
            self.callee.replies(self.callee.hears("PRACK "), "200 OK", tag="s")
        early = self.caller.hears("SIP/2.0 183")
        if self.reliable:
            self.caller.asks("PRACK", early, f"RAck: {header(early, 'RSeq')} 1 INVITE")
            self.caller.hears("SIP/2.0 200", "PRACK")
        self.from_caller = media(early)
        return early

    def sends_update(self, sdp):
        """The callee says UPDATE."""
        self.updates += 1
        self.callee.says(
            f"UPDATE {target(self.invite)} SIP/2.0",
            [self.callee.via(), f"From: {header(self.invite, 'To')};tag=s", f"To: {header(self.invite, 'From')}",
             f"Call-ID: {header(self.invite, 'Call-ID')}", f"CSeq: {self.updates} UPDATE", self.callee.contact,
             "Max-Forwards: 70"],
            sdp,
        )

    def answers(self, sdp=""):
        """The callee answers; what the caller hears of it."""
        self.callee.replies(self.invite, "200 OK", self.allow, tag="s", sdp=sdp)
        self.callee.hears("ACK ")
        return self.hears_answer()

    def hears_answer(self):
        """The caller hears the answer, and acknowledges it."""
        self.ok = self.caller.hears("SIP/2.0 200", "INVITE")
        self.caller.asks("ACK", self.ok, cseq=1)
        if "m=audio" in self.ok:
            self.from_caller = media(self.ok)
        return self.ok

    def caller_takes(self, offer, sdp):
        """The caller takes what it was offered, by INVITE or by UPDATE."""
        self.caller.replies(offer, "200 OK", sdp=sdp)
        if offer.startswith("INVITE"):
            self.caller.hears("ACK ")

    def talk(self, seconds=0.0, callee=None):
        """Both hear each other: what was heard before does not count."""
        callee = callee or self.phone
        for sound in (self.own, callee):
            sound.listen()
            sound.heard.clear()
        talk(self.own, self.from_caller, callee, self.from_callee, seconds)

    def ends(self):
        """The caller hangs up; the record of the call."""
        self.caller.asks("BYE", self.ok)
        self.caller.hears("SIP/2.0 200", "BYE")
        self.callee.replies(self.callee.hears("BYE "), "200 OK")
        record = self.exchange.record(self.x)
        assert record["situation"] == "hung_up", record
        assert not record["one_way"], record
        return record

    def caller_was_asked(self):
        """What the caller has been asked since it heard something last; none if nothing came."""
        self.caller.socket.setblocking(False)
        try:
            while True:
                text = self.caller.socket.recv(65535).decode()
                if text.startswith(("INVITE", "UPDATE")):
                    return text
        except BlockingIOError:
            return None
        finally:
            self.caller.socket.settimeout(PATIENCE_S)
