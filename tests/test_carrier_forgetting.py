"""A carrier that is gone for good: what it was to let go is free again, and the rest goes on without it."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from carriers.scripted import OK, ScriptedCarrier, page
from support.gateway import bound
from support.operator import Operator
from test_carriers import CARRIER, CITY, C, service, shown, until  # noqa: F401

WATCHDOG_S = 60
KEPT, ENDED, CHANGED, LOST, ASKED = (f"1390000{n}{n}{n}{n}" for n in range(1, 6))
PHASES = ("reserved", "confirmed", "changing", "renewing", "releasing")


@pytest.fixture
def carrier():
    carrier = ScriptedCarrier()
    yield carrier
    carrier.close()


def forget(service, *args, check=True):  # noqa: F811
    return service.cli("carrier", "forget", CARRIER, "--json", *args, check=check)


def told(service, *args):  # noqa: F811
    """How many bindings of each phase, whether they were detached from the carrier, and who names it."""
    found = json.loads(forget(service, *args).stdout)
    return [found[phase] for phase in PHASES], found["forced"], found["named_by"]


def test_a_carrier_that_is_gone_for_good_can_be_forgotten(service, carrier):  # noqa: F811
    Operator(service).carrier(CARRIER, carrier, deadline_ms=60_000, request_timeout_ms=60_000)
    world = Operator(service).world(numbers={CITY: 5}, carrier=CARRIER)
    api = world.gateway()
    kept, ended, changed, lost = (bound(api.bind_axn(a)) for a in (KEPT, ENDED, CHANGED, LOST))
    answers_late = threading.Event()

    def answered(request):
        if request["op"] == "query":
            return page([(x, subs_id) for subs_id, x in (kept, ended, changed)])
        # It is as good as dead.
        assert answers_late.wait(WATCHDOG_S)
        return OK

    carrier.answer = answered

    def phases():
        """{X: phase} of all bindings."""
        shown = [world.operator.binding(row["subs_id"]) for row in world.bindings()]
        return {row["x"]: row["provision"] and row["provision"]["phase"] for row in shown}

    service.cli("carrier", "reconcile", CARRIER)
    assert api.unbind(*ended).code == "OK"
    with ThreadPoolExecutor() as pool:
        change = {"OperateType": "updateNoA", "PhoneNoA": C, "SubsId": changed[0], "PhoneNoX": changed[1]}
        changing = pool.submit(api.call, "UpdateSubscription", **change)
        asked = pool.submit(api.bind_axn, ASKED)
        until(lambda: sorted(phases().values()) == sorted(PHASES))
        before = phases()
        assert [before[one[1]] for one in (kept, ended, changed, lost)] == ["confirmed", "releasing", "changing", "renewing"]
        assert api.bind_axn(C).code == "isv.NO_AVAILABLE_NUMBER"

        # A pool still needs it: that is told, and nothing is done.
        assert told(service) == ([1] * 5, False, [world.pool])
        refused = forget(service, "--force", check=False)
        assert refused.returncode != 0 and f"pool {world.pool} still names it" in refused.stderr, refused.stderr
        service.cli("pool", "set", world.pool, "--carrier", "")
        assert told(service) == ([1] * 5, False, [])
        assert phases() == before
        refused = service.cli("carrier", "rm", CARRIER, check=False)
        assert refused.returncode != 0, refused.stdout

        assert told(service, "--force") == ([1] * 5, True, [])
        # Nobody waits until the deadline.
        for waiting in (changing, asked):
            assert waiting.result(WATCHDOG_S / 2).code == "isp.VENDOR_UNAVAILABLE"

    def goes_on():
        assert phases() == {one[1]: None for one in (kept, changed, lost)}
        for (_, x), a in ((kept, KEPT), (changed, CHANGED), (lost, LOST)):
            assert world.operator.explain("13600000001", x)["callee"] == a
        assert told(service, "--force") == ([0] * 5, True, [])

    goes_on()
    # What is answered later is of no account.
    answers_late.set()
    until(lambda: (seen := shown(service))["owed"] == 0 and seen["waiting"] == 0)
    until(lambda: json.loads(service.cli("carrier", "show", CARRIER, "--json").stdout)["under_way"] == 0)
    goes_on()
    service.kill()
    service.start()
    goes_on()

    # Both X are there again, and what stayed is changed and ended without asking anybody.
    requests = len(carrier.requests)
    api = world.gateway()
    again = {bound(api.bind_axn(a))[1] for a in (ENDED, ASKED)}
    assert again == set(world.numbers[CITY]) - {one[1] for one in (kept, changed, lost)}
    assert api.call("UpdateSubscription", **change).code == "OK"
    assert world.operator.explain("13600000001", changed[1])["callee"] == C
    assert api.unbind(*kept).code == "OK"
    assert bound(api.bind_axn(KEPT))[1] == kept[1]
    assert [one for one in carrier.requests[requests:] if one["op"] != "query"] == []

    world.operator.apply(f'[remove]\ncarriers = ["{CARRIER}"]\n')
    assert json.loads(service.cli("carrier", "ls", "--json").stdout) == []
    audit = json.loads(service.cli("audit", "--json").stdout)["items"]
    noted = [json.loads(row["facts"]) for row in audit if row["deed"] == "carrier_forgotten"]
    assert {"carrier": CARRIER, "bindings": 5} in noted, audit


def test_what_is_not_there_is_not_forgotten(service):  # noqa: F811
    refused = forget(service, check=False)
    assert refused.returncode != 0 and "no such carrier" in refused.stderr, refused.stderr
