"""A telephone that writes its SIP and its RTP by hand, with everything about its owner in every message.

It does what the script of a test says, and answers by itself what asks for nothing but an answer. Every
byte that comes to it is kept.
"""

import queue
import re
import select
import socket
import ssl
import struct
import threading
import time

PCMA, EVENT = 8, 101
PACKET_S = 0.02


def fields(message, name):
    """The values of all headers of this name."""
    head = message.split("\r\n\r\n", 1)[0]
    wanted = name.lower() + ":"
    return [line[len(wanted) :].strip() for line in head.split("\r\n") if line.lower().startswith(wanted)]


def field(message, name):
    return next(iter(fields(message, name)), "")


def listen(link, take):
    """Takes what comes until the socket is closed by `close`; the thread."""

    def run():
        while True:
            try:
                data = link.recv(65_535)
            except (OSError, ValueError):
                return
            if not data:
                return
            take(data)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def close(link):
    # Closing alone does not wake a thread that waits, and the port stays taken as long as it does.
    try:
        link.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    link.close()


def uri(value):
    found = re.search(r"<([^>]*)>", value)
    return found.group(1) if found else value


class Udp:
    """Datagrams."""

    name, param = "UDP", ""

    def __init__(self, host, switch, port=0):
        self.switch = switch
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, port))
        self.port = self.socket.getsockname()[1]

    def start(self, take):
        self.thread = listen(self.socket, take)

    def send(self, data):
        self.socket.sendto(data, self.switch)

    def close(self):
        close(self.socket)
        self.thread.join(5)


class Turns:
    """A connection whose reader leaves it to a writer whenever nothing is there to be read."""

    def __init__(self, link, lock):
        self.link, self.lock = link, lock
        link.settimeout(0.02)

    def recv(self, length):
        while True:
            if not getattr(self.link, "pending", int)():
                select.select([self.link], [], [], 1)
            with self.lock:
                try:
                    return self.link.recv(length)
                except TimeoutError:
                    pass


class Stream:
    """Connections, ours and theirs."""

    name, param = "TCP", ";transport=tcp"

    def __init__(self, host, switch, port=0):
        self.host, self.switch = host, switch
        self.listener = socket.create_server((host, port))
        self.port = self.listener.getsockname()[1]
        self.link = None
        self.sockets = []
        # Reading and writing at once is too much for what is within TLS.
        self.lock = threading.Lock()

    def start(self, take):
        self.take = take

        def accept():
            while True:
                try:
                    link, _ = self.listener.accept()
                    link = self.wrap(link, True)
                except OSError:
                    return
                self.link = link
                self._listen(link)

        threading.Thread(target=accept, daemon=True).start()

    def _listen(self, link):
        self.sockets.append(link)
        waiting = bytearray()

        def take(data):
            waiting.extend(data)
            while True:
                head, found, rest = bytes(waiting).lstrip(b"\r\n").partition(b"\r\n\r\n")
                if not found:
                    return
                length = int(re.search(rb"(?im)^(?:content-length|l)\s*:\s*(\d+)", head).group(1))
                if len(rest) < length:
                    return
                self.take(head + found + rest[:length])
                waiting[:] = rest[length:]

        listen(Turns(link, self.lock), take)

    def send(self, data):
        if self.link is None:
            link = socket.create_connection(self.switch, source_address=(self.host, 0))
            self.link = self.wrap(link, False)
            self._listen(self.link)
        with self.lock:
            self.link.sendall(data)

    def close(self):
        for link in [self.listener, *self.sockets]:
            close(link)


    def wrap(self, link, is_server):
        return link


def tls(certificate):
    """Connections within TLS, for phones that all have this certificate (a file with its key too)."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Whom the phones trust is not asked here.
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE

    class Tls(Stream):
        name, param = "TLS", ";transport=tls"

        def wrap(self, link, is_server):
            context = server if is_server else client
            return context.wrap_socket(link, server_side=is_server)

    return Tls


class Media:
    """Two ports, RTP and RTCP. What is sent tells everything about its sender."""

    def __init__(self, party):
        self.party = party
        self.rtp, self.rtcp = self._pair(party.media_host)
        self.port = self.rtp.getsockname()[1]
        self.received = []
        self.sequence = 7_000
        for link in (self.rtp, self.rtcp):
            listen(link, self.received.append)

    @staticmethod
    def _pair(host):
        while True:
            first = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            second = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            first.bind((host, 0))
            port = first.getsockname()[1]
            try:
                if port % 2 == 0:
                    second.bind((host, port + 1))
                    return first, second
            except OSError:
                pass
            first.close()
            second.close()

    def speak(self, address, packets=40):
        """Sound, keys and reports, for `packets` of 20 ms."""
        party = self.party
        secret = party.number.encode()
        secret += bytes(-len(secret) % 4)
        extension = struct.pack("!HH", 0xBEDE, len(secret) // 4) + secret
        for at in range(packets):
            self.sequence += 1
            timestamp = self.sequence * 160
            is_key = 5 <= at < 12
            payload = struct.pack("!BBH", 5, 0x80 * (at > 8) | 10, 160 * (at - 4)) if is_key else b"\xd5" * 160
            if is_key:
                timestamp = (self.sequence - at + 5) * 160
            head = struct.pack(
                "!BBHIII", 0x91, EVENT if is_key else PCMA, self.sequence & 0xFFFF, timestamp & 0xFFFFFFFF,
                party.ssrc, party.csrc,
            )
            self.rtp.sendto(head + extension + payload, address)
            if at % 10 == 0:
                self.rtcp.sendto(self._report(timestamp), (address[0], address[1] + 1))
                # Both in one port, as some do without asking.
                self.rtp.sendto(self._report(timestamp), address)
            time.sleep(PACKET_S)

    def _report(self, timestamp):
        party = self.party
        report = struct.pack("!BBHIIIIII", 0x80, 200, 6, party.ssrc, 0xDEAD_0001, 5, timestamp & 0xFFFFFFFF, 9, 9)
        items = b"".join(
            bytes([kind, len(text.encode())]) + text.encode()
            for kind, text in enumerate(
                (
                    f"{party.word}@{party.host}", party.name, f"{party.number}@{party.host}", party.written,
                    "under the roof", party.product, party.name,
                ),
                start=1,
            )
        )
        items += bytes(4 - len(items) % 4)
        described = struct.pack("!BBHI", 0x81, 202, 1 + len(items) // 4, party.ssrc) + items
        text = party.number.encode()
        text += bytes(-len(text) % 4)
        own = struct.pack("!BBHI4s", 0x80, 204, 2 + len(text) // 4, party.ssrc, b"WHOM") + text
        reason = bytes([len(text)]) + text
        reason += bytes(-len(reason) % 4)
        goodbye = struct.pack("!BBHI", 0x81, 203, 1 + len(reason) // 4, party.ssrc) + reason
        return report + described + own + goodbye

    def close(self):
        close(self.rtp)
        close(self.rtcp)


class Phone:
    """One phone for one call."""

    def __init__(self, party, link, is_caller):
        self.party, self.link, self.is_caller = party, link, is_caller
        self.media = Media(party)
        self.received = []
        self.heard = queue.Queue()
        self.story = []
        self.invite = ""
        self.remote_media = None
        self.cseq, self.branches, self.rseq = 4_711, time.monotonic_ns(), 0
        self.call_id = self.local = self.remote = self.target = ""
        self.sent_invite = ("", "", 0)
        self.is_reliable = False
        # With what an offer is answered, and what goes with an ACK.
        self.direction = "sendrecv"
        self.acknowledges_with_sdp = False
        link.start(self._take)

    def close(self):
        self.link.close()
        self.media.close()

    def everything(self):
        """Every byte that came."""
        return [*self.received, *self.media.received]

    @property
    def at(self):
        return f"{self.party.host}:{self.link.port}"

    @property
    def tag(self):
        return f"{self.party.word}-{self.party.number}"

    def sdp(self, **changes):
        return self.party.sdp(self.media.port, direction=self.direction, **changes)

    # What the script makes it do

    def dial(self, x, body="audio", sender=None, headers=None):
        """Dials X; `sender` is what stands in From."""
        party = self.party
        sender = sender or f'"{party.name}" <sip:{party.written}@{self.at};x-line=1>'
        if headers is None:
            headers = f'P-Asserted-Identity: "{party.name}" <sip:{party.written}@{party.host}>\r\n'
        self.call_id = f"{party.word}-{time.monotonic_ns()}@{party.host}"
        self.local = f"{sender};tag={self.tag}"
        host, port = self.link.switch
        self.target = f"sip:{x}@{host}:{port};user=phone{self.link.param}"
        self.remote = f"<{self.target}>"
        if self.is_reliable:
            headers += "Supported: 100rel, timer\r\n"
        self.ask("INVITE", headers, body=self.sdp() if body == "audio" else body)

    def ask(self, method, headers="", kind="application/sdp", body=None):
        self.cseq += 1
        self.branches += 1
        if method == "INVITE":
            self.sent_invite = (self._branch(), self.target, self.cseq)
        self._request(method, self.target, self.cseq, self._branch(), headers, kind, body)

    def cancel(self):
        branch, target, cseq = self.sent_invite
        self._request("CANCEL", target, cseq, branch, self._reason())

    def bye(self):
        self.ask("BYE", self._reason())

    def reply(self, status, headers="", body=None):
        if body == "audio":
            body = self.sdp()
        if self.is_reliable and 100 < status < 200 and body:
            self.rseq += 1
            headers += f"Require: 100rel\r\nRSeq: {self.rseq}\r\n"
        self._respond(self.invite, status, headers, body)

    def await_heard(self, what, seconds=30):
        """Waits for a method, or a status and a method, such as `200 INVITE`."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                heard = self.heard.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                who = "caller" if self.is_caller else "callee"
                raise AssertionError(f"the {who} never heard {what}, only {self.story}") from None
            if heard == what:
                return

    def speak(self, packets=40):
        if self.remote_media:
            self.media.speak(self.remote_media, packets)

    # How it writes

    def _reason(self):
        return f'Reason: Q.850;cause=16;text="{self.party.name} {self.party.number} hung up"\r\n'

    def _branch(self):
        return f"z9hG4bK{self.party.word}{self.branches}"

    def _contact(self):
        party = self.party
        return (
            f'Contact: "{party.name}" <sip:{party.written};x-user={party.word}@{self.at};x={party.word}'
            f'{self.link.param}>;+sip.instance="<urn:uuid:{party.word}>"\r\n'
        )

    def _request(self, method, target, cseq, branch, headers="", kind="application/sdp", body=None):
        contact = self._contact() if method in ("INVITE", "UPDATE") else ""
        self._send(
            f"{method} {target} SIP/2.0\r\nVia: SIP/2.0/{self.link.name} {self.at};rport;branch={branch}\r\n"
            f"Via: SIP/2.0/UDP {self.party.media_host};branch=z9hG4bK{self.party.word}inner\r\n"
            f"Max-Forwards: 66\r\nFrom: {self.local}\r\nTo: {self.remote}\r\nCall-ID: {self.call_id}\r\n"
            f"CSeq: {cseq} {method}\r\n{contact}{self.party.headers()}{headers}",
            kind,
            body,
        )

    def _respond(self, request, status, headers="", body=None):
        party = self.party
        head = f"SIP/2.0 {status} {party.name} {party.number} says so\r\n"
        for name in ("Via", "Record-Route", "From", "Call-ID", "CSeq"):
            head += "".join(f"{name}: {value}\r\n" for value in fields(request, name))
        to = field(request, "To")
        if ";tag=" not in to:
            to += f";tag={self.tag}"
        asserted = f'P-Asserted-Identity: "{party.name}" <tel:{party.written}>\r\n'
        self._send(f"{head}To: {to}\r\n{self._contact()}{asserted}{party.headers()}{headers}", body=body)

    def _send(self, head, kind="application/sdp", body=None):
        body = (body or "").encode()
        if body:
            head += f"Content-Type: {kind}\r\n"
        self.link.send(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    # What it does by itself

    def _take(self, data):
        self.received.append(data)
        text = data.decode(errors="replace")
        first = text.split("\r\n", 1)[0]
        found = re.search(r"(?s)\r\nc=IN IP4 (\S+).*\r\nm=audio (\d+) ", text)
        if found:
            self.remote_media = (found.group(1), int(found.group(2)))
        if first.startswith("SIP/2.0 "):
            what = f"{first[8:11]} {field(text, 'CSeq').split(' ')[-1]}"
            self._take_response(text, int(first[8:11]), what)
        else:
            what = first.split(" ", 1)[0]
            self._take_request(text, what)
        self.story.append(what)
        self.heard.put(what)

    def _take_response(self, text, status, what):
        if not what.endswith(" INVITE") or status == 100:
            return
        cseq = int(field(text, "CSeq").split(" ")[0])
        to = field(text, "To")
        if status < 300:
            self.remote = to
            self.target = uri(field(text, "Contact")) or self.target
        if status < 200:
            rseq = field(text, "RSeq")
            if rseq:
                self.ask("PRACK", f"RAck: {rseq} {cseq} INVITE\r\n")
        elif status < 300:
            self.branches += 1
            body = self.sdp() if self.acknowledges_with_sdp else None
            self._request("ACK", self.target, cseq, self._branch(), body=body)
        else:
            branch, target, cseq = self.sent_invite
            before, self.remote = self.remote, to
            self._request("ACK", target, cseq, branch)
            self.remote = before

    def _take_request(self, text, method):
        is_first = ";tag=" not in field(text, "To")
        if method == "INVITE" and is_first:
            if text != self.invite:
                self.invite = text
                self.call_id = field(text, "Call-ID")
                self.local = f"{field(text, 'To')};tag={self.tag}"
                self.remote = field(text, "From")
                self.target = uri(field(text, "Contact"))
        elif method == "CANCEL":
            self._respond(text, 200)
            self.reply(487)
        elif method in ("INVITE", "UPDATE"):
            has_offer = "\r\nm=audio" in text
            self._respond(text, 200, body=self.sdp() if has_offer or method == "INVITE" else None)
        elif method != "ACK":
            self._respond(text, 200)
