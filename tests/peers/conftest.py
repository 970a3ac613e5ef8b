"""One service for the phones of other makers, which takes all transports; and an authority for TLS."""

import pytest

from calls.addresses import free_port
from calls.certificates import Authority
from calls.exchange import PHONE_HOST, Exchange, place
from support.process import Maskline


class Deployment:
    """The exchange, where it takes TLS, and who signs the certificates of its phones."""

    def __init__(self, service, authority, tls_port):
        self.exchange = Exchange(service, numbers=400)
        self.authority = authority
        self.tls_port = tls_port

    def uri(self, x, transport):
        if transport == "tls":
            return f"sip:{x}@{PHONE_HOST}:{self.tls_port};transport=tls"
        return f"sip:{x}@{self.exchange.sip}" + (f";transport={transport}" if transport != "udp" else "")


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    home = tmp_path_factory.mktemp("peers")
    authority = Authority(home)
    certificate, key, _ = authority.signed("deployment", PHONE_HOST)
    port = free_port(PHONE_HOST)
    settings = home / "settings.toml"
    settings.write_text(
        f"""
        [sip]
        tls = "{PHONE_HOST}:{port}"
        certificate = "{certificate}"
        private_key = "{key}"
        server_authorities = "{authority.certificate}"
        """
    )
    service = Maskline(home / "data", args=["--config", str(settings)])
    try:
        yield Deployment(service.start(), authority, port)
    finally:
        service.stop()


@pytest.fixture
def scene(tmp_path):
    """A directory for the traces of one scene."""
    return place(tmp_path)
