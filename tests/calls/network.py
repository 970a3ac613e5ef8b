"""Hosts of a test's own: network namespaces on a bridge, and a box that translates addresses.

    with Network() as network:
        server = network.host("server", "10.77.0.1")
        phone = network.behind_nat("phone", "192.168.77.2", outside="10.77.0.2")
        with server: ...                  # sockets and processes made here are the server's

Namespaces need root; where they cannot be made, the tests that need them are skipped.
"""

import contextlib
import ctypes
import itertools
import os
import subprocess
import threading

import pytest

from calls.exchange import Exchange
from support.process import Maskline

# Where everybody is in a network of phones: on the bridge, and behind the box.
SERVER, OUTSIDE, CALLEE, INTRUDER, INSIDE = "10.77.0.1", "10.77.0.2", "10.77.0.3", "10.77.0.4", "192.168.77.2"
CLONE_NEWNET = 0x4000_0000
_libc = ctypes.CDLL(None, use_errno=True)
_networks = itertools.count(1)


def ip(*words):
    subprocess.run(["ip", *map(str, words)], check=True, capture_output=True, text=True)


class Host:
    """A namespace; as a context, the calling thread is on it, and so are its children."""

    def __init__(self, namespace, address, box=None):
        self.namespace, self.address, self.box = namespace, address, box
        self.homes = threading.local()

    def __enter__(self):
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self.homes.stack = [*getattr(self.homes, "stack", []), home]
        there = os.open(f"/run/netns/{self.namespace}", os.O_RDONLY)
        _enter(there)
        os.close(there)
        return self

    def __exit__(self, *_):
        home = self.homes.stack.pop()
        _enter(home)
        os.close(home)

    def run(self, *command):
        return subprocess.run(
            ["ip", "netns", "exec", self.namespace, *map(str, command)], check=True, capture_output=True, text=True
        )

    def unplug(self):
        """Pulls the cable."""
        ip("-n", self.namespace, "link", "set", "up0", "down")

    def rebind(self):
        """The box forgets its mappings, as it does when its line was away for a moment: what comes from behind it
        comes from other ports, and what is sent to those of before is lost."""
        ip("-n", self.box.namespace, "link", "set", "up0", "down")
        ip("-n", self.box.namespace, "link", "set", "up0", "up")


def _enter(descriptor):
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "cannot change the network namespace")


class Network:
    """A bridge in a namespace of its own, with the hosts that were plugged in. Gone at the end."""

    def __init__(self):
        self.tag = f"ml{os.getpid() % 100_000}x{next(_networks)}"
        self.namespaces = []

    def __enter__(self):
        try:
            self.hub = self._namespace("hub")
        except (OSError, subprocess.CalledProcessError) as error:
            told = getattr(error, "stderr", "") or error
            pytest.skip(f"no network namespaces here (they need root): {told}")
        ip("-n", self.hub, "link", "add", "br0", "type", "bridge")
        ip("-n", self.hub, "link", "set", "br0", "up")
        return self

    def __exit__(self, *_):
        # A veth goes with either of its ends.
        for namespace in reversed(self.namespaces):
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True)

    def _namespace(self, name):
        namespace = f"{self.tag}-{name}"
        ip("netns", "add", namespace)
        self.namespaces.append(namespace)
        ip("-n", namespace, "link", "set", "lo", "up")
        return namespace

    def _plug(self, one, one_name, other, other_name):
        ip("-n", one, "link", "add", one_name, "type", "veth", "peer", "name", other_name, "netns", other)
        ip("-n", one, "link", "set", one_name, "up")
        ip("-n", other, "link", "set", other_name, "up")

    def host(self, name, address):
        """A host on the bridge."""
        namespace = self._namespace(name)
        port = f"p{len(self.namespaces)}"
        self._plug(namespace, "up0", self.hub, port)
        ip("-n", self.hub, "link", "set", port, "master", "br0")
        ip("-n", namespace, "addr", "add", f"{address}/24", "dev", "up0")
        return Host(namespace, address)

    def behind_nat(self, name, address, outside):
        """A host behind a box that is seen from outside as `outside`, with ports of the box's choice."""
        box = self.host(f"{name}-box", outside)
        namespace = self._namespace(name)
        self._plug(namespace, "up0", box.namespace, "down0")
        gateway = address.rpartition(".")[0] + ".1"
        ip("-n", box.namespace, "addr", "add", f"{gateway}/24", "dev", "down0")
        ip("-n", namespace, "addr", "add", f"{address}/24", "dev", "up0")
        ip("-n", namespace, "route", "add", "default", "via", gateway)
        box.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        box.run("iptables", "-t", "nat", "-A", "POSTROUTING", "-o", "up0", "-j", "MASQUERADE", "--random")
        # Nothing comes in that was not asked for.
        box.run("iptables", "-A", "FORWARD", "-i", "up0", "-m", "conntrack", "--ctstate", "NEW", "-j", "DROP")
        return Host(namespace, address, box)


@contextlib.contextmanager
def served(network, home, settings=""):
    """Maskline on a host of its own, reached at SERVER; its customer and operator live there too."""
    path = home / "settings.toml"
    path.write_text(f'[rtp]\nbind = "{SERVER}"\n{settings}')
    host = network.host("server", SERVER)
    with host:
        service = Maskline(home / "data", args=["--config", str(path), "--sip", f"{SERVER}:5060"]).start()
        try:
            yield host, Exchange(service)
        finally:
            service.stop()
