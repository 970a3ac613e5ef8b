"""A small supervisor that does as `packaging/maskline.service` says, where no systemd is at hand.

It reads Restart, RestartSec, RestartPreventExitStatus, StartLimitIntervalSec, Type and WatchdogSec from the
unit, so that a test of it is a test of the unit: what the unit does not say is not done here either.
"""

import os
import queue
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from support.process import REPOSITORY, binary, clean_environment

UNIT = REPOSITORY / "packaging" / "maskline.service"
PATIENCE_S = 60


def unit():
    """The unit as (section, key) to its values, in order."""
    section, said = "", {}
    for line in UNIT.read_text().splitlines():
        line = line.strip()
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            said.setdefault((section, key), []).append(value)
    return said


class Supervisor:
    """Runs `maskline serve` with these arguments until it is left. `events` tells (what, detail): started,
    told (a state of sd_notify), ended (exit code), given up."""

    def __init__(self, *args, watchdog_s=None, env=None, identity=None):
        said = unit()
        one = lambda section, key: said[section, key][-1]
        assert one("Service", "Type") == "notify" and one("Service", "Restart") == "on-failure"
        assert one("Unit", "StartLimitIntervalSec") == "0", "else it gives up after a few tries"
        self.pause_s = float(one("Service", "RestartSec"))
        self.prevented = {int(code) for code in one("Service", "RestartPreventExitStatus").split()}
        self.watchdog_s = watchdog_s or float(one("Service", "WatchdogSec"))
        self.args = [str(binary()), "serve", *map(str, args)]
        self.env = env or {}
        # User and groups, as keywords of Popen; those of the test where nothing is said.
        self.identity = identity or {}
        self.events = queue.Queue()
        self.process = None
        self._leaving = threading.Event()
        self._alive_at = None

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory()
        self.log_path = Path(self._folder.name) / "log"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._path = str(Path(self._folder.name) / "notify")
        self._socket.bind(self._path)
        os.chmod(self._folder.name, 0o755)
        os.chmod(self._path, 0o666)
        self._socket.settimeout(0.05)
        # The thread that starts a process gives it its network namespace: so this one does.
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._leaving.set()
        self._thread.join(PATIENCE_S)
        self._socket.close()
        self._folder.cleanup()

    def await_event(self, wanted, detail=None, seconds=PATIENCE_S):
        """Waits for an event; those before it, in order."""
        before, deadline = [], time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            try:
                event = self.events.get(timeout=max(left, 0.01))
            except queue.Empty:
                raise AssertionError(f"no {wanted} {detail} but {before}; {self.log()[-2000:]}") from None
            if event[0] == wanted and detail in (None, event[1]):
                return before
            before.append(event)

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    # The life of one process after the other

    def _run(self):
        while not self._leaving.is_set():
            code = self._one()
            self.events.put(("ended", code))
            clean = code == 0 or code in (-signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP)
            if clean or code in self.prevented:
                self.events.put(("given up", code))
                return
            self._leaving.wait(self.pause_s)

    def _one(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.args,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=clean_environment(
                    NOTIFY_SOCKET=self._path, WATCHDOG_USEC=str(int(self.watchdog_s * 1e6)), **self.env
                ),
                start_new_session=True,
                **self.identity,
            )
        self._alive_at = None
        self.events.put(("started", self.process.pid))
        told_to_stop = False
        while self.process.poll() is None:
            self._hear()
            if self._leaving.is_set() and not told_to_stop:
                told_to_stop = True
                self.process.send_signal(signal.SIGCONT)
                self.process.terminate()
            late = self._alive_at is not None and time.monotonic() - self._alive_at > self.watchdog_s
            if late and not told_to_stop:
                self.events.put(("watchdog", self.process.pid))
                # A process that is stopped takes this signal only once it goes on.
                self.process.send_signal(signal.SIGABRT)
                self.process.send_signal(signal.SIGKILL)
                self._alive_at = None
        self._hear()
        return self.process.returncode

    def _hear(self):
        try:
            text = self._socket.recv(4096).decode()
        except (TimeoutError, socket.timeout):
            return
        for state in text.splitlines():
            # The watch begins with READY.
            if state == "READY=1" or (state == "WATCHDOG=1" and self._alive_at is not None):
                self._alive_at = time.monotonic()
            if state == "STOPPING=1":
                self._alive_at = None
            self.events.put(("told", state))
