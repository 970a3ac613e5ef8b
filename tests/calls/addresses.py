"""Addresses for peers: one loopback address a peer, ports that are free."""

import socket
import time


def free_port(host, pair=False):
    """A port that was free just now over UDP and TCP; with `pair`, the next one too."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
            port = probe.getsockname()[1]
        wanted = [port, port + 1] if pair else [port]
        if all(_is_free(host, one, kind) for one in wanted for kind in KINDS):
            return port


KINDS = (socket.SOCK_DGRAM, socket.SOCK_STREAM)


def _is_free(host, port, kind):
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind((host, port))
        except (OSError, OverflowError):
            return False
        return True


def await_listening(host, port, transport="udp", seconds=10):
    """Waits until somebody listens there, without sending anything."""
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    deadline = time.monotonic() + seconds
    while _is_free(host, port, kind):
        assert time.monotonic() < deadline, f"nobody listens on {host}:{port}/{transport}"
        time.sleep(0.01)
