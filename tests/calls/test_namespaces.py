"""Phones on hosts of their own: behind NAT, beside an intruder, unplugged, and forwarding in circles."""

import os
import socket
import struct
import threading
import time

import pytest

from calls.network import CALLEE, INSIDE, INTRUDER, OUTSIDE, SERVER, served
from calls.script import answers, calls, stays
from calls.sipp import Sipp
from sip.media import tone

SILENCE_MAX_S = 8
CALLER_TONE, CALLEE_TONE, INTRUDER_TONE = 440, 1000, 1700


@pytest.fixture
def deployment(network, tmp_path):
    with served(network, tmp_path, f"[calls]\nsilence_max_s = {SILENCE_MAX_S}\n") as deployment:
        yield deployment


def ports_held(service):
    """The UDP ports that the service holds, besides the one for SIP."""
    with open(f"/proc/{service.process.pid}/net/udp") as table:
        lines = [line.split() for line in table.readlines()[1:]]
    inodes = set()
    for name in os.listdir(f"/proc/{service.process.pid}/fd"):
        try:
            inodes.add(os.readlink(f"/proc/{service.process.pid}/fd/{name}"))
        except OSError:
            continue
    held = {int(line[1].split(":")[1], 16) for line in lines if f"socket:[{line[9]}]" in inodes}
    return held - {5060}


def test_a_phone_behind_nat_is_heard_and_hears(network, deployment, scene):
    server, exchange = deployment
    callee_host = network.host("callee", CALLEE)
    phone_host = network.behind_nat("phone", INSIDE, OUTSIDE)
    a, n = exchange.party(), exchange.party()
    with callee_host:
        callee = Sipp(scene, "callee", answers(), CALLEE, tone=CALLEE_TONE, service_host=SERVER)
    with callee, server:
        exchange.trunk("carrier", f"{CALLEE}:{callee.port}")
        exchange.trunk("phone", f"{OUTSIDE}:5060", nat=True, priority=9)
        x = exchange.axn(a)
        with phone_host:
            caller = Sipp(
                scene, "caller", calls(3500), INSIDE, remote=exchange.sip, tone=CALLER_TONE, service=x, caller=n,
                service_host=SERVER,
            )
        with caller:
            caller.wait()
            callee.wait()
            heard = caller.heard(), callee.heard()
        assert heard[0].share_of(CALLEE_TONE) > 0.8, "the phone behind NAT hears nothing"
        assert heard[1].share_of(CALLER_TONE) > 0.8, "the phone behind NAT is not heard"
        assert INSIDE not in "".join(callee.messages()) and OUTSIDE not in "".join(callee.messages())
        record = exchange.record(x)
        assert (record["situation"], record["one_way"]) == ("hung_up", 0)


def test_an_intruder_neither_hears_nor_is_heard(network, deployment, scene):
    server, exchange = deployment
    callee_host, caller_host = network.host("callee", CALLEE), network.host("caller", OUTSIDE)
    intruder_host = network.host("intruder", INTRUDER)
    a, n = exchange.party(), exchange.party()
    with callee_host:
        callee = Sipp(scene, "callee", answers(), CALLEE, tone=CALLEE_TONE, service_host=SERVER)
    with callee, server:
        exchange.trunk("carrier", f"{CALLEE}:{callee.port}", sources=[OUTSIDE])
        x = exchange.axn(a)
        with caller_host:
            caller = Sipp(
                scene, "caller", calls(4500), OUTSIDE, remote=exchange.sip, tone=CALLER_TONE, service=x, caller=n,
                service_host=SERVER,
            )
        with caller:
            assert caller.media_port_told.wait(30) and callee.media_port_told.wait(30)
            with intruder_host, Intruder(ports_held(exchange.service)) as intruder:
                caller.wait()
                callee.wait()
            assert intruder.sent > 50
            heard = caller.heard(), callee.heard()
        assert intruder.heard == 0, "the intruder was sent something"
        for sound, wanted in ((heard[0], CALLEE_TONE), (heard[1], CALLER_TONE)):
            assert sound.share_of(INTRUDER_TONE) < 0.02 and sound.share_of(wanted) > 0.8
            assert {host for host, _ in sound.sources} == {SERVER}
        assert exchange.record(x)["situation"] == "hung_up"


def test_a_phone_that_vanishes_frees_its_ports(network, deployment, scene):
    server, exchange = deployment
    callee_host, caller_host = network.host("callee", CALLEE), network.host("caller", OUTSIDE)
    a, n = exchange.party(), exchange.party()
    with callee_host:
        callee = Sipp(scene, "callee", answers(), CALLEE, tone=CALLEE_TONE, service_host=SERVER)
    with callee, server:
        exchange.trunk("carrier", f"{CALLEE}:{callee.port}", sources=[OUTSIDE])
        x = exchange.axn(a)
        before = ports_held(exchange.service)
        with caller_host:
            caller = Sipp(
                scene, "caller", stays(), OUTSIDE, remote=exchange.sip, tone=CALLER_TONE, service=x, caller=n,
                service_host=SERVER,
            )
        with caller:
            assert caller.media_port_told.wait(30)
            assert len(ports_held(exchange.service) - before) == 4, "RTP and RTCP of two legs"
            caller_host.unplug()
            callee_host.unplug()
            record = exchange.record(x, seconds=SILENCE_MAX_S + 40)
        assert (record["situation"], record["release_by"]) == ("media_lost", "platform")
        deadline = time.monotonic() + 30
        while ports_held(exchange.service) - before:
            assert time.monotonic() < deadline, "ports are held by a call that is over"
            time.sleep(0.05)


class Intruder:
    """Sends a tone to every port of a call, from a host that is no part of it, and listens."""

    def __init__(self, ports):
        assert ports, "there is no call to break into"
        self.ports = sorted(ports)
        self.sent = self.heard = 0
        self.over = threading.Event()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((INTRUDER, 0))
        self.socket.settimeout(0.02)

    def __enter__(self):
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.socket.close()

    def _run(self):
        for number, payload in enumerate(tone(INTRUDER_TONE)):
            header = struct.pack("!BBHII", 0x80, 8, number & 0xFFFF, number * 160, 0x666)
            for port in self.ports:
                self.socket.sendto(header + payload, (SERVER, port))
                self.sent += 1
            try:
                self.socket.recv(2048)
                self.heard += 1
            except (TimeoutError, ConnectionRefusedError):
                pass
            if self.over.is_set():
                return
