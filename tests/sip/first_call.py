"""The first call: sipp dials X, another sipp rings and answers, tones pass both ways, somebody hangs up.

Both sides run on loopback addresses of their own, so that whatever one side learns of the other can be
told apart from what it knows of the service.
"""

from dataclasses import dataclass
from pathlib import Path

from calls.addresses import free_port
from calls.sipp import Sipp
from sip.media import Sound

SCENARIOS = Path(__file__).parent
CALLER_HOST = "127.0.0.2"
CALLEE_HOST = "127.0.0.3"
CALLER_TONE = 440
CALLEE_TONE = 1000
# Longer by far than a machine stands still.
TALK_MS = 4000
# A tone whose packets all arrive holds nearly all of its energy at its frequency.
SHARE_MIN = 0.8
HEARD_PACKETS_MIN = TALK_MS // 20 // 3


class Scenario:
    """A script that is written out, with all that a phone may tell of itself in it."""

    def __init__(self, name):
        self.name = name

    def xml(self):
        # Times in a scenario cannot be keys.
        return (SCENARIOS / f"{self.name}.xml").read_text().replace("[talk_ms]", str(TALK_MS))


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
    service_host = sip.rpartition(":")[0]
    answering, dialling = ("callee", "caller") if hung_up_by == "caller" else ("callee_hangs_up", "caller_stays")
    with (
        Sipp(
            place, answering, Scenario(answering), CALLEE_HOST, port=callee_port, tone=CALLEE_TONE, callee=callee,
        ) as rings,
        Sipp(
            place, dialling, Scenario(dialling), CALLER_HOST, remote=sip, tone=CALLER_TONE, service=x, caller=caller,
        ) as dials,
    ):
        dials.wait()
        rings.wait()
        call = FirstCall(
            caller_heard=dials.heard(),
            callee_heard=rings.heard(),
            caller_received="".join(dials.messages()),
            callee_received="".join(rings.messages()),
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
