"""Softphones over TLS, into us and out of us, with certificates of an authority of our own."""

import shutil
import signal
import socket
import ssl

import pytest

from calls.certificates import Authority
from calls.exchange import PHONE_HOST, Exchange
from calls.hearing import assert_hears, assert_silent
from calls.phone import Phone
from calls.addresses import free_port
from support.process import Maskline


@pytest.fixture
def deployment(tmp_path):
    """A service that speaks TLS too: the exchange, the authority, and where TLS listens."""
    authority = Authority(tmp_path)
    certificate, key, _ = authority.signed("deployment", PHONE_HOST)
    port = free_port(PHONE_HOST)
    settings = tmp_path / "settings.toml"
    settings.write_text(
        f"""
        [sip]
        tls = "{PHONE_HOST}:{port}"
        certificate = "{certificate}"
        private_key = "{key}"
        server_authorities = "{authority.certificate}"
        """
    )
    service = Maskline(tmp_path / "data", args=["--config", str(settings)])
    try:
        yield Exchange(service.start()), authority, port
    finally:
        service.stop()


@pytest.mark.parametrize("out", ["udp", "tls"])
def test_legs_over_tls_are_heard(deployment, scene, out):
    exchange, authority, port = deployment
    _, _, both = authority.signed("callee", PHONE_HOST)
    config = f"sip_certificate {both}\nsip_cafile {authority.certificate}"
    with (
        Phone(scene, "caller", exchange.party(), transport="tls", config=config, voice=1) as caller,
        Phone(scene, "callee", exchange.party(), transport=out, config=config, voice=2) as callee,
    ):
        lead_to(exchange, callee, out)
        x = exchange.axn(callee.number)
        caller.do("dial", uri=f"sip:{x}@{PHONE_HOST}:{port};transport=tls")
        incoming = callee.await_event("CALL_INCOMING")
        assert x in incoming["peer"] and caller.number not in str(incoming)
        callee.do("answer")
        caller.await_event("CALL_ESTABLISHED")
        callee.await_event("CALL_ESTABLISHED")
        assert_hears(caller, callee)
        assert_hears(callee, caller)
        callee.do("hangup")
        caller.await_event("CALL_CLOSED")
        assert exchange.record(x)["situation"] == "hung_up"
        assert "RX TLS" in caller.trace() and ("RX TLS" in callee.trace()) == (out == "tls")


def test_a_callee_whose_certificate_nobody_signed_is_not_called(deployment, scene):
    exchange, authority, port = deployment
    other = scene / "other"
    other.mkdir()
    _, _, both = Authority(other).signed("callee", PHONE_HOST)
    with (
        Phone(
            scene, "caller", exchange.party(), transport="tls", config=f"sip_cafile {authority.certificate}"
        ) as caller,
        Phone(
            scene, "callee", exchange.party(), transport="tls", config=f"sip_certificate {both}"
        ) as callee,
    ):
        lead_to(exchange, callee, "tls")
        x = exchange.axn(callee.number)
        caller.do("dial", uri=f"sip:{x}@{PHONE_HOST}:{port};transport=tls")
        caller.await_event("CALL_CLOSED", seconds=40)
        assert x not in callee.trace()
        assert exchange.record(x)["situation"] == "unreachable"


@pytest.mark.parametrize(
    "name, reached", [("callee.example", True), ("other.example", False), (None, False)]
)
def test_a_callee_is_known_by_the_name_in_its_certificate(deployment, scene, name, reached):
    exchange, authority, port = deployment
    # Of no address is anything said in it.
    _, _, both = authority.signed("callee.example")
    trusting = f"sip_cafile {authority.certificate}"
    callee_config = f"sip_certificate {both}\n{trusting}"
    with (
        Phone(scene, "caller", exchange.party(), transport="tls", config=trusting) as caller,
        Phone(scene, "callee", exchange.party(), transport="tls", config=callee_config) as callee,
    ):
        lead_to(exchange, callee, "tls", **({"tls_name": name} if name else {}))
        x = exchange.axn(callee.number)
        caller.do("dial", uri=f"sip:{x}@{PHONE_HOST}:{port};transport=tls")
        if reached:
            callee.await_event("CALL_INCOMING")
            callee.do("answer")
            caller.await_event("CALL_ESTABLISHED")
            callee.do("hangup")
        caller.await_event("CALL_CLOSED", seconds=40)
        assert (x in callee.trace()) == reached
        assert exchange.record(x)["situation"] == ("hung_up" if reached else "unreachable")


@pytest.mark.parametrize("out", ["udp", "tls"])
def test_hold_and_resume_cross_legs_over_tls(deployment, scene, out):
    exchange, authority, port = deployment
    _, _, both = authority.signed("callee", PHONE_HOST)
    config = f"sip_certificate {both}\nsip_cafile {authority.certificate}"
    with (
        Phone(scene, "caller", exchange.party(), transport="tls", config=config, voice=1) as caller,
        Phone(scene, "callee", exchange.party(), transport=out, config=config, voice=2) as callee,
    ):
        lead_to(exchange, callee, out)
        x = exchange.axn(callee.number)
        caller.do("dial", uri=f"sip:{x}@{PHONE_HOST}:{port};transport=tls")
        callee.await_event("CALL_INCOMING")
        callee.do("answer")
        caller.await_event("CALL_ESTABLISHED")
        callee.await_event("CALL_ESTABLISHED")
        assert_hears(callee, caller)
        for holder, held in ((caller, callee), (callee, caller)):
            holder.do("hold")
            held.await_event("CALL_HOLD")
            assert_silent(caller)
            assert_silent(callee)
            holder.do("resume")
            held.await_event("CALL_RESUME")
            assert_hears(held, holder)
            assert_hears(holder, held)
        caller.do("hangup")
        callee.await_event("CALL_CLOSED")
        assert exchange.record(x)["situation"] == "hung_up"


@pytest.fixture
def renewable(tmp_path):
    """A service that asks peers for certificates too, the names of its files, and two authorities."""
    ours, other = (Authority(directory(tmp_path, name)) for name in ("ours", "other"))
    files = directory(tmp_path, "files")
    certificate, key, clients = (files / name for name in ("own.pem", "own.key", "clients.pem"))
    renew(ours, certificate, key)
    shutil.copy(ours.certificate, clients)
    port = free_port(PHONE_HOST)
    settings = tmp_path / "settings.toml"
    settings.write_text(
        f"""
        [sip]
        tls = "{PHONE_HOST}:{port}"
        certificate = "{certificate}"
        private_key = "{key}"
        client_authorities = "{clients}"
        """
    )
    service = Maskline(tmp_path / "data", args=["--config", str(settings)])
    try:
        exchange = Exchange(service.start())
        exchange.carrier(host=PHONE_HOST)
        yield exchange, (ours, other), (certificate, key, clients), port
    finally:
        service.stop()


def test_renewed_files_are_taken_at_a_reload_and_bad_ones_are_not(renewable):
    exchange, (ours, other), (certificate, key, clients), port = renewable
    service = exchange.service
    first, shown_first = connect(port, ours, ours)
    assert is_answered(first)

    renew(ours, certificate, key)
    reload(service, "settings read again")
    second, shown_second = connect(port, ours, ours)
    assert shown_second != shown_first
    assert is_answered(second)

    # Half of a renewal: a certificate that the key does not fit, a key that is gone, no authority.
    good = {file: file.read_bytes() for file in (certificate, key, clients)}
    strange, _, _ = other.signed("deployment", PHONE_HOST)
    for setting, file, text in [
        ("sip.certificate", certificate, strange.read_bytes()),
        ("sip.certificate", certificate, b"nonsense"),
        ("sip.private_key", key, None),
        ("sip.client_authorities", clients, b"nonsense"),
    ]:
        file.unlink()
        if text is not None:
            file.write_bytes(text)
        reload(service, f"{setting}: ")
        link, shown = connect(port, ours, ours)
        assert shown == shown_second and is_answered(link), setting
        link.close()
        file.write_bytes(good[file])

    # Peers of another authority from now on; the connection that stands does not notice.
    shutil.copy(other.certificate, clients)
    reload(service, "settings read again")
    link, _ = connect(port, ours, other)
    assert is_answered(link)
    assert not is_taken(port, ours, ours)
    assert is_answered(first)


def directory(parent, name):
    path = parent / name
    path.mkdir()
    return path


def renew(authority, certificate, key):
    """Puts a new pair of this authority where the service reads it."""
    fresh, its_key, _ = authority.signed("deployment", PHONE_HOST)
    shutil.copy(fresh, certificate)
    shutil.copy(its_key, key)


def connect(port, believed, signed_by):
    """A connection as a peer of `signed_by`; and the certificate that the service showed."""
    certificate, key, _ = signed_by.signed("peer", PHONE_HOST)
    context = ssl.create_default_context(cafile=believed.certificate)
    context.load_cert_chain(certificate, key)
    plain = socket.create_connection((PHONE_HOST, port), timeout=10)
    link = context.wrap_socket(plain, server_hostname=PHONE_HOST)
    return link, link.getpeercert(binary_form=True)


def is_answered(link):
    """Whether the other side answers a keep-alive (RFC 5626 section 3.5.1)."""
    link.sendall(b"\r\n\r\n")
    return link.recv(16) == b"\r\n"


def is_taken(port, believed, signed_by):
    """Whether such a peer is; in TLS 1.3 it learns of a refusal when it reads."""
    try:
        link, _ = connect(port, believed, signed_by)
        return is_answered(link)
    except (ssl.SSLError, ConnectionError):
        return False


def reload(service, told):
    before = service.log_path.stat().st_size
    service.process.send_signal(signal.SIGHUP)
    service.await_log(told, after=before)


def lead_to(exchange, callee, transport, **fields):
    # A softphone takes TLS on the port after its own.
    port = callee.port + 1 if transport == "tls" else callee.port
    exchange.trunk("carrier", f"{PHONE_HOST}:{port}", transport=transport, **fields)
