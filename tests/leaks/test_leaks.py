"""The leak gate on the real process: two people call each other in every way, their phones say everything
about them, and nothing of it reaches the other one, the log, the metrics or the name of a file.

Whether a byte *depends* on what is hidden is asked of the switch itself, in
crates/server/tests/suite/leaks/interference.rs; here it is asked what is there.
"""

import hashlib
import queue
import socket
import subprocess
import time

import pytest
from abuse.dialogs import Place, forged
from leaks.exchange import NOBODY_HOST, Exchange
from leaks.parties import CALLEE, CALLER
from leaks.phone import Stream, tls

from support.process import Maskline

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def exchange(tmp_path_factory):
    service = Maskline(tmp_path_factory.mktemp("leaks") / "data", args=["--log-level", "trace"])
    yield Exchange(service.start())
    service.stop()


def caller_hangs_up(exchange, caller, callee):
    connect(caller, callee, exchange.to_the_callee(IsRecordingEnabled="true"))
    callee.speak()
    caller.speak()
    caller.bye()
    callee.await_heard("BYE")


def callee_hangs_up(exchange, caller, callee):
    connect(caller, callee, exchange.to_the_callee())
    callee.bye()
    caller.await_heard("BYE")


def a_reaches_its_default_b(exchange, caller, callee):
    connect(caller, callee, exchange.of_the_caller(PhoneNoB=CALLEE.number))
    caller.bye()
    callee.await_heard("BYE")


def a_pair(exchange, caller, callee):
    connect(caller, callee, exchange.pair())
    caller.bye()
    callee.await_heard("BYE")


def a_withheld_number(exchange, caller, callee):
    caller.dial(
        exchange.to_the_callee(),
        sender='"Anonymous" <sip:anonymous@anonymous.invalid>',
        headers=f"P-Asserted-Identity: <tel:{CALLER.written}>\r\nPrivacy: id\r\n",
    )
    ring_and_answer(caller, callee)
    caller.bye()
    callee.await_heard("BYE")


def early_media(exchange, caller, callee):
    caller.dial(exchange.to_the_callee())
    callee.await_heard("INVITE")
    callee.reply(183, body="audio")
    caller.await_heard("183 INVITE")
    callee.speak(20)
    callee.reply(200, body="audio")
    caller.await_heard("200 INVITE")
    callee.bye()
    caller.await_heard("BYE")


def reliable_early_media(exchange, caller, callee):
    caller.is_reliable = callee.is_reliable = True
    early_media(exchange, caller, callee)


def several_provisional_responses(exchange, caller, callee):
    caller.dial(exchange.to_the_callee())
    callee.await_heard("INVITE")
    for status, body in ((180, None), (183, "audio"), (182, None), (180, "audio"), (181, None)):
        callee.reply(status, body=body)
    callee.reply(200, body="audio")
    caller.await_heard("200 INVITE")
    caller.bye()
    callee.await_heard("BYE")


def hold_and_keys(exchange, caller, callee):
    connect(caller, callee, exchange.to_the_callee())
    for holding, held in ((caller, callee), (callee, caller)):
        for direction, answer in (("sendonly", "recvonly"), ("sendrecv", "sendrecv")):
            holding.direction, held.direction = direction, answer
            holding.ask("INVITE", body=holding.sdp())
            await_any_answer(holding)
        holding.ask("UPDATE", body=holding.sdp())
        holding.ask("INFO", kind="application/dtmf-relay", body=f"Signal=5\r\nX={holding.party.number}\r\n")
        holding.ask("INFO", kind="text/plain", body=f"I am {holding.party.number}")
    caller.bye()
    callee.await_heard("BYE")


def an_offer_only_in_the_answer(exchange, caller, callee):
    caller.acknowledges_with_sdp = True
    caller.dial(exchange.to_the_callee(), body=None)
    # Whether such calls are taken is asked elsewhere.
    await_any_answer(caller, also=lambda: callee.invite and (callee.reply(200, body="audio"), caller.bye()))


def odd_requests(exchange, caller, callee):
    connect(caller, callee, exchange.to_the_callee())
    for phone in (caller, callee):
        who = phone.party.number
        for method in ("REFER", "NOTIFY", "MESSAGE", "OPTIONS", "SUBSCRIBE", "WHOAMI"):
            phone.ask(method, f"Refer-To: <sip:{who}@h>\r\nEvent: {who}\r\n", "text/plain", f"from {who}")
    caller.bye()
    callee.await_heard("BYE")


def gives_up(exchange, caller, callee):
    caller.dial(exchange.to_the_callee())
    callee.await_heard("INVITE")
    callee.reply(180)
    caller.await_heard("180 INVITE")
    caller.cancel()
    caller.await_heard("487 INVITE")
    callee.await_heard("CANCEL")


def nobody_answers(exchange, caller, callee):
    caller.dial(exchange.to_the_callee(CallTimeout="5"))
    callee.await_heard("INVITE")
    callee.reply(180)
    callee.await_heard("CANCEL")
    await_refusal(caller)


def refusing(status, headers=""):
    def refused(exchange, caller, callee):
        caller.dial(exchange.to_the_callee())
        callee.await_heard("INVITE")
        callee.reply(status, headers)
        callee.await_heard("ACK")
        await_refusal(caller)

    refused.__name__ = f"refused_with_{status}"
    return refused


def no_codec_in_common(exchange, caller, callee):
    caller.dial(exchange.to_the_callee(), body=caller.sdp(formats="8", attributes=""))
    callee.await_heard("INVITE")
    callee.reply(200, body=callee.sdp(formats="0", attributes=""))
    callee.await_heard("BYE")
    await_refusal(caller)


def turned_away(exchange, caller, callee):
    for x in (
        exchange.to_the_callee(CallRestrict="CONTROL_BX_DISABLE"),
        exchange.of_the_caller(),
        exchange.of_the_caller(exchange.no_call_back, PhoneNoB=CALLEE.number),
        "17099999999",
        CALLER.number,
    ):
        caller.dial(x)
        await_refusal(caller)
    assert callee.received == []


SCENES = [
    caller_hangs_up,
    callee_hangs_up,
    a_reaches_its_default_b,
    a_pair,
    a_withheld_number,
    early_media,
    reliable_early_media,
    several_provisional_responses,
    hold_and_keys,
    an_offer_only_in_the_answer,
    odd_requests,
    gives_up,
    nobody_answers,
    refusing(486),
    refusing(603),
    refusing(404, "Reason: Q.850;cause=1\r\n"),
    refusing(302),
    refusing(407, f'Proxy-Authenticate: Digest realm="{CALLEE.number}", nonce="{CALLEE.word}"\r\n'),
    refusing(503, "Retry-After: 17\r\n"),
    no_codec_in_common,
    turned_away,
]


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_matrix(exchange, scene):
    with exchange.phones(scene.__name__) as (caller, callee):
        scene(exchange, caller, callee)

    assert exchange.to_caller, "the caller was told something"
    assert exchange.complaints() == ""


@pytest.fixture(scope="module", params=["tcp", "tls"])
def streams(request, tmp_path_factory):
    """The same over connections; what is within TLS is read at our end of it."""
    place = tmp_path_factory.mktemp(request.param)
    settings, certificate = place / "settings.toml", place / "certificate.pem"
    port, transport = None, Stream
    settings.write_text("")
    if request.param == "tls":
        addresses = ",".join(f"IP:{host}" for host in ("127.0.0.1", CALLER.host, CALLEE.host))
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-days", "2", "-subj", "/CN=everybody", "-addext", f"subjectAltName={addresses}",
             "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", certificate, "-out", certificate],
            check=True, capture_output=True,
        )  # fmt: skip
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        settings.write_text(
            f'[sip]\ntls = "127.0.0.1:{port}"\ncertificate = "{certificate}"\nprivate_key = "{certificate}"\n'
            f'server_authorities = "{certificate}"\n'
        )
        transport = tls(certificate)
    service = Maskline(place / "data", args=["--log-level", "trace", "--config", str(settings)])
    yield Exchange(service.start(), transport, f'transport = "{request.param}"', port)
    service.stop()


@pytest.mark.parametrize(
    "scene",
    [caller_hangs_up, callee_hangs_up, early_media, hold_and_keys, gives_up, refusing(486)],
    ids=lambda scene: scene.__name__,
)
def test_matrix_over_connections(streams, scene):
    with streams.phones(scene.__name__) as (caller, callee):
        scene(streams, caller, callee)
    streams.look_around()
    streams.look_at_the_disk()

    assert caller.received and callee.received
    assert streams.complaints() == ""


# What a careless implementation would do to what it sends to the side that must not hear of `hidden`.
PLANTS = {
    "P-Asserted-Identity": lambda data, hidden: add(data, f"P-Asserted-Identity: <tel:{hidden.written}>"),
    "Diversion": lambda data, hidden: add(data, f"Diversion: <sip:{hidden.diverter}@h>;reason=unknown"),
    "History-Info": lambda data, hidden: add(data, f"History-Info: <sip:{hidden.number}@h>;index=1"),
    "User-to-User": lambda data, hidden: add(data, f"User-to-User: 04{hidden.number.encode().hex().upper()}"),
    "Contact": lambda data, hidden: data.replace(b"Contact: <sip:", f"Contact: <sip:{hidden.number}@".encode()),
    "Call-ID": lambda data, hidden: data.replace(b"Call-ID: ", f"Call-ID: {hidden.word}".encode()),
    "display name": lambda data, hidden: data.replace(b"From: ", f'From: "{hidden.name}" '.encode()),
    "Via": lambda data, hidden: add(data, f"Via: SIP/2.0/UDP {hidden.host};branch=z9hG4bK1"),
    "Reason": lambda data, hidden: add(data, f'Reason: Q.850;cause=16;text="{hidden.name}"'),
    "Server": lambda data, hidden: add(data, f"Server: ip-{hidden.host.replace('.', '-')}"),
    "a hash": lambda data, hidden: add(data, f"X-Id: {hashlib.sha1(hidden.written.encode()).hexdigest()}"),
    "SDP o=": lambda data, hidden: data.replace(b"o=-", f"o={hidden.number}".encode()),
    "SDP c=": lambda data, hidden: data.replace(b"c=IN IP4 ", f"c=IN IP4 {hidden.media_host} ".encode()),
    "RTP": lambda data, hidden: data[:8] + hidden.ssrc.to_bytes(4) + data[12:],
    "RTCP": lambda data, hidden: data + bytes([0x81, 202, 0, 9, 1, len(hidden.word)]) + hidden.word.encode(),
}


def test_planted_leaks_are_found(exchange):
    with exchange.phones("planted") as (caller, callee):
        connect(caller, callee, exchange.to_the_callee())
        caller.speak(10)
        callee.speak(10)
        caller.bye()
        callee.await_heard("BYE")
    got = [("caller", CALLEE, exchange.to_caller), ("callee", CALLER, exchange.to_callee)]
    got = [(who, hidden, [data for _, data in all_of_it]) for who, hidden, all_of_it in got]
    assert exchange.complaints() == ""

    for name, plant in PLANTS.items():
        for who, hidden, clean in got:
            planted = [(name, plant(data, hidden)) for data in clean]
            getattr(exchange, f"to_{who}").extend(planted)
            assert f"the {who}, {name}" in exchange.complaints(), f"{name} to the {who} is not noticed"
    for hidden in (CALLER, CALLEE):
        exchange.told.append(("the name of a file", f"2026-11-25/{hidden.number}-1.wav".encode()))
        assert "the name of a file" in exchange.complaints()


def add(data, line):
    return data.replace(b"\r\n", f"\r\n{line}\r\n".encode(), 1)


def test_what_belongs_to_nothing(exchange):
    for party in (CALLER, CALLEE):
        at = f"sip:{party.written}@{party.host}"
        for data in (
            f"\x00\x01{party.number}\xff",
            f"INVITE {at} SIP/2.0\r\nVia: SIP/2.0/UDP {party.host};branch=z9hG4bK{party.word}\r\n\r\n",
            f"INVITE {at} SIP/2.0\r\nVia: {party.number}\r\nFrom: <{at}>\r\n\r\n",
            f"REGISTER {at} SIP/2.0\r\nVia: SIP/2.0/UDP {party.host};rport;branch=z9hG4bK{party.word}2\r\n"
            f"From: <{at}>;tag={party.word}\r\nTo: <{at}>\r\nCall-ID: {party.word}\r\nCSeq: 1 REGISTER\r\n"
            "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
            f"SIP/2.0 200 {party.name}\r\nVia: SIP/2.0/UDP {party.host};branch=z9hG4bK{party.word}\r\n"
            f"From: <{at}>;tag=1\r\nTo: <{at}>;tag=2\r\nCall-ID: {party.word}\r\nCSeq: 1 INVITE\r\n\r\n",
        ):
            for host in (NOBODY_HOST, party.host):
                exchange.stray(data.encode(), host)
    # What comes later has been read later.
    with exchange.phones("after strays") as (caller, callee):
        connect(caller, callee, exchange.to_the_callee())
        # Nor does what strangers say in the call of others, with every id right.
        for phone in (caller, callee):
            for method in ("OPTIONS", "INFO", "UPDATE", "INVITE", "BYE"):
                body = phone.sdp() if method in ("UPDATE", "INVITE") else None
                text = forged(phone, method, body)
                with Place(NOBODY_HOST, exchange.switch) as stranger:
                    stranger.say(text)
                    assert stranger.status() == 403, method
        exchange.look_around()
        caller.bye()
        callee.await_heard("BYE")

    assert exchange.complaints() == ""


def test_errors_of_the_customers_interface_repeat_no_number(exchange):
    x = exchange.to_the_callee()
    for answer in (
        exchange.axn.bind_axn(CALLER.number + "a"),
        exchange.axn.bind_axn("+86-" + CALLER.number),
        exchange.axn.bind_axn(CALLER.number, PhoneNoX=x),
        exchange.axn.bind_axn(CALLER.number, PhoneNoB=CALLER.number),
        exchange.axn.bind_axn(CALLER.number, PhoneNoX=CALLEE.number),
        exchange.axb.bind_axb(CALLER.number, CALLEE.number + "1"),
        exchange.axn.unbind("1", CALLER.number),
    ):
        assert answer.code != "OK", str(answer)
        exchange.told.append(("an error", answer.body))

    assert exchange.complaints() == ""


def test_nothing_is_told_to_the_operator_unasked(exchange):
    """Runs last: the log and the disk after all calls, and after a kill in the middle of one."""
    exchange.look_around()
    with exchange.phones("killed") as (caller, callee):
        connect(caller, callee, exchange.to_the_callee(IsRecordingEnabled="true"))
        callee.speak(10)
        exchange.look_around()
        exchange.service.restart()
    exchange.look_around()
    exchange.service.terminate()
    exchange.look_at_the_disk()

    told = dict(exchange.told)
    assert b"DEBUG" in told["the log"], "the log was as loud as it gets"
    assert b"a call has ended" in told["the log"]
    assert any(CALLER.number[:3].encode() in data for data in told.values()), "masked numbers are told"
    assert exchange.complaints() == ""


# Steps that scenes share


def connect(caller, callee, x):
    caller.dial(x)
    ring_and_answer(caller, callee)


def ring_and_answer(caller, callee):
    callee.await_heard("INVITE")
    callee.reply(180)
    caller.await_heard("180 INVITE")
    callee.reply(200, body="audio")
    caller.await_heard("200 INVITE")
    callee.await_heard("ACK")


def await_any_answer(phone, also=lambda: None, seconds=30):
    """Waits for a final response to an INVITE, whatever it is; `also` is done whenever there is time."""
    _await(phone, range(200, 700), also, seconds)


def await_refusal(phone, seconds=30):
    """Waits for it, but not for a prompt to end: a caller who hears why gives up."""
    _await(phone, range(300, 700), lambda: None, seconds, impatient=True)


def _await(phone, statuses, also, seconds, impatient=False):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            heard = phone.heard.get(timeout=0.2)
        except queue.Empty:
            also()
            continue
        status, _, method = heard.partition(" ")
        if method == "INVITE" and int(status) in statuses:
            return
        if impatient and heard == "183 INVITE":
            phone.cancel()
    raise AssertionError(f"no such answer came, only {phone.story}")
