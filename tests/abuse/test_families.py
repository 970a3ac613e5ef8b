"""Listeners on `[::]` take both families of addresses, and who comes by IPv4 counts as an IPv4 address
however the kernel writes it. On a host of the test's own, since `[::]` is every address of a host."""

import json
import socket

import pytest

from abuse.connections import ManyConnections, ask, split, wait_for
from calls.network import Network
from support.gateway import Gateway
from support.process import Maskline

EVERYWHERE = ["--api", "[::]:0", "--https", "[::]:0", "--admin", "[::]:0"]
LOOPBACKS = ["127.0.0.1", "::1"]
PER_ADDRESS = 4


@pytest.fixture(scope="module")
def host():
    with Network() as network:
        yield network.host("server", "10.78.0.1")


@pytest.fixture
def start(host, tmp_path):
    """Starts a service on every address of the host, with settings of the test's own."""
    services = []

    def begin(**variables):
        env = {f"MASKLINE_{name}": str(value) for name, value in variables.items()}
        services.append(Maskline(tmp_path / f"data-{len(services)}", args=EVERYWHERE, env=env))
        return services[-1].start()

    with host:
        yield begin
        for service in services:
            service.stop()


def at(service, port, address):
    """One of its ports at an address of the host."""
    _, number = split(service.ready[port])
    return f"[{address}]:{number}" if ":" in address else f"{address}:{number}"


@pytest.mark.parametrize("address", LOOPBACKS)
def test_both_families_are_served(start, address):
    service = start()
    assert all(split(service.ready[port])[0] == "::" for port in ("api", "https", "admin"))
    plain = service.gateway()
    for scheme, port in (("http", "api"), ("https", "https")):
        gateway = Gateway(
            f"{scheme}://{at(service, port, address)}", plain.key_id, plain.secret, plain.pool_key,
            ca_file=service.certificate(),
        )
        assert gateway.bind_axn().code == "OK"
    for path in ("/healthz", "/readyz", "/metrics"):
        assert ask(at(service, "admin", address), path, source=address)[0] == 200
    assert service.cli("status", "--server", at(service, "admin", address)).returncode == 0
    assert service.cli("status").returncode == 0, "it finds its own way to the service"


@pytest.mark.parametrize("address", LOOPBACKS)
def test_each_family_has_its_share_of_connections(start, address):
    """One address at its bound leaves the other its own, and is named as people write it."""
    service = start(API_CONNECTIONS_PER_ADDRESS_MAX=PER_ADDRESS)
    other = next(one for one in LOOPBACKS if one != address)
    with ManyConnections(at(service, "api", address), 20, source=address) as connections:
        connections.await_open(PER_ADDRESS)
        with ManyConnections(at(service, "api", other), PER_ADDRESS - 1, source=other) as others:
            assert others.open() == PER_ADDRESS - 1
            assert connections.open() == PER_ADDRESS
            assert ask(at(service, "api", other), source=other)[0] in (400, 404)
    log = service.await_log("connections were closed or refused at a bound")
    assert ("127.0.0.1" if address == "127.0.0.1" else "::/64") in log
    assert "ffff" not in log


def test_ipv4_addresses_have_bounds_of_their_own(start):
    """Mapped into IPv6 all of them would be one network."""
    service = start(API_CONNECTIONS_PER_ADDRESS_MAX=PER_ADDRESS)
    many = [ManyConnections(at(service, "api", "127.0.0.1"), 20, source=f"127.0.2.{n}") for n in range(1, 6)]
    try:
        wait_for(lambda: all(connections.open() == PER_ADDRESS for connections in many))
    finally:
        for connections in many:
            connections.__exit__()


@pytest.mark.parametrize(
    "listed, address, is_trusted",
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.0/8", "127.0.0.1", True),
        ("127.0.0.1", "::1", False),
        ("::1", "127.0.0.1", False),
        ("::1", "::1", True),
    ],
)
def test_a_trusted_proxy_is_known_by_its_own_family(start, listed, address, is_trusted):
    service = start(
        API_TRUSTED_PROXIES=listed, API_CONNECTIONS_PER_ADDRESS_MAX=PER_ADDRESS, API_BODY_TIMEOUT_S=60
    )
    api = at(service, "api", address)
    slow = (
        b"POST / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.7\r\n"
        b"Content-Length: 9\r\nExpect: 100-continue\r\n\r\n"
    )
    with ManyConnections(api, PER_ADDRESS, source=address, first=slow) as connections:
        for link in connections.sockets:
            link.settimeout(30)
            assert link.recv(100).startswith(b"HTTP/1.1 100 "), "its body is waited for, so it is busy"
        if not is_trusted:
            # They count for the address that they come from.
            assert not is_answered(api, address)
            return
        # The client has what it may have; another client has its own.
        assert ask(api, source=address, headers={"X-Forwarded-For": "192.0.2.7"})[0] == 503
        assert ask(api, source=address, headers={"X-Forwarded-For": "192.0.2.8"})[0] in (400, 404)


def is_answered(api, source):
    try:
        return ask(api, source=source)[0] in (400, 404)
    except (ConnectionError, socket.timeout):
        return False


@pytest.mark.parametrize("address, named", [("127.0.0.1", "127.0.0.1"), ("::1", "::1")])
def test_a_refused_token_names_the_address_as_people_write_it(start, address, named):
    service = start()
    assert ask(at(service, "admin", address), "/v1/status", source=address)[0] == 401
    wait_for(lambda: refusals(service))
    assert refusals(service) == [{"count": 1, "from": named}]


def refusals(service):
    """What the audit tells of requests without the right token."""
    lines = json.loads(service.cli("audit", "--json").stdout)["items"]
    return [json.loads(line["facts"]) for line in lines if line["deed"] == "token_refused"]
