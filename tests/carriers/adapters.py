"""Adapters of the carrier protocol as processes: that of the page, that of examples/carrier."""

import base64
import re
import signal
import subprocess

from calls.addresses import await_listening, free_port
from support.pages import blocks
from support.process import REPOSITORY, clean_environment

HOST = "127.0.0.1"
PAGE = "docs/carrier-protocol.md"
EXAMPLE = REPOSITORY / "examples" / "carrier"
PYTHON = REPOSITORY / ".venv" / "carrier" / "bin" / "python"
CHECK_S = 120
# As `[[carrier]]` of a document has it.
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


def page_adapter():
    """The program of the page."""
    [program] = [block.text for block in blocks(PAGE) if block.language == "python"]
    return program


class Adapter:
    """A program in a home of its own; killed and started again at will."""

    def __init__(self, home, command, port):
        self.home, self.command, self.port = home, command, port
        self.secret_file = home / "carrier.secret"
        self.secret_file.write_text(SECRET + "\n")
        self.log_path = home / "adapter.log"
        self.process = None

    @property
    def url(self):
        return f"http://{HOST}:{self.port}/"

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [str(part) for part in self.command], cwd=self.home, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=clean_environment(PYTHONUNBUFFERED="1"),
            )  # fmt: skip
        await_listening(HOST, self.port, "tcp", process=self.process)
        return self

    def kill(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        self.process = None

    close = kill

    def check(self, x="17000000009"):
        """What examples/carrier/check.py says of it: its exit code, and its lines."""
        done = subprocess.run(
            [PYTHON, EXAMPLE / "check.py", self.url, "--secret-file", self.secret_file, "--x", x],
            capture_output=True, text=True, timeout=CHECK_S, env=clean_environment(),
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr


def of_page(home, changes=()):
    """The page's adapter; each change is what stands there and what stands in its place."""
    port = free_port(HOST)
    program = page_adapter()
    for old, new in (("8090", str(port)), *changes):
        assert old in program, f"the page has no {old!r}"
        program = program.replace(old, new)
    file = home / "page_adapter.py"
    file.write_text(program)
    return Adapter(home, [PYTHON, file], port)


def of_example(home, kamailio_socket):
    port = free_port(HOST)
    adapter = Adapter(home, [], port)
    adapter.command = [
        PYTHON, EXAMPLE / "adapter.py", "--listen", f"{HOST}:{port}", "--secret-file", adapter.secret_file,
        "--book", home / "book.sqlite", "--kamailio", kamailio_socket,
    ]  # fmt: skip
    return adapter


def failed_rules(told):
    return re.findall(r"(?m)^FAILED  (.*)", told)

