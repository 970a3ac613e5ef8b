"""A telephone of a few lines that says exactly what a test wants, over datagrams or a connection. Where a test
writes each message of a call itself, or compares sound by its values: `calls.scripted_phone`."""

import re
import socket
import struct
import time

from calls.addresses import free_port
from calls.exchange import CALLEE_HOST

HEADERS_BYTES = 28  # of IPv4 and UDP
PACKET_S = 0.02


def field(message, name):
    found = re.search(rf"(?im)^{name}:[ \t]*(.*?)\r?$", message)
    return found.group(1) if found else ""


def media_in(message):
    """Where a message says that media is received."""
    address = re.search(r"\r\nc=IN IP[46] (\S+)", message).group(1)
    return address, int(re.search(r"\r\nm=audio (\d+) ", message).group(1))


def datagrams(host):
    """A socket for datagrams in the family of this address."""
    return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)


def streams(host):
    """A socket for a connection in the family of this address."""
    return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)


def host_port(host, port):
    """As it stands in a URI."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def sdp(host, port, *lines, family=None):
    """A name counts as one of IPv4, if nothing else is said."""
    family = family or (6 if ":" in host else 4)
    head = f"v=0\r\no=- 1 {time.monotonic_ns() % 10**9} IN IP{family} {host}\r\ns=-\r\nc=IN IP{family} {host}\r\n"
    body = f"t=0 0\r\nm=audio {port} RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"
    return head + body + "".join(f"{line}\r\n" for line in lines)


class Media:
    """One port for sound: it counts what comes, and speaks."""

    def __init__(self, host, port=0):
        self.socket = datagrams(host)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.bind((host, port))
        self.host, self.port = host, self.socket.getsockname()[1]
        self.sequence = 0

    def say(self, to, ssrc=1, byte=0x11, packets=1):
        for _ in range(packets):
            self.sequence += 1
            head = struct.pack("!BBHII", 0x80, 8, self.sequence & 0xFFFF, self.sequence * 160, ssrc)
            self.socket.sendto(head + bytes([byte]) * 160, to)
            if packets > 1:
                time.sleep(PACKET_S)

    def heard(self):
        """What has come since this was asked last: each packet."""
        self.socket.setblocking(False)
        packets = []
        while True:
            try:
                packets.append(self.socket.recv(65_535))
            except BlockingIOError:
                return packets

    def heard_bytes(self):
        return sum(len(packet) + HEADERS_BYTES for packet in self.heard())

    def await_byte(self, byte, speak, seconds=20):
        """Waits until sound of this byte comes, while somebody goes on speaking; whether it came."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            speak()
            time.sleep(PACKET_S)
            if any(len(packet) == 172 and packet[-1] == byte for packet in self.heard()):
                return True
        return False

    def close(self):
        self.socket.close()


class Phone:
    """One call, made or taken."""

    transport = "UDP"
    number = "13800000001"

    def __init__(self, host, switch, port=0):
        self.socket = datagrams(host)
        self.socket.bind((host, port))
        self.host, self.port = host, self.socket.getsockname()[1]
        self.switch, self.cseq, self.sent_bytes = switch, 0, 0
        self.call_id = f"{time.monotonic_ns()}@{host}"
        self.to = self.invite = ""
        # Where it says that it is asked, if not where it is.
        self.contact = ""

    @property
    def at(self):
        return host_port(self.host, self.port)

    def send(self, text):
        self.sent_bytes += len(text.encode()) + HEADERS_BYTES
        self.socket.sendto(text.encode(), self.switch)

    def receive(self):
        return self.socket.recv(65_535)

    def request(self, method, body="", cseq=None, lines=""):
        if cseq is None:
            self.cseq += 1
        if method == "INVITE":
            self.invite_cseq = self.cseq
        contact = f"Contact: <sip:caller@{self.contact or self.at}>\r\n"
        kind = "Content-Type: application/sdp\r\n" if body else ""
        self.send(
            f"{method} {self.target} SIP/2.0\r\n"
            f"Via: SIP/2.0/{self.transport} {self.at};rport;branch=z9hG4bK{time.monotonic_ns()}\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:{self.number}@{self.at}>;tag=me\r\nTo: {self.to}\r\n"
            f"Call-ID: {self.call_id}\r\nCSeq: {cseq or self.cseq} {method}\r\n{contact}{lines}{kind}"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )

    def dial(self, x, body, lines=""):
        self.target = f"sip:{x}@{host_port(*self.switch)}"
        self.to = f"<{self.target}>"
        self.request("INVITE", body, lines=lines)

    def ack(self):
        self.request("ACK", cseq=self.invite_cseq)

    def prack(self, progress):
        """Acknowledges a word before the answer that wants it (RFC 3262)."""
        self.request("PRACK", lines=f"RAck: {field(progress, 'RSeq')} {self.invite_cseq} INVITE\r\n")
        self.await_message("^SIP/2.0 200")

    def await_message(self, wanted, seconds=30):
        """The next message whose first line matches; what lies before it is passed over."""
        deadline = time.monotonic() + seconds
        seen = []
        while (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                text = self.receive().decode()
            except TimeoutError:
                break
            first = text.split("\r\n", 1)[0]
            if "tag=" in field(text, "To") and text.startswith("SIP/2.0 ") and ";tag=" not in self.to:
                self.to = field(text, "To")
            if re.search(wanted, first):
                return text
            seen.append(first)
        raise AssertionError(f"no {wanted}, only {seen}")

    def await_final(self, seconds=60):
        """The final answer to an INVITE, acknowledged."""
        answer = self.await_message(r"^SIP/2.0 [2-6]", seconds)
        self.ack()
        return answer

    def await_invite(self):
        self.invite = self.await_message("^INVITE ")
        return self.invite

    def reply(self, status, body="", lines=""):
        kept = "".join(
            f"{name}: {field(self.invite, name)}\r\n" for name in ("Via", "From", "Call-ID", "CSeq")
        )
        kind = "Content-Type: application/sdp\r\n" if body else ""
        to = field(self.invite, "To")
        to += "" if ";tag=" in to else ";tag=callee"
        self.send(
            f"SIP/2.0 {status} Said\r\n{kept}To: {to}\r\n"
            f"Contact: <sip:callee@{self.contact or self.at}>\r\n{lines}{kind}"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )

    def hang_up(self):
        """BYE of the side that was called."""
        self.send(
            f"BYE sip:{host_port(*self.switch)} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {self.at};rport;branch=z9hG4bK{time.monotonic_ns()}\r\nMax-Forwards: 70\r\n"
            f"From: {field(self.invite, 'To')};tag=callee\r\nTo: {field(self.invite, 'From')}\r\n"
            f"Call-ID: {field(self.invite, 'Call-ID')}\r\nCSeq: 1 BYE\r\nContent-Length: 0\r\n\r\n"
        )

    def close(self):
        self.socket.close()


class StreamPhone(Phone):
    """The same over a connection of its own, which nobody can open in another's name."""

    transport = "TCP"

    def __init__(self, host, switch, port=0, context=None):
        """With a `context` it is TLS."""
        super().__init__(host, switch)
        self.socket.close()
        self.rest = b""
        self.transport = "TLS" if context else "TCP"
        self.connect(host, port, context)
        self.contact = f"{self.at};transport={self.transport.lower()}"

    def connect(self, host, port, context):
        self.socket = streams(host)
        self.socket.bind((host, port))
        self.socket.connect(self.switch)
        self.port = self.socket.getsockname()[1]
        if context:
            self.socket = context.wrap_socket(self.socket, server_hostname=self.switch[0])

    def send(self, text):
        self.sent_bytes += len(text.encode())
        self.socket.sendall(text.encode())

    def receive(self):
        while True:
            head, end, body = self.rest.partition(b"\r\n\r\n")
            length = int(field(head.decode(), "Content-Length") or 0)
            if end and len(body) >= length:
                self.rest = body[length:]
                return head + end + body[:length]
            more = self.socket.recv(65_535)
            assert more, "the connection is closed"
            self.rest += more


class ListeningPhone(StreamPhone):
    """One that is called over a connection that the other side opens."""

    def connect(self, host, port, context):
        self.listener, self.context = streams(host), context
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((host, port))
        self.listener.listen()
        self.listener.settimeout(60)
        self.socket, self.port = None, self.listener.getsockname()[1]

    def await_invite(self):
        if self.socket is None:
            link, _ = self.listener.accept()
            link.settimeout(60)
            self.socket = self.context.wrap_socket(link, server_side=True) if self.context else link
        return super().await_invite()

    def close(self):
        self.listener.close()
        if self.socket is not None:
            self.socket.close()


def carrier(exchange, place, **fields):
    """A carrier that calls from one address and is called at another; the phone that is called."""
    port = free_port(CALLEE_HOST)
    exchange.carrier(port, prompts="early", **fields)
    return place(Phone(CALLEE_HOST, exchange.switch, port))
