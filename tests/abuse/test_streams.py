"""SIP connections of one peer, and descriptors: what must be left for others and for calls."""

import os
import socket
import time

import pytest
from abuse.connections import ManyConnections, ask, need_descriptors, wait_for
from leaks.exchange import Exchange
from leaks.parties import CALLEE, CALLER
from support.process import Maskline, binary

pytestmark = pytest.mark.timeout(300)

OTHER_HOST = "127.0.0.61"
HALF = b"OPTIONS sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1"
STREAMS_MAX = 1_024


def refused(service, why):
    """How many SIP connections were refused for this reason."""
    _, text = ask(service.ready["admin"], "/metrics")
    wanted = f'maskline_sip_connections_refused_total{{why="{why}"}} '
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(wanted))


def is_served(switch, host):
    """Whether a connection from there is heard: its ping is answered."""
    with socket.socket() as link:
        link.bind((host, 0))
        link.settimeout(10)
        link.connect(switch)
        try:
            link.sendall(b"\r\n\r\n")
            return link.recv(2) == b"\r\n"
        except (ConnectionError, TimeoutError):
            return False


def with_other_trunk(service):
    exchange = Exchange(service)
    exchange.operator.apply(f'[[trunk]]\nname = "z-other"\npeer = "{OTHER_HOST}:5060"\noutgoing = false\n')
    wait_for(lambda: is_served(exchange.switch, OTHER_HOST))
    return exchange


def test_one_address_does_not_take_all_connections(tmp_path):
    need_descriptors(4_096)
    service = Maskline(tmp_path / "data")
    exchange = with_other_trunk(service.start())
    try:
        before = service.log_path.stat().st_size
        with ManyConnections(service.ready["sip"], STREAMS_MAX + 100, CALLER.host, HALF) as connections:
            open_ = connections.await_open(STREAMS_MAX // 2)
            assert open_ > 300, "a single one has half of them"
            assert is_served(exchange.switch, OTHER_HOST)
            wait_for(lambda: refused(service, "share") > 500)
        with open(service.log_path, encoding="utf-8") as log:
            log.seek(before)
            assert len(log.readlines()) < 20, "a line each would fill the disk"
    finally:
        service.stop()


def test_half_messages_are_not_waited_for(tmp_path):
    settings = tmp_path / "settings.toml"
    settings.write_text("[sip]\nmessage_timeout_s = 1\n")
    service = Maskline(tmp_path / "data", args=["--config", str(settings)])
    exchange = with_other_trunk(service.start())
    try:
        with ManyConnections(service.ready["sip"], 50, CALLER.host, HALF) as connections:
            assert connections.await_open(0) == 0
            wait_for(lambda: refused(service, "late") == 50)
        # One who says nothing, and one who pings, are left alone.
        with ManyConnections(service.ready["sip"], 2, CALLER.host) as quiet:
            quiet.sockets[0].sendall(b"\r\n\r\n")
            time.sleep(2)
            assert quiet.open() == 2
        assert is_served(exchange.switch, CALLER.host)
    finally:
        service.stop()


@pytest.mark.parametrize("limit", [256, 512])
def test_calls_have_descriptors_whoever_connects(tmp_path, monkeypatch, limit):
    need_descriptors(4_096)
    program = tmp_path / "few"
    program.write_text(f'#!/bin/sh\nulimit -n {limit}\nexec "{binary()}" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("MASKLINE_TEST_BIN", str(program))
    service = Maskline(tmp_path / "data")
    exchange = with_other_trunk(service.start())
    try:
        x = exchange.to_the_callee()
        sip, api = service.ready["sip"], service.ready["api"]
        with ManyConnections(sip, limit, CALLER.host), ManyConnections(sip, limit, CALLEE.host), ManyConnections(api, limit) as customers:
            wait_for(lambda: customers.open() < limit // 2)
            descriptors = len(os.listdir(f"/proc/{service.process.pid}/fd"))
            assert descriptors < limit - 20, "some are left"
            for _ in range(3):
                with exchange.phones("few") as (caller, callee):
                    caller.dial(x)
                    callee.await_heard("INVITE")
                    callee.reply(200, body="audio")
                    caller.await_heard("200 INVITE")
                    callee.speak(5)
                    caller.bye()
                    caller.await_heard("200 BYE")
    finally:
        service.stop()
