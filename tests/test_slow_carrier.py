"""A carrier that answers after 4 seconds: the vendor's clients, with the time-outs that they have by themselves, are
told that it is degraded before they give up.

The client for Node.js waits for 3 seconds, and Maskline for a carrier 2.5 by default: half a second is left. A
machine that stood still for a good part of that says nothing about either, so what timed out meanwhile is
asked again.
"""

import json
import threading
import time
from contextlib import contextmanager

import pytest

from carriers.simulated import SimulatedCarrier
from support import sdk
from support.gateway import bound, expiration
from support.operator import Operator
from support.process import Maskline

CARRIER = "slow"
CODE = "isp.VENDOR_UNAVAILABLE"
# How long a thread that wants to run may be kept from it before times are worth nothing.
STILL_S = 0.2
TRIES = 6
NUMBERS = 120


@pytest.fixture
def carrier(tmp_path):
    simulated = SimulatedCarrier(tmp_path, CARRIER)
    yield simulated.start()
    simulated.close()


@pytest.fixture
def service(tmp_path):
    service = Maskline(tmp_path / "data")
    yield service.start()
    service.stop()


def declare(service, carrier, **settings):
    operator = Operator(service)
    operator.carrier(CARRIER, carrier, **settings)
    return operator.world(numbers={"北京": NUMBERS}, carrier=CARRIER)


class Stillness:
    """The longest that a thread was kept from running which had nothing to do but to look at the clock."""

    def __init__(self):
        self.longest_s = 0
        self.over = threading.Event()

    def watch(self):
        step = 0.02
        last = time.monotonic()
        while not self.over.wait(step):
            now = time.monotonic()
            self.longest_s = max(self.longest_s, now - last - step)
            last = now


@contextmanager
def stillness():
    still = Stillness()
    thread = threading.Thread(target=still.watch, daemon=True)
    thread.start()
    try:
        yield still
    finally:
        still.over.set()
        thread.join()


def gave_up(outcome):
    """Whether the client waited no longer."""
    return "imeout" in json.dumps([outcome.get("raised"), outcome.get("code"), outcome.get("message")])


def outcomes(client, gateway, calls, **how):
    """What came of all calls; those that timed out while the machine stood still are made again."""
    answered, left = [], calls
    for _ in range(TRIES):
        with stillness() as still:
            came = sdk.run(client, gateway, left, **how)
        timed_out = [call for call, outcome in zip(left, came) if gave_up(outcome)]
        if not timed_out or still.longest_s < STILL_S:
            return answered + came
        answered += [outcome for outcome in came if not gave_up(outcome)]
        left = timed_out
    pytest.skip("the machine stood still too often for a time-out of 3 seconds")


def binds(pool, count):
    params = {"PoolKey": pool, "Expiration": expiration()}
    return [{"action": "BindAxn", "params": {**params, "PhoneNoA": f"1390000{n:04}"}} for n in range(count)]


def code_of(outcome):
    return outcome["code"] if "raised" in outcome else json.loads(outcome["body"])["Code"]


@pytest.mark.parametrize("client", [sdk.POP_CORE_POST, sdk.POP_CORE_GET], ids=str)
def test_the_client_for_node_is_told_in_time(service, carrier, client):
    # Were it left alone after some failures, most would be answered at once.
    world = declare(service, carrier, breaker_failures=1_000)
    gateway = world.gateway()
    subs_id, x = bound(gateway.bind_axn("13700000000"))
    carrier.set(slow_s=4)
    update = {
        "action": "UpdateSubscription",
        "params": {
            "PoolKey": world.pool,
            "SubsId": subs_id,
            "PhoneNoX": x,
            "OperateType": "updateNoA",
            "PhoneNoA": "13600000000",
        },
    }
    in_turn = [*binds(world.pool, 9), update]
    came = outcomes(client, gateway, in_turn)
    came += outcomes(client, gateway, binds(world.pool, 10))
    came += outcomes(client, gateway, binds(world.pool, 16), at_once=True)
    assert [code_of(outcome) for outcome in came] == [CODE] * 36, came
    assert {outcome["raised"] for outcome in came} == {f"{CODE}Error"}
    counts, _ = carrier.seen()
    # What they were told came of the slow carrier: it was asked about each of them.
    assert counts["bind"] >= 35 and counts["update"] >= 1, counts


def test_the_client_for_node_is_told_in_time_by_default(service, carrier):
    """With all settings as they are: after some time-outs answers come at once."""
    world = declare(service, carrier)
    carrier.set(slow_s=4)
    came = outcomes(sdk.POP_CORE_POST, world.gateway(), binds(world.pool, 20))
    came += outcomes(sdk.POP_CORE_POST, world.gateway(), binds(world.pool, 16), at_once=True)
    assert [code_of(outcome) for outcome in came] == [CODE] * 36, came


def test_the_first_client_for_python_is_told(service, carrier):
    world = declare(service, carrier, breaker_failures=1_000)
    carrier.set(slow_s=4)
    came = outcomes(sdk.PYTHON_V1, world.gateway(), binds(world.pool, 6))
    # It raises nothing for what is answered with HTTP 200.
    assert [outcome.get("returned") for outcome in came] == ["bytes"] * 6, came
    assert [code_of(outcome) for outcome in came] == [CODE] * 6
    counts, _ = carrier.seen()
    assert counts["bind"] >= 6, counts
