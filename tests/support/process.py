"""The real binary as a child process: started, awaited by its ready line, killed by its own id."""

import fcntl
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from support.gateway import Gateway

REPOSITORY = Path(__file__).resolve().parents[2]
READY_S = 60
STOP_S = 30
ANY_PORT = "127.0.0.1:0"


def clean_environment(**extra):
    """This process's environment without settings of the service, which would leak into it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MASKLINE_")}
    return {**kept, **extra}


def binary():
    """The binary under test: MASKLINE_TEST_BIN, else the dev build."""
    named = os.environ.get("MASKLINE_TEST_BIN")
    if named:
        return Path(named).resolve()
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    return target / "debug" / "maskline"


class MediaPorts:
    """A range of media ports that no other service of the tests has, in this run or in one beside it.

    A range is whose process holds the lock of its file. Where all are held the service has its usual range.
    """

    # Above those that `calls.addresses` gives to peers, below those of sockets that name none.
    RANGES = [range(first, first + 1_000) for first in range(16_000, 32_000, 1_000)]

    def __init__(self):
        self.held = self.range = None

    def take(self):
        """What the service is told of it."""
        for ports in self.RANGES if self.held is None else ():
            lock = open(Path(tempfile.gettempdir()) / f"maskline-media-ports-{ports.start}", "a")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                continue
            self.held, self.range = lock, ports
            break
        return {"MASKLINE_RTP_PORTS": f"{self.range.start}-{self.range.stop - 1}"} if self.held else {}

    def give_back(self):
        if self.held is not None:
            self.held.close()
        self.held = self.range = None


class NotReady(Exception):
    """The process ended, or stayed silent, before its ready line."""


class Maskline:
    """One data directory and, while it runs, the process that serves it."""

    def __init__(self, data, *, demo=True, args=(), env=None, many_calls=False):
        """With `many_calls` it has all the media ports of a service, which are those of others too."""
        self.data = Path(data)
        self.log_path = self.data.with_name(self.data.name + ".log")
        self.demo = demo
        self.args = list(args)
        self.env = dict(env or {})
        self.process = None
        self.ready = None
        self.media_ports = None if many_calls else MediaPorts()

    # Life

    def start(self, *extra):
        assert self.process is None, "already running"
        command = [str(binary()), "serve", "--data", str(self.data), "--ready-json"]
        listeners = ["--api", "--admin", "--sip"]
        if self.demo:
            command.append("--demo")
            listeners.append("--https")
        for listener in listeners:
            if listener not in self.args and listener not in extra:
                command += [listener, ANY_PORT]
        command += [*self.args, *extra]
        ports = self.media_ports.take() if self.media_ports else {}
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=clean_environment(**{**ports, **self.env}),
                start_new_session=True,
            )
        self.ready = self._ready_line()
        return self

    def _ready_line(self):
        # The watchdog turns a silent start into an end of file, so that nothing here polls.
        watchdog = threading.Timer(READY_S, self.process.kill)
        watchdog.start()
        try:
            for line in self.process.stdout:
                if line.lstrip().startswith(b"{"):
                    addresses = json.loads(line)
                    threading.Thread(target=self._drain, daemon=True).start()
                    return addresses
        finally:
            watchdog.cancel()
        code = self.process.wait()
        self._forget()
        raise NotReady(f"ended with {code} before it was ready; its log ends:\n{self.log_tail()}")

    def _drain(self):
        with self.process.stdout as out:
            for _ in out:
                pass

    def kill(self):
        """SIGKILL, as a power cut would: nothing is flushed, nobody is told."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._forget()

    def terminate(self, seconds=STOP_S):
        """SIGTERM; the exit code of the orderly end."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(seconds)
        self._forget()
        return code

    def stop(self):
        """An end at any price, for the end of a test."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._forget()

    def restart(self, *extra):
        self.kill()
        return self.start(*extra)

    def _forget(self):
        self.process = None
        self.ready = None
        if self.media_ports:
            self.media_ports.give_back()

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None

    # Who one is

    def credentials(self):
        return json.loads((self.data / "demo.json").read_text())

    def gateway(self, scheme="http", product="AXN"):
        """The customer API as the demo account sees it."""
        demo = self.credentials()
        pool = demo["pools"].get(product, demo["pool_key"]) if product != "AXN" else demo["pool_key"]
        address = self.ready["https" if scheme == "https" else "api"]
        return Gateway(
            f"{scheme}://{address}",
            demo["access_key_id"],
            demo["access_key_secret"],
            pool,
            ca_file=self.certificate() if scheme == "https" else None,
        )

    def certificate(self):
        """The certificate that `--demo` made for itself; clients take it as their authority."""
        return self.data / "demo-cert.pem"

    # The operator's side

    def cli(self, *args, check=True, stdin=None, env=None):
        """One `maskline` command beside the running service."""
        done = subprocess.run(
            [str(binary()), *map(str, args), "--data", str(self.data)],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            env=clean_environment(**{**self.env, **(env or {})}),
        )
        if check:
            assert done.returncode == 0, f"maskline {' '.join(map(str, args))}: {done.stderr}"
        return done

    def await_log(self, text, after=0, seconds=20):
        """Waits until the log says `text` behind the byte `after`; the rest of the log then."""
        deadline = time.monotonic() + seconds
        while True:
            with open(self.log_path, "rb") as log:
                log.seek(after)
                rest = log.read().decode(errors="replace")
            if text in rest:
                return rest
            assert time.monotonic() < deadline, f"the log never said {text!r}: {rest[-2000:]}"
            time.sleep(0.02)

    def log_tail(self, lines=20):
        if not self.log_path.exists():
            return ""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])
