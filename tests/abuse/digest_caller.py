"""A caller that is challenged (digest, RFC 3261 section 22) before its calls are taken: one socket, one INVITE at a time."""

import itertools
import socket

from abuse.dialogs import authorization, challenge_of
from leaks.phone import field

_calls = itertools.count(1)


class DigestCaller:
    """Calls from one address and port, or over one connection."""

    def __init__(self, host, switch, stream=False, seconds=20):
        self.switch, self.stream = switch, stream
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.settimeout(seconds)
        if stream:
            self.socket.connect(switch)
        self.at = "{}:{}".format(*self.socket.getsockname())
        self.challenge = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def ask(self, uri, headers=""):
        """The status of an INVITE; a challenge in the answer is kept."""
        call = f"{next(_calls)}-{self.at}"
        self._send(
            f"INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/{'TCP' if self.stream else 'UDP'} {self.at};rport;branch=z9hG4bK{call}\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:13800000001@{self.at}>;tag={call}\r\nTo: <{uri}>\r\nCall-ID: {call}\r\n"
            f"CSeq: 1 INVITE\r\nContact: <sip:13800000001@{self.at}>\r\n{headers}Content-Length: 0\r\n\r\n"
        )
        while True:
            answer = self._receive()
            # Of the question before there may be a copy.
            if field(answer, "Call-ID") == call and not answer.startswith("SIP/2.0 1"):
                break
        status = int(answer.split(" ")[1])
        if status == 401:
            self.challenge = challenge_of(answer)
        return status

    def authenticate(self, uri, password="theirs", username="alice", said=None, method="INVITE", count=1, **changes):
        """The status of an INVITE that answers the last challenge; `said` is the URI in its Authorization."""
        if self.challenge is None:
            assert self.ask(uri) == 401, "no challenge"
        said = uri if said is None else said
        return self.ask(uri, authorization(self.challenge, method, said, username, password, count, **changes))

    def _send(self, text):
        if self.stream:
            self.socket.sendall(text.encode())
        else:
            self.socket.sendto(text.encode(), self.switch)

    def _receive(self):
        if not self.stream:
            return self.socket.recv(65_535).decode()
        # No answer to an INVITE that is refused has a body.
        text = b""
        while not text.endswith(b"\r\n\r\n"):
            some = self.socket.recv(1)
            assert some, "the connection was closed"
            text += some
        return text.decode()
