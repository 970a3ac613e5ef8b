"""A SIP registrar on a UDP port, which answers as a test says."""

import socket
import threading


class Registrar:
    """Answers requests with what `answer` gives for (method, how many of that method came before): a
    status line and further header lines, or None to say nothing."""

    def __init__(self, host, answer, port=0):
        self._answer = answer
        self.requests = []
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, port))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        # A datagram of our own wakes the thread up, so that nothing here polls.
        host, port = self._socket.getsockname()[:2]
        with socket.socket(self._socket.family, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"stop", (host, port))
        self._thread.join()
        self._socket.close()

    def _serve(self):
        while True:
            datagram, source = self._socket.recvfrom(65_535)
            if datagram == b"stop":
                return
            text = datagram.decode()
            method = text.split(" ", 1)[0]
            count = sum(request.startswith(method + " ") for request in self.requests)
            self.requests.append(text)
            said = self._answer(method, count)
            if said is not None:
                status, *lines = said if isinstance(said, (list, tuple)) else [said]
                self._socket.sendto(response(text, status, lines).encode(), source)


def response(request, status, lines=()):
    kept = [
        line + (";tag=r" if line.startswith("To:") and ";tag=" not in line else "")
        for line in request.split("\r\n\r\n")[0].split("\r\n")
        if line.split(":")[0] in ("Via", "From", "To", "Call-ID", "CSeq")
    ]
    return "\r\n".join([f"SIP/2.0 {status}", *kept, *lines, "Content-Length: 0", "", ""])
