"""Many connections of few addresses, and HAProxy in front: what the tests of bounds are made of."""

import http.client
import resource
import shutil
import socket
import subprocess
import time

import pytest

from calls.addresses import free_port
from support.process import STOP_S


def need_descriptors(wanted):
    """Lets this process open `wanted` files, and with it the services that it starts; where the machine allows
    fewer the test is skipped, since with fewer connections it would show nothing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"{wanted} open files are needed and {hard} allowed: ulimit -Hn")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def split(address):
    host, port = address.rsplit(":", 1)
    return host.strip("[]"), int(port)


class ManyConnections:
    """Connections that were opened and say nothing more than `first`."""

    def __init__(self, to, count, source="127.0.0.1", first=b""):
        self.sockets = []
        for _ in range(count):
            link = socket.create_connection(split(to), timeout=30, source_address=(source, 0))
            link.sendall(first)
            self.sockets.append(link)

    def open(self):
        """How many of them the other side has not closed."""
        count = 0
        for link in self.sockets:
            link.setblocking(False)
            try:
                count += link.recv(1, socket.MSG_PEEK) != b""
            except BlockingIOError:
                count += 1
            except ConnectionError:
                pass
        return count

    def await_open(self, count, seconds=30):
        """Waits until no more than `count` of them are open; how many are."""
        wait_for(lambda: self.open() <= count, seconds)
        return self.open()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for link in self.sockets:
            link.close()


def ask(address, path="/", source="127.0.0.1", headers=None, seconds=20):
    """The status and the body of one GET on a connection of its own."""
    link = http.client.HTTPConnection(*split(address), timeout=seconds, source_address=(source, 0))
    try:
        link.request("GET", path, headers=headers or {})
        answer = link.getresponse()
        return answer.status, answer.read().decode()
    finally:
        link.close()


def wait_for(holds, seconds=30):
    """Waits until `holds()` does."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.05)


# For how long a page of metrics is given again.
METRICS_KEPT_S = 1


def metric_now(address, name):
    """The value of a metric as it is from now on, on no page that was written before."""
    time.sleep(METRICS_KEPT_S * 1.1)
    return metric(address, name)


def metric(address, name):
    """The value of a metric without labels, as it was a second ago at most."""
    _, text = ask(address, "/metrics")
    found = [line for line in text.splitlines() if line.startswith(f"{name} ")]
    assert found, f"{name} is missing"
    return float(found[0].split()[1])


class Haproxy:
    """HAProxy on a port of its own in front of one server."""

    def __init__(self, home, backend, server_options="", front_options=()):
        self.port = free_port("0.0.0.0")
        self.address = f"127.0.0.1:{self.port}"
        options = "\n".join(f"  {option}" for option in front_options)
        self.file = home / "haproxy.cfg"
        self.file.write_text(
            f"""
global
  maxconn 6000
defaults
  mode http
  timeout connect 30s
  timeout client 120s
  timeout server 120s
frontend front
  bind 0.0.0.0:{self.port}
  maxconn 6000
{options}
  default_backend back
backend back
  http-reuse never
  server one {backend} {server_options}
"""
        )
        self.process = None

    def __enter__(self):
        program = shutil.which("haproxy") or "/usr/sbin/haproxy"
        self.process = subprocess.Popen(
            [program, "-db", "-f", str(self.file)], stdin=subprocess.DEVNULL, start_new_session=True
        )
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
                return self
            except OSError:
                assert self.process.poll() is None, "HAProxy did not start"
                assert time.monotonic() < deadline, "HAProxy does not listen"
                time.sleep(0.05)

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
