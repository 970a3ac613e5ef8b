"""A server of names (DNS) on loopback, which knows what a test says and forgets it when told so."""

import socket
import struct
import threading

A, AAAA, SRV = 1, 28, 33
NO_SUCH_NAME = 3


class Names:
    """`records` maps a name to (kind, value) pairs: an address, or (priority, weight, port, target). For names in
    `silent` it says nothing, and `asked` has all names that it was asked for, once for each kind."""

    def __init__(self, host="127.0.0.1", ttl=1):
        self.records = {}
        self.silent = set()
        self.asked = []
        self.ttl = ttl
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, 0))
        self.address = "{}:{}".format(*self._socket.getsockname())
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"stop", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def _serve(self):
        while True:
            question, source = self._socket.recvfrom(4096)
            if question == b"stop":
                return
            answer = self._answer(question)
            if answer is not None:
                self._socket.sendto(answer, source)

    def _answer(self, message):
        labels, at = [], 12
        while message[at]:
            labels.append(message[at + 1 : at + 1 + message[at]].decode().lower())
            at += 1 + message[at]
        (kind,) = struct.unpack("!H", message[at + 1 : at + 3])
        asked = message[12 : at + 5]
        name = ".".join(labels)
        self.asked.append(name)
        if name in self.silent:
            return None
        known = self.records.get(name)
        found = [record for record in known or () if record[0] == kind]
        status = 0x8180 | (NO_SUCH_NAME if known is None else 0)
        head = message[:2] + struct.pack("!HHHHH", status, 1, len(found), 0, 0)
        return head + asked + b"".join(self._record(*record) for record in found)

    def _record(self, kind, value):
        if kind == SRV:
            priority, weight, port, target = value
            data = struct.pack("!HHH", priority, weight, port)
            data += b"".join(bytes([len(label)]) + label.encode() for label in target.split(".")) + b"\0"
        else:
            data = socket.inet_pton(socket.AF_INET if kind == A else socket.AF_INET6, value)
        # The name is that of the question.
        return b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, self.ttl, len(data)) + data
