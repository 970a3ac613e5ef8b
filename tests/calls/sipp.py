"""sipp as a peer: a script played on an address of its own, and the sound that goes with it."""

import os
import re
import subprocess
import threading

from calls.addresses import await_listening, free_port
from sip.media import MediaPhone

CALL_S = 40
TRANSPORTS = {"udp": "u1", "tcp": "t1"}


class Sipp:
    """One sipp. With a `tone` it has a media phone, which speaks once the other side told its port."""

    def __init__(
        self, place, name, script, host, *, port=None, remote=None, transport="udp", tone=None,
        calls=1, seconds=CALL_S, service_host="127.0.0.1", numbers=(), traced=True, options=(), **keys,
    ):
        """`numbers` are (caller, dialled) pairs that its calls take in turn."""
        self.name, self.host, self.seconds = name, host, seconds
        self.port = port or free_port(host)
        self.transport, self.service_host = transport, service_host
        self.media = MediaPhone((host, 0), tone) if tone else None
        self.media_port_told = threading.Event()
        self.messages_path = place / f"{name}.messages"
        self.errors_path = place / f"{name}.errors"
        scenario = place / f"{name}.xml"
        text = script.xml()
        if numbers:
            text = text.replace("[caller]", "[field0]").replace("[service]", "[field1]")
            table = place / f"{name}.csv"
            table.write_text("SEQUENTIAL\n" + "".join(f"{caller};{x}\n" for caller, x in numbers))
            options = [*options, "-inf", table]
        scenario.write_text(text)
        fifo = place / f"{name}.fifo"
        if self.media:
            os.mkfifo(fifo)
        keys = {
            "own_media_port": self.media.port if self.media else 9,
            "fifo": fifo if self.media else "/dev/null",
            "from": "",
            "from_host": host,
            **keys,
        }
        command = ["sipp"] + ([remote] if remote else []) + ["-sf", scenario, "-i", host, "-p", self.port]
        command += ["-t", TRANSPORTS[transport], "-m", calls, "-nostdin"]
        command += ["-timeout", f"{seconds}s", "-timeout_error"]
        if traced:
            command += ["-trace_msg", "-message_file", self.messages_path]
        command += ["-trace_err", "-error_file", self.errors_path, *options]
        service = keys.pop("service", None)
        if service:
            command += ["-s", service]
        for key, value in keys.items():
            command += ["-key", key, value]
        self.process = subprocess.Popen(
            [str(part) for part in command],
            cwd=place,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        if self.media:
            self.speaker = threading.Thread(target=self._speak, args=(fifo,), daemon=True)
            self.speaker.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        if self.media:
            self.media.over.set()

    def await_listening(self):
        try:
            await_listening(self.host, self.port, self.transport, process=self.process)
        except AssertionError as error:
            raise AssertionError(f"sipp {self.name}: {error}\n{self.told()}") from None
        return self

    def _speak(self, fifo):
        """Waits until the other side's SDP names a port, then speaks to it."""
        while not self.media.over.is_set():
            with open(fifo) as told:
                port = told.readline().strip()
            if port and not self.media_port_told.is_set():
                self.media.speak_to((self.service_host, int(port)))
                self.media_port_told.set()

    def wait(self):
        """Waits for its end, which must be a good one."""
        try:
            code = self.process.wait(self.seconds + 5)
        finally:
            self.stop()
        assert code == 0, f"sipp {self.name} ended with {code}:\n{self.told()}"
        return self

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def told(self):
        paths = (self.errors_path, self.messages_path)
        return "\n".join(path.read_text(errors="replace") for path in paths if path.exists())[-8000:]

    def messages(self, which="received"):
        """Every SIP message that it received (or sent), as text, in order."""
        if not self.messages_path.exists():
            return []
        text = self.messages_path.read_text(errors="replace")
        parts = re.split(r"^-{20,} [^\n]*\n", text, flags=re.MULTILINE)
        found = [part.split("\n\n", 1) for part in parts if f" message {which} " in part.split("\n", 1)[0]]
        return [message[1] for message in found if len(message) == 2]

    def heard(self):
        """Ends the media; what was heard."""
        return self.media.end()


def status_of(message):
    """The status of a response, or None."""
    first = message.split("\n", 1)[0].split()
    return int(first[1]) if first and first[0] == "SIP/2.0" else None


def header(message, name):
    """The first header of this name, or None."""
    found = re.search(rf"^{re.escape(name)}\s*:\s*([^\r\n]*)", message, re.MULTILINE | re.IGNORECASE)
    return found and found[1].strip()


def q850(message):
    """The Q.850 cause of a message's Reason header, or None (RFC 3326)."""
    found = re.search(r"^Reason\s*:[^\r\n]*Q\.850[^\r\n]*cause\s*=\s*(\d+)", message, re.M | re.I)
    return found and int(found[1])
