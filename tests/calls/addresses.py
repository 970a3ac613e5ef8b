"""Addresses for peers: one loopback address a peer, ports that are free."""

import random
import socket
import time

# Below the ports that a kernel gives to sockets that name none, and below those of the service's media: a port that
# was found free here is taken by nobody else before its peer binds it.
PORTS = range(10_000, 16_000)
KINDS = (socket.SOCK_DGRAM, socket.SOCK_STREAM)

_next_place = random.randrange(len(PORTS))


def free_port(host, pair=False):
    """A port that is free over UDP and TCP, each one of this run but once; with `pair`, the next one too."""
    for _ in PORTS:
        port = _next_port(2 if pair else 1)
        wanted = [port, port + 1] if pair else [port]
        if all(_is_free(host, one, kind) for one in wanted for kind in KINDS):
            return port
    raise AssertionError(f"{host} has no free port in {PORTS}")


def _next_port(count):
    """The next port in line, with `count - 1` more behind it."""
    global _next_place
    if _next_place + count > len(PORTS):
        _next_place = 0
    port = PORTS[_next_place]
    _next_place += count
    return port


def _is_free(host, port, kind):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:
            # What an ended connection left behind does not hinder a server.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def has_ipv6():
    """Whether this machine has a loopback address of IPv6."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def await_listening(host, port, transport="udp", seconds=20, process=None):
    """Waits until somebody listens there; at once an error if `process`, who was to listen, has ended.

    It reads the kernel's tables. A probe that binds the port would take it from who is about to.
    """
    deadline = time.monotonic() + seconds
    while not is_bound(host, port, transport):
        assert process is None or process.poll() is None, f"who was to listen on {host}:{port} has ended"
        assert time.monotonic() < deadline, f"nobody listens on {host}:{port}/{transport}"
        time.sleep(0.01)


TCP_LISTEN = "0A"


def is_bound(host, port, transport):
    """Whether a UDP socket is bound there, or a TCP socket listens there (IPv4; any address counts)."""
    kind = "udp" if transport == "udp" else "tcp"
    wanted = {f"{one:08X}:{port:04X}" for one in (0, int.from_bytes(socket.inet_aton(host), "little"))}
    with open(f"/proc/self/net/{kind}") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return any(row[1] in wanted and (kind == "udp" or row[3] == TCP_LISTEN) for row in rows)
