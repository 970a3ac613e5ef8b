"""One address, or one customer, cannot take what all share: connections, the health of the service, the
time that a body may take, the place behind a balancer."""

import socket

import pytest

from abuse.connections import Haproxy, ManyConnections, ask, metric, need_descriptors, split, wait_for
from support.process import Maskline

#: Whatever the API answers to a request without parameters, it answers.
ANSWERED = (400, 404)


@pytest.fixture
def start(tmp_path):
    """Starts a service with settings of the test's own."""
    services = []

    def begin(**variables):
        env = {f"MASKLINE_{name}": str(value) for name, value in variables.items()}
        service = Maskline(tmp_path / f"data-{len(services)}", env=env)
        services.append(service)
        return service.start()

    yield begin
    for service in services:
        service.stop()


def test_ten_thousand_idle_connections_of_one_address_do_not_stop_the_api(start):
    """With the defaults; half-sent heads count as idle too."""
    count = 10_000
    need_descriptors(count + 200)
    service = start()
    api, admin = service.ready["api"], service.ready["admin"]
    with ManyConnections(api, count // 2), ManyConnections(api, count // 2, first=b"GET /?a HTTP/1.1\r\nHo") as connections:
        assert service.gateway().bind_axn().code == "OK", "the same address"
        assert ask(api, source="127.0.0.2")[0] in ANSWERED
        assert connections.await_open(1_000) >= 900
        assert metric(admin, "maskline_api_connections") <= 1_001
        assert metric(admin, "maskline_api_connections_closed_idle_total") >= count - 1_001
        # What is told there is looked up now and then.
        wait_for(lambda: "1000 of one address" in ask(admin, "/readyz")[1])
        status, ready = ask(admin, "/readyz")
        assert status == 200, "an attacker cannot make it unready"
        assert "127.0.0.1" not in ready, "no token was asked"
        log = service.await_log("connections were closed or refused at a bound")
        assert "127.0.0.1" in log
        assert log.count("connections were closed or refused at a bound") < 20


def test_idle_connections_of_many_addresses_make_room_at_the_bound_in_all(start):
    service = start(API_CONNECTIONS_MAX=40, API_CONNECTIONS_PER_ADDRESS_MAX=10)
    api = service.ready["api"]
    many = [ManyConnections(api, 10, source=f"127.0.1.{host}") for host in range(1, 9)]
    try:
        assert service.gateway().bind_axn().code == "OK"
        assert sum(connections.open() for connections in many) <= 40
    finally:
        for connections in many:
            connections.__exit__()


@pytest.mark.parametrize("first", [b"", b"GET /healthz HTTP/1.1\r\nHo"])
def test_idle_connections_do_not_hold_up_health(start, first):
    service = start()
    admin = service.ready["admin"]
    with ManyConnections(admin, 300, first=first), ManyConnections(admin, 300, source="127.0.0.3", first=first):
        for path in ("/healthz", "/readyz", "/metrics"):
            # Far below the half minute after which silence ends a connection.
            assert ask(admin, path, seconds=20)[0] == 200
        assert service.cli("status").returncode == 0


def test_bodies_that_do_not_come_do_not_hold_up_health(start):
    service = start(ADMIN_BODY_TIMEOUT_S=1)
    admin = service.ready["admin"]
    token = service.credentials()["admin_token"]
    head = (
        "POST /v1/apply HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: 1000\r\n\r\n{{"
    )
    with ManyConnections(admin, 50, first=head.encode()) as connections:
        assert ask(admin, "/healthz")[0] == 200
        answers = []
        for link in connections.sockets:
            link.settimeout(30)
            answers.append(link.recv(65_536).split(b"\r\n")[0])
        assert set(answers) == {b"HTTP/1.1 408 Request Timeout"}


# Behind a balancer


def silent_clients(proxy, count):
    """One connection of each of `count` addresses, each of which was answered once and stays open."""
    request = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    sockets = []
    for index in range(count):
        source = f"127.{1 + index // 62_500}.{index // 250 % 250}.{1 + index % 250}"
        link = socket.create_connection(split(proxy.address), timeout=60, source_address=(source, 0))
        link.sendall(request)
        sockets.append(link)
    for link in sockets:
        assert link.recv(65_536).startswith(b"HTTP/1.1 4"), "a client was not answered"
    return sockets


def test_five_thousand_clients_behind_haproxy_are_counted_apart(start, tmp_path):
    """With the PROXY protocol each may have its connection, though all come from one address."""
    count = 5_000
    # Of HAProxy, which has two of each client; this process has one.
    need_descriptors(16_000)
    service = start(
        API_TRUSTED_PROXIES="127.0.0.1",
        API_PROXY_PROTOCOL="true",
        API_CONNECTIONS_PER_ADDRESS_MAX=2,
    )
    admin = service.ready["admin"]
    with Haproxy(tmp_path, service.ready["api"], "send-proxy-v2") as proxy:
        sockets = silent_clients(proxy, count)
        assert metric(admin, "maskline_api_connections") >= count
        assert metric(admin, "maskline_api_connections_closed_idle_total") == 0
        # One of them that wants more has two.
        with ManyConnections(proxy.address, 10, source="127.9.9.9", first=b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"):
            status, ready = ask(admin, "/readyz")
            assert status == 200
        for link in sockets:
            link.close()
    # Nobody but the proxy is listened to, and the proxy must say who asks.
    assert ask(service.ready["api"], source="127.0.0.2")[0] in ANSWERED


@pytest.mark.parametrize("version", ["send-proxy", "send-proxy-v2"])
def test_a_bind_goes_through_haproxy(start, tmp_path, version):
    service = start(API_TRUSTED_PROXIES="127.0.0.0/8", API_PROXY_PROTOCOL="true")
    with Haproxy(tmp_path, service.ready["api"], version) as proxy:
        gateway = service.gateway()
        through = type(gateway)(
            f"http://{proxy.address}", gateway.key_id, gateway.secret, gateway.pool_key
        )
        assert through.bind_axn().code == "OK"


def test_clients_behind_a_proxy_are_told_apart_by_x_forwarded_for(start, tmp_path):
    service = start(
        API_TRUSTED_PROXIES="127.0.0.1",
        API_CONNECTIONS_PER_ADDRESS_MAX=2,
        API_BODY_TIMEOUT_S=60,
    )
    with Haproxy(tmp_path, service.ready["api"], front_options=["option forwardfor"]) as proxy:
        # A body that does not come holds a request for a while.
        slow = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\na"
        with ManyConnections(proxy.address, 2, source="127.8.0.1", first=slow):
            wait_for(lambda: metric(service.ready["admin"], "maskline_api_connections") >= 2)
            wait_for(lambda: ask(proxy.address, source="127.8.0.1")[0] == 503)
            for host in range(2, 40):
                assert ask(proxy.address, source=f"127.8.0.{host}")[0] in ANSWERED
            # What the client says of itself stands in front of what the proxy saw.
            forged = {"X-Forwarded-For": "127.8.0.77"}
            assert ask(proxy.address, source="127.8.0.1", headers=forged)[0] == 503
