"""The real process between two phones, and everything that it said to anybody."""

import http.client
import itertools
import json
import queue
import socket
import threading
import time
from contextlib import contextmanager

from leaks.parties import CALLEE, CALLER
from leaks.phone import Phone, Udp, field
from leaks.scanner import Scanner
from support.gateway import bound
from support.operator import Operator

# Files of the database, which may hold numbers; their names may not.
DATABASE = (".db", ".db-wal", ".db-shm", ".sqlite", ".sqlite-wal", ".sqlite-shm")
NOBODY_HOST = "127.0.0.99"


class Exchange:
    """One service with its log at `debug`, and trunks to the two people."""

    def __init__(self, service, transport=Udp, trunk="", port=None):
        """`trunk` is said of both trunks; `port` is where SIP is taken, if not at the usual one."""
        self.service, self.transport, self.port = service, transport, port
        self.operator = Operator(service)
        self.axn = self.operator.world({"北京": 40}).gateway()
        self.axb = self.operator.world({"北京": 5}, product="AXB").gateway()
        with_default_b = self.operator.world({"北京": 5}, a_call_back=False)
        self.no_call_back = with_default_b.gateway()
        with socket.create_server((CALLEE.host, 0)) as probe:
            self.callee_port = probe.getsockname()[1]
        # What fails at the callee's carrier is tried at the caller's, which takes no calls.
        self.refuser = Refuser(CALLER.host)
        # The demo's phone that answers by itself would take calls.
        self.operator.apply(
            f"""
            [[trunk]]
            name = "a-callee"
            peer = "{CALLEE.host}:{self.callee_port}"
            {trunk}
            [[trunk]]
            name = "b-caller"
            peer = "{self.refuser.at}"
            priority = 1
            {trunk}
            [[trunk]]
            name = "sandbox"
            enabled = false
            """
        )
        # What each side got, with the scene in which it got it.
        self.to_caller, self.to_callee = [], []
        # What people who are of neither side may see: logs, metrics, answers, names of files.
        self.told = []
        self._await_trunks()

    @property
    def switch(self):
        host, _, port = self.service.ready["sip"].rpartition(":")
        return host, self.port or int(port)

    def _await_trunks(self, seconds=30):
        """The trunks are known a moment after they are made. Until then we are strangers, who get no
        connection and are refused."""
        deadline = time.monotonic() + seconds
        for number in itertools.count():
            heard = queue.Queue()
            link = self.transport(CALLER.host, self.switch)
            link.start(heard.put)
            at = f"{CALLER.host}:{link.port}"
            try:
                link.send(
                    f"OPTIONS sip:{at} SIP/2.0\r\nVia: SIP/2.0/{link.name} {at};rport;branch=z9hG4bK{number}\r\n"
                    f"From: <sip:{at}>;tag=1\r\nTo: <sip:{at}>\r\nCall-ID: probe-{number}\r\n"
                    "CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n".encode()
                )
                if heard.get(timeout=0.5).split()[1] != b"403":
                    return
            except (OSError, queue.Empty):
                pass
            finally:
                link.close()
            assert time.monotonic() < deadline, "the trunks are not taken"

    # Numbers

    def to_the_callee(self, **params):
        """An X that leads everybody to the callee."""
        return bound(self.axn.bind_axn(CALLEE.number, **params))[1]

    def of_the_caller(self, api=None, **params):
        """An X of the caller's own."""
        return bound((api or self.axn).bind_axn(CALLER.number, **params))[1]

    def pair(self):
        """An X between the two."""
        return bound(self.axb.bind_axb(CALLER.number, CALLEE.number))[1]

    # Calls

    @contextmanager
    def phones(self, scene):
        """A caller and a callee for one call; what they got is kept."""
        caller = Phone(CALLER, self.transport(CALLER.host, self.switch), True)
        callee = Phone(CALLEE, self.transport(CALLEE.host, self.switch, self.callee_port), False)
        try:
            yield caller, callee
            # What follows the last word: acknowledgements, reports.
            time.sleep(0.2)
        finally:
            caller.close()
            callee.close()
            self.to_caller += [(scene, data) for data in caller.everything()]
            self.to_callee += [(scene, data) for data in callee.everything()]

    def stray(self, data, host=NOBODY_HOST):
        """Sends a datagram that belongs to nothing."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
            link.bind((host, 0))
            link.sendto(data, self.switch)

    # What others see

    def look_around(self):
        """Takes in what the operator sees without asking for whole numbers."""
        for path in ("/metrics", "/healthz", "/readyz"):
            self.told.append((path, self._get(path)))
        calls = self._get("/v1/calls")
        self.told.append(("calls", calls))
        for call in json.loads(calls).get("items", []):
            place = f"/v1/calls/{call['call_id']}"
            self.told.append((place, self._get(place)))
        for path in ("/v1/bindings", "/v1/audit", "/v1/status", "/v1/calls/live", "/v1/numbers"):
            self.told.append((path, self._get(path)))
        for words in (
            ("call", "ls"),
            ("call", "ls", "--json"),
            ("binding", "ls", "--json"),
            ("journal", "show"),
            ("audit",),
            ("status",),
        ):
            done = self.service.cli(*words, check=False)
            self.told.append((" ".join(words), (done.stdout + done.stderr).encode()))

    def _get(self, path):
        link = http.client.HTTPConnection(self.service.ready["admin"], timeout=30)
        token = (self.service.data / "admin.token").read_text().strip()
        link.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        try:
            return link.getresponse().read()
        finally:
            link.close()

    def look_at_the_disk(self):
        """Takes in the log, the names of all files, and what stands in those that are no database."""
        self.told.append(("the log", self.service.log_path.read_bytes()))
        for path in sorted(self.service.data.rglob("*")):
            name = str(path.relative_to(self.service.data))
            self.told.append(("the name of a file", name.encode()))
            if path.is_file() and not name.endswith(DATABASE):
                self.told.append((name, path.read_bytes()))

    # The judgement

    def complaints(self):
        """Each secret that is where it must not be, of all that came since this was asked last."""
        found = []
        for who, got, secrets in (
            ("the caller", self.to_caller, CALLEE.secrets()),
            ("the callee", self.to_callee, CALLER.secrets()),
            ("outside", self.told, CALLER.identities() + CALLEE.identities()),
        ):
            found += _complaints(who, got, Scanner(secrets))
            got.clear()
        return "\n".join(found)


class Refuser:
    """A carrier that takes no calls."""

    def __init__(self, host):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.at = f"{host}:{self.socket.getsockname()[1]}"
        threading.Thread(target=self._refuse, daemon=True).start()

    def _refuse(self):
        while True:
            data, source = self.socket.recvfrom(65_535)
            text = data.decode(errors="replace")
            if text.startswith("INVITE "):
                kept = [f"{name}: {field(text, name)}" for name in ("Via", "From", "Call-ID", "CSeq")]
                lines = ["SIP/2.0 503 Service Unavailable", *kept, f"To: {field(text, 'To')};tag=none"]
                self.socket.sendto("\r\n".join([*lines, "Content-Length: 0", "", ""]).encode(), source)


def _complaints(who, got, scanner):
    """One for each secret and place, with the first bytes in which it was."""
    found = {}
    for where, data in got:
        for finding in scanner.scan(data):
            found.setdefault((where, finding.secret), f"{who}, {where}: {finding} in {data[:1_500]!r}")
    return list(found.values())
