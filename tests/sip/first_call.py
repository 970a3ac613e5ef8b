"""The first call: sipp dials X, another sipp rings and answers, tones pass both ways, somebody hangs up.

Both sides run on loopback addresses of their own, so that whatever one side learns of the other can be
told apart from what it knows of the service.
"""

import os
import re
import socket
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

from sip.media import MediaPhone, Sound

SCENARIOS = Path(__file__).parent
CALLER_HOST = "127.0.0.2"
CALLEE_HOST = "127.0.0.3"
CALLER_TONE = 440
CALLEE_TONE = 1000
TALK_MS = 1500
CALL_S = 30
# A tone whose packets all arrive holds nearly all of its energy at its frequency.
SHARE_MIN = 0.8
HEARD_PACKETS_MIN = TALK_MS // 20 // 3


def free_port(host):
    """A UDP port that was free just now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


class Sipp:
    """One sipp with one scenario for one call, and the media phone that its SDP names."""

    def __init__(self, place, scenario, host, port, frequency, remote=None, **keys):
        self.name = scenario
        self.media = MediaPhone((host, 0), frequency)
        self.messages = place / f"{scenario}.messages"
        self.fifo = place / f"{scenario}.fifo"
        self.errors = place / f"{scenario}.errors"
        os.mkfifo(self.fifo)
        keys |= {"own_media_port": self.media.port, "fifo": self.fifo}
        service = keys.pop("service", None)
        # Times in a scenario cannot be keys, so they are written into a copy of it.
        text = (SCENARIOS / f"{scenario}.xml").read_text().replace("[talk_ms]", str(TALK_MS))
        copy = place / f"{scenario}.xml"
        copy.write_text(text)
        command = ["sipp"] + ([remote] if remote else []) + ["-sf", copy, "-i", host, "-p", port]
        command += ["-m", 1, "-nostdin", "-timeout", f"{CALL_S}s", "-timeout_error"]
        command += ["-trace_msg", "-message_file", self.messages]
        command += ["-trace_err", "-error_file", self.errors]
        if service:
            command += ["-s", service]
        for name, value in keys.items():
            command += ["-key", name, value]
        self.process = subprocess.Popen(
            [str(part) for part in command],
            cwd=place,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        threading.Thread(target=self._speak, daemon=True).start()

    def _speak(self):
        """Waits for the port that the other side's SDP names, then speaks to it."""
        with open(self.fifo) as told:
            port = told.readline().strip()
        if port:
            self.media.speak_to(("127.0.0.1", int(port)))

    def wait(self):
        try:
            code = self.process.wait(CALL_S + 5)
        finally:
            self.stop()
        assert code == 0, f"sipp {self.name} ended with {code}:\n{self._told()}"

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def received(self):
        """Every SIP message that came in, as text."""
        text = self.messages.read_text(errors="replace")
        parts = re.split(r"^-{20,} [^\n]*\n", text, flags=re.MULTILINE)
        return "".join(part for part in parts if " message received " in part.split("\n", 1)[0])

    def _told(self):
        texts = (path.read_text(errors="replace") for path in (self.errors, self.messages) if path.exists())
        return "\n".join(texts)[-6000:]


@dataclass
class FirstCall:
    """What each side heard, and every SIP message that it got."""

    caller_heard: Sound
    callee_heard: Sound
    caller_received: str
    callee_received: str


def run_first_call(sip, x, caller, callee, place, callee_port, hung_up_by="caller"):
    """Makes one call through the service at `sip` (HOST:PORT), from `caller` to `x`, which is bound to
    `callee`. The service must have a trunk that leads to CALLEE_HOST:`callee_port`, and one whose peer
    is at CALLER_HOST. Asserts that the call is answered, that each side hears the other's tone and
    nothing from anywhere but the relay, that neither side is told anything of the other but X, and
    that it ends in order. `place` is an empty directory for the traces."""
    service_host, _, service_port = sip.rpartition(":")
    caller_stays = hung_up_by == "callee"
    rings = Sipp(
        place, "callee_hangs_up" if caller_stays else "callee", CALLEE_HOST, callee_port, CALLEE_TONE,
        callee=callee,
    )
    dials = None
    try:
        dials = Sipp(
            place, "caller_stays" if caller_stays else "caller", CALLER_HOST, free_port(CALLER_HOST),
            CALLER_TONE, remote=f"{service_host}:{service_port}", service=x, caller=caller,
        )
        dials.wait()
        rings.wait()
    finally:
        rings.stop()
        if dials is not None:
            dials.stop()
    call = FirstCall(
        caller_heard=dials.media.end(),
        callee_heard=rings.media.end(),
        caller_received=dials.received(),
        callee_received=rings.received(),
    )
    check_sound("the caller", call.caller_heard, CALLEE_TONE, CALLER_TONE, service_host)
    check_sound("the callee", call.callee_heard, CALLER_TONE, CALLEE_TONE, service_host)
    check_hidden("the callee", call.callee_received, shown=x, hidden=[caller, CALLER_HOST, "caller-of"])
    check_hidden("the caller", call.caller_received, shown=x, hidden=[callee, CALLEE_HOST, "callee-of"])
    return call


def check_sound(who, sound, wanted, own, service_host):
    assert len(sound.packets) >= HEARD_PACKETS_MIN, f"{who} heard only {len(sound.packets)} packets"
    assert {host for host, _ in sound.sources} == {service_host}, f"{who} heard {sound.sources}"
    share, echo = sound.share_of(wanted), sound.share_of(own)
    assert share > SHARE_MIN, f"{who} heard {share:.0%} of the other's tone"
    assert echo < 0.05, f"{who} heard {echo:.0%} of its own tone"


def check_hidden(who, received, shown, hidden):
    assert shown in received, f"{who} was not shown X"
    for secret in hidden:
        assert secret not in received, f"{who} was told {secret}:\n{received}"
