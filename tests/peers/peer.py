"""Other people's phones as a test sees them: told and asked as a softphone of `calls.phone` is."""

import json
import os
import re
import wave

import pytest

from calls.addresses import await_listening
from calls.phone import Phone
from calls.voice import RATE, Tone
from support.process import REPOSITORY

HERE = REPOSITORY / "tests" / "peers"
PJSIP = REPOSITORY / ".venv" / "pjsip" / "bin" / "python"
DIAGO = REPOSITORY / ".venv" / "diago" / "diago-phone"
# What a WAV file has in front of its samples, as PJSIP and linphone write it.
WAV_HEAD = 44
# What a peer says, and what the other phone does.
PEER_TONE, OTHER_TONE = Tone(440), Tone(1000)
CREDENTIALS = {"username": "", "password": ""}
CERTIFICATES = {"certificate": "", "key": "", "authority": ""}


def need(program, brings):
    if not os.access(program, os.X_OK):
        pytest.skip(f"{program} is not there: {brings}")


class WavPhone(Phone):
    """One that speaks from a WAV file and hears into one."""

    heard_from = WAV_HEAD
    heard_ending = ".wav"

    def _spoken(self, place):
        path = place / f"{self.name}.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(self.voice.pcm)
        return path


ASKS = {"asks_username": "", "asks_password": ""}


class Pjsip(WavPhone):
    """The user agent library of PJSIP 2.15."""

    def __init__(self, *place, reliable=False, early=False, **more):
        need(PJSIP, "scripts/install-test-tools makes it")
        super().__init__(*place, reliable=reliable, **{**CREDENTIALS, **CERTIFICATES, **ASKS, **more})

    def _command(self, place, settings):
        return [str(PJSIP), str(HERE / "pjsip_process.py"), json.dumps(settings)]


class Diago(Phone):
    """A user agent of the Go library diago, on sipgo."""

    def __init__(self, *place, early=False, **more):
        need(DIAGO, "scripts/install-test-tools builds it where Go is")
        super().__init__(*place, **{**CREDENTIALS, **CERTIFICATES, **more})

    def _command(self, place, settings):
        return [str(DIAGO), json.dumps(settings)]


class Linphone(WavPhone):
    """The command line of linphone 5, which is spoken to as a person would."""

    SAYS = [
        (re.compile(r"Receiving new incoming call from (?P<peer>.*), assigned id"), "CALL_INCOMING"),
        (re.compile(r"Call \d+ to .* ringing"), "CALL_RINGING"),
        (re.compile(r"Call \d+ with .* early media"), "CALL_PROGRESS"),
        (re.compile(r"Call \d+ with (?P<peer>.*) connected"), "CALL_ESTABLISHED"),
        (re.compile(r"Call \d+ has been paused by"), "CALL_HOLD"),
        (re.compile(r"Call \d+ with .* is now paused"), "CHANGED"),
        (re.compile(r"Media streams established with .* for call \d+ \((?P<text>.*)\)"), "STREAMS"),
        (re.compile(r"Receiving tone (?P<digit>.) from"), "DIGIT"),
        (re.compile(r"Call \d+ with .* ended \((?P<text>.*)\)"), "CALL_CLOSED"),
        (re.compile(r"Call \d+ (?:failed|refused|declined|error)(?P<text>.*)"), "CALL_CLOSED"),
    ]

    def __init__(self, *place, early=False, reliable=False, **more):
        super().__init__(*place, early=early, reliable=reliable, **{**CREDENTIALS, **CERTIFICATES, **more})

    def _command(self, place, settings):
        program = "/usr/bin/linphonec"
        need(program, "Debian's linphone-cli brings it")
        home = place / f"{self.name}.home"
        (home / ".local" / "share" / "linphone").mkdir(parents=True)
        ports = {"udp": -1, "tcp": -1, "tls": -1, settings["transport"]: settings["port"]}
        lines = [
            "[sip]",
            f"sip_port={ports['udp']}", f"sip_tcp_port={ports['tcp']}", f"sip_tls_port={ports['tls']}",
            "ipv6_migration_done=1", "use_ipv6=0", "default_proxy=-1", "verify_server_certs=1", "verify_server_cn=0",
            f"bind_address={settings['host']}",
            f"contact=sip:{settings['user']}@{settings['host']}",
            f"use_info={int(settings['dtmf'] == 'info')}", f"use_rfc2833={int(settings['dtmf'] != 'info')}",
            f"root_ca={settings['authority']}",
            f"client_cert_chain={settings['certificate']}", f"client_cert_key={settings['key']}",
            # With a 183 and `ringback` a caller hears before the answer.
            f"incoming_calls_early_media={int(settings['early'])}",
            f"100rel_support_level={2 if settings['reliable'] else 0}",
            "[rtp]", "audio_rtp_port=-1",
            "[net]", "firewall_policy=0",
        ]  # fmt: skip
        if settings["username"]:
            # It looks for what it knows of the number that calls.
            lines += [
                "[auth_info_0]", f"username={settings['user']}", f"userid={settings['username']}",
                f"passwd={settings['password']}",
            ]  # fmt: skip
        rc = home / "rc"
        rc.write_text("\n".join(lines) + "\n")
        self.settings = settings
        self.held = self.offers = False
        return [
            "env", f"HOME={home}", "stdbuf", "-o0", program, "-c", str(rc), "-d", "6", "-l", str(self.trace_path),
        ]  # fmt: skip

    def __enter__(self):
        self.say("soundcard use files")
        self.say(f"play {self.settings['voice']}")
        self.say(f"record {self.settings['heard']}")
        # What a caller hears before the answer is set before the call; without it there is no early media.
        if self.settings["early"]:
            self.say(f"ringback {self.settings['voice']}")
        await_listening(self.host, self.port, self.settings["transport"], seconds=40)
        return self

    def say(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def _listen(self):
        for line in self.process.stdout:
            text = line.decode(errors="replace")
            with open(self.errors_path, "a") as told:
                told.write(text)
            for pattern, event in self.SAYS:
                if found := pattern.search(text):
                    self._show({"event": event, **found.groupdict()})
                    # Streams that begin anew after a hold are all that it says of its end.
                    if event == "CALL_HOLD":
                        self.held = True
                    elif event == "STREAMS" and self.held:
                        self.held = False
                        self._show({"event": "CALL_RESUME"})
                    elif event == "STREAMS" and self.offers:
                        self.offers = False
                        self._show({"event": "CHANGED"})

    def do(self, what, **more):
        if what in ("ring", "early"):
            # It does so by itself.
            return
        if what == "dtmf":
            for digit in more["digits"]:
                self.say(digit)
            return
        self.offers = what == "reinvite"
        self.say(
            {
                "dial": "call {uri}", "answer": "answer", "hold": "pause", "resume": "resume",
                "reject": "terminate", "hangup": "terminate", "reinvite": "conference add 1",
            }[what].format(**more)
        )  # fmt: skip


PEERS = {"pjsip": Pjsip, "diago": Diago, "linphone": Linphone}
