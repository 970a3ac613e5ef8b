#!/usr/bin/env python3
"""CPU per call, beside other servers in the same run.

    python3 tests/bench/calls.py [--seconds N] [--rounds N] [--only refused,bridged,delay,memory,media]

- refused: INVITE, a final answer from a table of 100,000 numbers, ACK; beside Kamailio, stateless.
- bridged: INVITE, 180, 200, ACK, a second, BYE on two legs; beside Kamailio as a stateful proxy (which
  is no back-to-back user agent) and Sippy B2BUA (which is one).
- delay: INVITE to 180 through Maskline, less the same without anything between.
- memory: resident bytes for each live call, and for each finished one while its timers run.
- media: `cargo bench --bench relay`, with and without recording, beside rtpengine.

The server runs on the first processor and sipp on the second. CPU time is the scheduler's, of the whole
process tree of the server, so it does not depend on what else runs; the rates do. A server that is not
installed is left out and the table says so. Needs sipp; kamailio from Debian; sippy from PyPI.
"""

import argparse
import collections
import csv
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from calls.addresses import await_listening, free_port  # noqa: E402
from support.gateway import bound  # noqa: E402
from support.operator import Operator  # noqa: E402
from support.process import REPOSITORY, Maskline, binary  # noqa: E402

SCENARIOS = Path(__file__).parent
HOST = "127.0.0.1"
CALLER_HOST = "127.0.0.2"
CALLEE_HOST = "127.0.0.3"
SERVER_CPU, LOAD_CPU = "0", "1"
TABLE = 100_000
BINDINGS = 2_000
SETTLE_S = 1.0
LIVE = 1_500
FINISHED = 10_000
# The longest timers of finished transactions last 32 s.
TIMERS_S = 40
# Maskline's threads, by what they are for: the beginnings of their names. Kamailio and Sippy do the first alone.
PARTS = {
    "signalling": ("calls",),
    "records": ("maskline-", "sqlx-"),
    "media ports": ("media-",),
}
GOALS = {
    "refused": "refused: at most Kamailio's CPU a call",
    "bridged": "bridged: signalling at most the CPU a call of Kamailio's stateful proxy",
}


def main():
    options = arguments()
    chosen = options.only.split(",")
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        place = Path(scratch)
        maskline = MasklineServer(place)
        try:
            for name, bench in BENCHES.items():
                if name in chosen:
                    bench(place, maskline, options)
        finally:
            maskline.stop()
    if "media" in chosen:
        media()
    return 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=6, help="of load in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join([*BENCHES, "media"]))
    return parser.parse_args()


# The servers


class MasklineServer:
    """Maskline with one pool, its numbers bound to as many callees, and a table of numbers that are free."""

    name = "maskline"

    def __init__(self, place):
        self.callee_port = free_port(CALLEE_HOST)
        self.service = Maskline(place / "data", demo=False, many_calls=True).start()
        operator = Operator(self.service)
        operator.apply(
            f'[[trunk]]\nname = "a-callee"\npeer = "{CALLEE_HOST}:{self.callee_port}"\n'
            f'[[trunk]]\nname = "b-caller"\npeer = "{CALLER_HOST}:5060"\n'
        )
        self.bound = [self._x(n) for n in range(BINDINGS)]
        world = operator.world({"北京": 1})
        operator.apply(
            f'[[numbers]]\npool = "{world.pool}"\ncity = "上海"\nfirst = "{self.bound[0]}"\ncount = {BINDINGS}\n'
        )
        gateway = world.gateway()
        for n, x in enumerate(self.bound):
            bound(gateway.bind_axn(f"139{n:08}", PhoneNoX=x))
        self.unknown = [f"172{n:08}" for n in range(TABLE)]
        self.pid = self.service.process.pid
        subprocess.run(["taskset", "-a", "-p", "-c", SERVER_CPU, str(self.pid)], check=True, stdout=subprocess.DEVNULL)
        host, _, port = self.service.ready["sip"].rpartition(":")
        self.address = (host, int(port))

    @staticmethod
    def _x(n):
        return f"171{n:08}"

    def stop(self):
        self.service.stop()


class Other:
    """A server from elsewhere, on one processor."""

    def __init__(self, command, port):
        self.address = (HOST, port)
        self.process = subprocess.Popen(
            ["taskset", "-c", SERVER_CPU, *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.pid = self.process.pid
        await_listening(*self.address)

    def stop(self):
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def kamailio(place, port, routes, modules):
    """Kamailio with one worker and its fast allocators; its default ones triple the cost."""
    config = place / f"kamailio-{port}.cfg"
    config.write_text(
        "#!KAMAILIO\ndebug=0\nlog_stderror=no\nchildren=1\nauto_aliases=no\ndisable_tcp=yes\n"
        f"listen=udp:{HOST}:{port}\n"
        + "".join(f'loadmodule "{module}.so"\n' for module in modules)
        + routes
    )
    home = place / f"kamailio-{port}"
    home.mkdir()
    command = ["kamailio", "-DD", "-E", "-x", "fm", "-X", "fm", "-f", config, "-m", 1024, "-M", 64]
    return Other([*command, "-w", home, "-Y", home, "-P", home / "pid"], port)


def kamailio_redirect(place, table):
    first, count = table[0], len(table)
    routes = (
        'modparam("htable", "htable", "t=>size=16;")\n'
        "event_route[htable:mod-init] {\n  $var(n) = 0;\n"
        f"  while ($var(n) < {count}) {{\n"
        f'    $sht(t=>{first[:6]}$(var(n){{s.int}})) = "1";\n'
        "    $var(n) = $var(n) + 1;\n  }\n}\n"
        'request_route {\n  if (is_method("ACK")) exit;\n'
        "  if ($sht(t=>$rU) != $null) {\n"
        '    append_to_reply("Contact: <sip:13900000000@127.0.0.3>\\r\\n");\n'
        '    sl_send_reply("302", "Moved Temporarily");\n    exit;\n  }\n'
        '  sl_send_reply("404", "Not Found");\n}\n'
    )
    modules = ["kex", "sl", "pv", "textops", "textopsx", "siputils", "htable", "cfgutils"]
    return kamailio(place, free_port(HOST), routes, modules)


def kamailio_proxy(place, callee):
    routes = (
        'request_route {\n'
        '  if (is_method("INVITE|BYE|ACK") && has_totag()) { loose_route(); t_relay(); exit; }\n'
        '  if (is_method("CANCEL")) { t_relay(); exit; }\n'
        '  record_route();\n'
        f'  $du = "sip:{callee[0]}:{callee[1]}";\n  t_relay();\n}}\n'
    )
    return kamailio(place, free_port(HOST), routes, ["kex", "tm", "tmx", "sl", "rr", "pv", "textops", "siputils"])


def sippy(_, callee):
    program = shutil.which("b2bua_simple")
    port = free_port(HOST)
    return Other([program, "-f", "-l", HOST, "-p", port, "-n", f"{callee[0]}:{callee[1]}"], port)


# The benches


def refused(place, maskline, options):
    print(f"\nrefused or redirected, from a table of {TABLE:,} numbers: CPU µs a call")
    rows = {"maskline 404": lambda: maskline}
    if shutil.which("kamailio"):
        rows["kamailio sl 302"] = lambda: kamailio_redirect(place, maskline.unknown)
    table(place, rows, options, (3_000, 6_000, 9_000), maskline, "refused", maskline.unknown)
    print(GOALS["refused"])


def bridged(place, maskline, options):
    print("\nbridged, both legs, one second: CPU µs a call")
    callee = (CALLEE_HOST, maskline.callee_port)
    rows = {"maskline": lambda: maskline}
    if shutil.which("kamailio"):
        rows["kamailio tm proxy"] = lambda: kamailio_proxy(place, callee)
    if shutil.which("b2bua_simple"):
        rows["sippy b2bua"] = lambda: sippy(place, callee)
    answering = answers(place, callee)
    try:
        table(place, rows, options, (100, 300, 1_000), maskline, "dials", maskline.bound)
    finally:
        answering.kill()
        answering.wait()
    print(GOALS["bridged"])


def table(place, rows, options, rates, maskline, scenario, numbers):
    print(f"{'calls/s':>18}" + "".join(f"{rate:>22,}" for rate in rates))
    for name, start in rows.items():
        server = start()
        columns = []
        try:
            for rate in rates:
                if name.startswith("sippy") and rate > 300:
                    break
                rounds = range(options.rounds)
                columns.append([load(place, server, scenario, numbers, rate, options.seconds) for _ in rounds])
        finally:
            if server is not maskline:
                server.stop()
        line = [told([one["all"] for one in column], column) for column in columns]
        print_row(name, line + ["not run"] * (len(rates) - len(line)))
        if server is maskline:
            for part in PARTS:
                print_row(f"of it {part}", [told([one[part] for one in column]) for column in columns])


def told(costs, column=()):
    """The median, the least and the most; and the least share of calls that succeeded, if asked for."""
    share = f" {min(one['share'] for one in column):.1%}" if column else " " * 7
    return f"{statistics.median(costs):.0f} [{min(costs):.0f}-{max(costs):.0f}]{share}"


def print_row(name, cells):
    print(f"{name:>18}" + "".join(f"{cell:>22}" for cell in cells), flush=True)


def delay(place, maskline, options):
    callee = (CALLEE_HOST, maskline.callee_port)
    answering = answers(place, callee)
    try:
        through = response_times(maskline.address, maskline.bound, 100 * options.seconds)
        direct = response_times(callee, maskline.bound, 100 * options.seconds)
    finally:
        answering.kill()
        answering.wait()
    print("\nset-up: INVITE to 180 at 100 calls/s, ms")
    for name, times in (("through Maskline", through), ("without", direct)):
        print(f"{name:>18} p50 {quantile(times, 0.5):.2f}, p99 {quantile(times, 0.99):.2f}")
    p50, p99 = (quantile(through, share) - quantile(direct, share) for share in (0.5, 0.99))
    print(f"{'added':>18} p50 {p50:.2f}, p99 {p99:.2f}")


def memory(place, _, options):
    del options
    # A service of its own, since what earlier load left behind would hide what is looked for.
    home = place / "memory"
    home.mkdir()
    maskline = MasklineServer(home)
    callee = (CALLEE_HOST, maskline.callee_port)
    answering = answers(home, callee)
    try:
        before = resident(maskline.pid)
        held = spawn_load(home, maskline.address, "dials", maskline.bound, rate=500, calls=LIVE, talk_ms=20_000)
        time.sleep(LIVE / 500 + 8)
        during = resident(maskline.pid)
        held.wait()
        time.sleep(TIMERS_S)
        # So many that what the allocator keeps for later does not matter.
        spawn_load(home, maskline.address, "dials", maskline.bound, rate=1_000, calls=FINISHED).wait()
        time.sleep(2)
        after = resident(maskline.pid)
        time.sleep(TIMERS_S)
        at_rest = resident(maskline.pid)
    finally:
        answering.kill()
        answering.wait()
        maskline.stop()
    print(f"\nmemory, {LIVE:,} calls at once")
    print(f"{'a live call':>18} {(during - before) / LIVE:,.0f} bytes")
    print(f"{'a finished call':>18} {max(0, after - at_rest) / FINISHED:,.0f} bytes while its timers run")
    print(f"{'kept afterwards':>18} {at_rest - before:,} bytes in all")


def media():
    print("\nmedia: CPU µs a relayed packet, beside rtpengine in user space", flush=True)
    command = ["cargo", "bench", "--locked", "--quiet", "-p", "maskline-media", "--bench", "relay"]
    subprocess.run(command, check=True, cwd=REPOSITORY)


BENCHES = {"refused": refused, "bridged": bridged, "delay": delay, "memory": memory}


# Load


def load(place, server, scenario, numbers, rate, seconds):
    """Microseconds of CPU for each call that succeeded, in all and by kinds of threads, and the share that did."""
    calls = rate * seconds
    before = cpu_ns(server.pid)
    sipp = spawn_load(place, server.address, scenario, numbers, rate, calls)
    sipp.wait()
    time.sleep(SETTLE_S)
    spent = cpu_ns(server.pid) - before
    done = totals(place / "stat.csv")
    each = {part: sum(spent[name] for name in spent if name.startswith(names)) for part, names in PARTS.items()}
    each["all"] = spent.total()
    return {part: ns / 1_000 / max(1, done) for part, ns in each.items()} | {"share": done / calls}


def spawn_load(place, address, scenario, numbers, rate, calls, talk_ms=1_000):
    listed = place / f"{scenario}.csv"
    if not listed.exists():
        shuffled = random.Random(1).sample(numbers, len(numbers))
        # Each call has a caller of its own, since a caller may have only a few calls at once.
        rows = (f"{x};138{n:08}\n" for n, x in enumerate(shuffled))
        listed.write_text("SEQUENTIAL\n" + "".join(rows))
    text = (SCENARIOS / f"{scenario}.xml").read_text().replace('"1000"', f'"{talk_ms}"')
    copy = place / f"{scenario}.xml"
    copy.write_text(text)
    statistics_file = place / "stat.csv"
    statistics_file.unlink(missing_ok=True)
    command = ["taskset", "-c", LOAD_CPU, "sipp", f"{address[0]}:{address[1]}", "-sf", copy, "-inf", listed]
    command += ["-i", CALLER_HOST, "-p", free_port(CALLER_HOST), "-r", rate, "-m", calls, "-l", 100_000]
    command += ["-nostdin", "-recv_timeout", 8_000, "-timeout", "90s", "-trace_stat", "-stf", statistics_file, "-fd", 1]
    command += ["-buff_size", 8_388_608]
    return quiet(command, place)


def response_times(address, numbers, calls):
    """Milliseconds from INVITE to 180 of so many calls at 100 a second, each hung up at once."""
    caller = Caller(address)
    reader = threading.Thread(target=caller.read, daemon=True)
    reader.start()
    begun = time.monotonic()
    for n in range(calls):
        time.sleep(max(0, begun + n / 100 - time.monotonic()))
        caller.dial(n, numbers[n % len(numbers)])
    time.sleep(SETTLE_S)
    caller.socket.close()
    return sorted(caller.took_ms.values())


class Caller:
    """Just enough of a phone to time an answer: it dials, acknowledges, and hangs up."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((CALLER_HOST, 0))
        self.socket.connect(address)
        self.host = f"{CALLER_HOST}:{self.socket.getsockname()[1]}"
        self.sent, self.took_ms = {}, {}

    def dial(self, n, x):
        sdp = f"v=0\r\no=- 1 1 IN IP4 {CALLER_HOST}\r\ns=-\r\nc=IN IP4 {CALLER_HOST}\r\nt=0 0\r\nm=audio 6000 RTP/AVP 8\r\n"
        head = self._head("INVITE", f"<sip:{x}@{self.host}>", n, 1, f"sip:{x}@{self.host}")
        text = f"{head}Contact: <sip:138{n:08}@{self.host}>\r\nContent-Type: application/sdp\r\nContent-Length: {len(sdp)}\r\n\r\n{sdp}"
        self.sent[n] = time.monotonic_ns()
        self.socket.send(text.encode())

    def _head(self, method, to, n, cseq, uri):
        return (
            f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {self.host};branch=z9hG4bK{method}{n}\r\n"
            f"From: <sip:138{n:08}@{self.host}>;tag=t{n}\r\nTo: {to}\r\nCall-ID: bench-{n}@{self.host}\r\n"
            f"CSeq: {cseq} {method}\r\nMax-Forwards: 70\r\n"
        )

    def read(self):
        while True:
            try:
                text = self.socket.recv(65_535).decode(errors="replace")
            except OSError:
                return
            arrived = time.monotonic_ns()
            status = text.split(" ", 2)[1]
            headers = dict(line.split(":", 1) for line in text.split("\r\n")[1:] if ":" in line)
            if "INVITE" not in headers["CSeq"]:
                continue
            n = int(headers["Call-ID"].strip().split("-")[1].split("@")[0])
            sent = self.sent[n]
            if status == "180":
                self.took_ms.setdefault(n, (arrived - sent) / 1e6)
            elif status == "200":
                uri = headers["Contact"].strip().split("<")[1].split(">")[0]
                for method, cseq in (("ACK", 1), ("BYE", 2)):
                    head = self._head(method, headers["To"].strip(), n, cseq, uri)
                    self.socket.send(f"{head}Content-Length: 0\r\n\r\n".encode())


def answers(place, address):
    command = ["taskset", "-c", LOAD_CPU, "sipp", f"{HOST}:5060", "-sf", SCENARIOS / "answers.xml"]
    command += ["-i", address[0], "-p", address[1], "-nostdin", "-m", 10_000_000, "-buff_size", 8_388_608]
    process = quiet(command, place)
    await_listening(*address)
    return process


def quiet(command, place):
    return subprocess.Popen(
        [str(part) for part in command],
        cwd=place,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def totals(path):
    """Calls that succeeded, after sipp's last line."""
    with open(path, newline="") as rows:
        last = list(csv.DictReader(rows, delimiter=";"))[-1]
    return int(last["SuccessfulCall(C)"])


# Readings


def tree(pid):
    children = Path(f"/proc/{pid}/task/{pid}/children")
    found = [pid]
    if children.exists():
        for child in children.read_text().split():
            found += tree(int(child))
    return found


def cpu_ns(pid):
    """What the scheduler gave to a process tree, in nanoseconds, by the names of its threads."""
    spent = collections.Counter()
    for process in tree(pid):
        for task in Path(f"/proc/{process}/task").iterdir():
            spent[(task / "comm").read_text().strip()] += int((task / "schedstat").read_text().split()[0])
    return spent


def resident(pid):
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def quantile(values, share):
    return values[min(len(values) - 1, int(len(values) * share))]


if __name__ == "__main__":
    print(f"maskline: {binary().parent.name} build; {os.cpu_count()} processors", flush=True)
    sys.exit(main())
