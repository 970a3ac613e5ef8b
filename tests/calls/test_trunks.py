"""Trunks as an operator sees them: registrations, strangers, and why calls cannot be sent."""

import json
import re
import socket
import time
import urllib.request
from contextlib import closing

import pytest

from abuse.minimal_phone import Phone, sdp
from calls.addresses import free_port, has_ipv6
from calls.exchange import CALLEE_HOST, CALLER_HOST, PROXY_HOST, Exchange
from calls.names import A, SRV, Names
from calls.registrar import Registrar, response
from calls.script import answers, calls
from calls.sipp import Sipp, header
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


def readiness(exchange):
    with urllib.request.urlopen(f"http://{exchange.service.ready['admin']}/readyz", timeout=10) as answer:
        return json.load(answer)


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
        # Taken away while its registrar still hears it unregister.
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
    exchange.service.await_log("a trunk is in trouble")


def test_a_tls_trunk_without_authorities_says_so(exchange, passing):
    passing.append("secure")
    exchange.trunk("secure", f"{REGISTRAR_HOST}:5061", transport="tls", options_every_s=5)
    trunk = await_trunk(exchange, "secure", lambda trunk: trunk["trouble"])
    assert "sip.server_authorities" in trunk["trouble"]
    assert "sip.server_authorities" in exchange.service.cli("trunk", "ls").stdout
    # The watch looks twice a second.
    deadline = time.monotonic() + 60
    while "secure: TLS needs" not in (told := readiness(exchange)).get("notes", {}).get("trunks", ""):
        assert time.monotonic() < deadline, told
        time.sleep(0.1)
    assert told["ready"] is True
    log = exchange.service.log_path.read_text()
    assert any("secure" in line and "WARN" in line for line in log.splitlines())


def test_strangers_are_listed_with_what_they_asked_and_nothing_else(exchange):
    request = (
        "INVITE sip:17100000000@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.1.9:5060;branch=z9hG4bK{0};rport\r\n"
        "From: <sip:13912345678@127.0.1.9>;tag=1\r\nTo: <sip:17100000000@127.0.0.1>\r\nCall-ID: {0}\r\n"
        "CSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind((STRANGER_HOST, 0))
        stranger.settimeout(60)
        for count in range(30):
            stranger.sendto(request.format(count).encode(), exchange.switch)
            assert stranger.recv(4096).startswith(b"SIP/2.0 403 ")
    with socket.create_connection(exchange.switch, timeout=60, source_address=("127.0.1.8", 0)) as knock:
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


@pytest.fixture
def named(tmp_path):
    """A service whose server of names a test fills: both."""
    with Names() as names:
        settings = tmp_path / "settings.toml"
        settings.write_text(f'[sip]\nresolver = "{names.address}"\n')
        service = Maskline(tmp_path / "data", args=["--config", str(settings)])
        try:
            yield Exchange(service.start()), names
        finally:
            service.stop()


def test_a_peer_with_a_name_is_found_moves_and_is_kept_while_its_name_is_gone(named):
    exchange, names = named
    hosts = ("127.0.1.21", "127.0.1.22")
    with (
        Registrar(hosts[0], lambda *_: "200 OK") as first,
        Registrar(hosts[1], lambda *_: "200 OK") as second,
    ):
        exchange.trunk("moving", "sip.carrier.example", options_every_s=5, outgoing=False)
        # Nobody knows the name yet.
        trunk = await_trunk(exchange, "moving", lambda trunk: trunk["trouble"])
        assert "sip.carrier.example: there is no such name" in trunk["trouble"]
        assert trunk["reachable"] is False and trunk["addresses"] == []
        names.records["sip.carrier.example"] = []
        names.records["_sip._udp.sip.carrier.example"] = [(SRV, (1, 1, first.port, "a.carrier.example"))]
        names.records["a.carrier.example"] = [(A, hosts[0])]
        trunk = await_trunk(exchange, "moving", lambda trunk: trunk["reachable"])
        assert trunk["addresses"] == [f"{hosts[0]}:{first.port}"] and trunk["trouble"] is None
        assert first.requests[0].startswith("OPTIONS sip:sip.carrier.example SIP/2.0\r\n")

        names.records["b.carrier.example"] = [(A, hosts[1])]
        names.records["_sip._udp.sip.carrier.example"] = [(SRV, (1, 1, second.port, "b.carrier.example"))]
        trunk = await_trunk(
            exchange, "moving",
            lambda trunk: trunk["addresses"] == [f"{hosts[1]}:{second.port}"] and trunk["reachable"],
        )
        names.records.clear()
        trunk = await_trunk(exchange, "moving", lambda trunk: trunk["trouble"])
        assert "used on" in trunk["trouble"]
        assert trunk["addresses"] == [f"{hosts[1]}:{second.port}"] and trunk["reachable"] is True
    log = exchange.service.log_path.read_text()
    assert any("WARN" in line and "moving" in line and "no such name" in line for line in log.splitlines())


def test_a_call_goes_to_the_next_address_of_a_name_where_the_first_is_silent(named, scene):
    exchange, names = named
    port = free_port(CALLEE_HOST)
    # Nobody is at the first address; the second answers, and calls come from there too.
    names.records["sip.carrier.example"] = [(A, "127.0.1.2"), (A, CALLEE_HOST)]
    exchange.trunk("carrier", f"sip.carrier.example:{port}", transport="tcp", domain="ims.example")
    exchange.trunk("callers", f"{PROXY_HOST}:5060", outgoing=False)
    await_trunk(exchange, "carrier", lambda trunk: len(trunk["addresses"]) == 2)
    exchange.await_trunks()
    x = exchange.axn(exchange.party())
    with (
        Sipp(scene, "callee", answers(), CALLEE_HOST, port=port, transport="tcp", tone=1000) as callee,
        Sipp(
            scene, "caller", calls(1000), PROXY_HOST, remote=exchange.sip, tone=440, service=x,
            caller=exchange.party(),
        ) as caller,
    ):
        callee.await_listening()
        caller.wait()
        callee.wait()
    record = exchange.record(x)
    assert (record["situation"], record["trunk_out"]) == ("hung_up", "carrier")
    ladder = [(step["what"], step.get("note", "")) for step in json.loads(record["ladder"])]
    assert ("503", "carrier did not answer") in ladder, ladder
    [invite, *_] = callee.messages()
    assert "@ims.example" in invite.split("\r\n", 1)[0] and "@ims.example" in header(invite, "From")
    assert "127.0.1.2" not in record["ladder"], "the trunk is named, not its hop"


def test_a_trunk_whose_name_leads_elsewhere_in_mid_call_goes_on_with_it_from_there(named):
    exchange, names = named
    port, new_host = free_port(CALLEE_HOST), "127.0.1.23"
    names.records["sip.carrier.example"] = [(A, CALLER_HOST)]
    exchange.trunk("moving", "sip.carrier.example:5060", outgoing=False)
    exchange.trunk("carrier", f"{CALLEE_HOST}:{port}")
    await_trunk(exchange, "moving", lambda trunk: trunk["addresses"] == [f"{CALLER_HOST}:5060"])
    exchange.await_trunks()
    switch = exchange.switch
    with (
        closing(Phone(CALLER_HOST, switch)) as caller,
        closing(Phone(new_host, switch)) as moved,
        closing(Phone(CALLEE_HOST, switch, port)) as callee,
    ):
        x = exchange.axn(exchange.party())
        caller.dial(x, sdp(CALLER_HOST, 4_000))
        callee.await_invite()
        callee.reply(200, sdp(CALLEE_HOST, 4_000))
        assert caller.await_final().startswith("SIP/2.0 200")
        for what in ("call_id", "to", "target", "cseq"):
            setattr(moved, what, getattr(caller, what))
        # It is nobody yet.
        moved.request("BYE")
        moved.await_message("^SIP/2.0 403")
        names.records["sip.carrier.example"] = [(A, new_host)]
        await_trunk(exchange, "moving", lambda trunk: trunk["addresses"] == [f"{new_host}:5060"])
        # Where it was when the call began it is still believed.
        caller.request("OPTIONS")
        caller.await_message("^SIP/2.0 200")
        moved.cseq = caller.cseq
        moved.request("BYE")
        moved.await_message("^SIP/2.0 200")
        callee.await_message("^BYE ")
    assert exchange.record(x)["situation"] == "hung_up"


SDP6 = (
    "v=0\r\no=- 1 1 IN IP6 ::1\r\ns=-\r\nc=IN IP6 ::1\r\nt=0 0\r\nm=audio {} RTP/AVP 8\r\n"
    "a=rtpmap:8 PCMA/8000\r\n"
)


def udp6():
    bound = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    bound.bind(("::1", 0))
    # A watchdog; whatever is awaited is there long before.
    bound.settimeout(60)
    return bound


def port_of(socket):
    return socket.getsockname()[1]


def media_address(message):
    """Where the SDP of a message wants media, which must be on IPv6."""
    assert "\r\nc=IN IP6 ::1\r\n" in message, message
    return "::1", int(re.search(r"m=audio (\d+) ", message)[1])


def await_message(sock, start):
    while True:
        text, source = sock.recvfrom(65_535)
        text = text.decode()
        if text.startswith(start):
            return text, source


def assert_relayed(speaker, listener, to, mark):
    """What one side says reaches the other. Packets may be lost while the relay is being set up."""
    payload = bytes([mark]) * 160
    listener.settimeout(0.2)
    for sequence in range(300):
        head = bytes([0x80, 8]) + sequence.to_bytes(2, "big") + (sequence * 160).to_bytes(4, "big") + b"\0\0\0" + bytes([mark])
        speaker.sendto(head + payload, to)
        try:
            if listener.recv(2048)[12:] == payload:
                return
        except TimeoutError:
            pass
    raise AssertionError("nothing was relayed")


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_a_call_is_carried_over_ipv6_end_to_end(tmp_path):
    service = Maskline(tmp_path / "data", args=["--sip", "[::1]:0"])
    caller, callee, caller_media, callee_media = (udp6() for _ in range(4))
    with caller, callee, caller_media, callee_media:
        try:
            exchange = Exchange(service.start())
            exchange.trunk("callers", f"[::1]:{port_of(caller)}", outgoing=False)
            exchange.trunk("carrier", f"[::1]:{port_of(callee)}", media_networks=["::1"], sip_advertised="")
            exchange.await_trunks()
            a, n = exchange.party(), exchange.party()
            x = exchange.axn(a)
            place = ("::1", int(exchange.sip.rpartition(":")[2]))
            via = f"[::1]:{port_of(caller)}"
            ids = f"From: <sip:{n}@{via}>;tag=1\r\nCall-ID: six\r\nMax-Forwards: 70\r\n"
            offer = SDP6.format(port_of(caller_media))
            caller.sendto(
                f"INVITE sip:{x}@{exchange.sip} SIP/2.0\r\nVia: SIP/2.0/UDP {via};branch=z9hG4bKi;rport\r\n{ids}"
                f"To: <sip:{x}@{exchange.sip}>\r\nCSeq: 1 INVITE\r\nContact: <sip:{n}@{via}>\r\n"
                f"Content-Type: application/sdp\r\nContent-Length: {len(offer)}\r\n\r\n{offer}".encode(),
                place,
            )
            invite, source = await_message(callee, "INVITE ")
            assert invite.startswith(f"INVITE sip:{a}@[::1]:{port_of(callee)} SIP/2.0\r\n")
            own = f"[::1]:{place[1]}"
            for line in (f"Via: SIP/2.0/UDP {own};", f"Contact: <sip:{own}>", f"From: <sip:{x}@{own}>"):
                assert f"\r\n{line}" in invite, invite
            answer = SDP6.format(port_of(callee_media))
            kept = response(invite, "200 OK", [f"Contact: <sip:[::1]:{port_of(callee)}>", "Content-Type: application/sdp"])
            kept = kept.replace("Content-Length: 0", f"Content-Length: {len(answer)}")
            callee.sendto((kept + answer).encode(), source)
            await_message(callee, "ACK ")
            answered, _ = await_message(caller, "SIP/2.0 200")
            to = re.search(r"\r\nTo: ([^\r]*)", answered)[1]
            target = re.search(r"\r\nContact: <([^>]*)>", answered)[1]
            assert target.startswith(f"sip:{own}")

            def within(method, cseq):
                caller.sendto(
                    f"{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {via};branch=z9hG4bK{method};rport\r\n{ids}"
                    f"To: {to}\r\nCSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n".encode(),
                    place,
                )

            within("ACK", 1)
            assert_relayed(caller_media, callee_media, media_address(answered), 0x51)
            assert_relayed(callee_media, caller_media, media_address(invite), 0x52)
            within("BYE", 2)
            bye, source = await_message(callee, "BYE ")
            callee.sendto(response(bye, "200 OK").encode(), source)
            await_message(caller, "SIP/2.0 200")
            record = exchange.record(x)
            assert (record["situation"], record["one_way"]) == ("hung_up", 0)
            assert (record["trunk_in"], record["trunk_out"]) == ("callers", "carrier")
        finally:
            service.stop()
