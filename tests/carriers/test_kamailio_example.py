"""The adapter of examples/carrier with Debian's Kamailio: who may call an X is what was bound, at every moment.

A sipp behind Kamailio stands in for Maskline: it answers every call that gets so far.
"""

import socket
import subprocess
import tempfile
import threading
import time
from contextlib import ExitStack, closing
from http.client import HTTPException
from pathlib import Path

import pytest

from calls.addresses import await_listening, free_port
from calls.exchange import Exchange
from calls.kamailio import modules
from calls.script import answers, calls, is_refused
from calls.sipp import Sipp
from carriers import adapters, protocol
from support.gateway import bound
from support.operator import Operator
from support.process import clean_environment

EDGE_HOST, CALLER_HOST, SERVICE_HOST = "127.0.1.5", "127.0.1.2", "127.0.1.3"
A, B, C = "13800000001", "13900000001", "13700000001"
X, Y = "17000000001", "17000000002"
WATCHDOG_S = 60


class Edge:
    """Kamailio as examples/carrier configures it."""

    def __init__(self, home, next_hop):
        self.home, self.next_hop = home, next_hop
        self.port = free_port(EDGE_HOST)
        self.socket = home / "rpc"
        self.log_path = home / "kamailio.log"
        self.process = None

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                ["kamailio", "-DD", "-E", "-f", adapters.EXAMPLE / "kamailio.cfg", "-m", "64", "-M", "8",
                 "-L", modules(), "-w", self.home, "-Y", self.home, "-P", self.home / "kamailio.pid",
                 "-A", f"LISTEN=udp:{EDGE_HOST}:{self.port}", "-A", f'MASKLINE="sip:{self.next_hop}"',
                 "-A", f'RPC_SOCKET="{self.socket}"'],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=clean_environment(), start_new_session=True,
            )  # fmt: skip
        await_listening(EDGE_HOST, self.port, process=self.process)
        return self

    def close(self):
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None


class Scene:
    """Edge, adapter, and a place to call from. Without a `next_hop` a sipp answers what passes the edge."""

    def __init__(self, home, place, next_hop=None):
        self.home = home
        next_hop = next_hop or f"{SERVICE_HOST}:{place_sipp(home, place).port}"
        self.edge = place(Edge(home, next_hop)).start()
        self.adapter = place(adapters.of_example(home, self.edge.socket)).start()
        self.carrier = protocol.Client(self.adapter.url, adapters.SECRET, timeout=WATCHDOG_S)
        self.dialled = 0
        self.fence = 1_000

    def says(self, request):
        """What the adapter answers once Kamailio answers it; a request about Kamailio that is away is sent again."""
        deadline = time.monotonic() + WATCHDOG_S
        while True:
            answer = self.carrier.send(request)
            if answer.outcome != "unavailable":
                return answer.outcome
            assert time.monotonic() < deadline, answer
            time.sleep(0.1)

    def next_fence(self):
        self.fence += 1
        return self.fence

    def bind(self, x=X, **terms):
        request = protocol.bind(x, fence=self.next_fence(), **terms)
        assert self.says(request) == "ok"
        return request

    def dial(self, caller, x, is_answered):
        """A call by way of the edge, which must be answered, or refused with 404."""
        self.dialled += 1
        script = calls(talk_ms=100) if is_answered else is_refused(404)
        with Sipp(
            self.home, f"call-{self.dialled}", script, CALLER_HOST, remote=f"{EDGE_HOST}:{self.edge.port}", service=x,
            caller=caller,
        ) as call:  # fmt: skip
            call.wait()

    def await_filled(self, times):
        """Until the adapter has filled Kamailio's table so many times in its life."""
        deadline = time.monotonic() + WATCHDOG_S
        while self.adapter.log_path.read_text().count("table is filled") < times:
            assert time.monotonic() < deadline, self.adapter.log_path.read_text()
            time.sleep(0.05)


def place_sipp(home, place):
    service = Sipp(home, "service", answers(ring_ms=0), SERVICE_HOST, calls=1_000, seconds=170)
    service.close = service.stop
    return place(service).await_listening()


@pytest.fixture
def scene():
    # A socket of Unix has a path of at most 107 bytes, which those of pytest can exceed.
    with tempfile.TemporaryDirectory(prefix="edge-") as home, ExitStack() as stack:
        yield Scene(Path(home), lambda thing: stack.enter_context(closing(thing)))


@pytest.mark.offline
def test_a_bound_x_is_answered_and_an_unbound_one_is_not(scene):
    scene.dial(C, X, False)

    anyone = scene.bind(X, product="AXN", a=A)
    scene.dial(C, X, True)
    scene.dial("+8613700000001", X, True)
    scene.dial(C, "+86" + X, True)
    scene.dial(C, Y, False)

    pair = scene.bind(Y, product="AXB", a=A, b=B)
    for caller, is_answered in ((A, True), (B, True), ("+86" + B, True), (C, False), ("any", False)):
        scene.dial(caller, Y, is_answered)

    change = protocol.update(Y, pair["subs_id"], 2, scene.next_fence(), product="AXB", a=A, b=C)
    assert scene.says(change) == "ok"
    scene.dial(C, Y, True)
    scene.dial(B, Y, False)
    # A late retry of what was before changes nothing, nor does one of what has ended.
    assert scene.says(pair) == "stale"
    scene.dial(B, Y, False)
    assert scene.says(protocol.unbind(X, anyone["subs_id"], 2, scene.next_fence())) == "ok"
    scene.dial(C, X, False)
    assert scene.says(anyone) == "stale"
    scene.dial(C, X, False)
    # A second pair on the same X, and the end of the first.
    scene.bind(Y, product="AXB", a="13600000001", b="13600000002")
    assert scene.says(protocol.unbind(Y, pair["subs_id"], 3, scene.next_fence())) == "ok"
    for caller, is_answered in (("13600000001", True), ("13600000002", True), (A, False), (C, False)):
        scene.dial(caller, Y, is_answered)


@pytest.mark.offline
def test_it_keeps_every_rule_of_the_protocol(scene):
    # So that connections are kept.
    assert scene.carrier.send(protocol.bind(X, fence=scene.next_fence())).name == f"{scene.fence}-1"
    code, told = scene.adapter.check(Y)
    assert code == 0 and not adapters.failed_rules(told), told


@pytest.mark.offline
def test_holdings_and_fences_outlive_the_adapter_and_kamailio(scene):
    anyone = scene.bind(X, product="AXN", a=A)
    gone = scene.bind(Y, product="AXN", a=A)
    assert scene.says(protocol.unbind(Y, gone["subs_id"], 2, scene.next_fence())) == "ok"
    scene.await_filled(1)

    # The adapter is killed: calls go on, and it knows all afterwards.
    scene.adapter.kill()
    scene.dial(C, X, True)
    scene.adapter.start()
    scene.await_filled(2)
    assert [one["x"] for one in scene.carrier.held()] == [X]
    assert [scene.says(one) for one in (gone, anyone)] == ["stale", "ok"]
    scene.dial(C, X, True)
    scene.dial(C, Y, False)

    # Kamailio is away: what is asked of it meanwhile is not answered "ok", and holds when it is there again.
    scene.edge.close()
    end = protocol.unbind(X, anyone["subs_id"], 2, scene.next_fence())
    begin = protocol.bind(Y, fence=scene.next_fence(), a=A)
    assert [scene.carrier.send(one).outcome for one in (end, begin)] == ["unavailable", "unavailable"]
    scene.edge.start()
    scene.await_filled(3)
    scene.dial(C, X, False)
    scene.dial(C, Y, True)
    # The same again is "ok" now.
    assert [scene.says(one) for one in (end, begin)] == ["ok", "ok"]

    # It starts empty while nobody asks for anything: its table is filled by itself.
    scene.edge.close()
    scene.edge.start()
    scene.await_filled(4)
    scene.dial(C, Y, True)
    scene.dial(C, X, False)


@pytest.mark.offline
def test_an_adapter_that_was_killed_between_book_and_kamailio_makes_both_agree(scene):
    bound = scene.bind(X, product="AXN", a=A)
    scene.await_filled(1)
    # Kamailio stands still, so a request gets as far as the book and waits.
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    scene.edge.close()
    listener.bind(str(scene.edge.socket))
    listener.settimeout(WATCHDOG_S)
    end = protocol.unbind(X, bound["subs_id"], 2, scene.next_fence())
    threading.Thread(target=ask_in_vain, args=(scene.carrier, end), daemon=True).start()
    while b"htable.delete" not in listener.recv(65_536):
        pass
    scene.adapter.kill()
    listener.close()
    scene.edge.socket.unlink()
    scene.edge.start()
    scene.adapter.start()
    scene.await_filled(2)
    scene.dial(C, X, False)
    assert scene.says(end) == "ok"


def ask_in_vain(carrier, request):
    try:
        carrier.send(request)
    except (OSError, HTTPException):
        pass


def test_a_customer_s_bind_lets_calls_through_the_edge_and_its_end_stops_them(maskline):
    """All of it: the customer's API, Maskline, the adapter, Kamailio, and the call back through both to A."""
    with tempfile.TemporaryDirectory(prefix="edge-") as name, ExitStack() as stack:
        home = Path(name)
        scene = Scene(home, lambda thing: stack.enter_context(closing(thing)), maskline.ready["sip"])
        Operator(maskline).apply(
            f'[[carrier]]\nname = "edge"\nkind = "http"\nurl = "{scene.adapter.url}"\n'
            f'secret = "{adapters.SECRET}"\ndeadline_ms = 30000\nrequest_timeout_ms = 20000\n'
        )
        scene.await_filled(1)
        exchange = Exchange(maskline, numbers=4, carrier="edge")
        callee = Sipp(home, "callee", answers(ring_ms=0), SERVICE_HOST, calls=10, seconds=170)
        stack.callback(callee.stop)
        exchange.carrier(callee.await_listening().port, SERVICE_HOST, sources=(EDGE_HOST,))
        free = exchange.world.numbers["北京"][0]
        scene.dial(C, free, False)
        subs_id, x = bound(exchange.api.bind_axn(A, PhoneNoX=free))
        assert [(one["x"], one["subs_id"]) for one in scene.carrier.held()] == [(x, subs_id)]
        scene.dial(C, x, True)
        assert exchange.api.unbind(subs_id, x).code == "OK"
        # The end is the customer's at once, the carrier hears of it behind that.
        deadline = time.monotonic() + WATCHDOG_S
        while scene.carrier.held():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        scene.dial(C, x, False)
        assert [record["x"] for record in exchange.records()] == [x]
