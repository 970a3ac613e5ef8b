"""A baresip softphone as a test sees it: what it is told to do, what it shows, what it heard."""

import json
import queue
import subprocess
import threading
import time
from pathlib import Path

from calls.addresses import free_port
from calls.exchange import PHONE_HOST
from calls.voice import Voice, samples_of
from support.process import REPOSITORY

PYTHON = REPOSITORY / ".venv" / "baresip" / "bin" / "python"
PROGRAM = Path(__file__).with_name("phone_process.py")
EVENT_S = 30


class Phone:
    """One softphone on an address of its own. Use it as a context: it ends with it. Phones of other makers
    (`peers.peer`) are told and asked the same."""

    # Where the samples begin in what it keeps of what it hears.
    heard_from = 0
    heard_ending = ""

    def __init__(
        self, place, name, number, *, host=PHONE_HOST, transport="udp", dtmf="rtpevent", config="", voice=0, **more
    ):
        """`voice` is a sound or the seed of a voice; `more` goes to the program."""
        self.name, self.number, self.host = name, number, host
        # TLS listens on the next port.
        self.port = free_port(host, pair=True)
        self.voice = Voice(voice) if isinstance(voice, int) else voice
        self.heard_path = place / f"{name}.heard{self.heard_ending}"
        self.trace_path = place / f"{name}.trace"
        self.events = queue.Queue()
        self.seen = []
        settings = {
            "user": number,
            "host": host,
            "port": self.port,
            "transport": transport,
            "dtmf": dtmf,
            "config": config,
            "voice": str(self._spoken(place)),
            "heard": str(self.heard_path),
            "trace": str(self.trace_path),
            **more,
        }
        self.errors_path = place / f"{name}.errors"
        with open(self.errors_path, "wb") as errors:
            self.process = subprocess.Popen(
                self._command(place, settings),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=place,
            )
        threading.Thread(target=self._listen, daemon=True).start()

    def _spoken(self, place):
        path = place / f"{self.name}.voice"
        path.write_bytes(self.voice.pcm)
        return path

    def _command(self, place, settings):
        return [str(PYTHON), str(PROGRAM), json.dumps(settings)]

    def __enter__(self):
        self.await_event("READY")
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.vanish()

    def vanish(self):
        """Pulls the plug: nobody is told."""
        self.process.kill()
        self.process.wait()

    def _listen(self):
        for line in self.process.stdout:
            self._show(json.loads(line))

    def _show(self, event):
        event["at"] = time.monotonic()
        self.seen.append(event)
        self.events.put(event)

    # What it is told

    def do(self, what, **more):
        self.process.stdin.write(json.dumps({"do": what, **more}).encode() + b"\n")
        self.process.stdin.flush()

    # What it shows

    def await_event(self, name, seconds=EVENT_S):
        """The next event of this name; those before it are passed over."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                event = self.events.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                told = self.errors_path.read_text(errors="replace")[-1500:]
                trace = self.trace()[-4000:]
                raise AssertionError(
                    f"{self.name}: no {name} in {seconds} s; there was {self.seen}\n{told}\n{trace}"
                ) from None
            assert event["event"] != "FAILED", f"{self.name}: {event}"
            if event["event"] == name:
                return event

    def digits(self, count, seconds=EVENT_S):
        return "".join(self.await_event("DIGIT", seconds)["digit"] for _ in range(count))

    def trace(self):
        """Every SIP message sent and received, as text."""
        return self.trace_path.read_text(errors="replace") if self.trace_path.exists() else ""

    # What it heard

    def heard(self, since=0):
        """The samples so far, from the byte `since`."""
        return samples_of(self.heard_path.read_bytes()[self.heard_from + since - since % 2 :])

    def heard_bytes(self):
        if not self.heard_path.exists():
            return 0
        return max(0, self.heard_path.stat().st_size - self.heard_from)

    def await_sound(self, seconds, since=0):
        """Waits until so much more has been heard than the byte `since`; the samples."""
        wanted = since + int(seconds * 16_000)
        deadline = time.monotonic() + seconds + EVENT_S
        while self.heard_bytes() < wanted:
            assert time.monotonic() < deadline, f"{self.name} heard {self.heard_bytes()} bytes of {wanted}"
            time.sleep(0.02)
        return self.heard(since)
