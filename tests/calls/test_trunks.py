"""Trunks as an operator sees them: registrations, strangers, and why calls cannot be sent."""

import json
import re
import socket
import time
import urllib.request

import pytest

from calls.addresses import free_port
from calls.exchange import CALLEE_HOST, Exchange
from calls.registrar import Registrar
from support.process import Maskline

REGISTRAR_HOST = "127.0.1.5"
STRANGER_HOST = "127.0.1.9"


def listed(exchange, name):
    """The trunk as the operator's program sees it."""
    return json.loads(exchange.service.cli("trunk", "show", name, "--json").stdout)


def await_trunk(exchange, name, is_so, seconds=60):
    """Waits until the trunk is so; how it is then. The deadline is a watchdog."""
    deadline = time.monotonic() + seconds
    while True:
        trunk = listed(exchange, name)
        if is_so(trunk):
            return trunk
        assert time.monotonic() < deadline, trunk
        time.sleep(0.1)


def metric(exchange, line):
    with urllib.request.urlopen(f"http://{exchange.service.ready['admin']}/metrics", timeout=10) as answer:
        return line in answer.read().decode().splitlines()


def registering(exchange, name, port, host=REGISTRAR_HOST, **fields):
    exchange.trunk(
        name, f"{host}:{port}", auth_username="line", auth_secret="a-password", registrar="reg.example",
        outgoing=False, **fields,
    )


@pytest.fixture
def passing(exchange):
    """Names of trunks that are taken away after the test."""
    names = []
    yield names
    for name in names:
        exchange.service.cli("trunk", "rm", name, check=False)


def test_a_refused_registration_is_told_everywhere_and_its_trunk_is_not_reachable(exchange, passing):
    passing.append("refusing")
    answers = {"REGISTER": "403 No Such User 13900000000", "OPTIONS": "200 OK"}
    before = exchange.service.log_path.stat().st_size
    with Registrar(REGISTRAR_HOST, lambda method, _: answers[method]) as registrar:
        registering(exchange, "refusing", registrar.port, options_every_s=5, domain="ims.example")
        trunk = await_trunk(exchange, "refusing", lambda trunk: trunk["registration"] == "refused")
        # It answers OPTIONS, and that does not make it reachable.
        deadline = time.monotonic() + 60
        while sum(text.startswith("OPTIONS") for text in registrar.requests) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        trunk = await_trunk(exchange, "refusing", lambda trunk: trunk["reachable"] is not None)
    assert trunk["reachable"] is False
    assert trunk["registration_error"] == "403 Forbidden", "its own words are not repeated"
    assert trunk["registration_expires_at"] is None
    register = next(text for text in registrar.requests if text.startswith("REGISTER"))
    assert register.startswith("REGISTER sip:reg.example SIP/2.0\r\n")
    assert "\r\nTo: <sip:line@ims.example>\r\n" in register
    table = exchange.service.cli("trunk", "ls").stdout
    row = next(line for line in table.splitlines() if line.startswith("refusing"))
    assert "refused" in row and "403 Forbidden" in row, table
    assert metric(exchange, 'maskline_trunk_registered{trunk="refusing"} 0')
    assert metric(exchange, 'maskline_trunk_reachable{trunk="refusing"} 0')
    exchange.service.await_log("a trunk refuses our registration", after=before)
    log = exchange.service.log_path.read_text()[before:]
    line = next(line for line in log.splitlines() if "refuses our registration" in line)
    assert "WARN" in line and "refusing" in line and "403" in line and "13900000000" not in log


def test_a_brief_registration_is_made_longer_and_its_end_is_told(exchange, passing):
    passing.append("brief")

    def answer(_, count):
        return ("423 Interval Too Brief", "Min-Expires: 1800") if count == 0 else ("200 OK", "Expires: 1800")

    with Registrar(REGISTRAR_HOST, answer) as registrar:
        registering(exchange, "brief", registrar.port, register_expires_s=60)
        trunk = await_trunk(exchange, "brief", lambda trunk: trunk["registration"] == "registered")
        # Taken away while its registrar still hears the farewell.
        exchange.service.cli("trunk", "rm", "brief")
        deadline = time.monotonic() + 60
        while "Expires: 0" not in registrar.requests[-1]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert trunk["reachable"] is True and trunk["registration_error"] is None
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", trunk["registration_expires_at"])
    first, second = registrar.requests[:2]
    assert "expires=60\r\n" in first and "expires=1800\r\n" in second
    # A password is asked for by name only; nothing was told unasked.
    assert "a-password" not in "".join(registrar.requests)


def test_a_registrar_that_cannot_be_reached_is_told_with_the_reason(exchange, passing):
    passing.append("nobody")
    port = free_port(REGISTRAR_HOST)
    registering(exchange, "nobody", port, transport="tcp")
    trunk = await_trunk(exchange, "nobody", lambda trunk: trunk["registration"] == "silent")
    assert trunk["reachable"] is False and trunk["registration_error"] == "no answer"
    trunk = await_trunk(exchange, "nobody", lambda trunk: trunk["trouble"])
    assert "refused" in trunk["trouble"] and f"{REGISTRAR_HOST}:{port}" in trunk["trouble"]
    exchange.service.await_log("calls cannot be sent to a trunk")


def test_a_tls_trunk_without_authorities_says_so(exchange, passing):
    passing.append("secure")
    exchange.trunk("secure", f"{REGISTRAR_HOST}:5061", transport="tls", options_every_s=5)
    trunk = await_trunk(exchange, "secure", lambda trunk: trunk["trouble"])
    assert "sip.server_authorities" in trunk["trouble"]
    assert "sip.server_authorities" in exchange.service.cli("trunk", "ls").stdout
    with urllib.request.urlopen(f"http://{exchange.service.ready['admin']}/readyz", timeout=10) as answer:
        told = json.load(answer)
    assert told["ready"] is True and "secure" in told["notes"]["trunks"]
    log = exchange.service.log_path.read_text()
    assert any("secure" in line and "WARN" in line for line in log.splitlines())


def test_strangers_are_listed_with_what_they_asked_and_nothing_else(exchange):
    host, _, port = exchange.sip.rpartition(":")
    request = (
        "INVITE sip:17100000000@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.1.9:5060;branch=z9hG4bK{0};rport\r\n"
        "From: <sip:13912345678@127.0.1.9>;tag=1\r\nTo: <sip:17100000000@127.0.0.1>\r\nCall-ID: {0}\r\n"
        "CSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind((STRANGER_HOST, 0))
        stranger.settimeout(60)
        for count in range(30):
            stranger.sendto(request.format(count).encode(), (host, int(port)))
            assert stranger.recv(4096).startswith(b"SIP/2.0 403 ")
    with socket.create_connection((host, int(port)), timeout=60, source_address=("127.0.1.8", 0)) as knock:
        assert knock.recv(1) == b"", "closed unheard"
    listing = exchange.service.cli("trunk", "strangers", "--json").stdout
    strangers = {row["address"]: row for row in json.loads(listing)}
    assert strangers[STRANGER_HOST]["count"] == 30 and strangers[STRANGER_HOST]["asked"] == "INVITE"
    assert strangers[STRANGER_HOST]["transport"] == "udp"
    assert strangers["127.0.1.8"]["asked"] == "connection"
    assert "13912345678" not in listing
    table = exchange.service.cli("trunk", "strangers").stdout
    assert STRANGER_HOST in table
    exchange.service.await_log("maskline trunk strangers")
    log = exchange.service.log_path.read_text()
    assert sum("maskline trunk strangers" in line for line in log.splitlines()) <= 2, "not a line for each"
    assert "13912345678" not in log
