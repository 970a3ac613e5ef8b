"""What was begun with a carrier comes to its end, whoever goes away and whatever cannot be written meanwhile."""

import http.client
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from carriers.scripted import OK, ScriptedCarrier
from support.gateway import bound, expiration
from support.operator import Operator
from test_carriers import CARRIER, CITY, A, B, C, free, service, until  # noqa: F401
from test_faults import cramped, fill, small_disk  # noqa: F401

WATCHDOG_S = 60


@pytest.fixture
def carrier():
    carrier = ScriptedCarrier()
    yield carrier
    carrier.close()


def leave_behind(request):
    """Sends a request, and does not wait for its answer."""
    link = http.client.HTTPConnection(request.connection["host"], request.connection["port"])
    link.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
    for name, value in request.headers.items():
        link.putheader(name, value)
    link.endheaders(request.body or None)
    link.close()


def test_what_a_customer_began_who_goes_away_is_ended(service, carrier):  # noqa: F811
    """The end of each connection is there as soon as its request is read, while the reservation is being written."""
    Operator(service).carrier(CARRIER, carrier)
    world = Operator(service).world(numbers={CITY: 5}, carrier=CARRIER)
    api = world.gateway()
    bound(api.bind_axn(A))
    service.process.send_signal(signal.SIGSTOP)
    try:
        for _ in range(3):
            wanted = {"PhoneNoA": C, "Expiration": expiration(), "PoolKey": world.pool}
            leave_behind(api.rpc("BindAxn", wanted))
    finally:
        service.process.send_signal(signal.SIGCONT)
    # A connection may end before its request is taken. What was taken: the carrier was asked, agreed, and that is written.
    bound(api.bind_axn(B))

    def is_settled():
        states = [row["state"] for row in world.bindings()]
        return len(states) > 2 and set(states) == {"live"} and len(states) == len(carrier.asked("bind"))

    until(is_settled)


def test_an_answer_that_cannot_be_written_is_an_error_and_nothing_comes_of_it(cramped, small_disk, carrier):  # noqa: F811
    Operator(cramped).carrier(CARRIER, carrier, deadline_ms=60_000, request_timeout_ms=60_000)
    world = Operator(cramped).world(numbers={CITY: 1}, carrier=CARRIER)
    beside = Operator(cramped).world(numbers={CITY: 900}).gateway()
    asked, goes_on = threading.Event(), threading.Event()

    def answered(request):
        if request["op"] == "bind":
            asked.set()
            assert goes_on.wait(WATCHDOG_S)
        return OK

    carrier.answer = answered
    with ThreadPoolExecutor() as pool:
        binding = pool.submit(world.gateway().bind_axn, A)
        assert asked.wait(WATCHDOG_S)
        filler = fill(small_disk)
        # The log file of SQLite is reused, so a few binds may still find room.
        until(lambda: beside.bind_axn().code == "isp.DAO_EXCEPTION", WATCHDOG_S)
        goes_on.set()
        told = binding.result(WATCHDOG_S)
    assert told.code == "isp.DAO_EXCEPTION", str(told)
    [row] = world.bindings()
    assert row["state"] == "reserved", row
    os.unlink(filler)
    # The carrier holds it, and is to let it go: whoever asked was told that there is none.
    until(lambda: world.bindings() == [] and free(world), WATCHDOG_S)
    assert [request["subs_id"] for request in carrier.asked("unbind")] == [row["subs_id"]]
    history = world.operator.service.cli("binding", "show", row["subs_id"]).stdout
    assert "not_provisioned" in history, history
