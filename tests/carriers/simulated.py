"""A simulated carrier as a process of its own: steered, killed, and started again with less than it had."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading

from calls.addresses import await_listening, free_port
from carriers import book, protocol
from carriers.adapters import HOST, SECRET
from support.process import REPOSITORY, clean_environment

READY_S = 60


class SimulatedCarrier:
    def __init__(self, home, name="carrier", seed=1, **faults):
        self.name, self.secret, self.seed = name, SECRET, seed
        self.port, self.control_port = free_port(HOST), free_port(HOST)
        self.journal = home / f"{name}.journal"
        self.log_path = home / f"{name}.log"
        self.faults = faults
        self.process = None
        self.starts = 0
        self.lock = threading.RLock()

    @property
    def url(self):
        return f"http://{HOST}:{self.port}/provision"

    def client(self, timeout=20):
        return protocol.Client(self.url, self.secret, timeout)

    # Life

    def start(self, lose_last=0, lose_share=0):
        with self.lock:
            assert self.process is None, "already running"
            self.starts += 1
            command = [
                sys.executable, REPOSITORY / "tests/carriers/simulator.py", "--listen", f"{HOST}:{self.port}",
                "--control", f"{HOST}:{self.control_port}", "--journal", self.journal, "--secret", self.secret,
                # Another seed for each life, else a request that it dies of would kill it again.
                "--seed", f"{self.seed}/{self.starts}", "--faults", json.dumps(self.faults),
                "--lose-last", lose_last, "--lose-share", lose_share,
            ]  # fmt: skip
            with open(self.log_path, "ab") as log:
                self.process = subprocess.Popen(
                    [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    env=clean_environment(), start_new_session=True,
                )  # fmt: skip
            self._await_ports()
        return self

    def _await_ports(self):
        """Until it listens, or has died of the first request, as its faults may want it."""
        ports = [self.control_port] if self.faults.get("outage") else [self.control_port, self.port]
        try:
            for port in ports:
                await_listening(HOST, port, "tcp", READY_S, self.process)
        except AssertionError:
            if self.process.poll() is None or not self.faults.get("die"):
                raise

    @property
    def alive(self):
        with self.lock:
            return self.process is not None and self.process.poll() is None

    def kill(self):
        with self.lock:
            if self.process is not None:
                self.process.send_signal(signal.SIGKILL)
                self.process.wait()
            self.process = None

    close = kill

    def restart(self, **less):
        with self.lock:
            self.kill()
            return self.start(**less)

    # Steering

    def set(self, **faults):
        """What goes wrong from now on, also behind a start; nothing by default."""
        with self.lock:
            self.faults = faults
            if not self.alive:
                return
            try:
                self._ask("POST", "/faults", faults)
            except (OSError, http.client.HTTPException):
                # It has died of what it had before; it starts with these.
                self.process.wait(READY_S)

    def held(self):
        """{(x, subs_id): holding with its terms}."""
        return {(one["x"], one["subs_id"]): one for one in self._ask("GET", "/held")}

    def seen(self):
        """(how often what happened in this life, what was against the protocol)."""
        told = self._ask("GET", "/counts")
        return told["counts"], told["violations"]

    def _ask(self, method, path, body=None):
        link = http.client.HTTPConnection(HOST, self.control_port, timeout=READY_S)
        try:
            link.request(method, path, json.dumps(body).encode())
            answer = link.getresponse()
            told = json.loads(answer.read())
            assert answer.status == 200, told
            return told
        finally:
            link.close()

    def history(self):
        return list(book.read_entries(self.journal)) if os.path.exists(self.journal) else []
