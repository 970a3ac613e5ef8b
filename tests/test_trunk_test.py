"""`maskline trunk test`: what comes back from a peer that answers, refuses, is silent or is not there."""

import json
import re
import socket
import ssl
import threading

import pytest

from calls.certificates import Authority
from support.process import Maskline


class Peer:
    """A peer over UDP that answers each OPTIONS with this line; none for silence."""

    def __init__(self, line):
        self.line, self.heard = line, []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                text, source = self.socket.recvfrom(65_535)
            except OSError:
                return
            self.heard.append(text.decode())
            if self.line is None:
                continue
            kept = re.findall(r"^(?:Via|From|To|Call-ID|CSeq):.*$", text.decode().replace("\r", ""), re.M)
            answer = [f"SIP/2.0 {self.line}", *kept, "Content-Length: 0", "", ""]
            self.socket.sendto("\r\n".join(answer).encode(), source)

    def close(self):
        self.socket.close()


def trunk(service, name, peer, *more):
    service.cli("trunk", "add", name, "--peer", peer, *more)
    # The switch hears of it in its own time; a test that comes before is told so.
    for _ in range(600):
        done = service.cli("trunk", "test", name, check=False)
        if "being tested already" not in done.stderr:
            return done
    raise AssertionError(done.stderr)


@pytest.mark.parametrize("line, told", [("200 OK", "200 OK"), ("404 Not Found", "404 Not Found"), ("503 Full", "503")])
def test_answer_of_a_peer_is_told_with_its_status_and_time(shared, line, told):
    peer = Peer(line)
    name = "answers-" + line[:3]
    done = trunk(shared, name, peer.address)
    assert done.returncode == 0, done.stderr
    assert f"trunk {name} answered from" in done.stdout and told in done.stdout
    assert re.search(r"after \d+ ms", done.stdout)
    assert peer.heard[-1].startswith("OPTIONS sip:")
    shown = json.loads(shared.cli("trunk", "test", name, "--json").stdout)
    assert shown["answered"] is True and shown["status"] == int(line[:3])
    peer.close()


def test_peer_that_refuses_connections_is_told_by_its_error(shared):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        address = "127.0.0.1:%d" % gone.getsockname()[1]
    done = trunk(shared, "refuses", address, "--transport", "tcp")
    assert done.returncode == 1
    assert "refused" in done.stderr.lower(), done.stderr


def test_certificate_of_another_authority_is_told_by_its_error(tmp_path):
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
    ours, theirs = Authority(tmp_path / "ours"), Authority(tmp_path / "theirs")
    chain, key, _ = theirs.signed("peer", "127.0.0.1")
    settings = tmp_path / "m.toml"
    settings.write_text(f'[sip]\nserver_authorities = "{ours.certificate}"\n')
    service = Maskline(tmp_path / "data", args=["--config", str(settings)]).start()
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, key)
        listener = socket.create_server(("127.0.0.1", 0))

        def greet():
            while True:
                try:
                    link, _ = listener.accept()
                    with link, context.wrap_socket(link, server_side=True) as tls:
                        tls.recv(1)
                except ssl.SSLError:
                    continue
                except OSError:
                    return

        threading.Thread(target=greet, daemon=True).start()
        address = "127.0.0.1:%d" % listener.getsockname()[1]
        done = trunk(service, "foreign", address, "--transport", "tls")
        assert done.returncode == 1
        assert "certificate" in done.stderr.lower(), done.stderr
        listener.close()
    finally:
        service.stop()


def test_silent_peer_is_told_after_a_while(shared):
    peer = Peer(None)
    done = trunk(shared, "silent", peer.address)
    assert done.returncode == 1 and "no answer" in done.stderr, done.stderr
    assert len(peer.heard) > 1, "it was asked again"
    peer.close()


def test_trunk_that_is_disabled_or_not_there_is_told_so(shared):
    shared.cli("trunk", "add", "off", "--peer", "192.0.2.9:5060", "--enabled", "false")
    for name, told in [("off", "is disabled"), ("nobody", "no such trunk")]:
        done = shared.cli("trunk", "test", name, check=False)
        assert done.returncode == 1 and told in done.stderr, done.stderr
