"""What a customer is told of each way in which a carrier can behave, and what is left behind: nothing."""

import json
import time

import pytest

from carriers.simulated import SimulatedCarrier
from carriers.simulator import NONSENSE
from support import sdk
from support.gateway import bound, expiration
from support.operator import Operator
from support.process import Maskline

A, B, C = "13800000001", "13900000001", "13700000001"
REFUSED, UNKNOWN, UNAVAILABLE = "isv.VENDOR_BIND_FAILED", "isp.UNKNOWN_ERR_CODE", "isp.VENDOR_UNAVAILABLE"
BROKEN = f"{UNAVAILABLE} or {UNKNOWN}"
WATCHDOG_S = 60
# The official client for Node.js gives a request up after so long.
NODE_S = 3
# What goes wrong, and the code of a bind or a change then. An answer that breaks off is none, unless it has begun as one
# to another request.
WRONG = {
    "it refuses": ({"refuse": 1}, REFUSED),
    "it has trouble": ({"error": 1}, UNAVAILABLE),
    "it closes the connection": ({"close": 1}, UNAVAILABLE),
    "it is away": ({"outage": True}, UNAVAILABLE),
    "it is slow": ({"slow_s": 4}, UNAVAILABLE),
    "it answers too late": ({"late": 1, "late_s": [4, 6]}, UNAVAILABLE),
    "it looks at it too late": ({"delay": 1, "delay_s": [4, 6]}, UNAVAILABLE),
    **{
        f"it answers {kind}": ({"nonsense": 1, "nonsense_kind": kind}, BROKEN if kind == "half a body" else UNKNOWN)
        for kind in NONSENSE
    },
}


class World:
    """A service, a carrier, and a pool of its own with it."""

    def __init__(self, home, place):
        self.service = place_service(home, place)
        self.carrier = place(SimulatedCarrier(home)).start()
        operator = Operator(self.service)
        operator.apply(
            f'[[carrier]]\nname = "{self.carrier.name}"\nkind = "http"\nurl = "{self.carrier.url}"\n'
            f'secret = "{self.carrier.secret}"\nbreaker_failures = 1000\nbreaker_open_ms = 100\n'
        )
        self.world = operator.world(numbers={"北京": 1}, carrier=self.carrier.name)
        [self.x] = self.world.numbers["北京"]
        self.api = self.world.gateway()

    def await_bound(self):
        """Until the one X can be bound, which it can once the carrier has let it go; the SubsId."""
        self.carrier.set()
        deadline = time.monotonic() + WATCHDOG_S
        while True:
            answer = self.api.bind_axn(A)
            if answer.code == "OK":
                return bound(answer)[0]
            # Its slots are held until then.
            assert answer.code in ("isv.NO_AVAILABLE_NUMBER", UNAVAILABLE), str(answer)
            assert time.monotonic() < deadline, str(answer)
            time.sleep(0.1)

    def await_free(self):
        """Until nothing is bound; a test that failed may have left something."""
        self.carrier.set()
        for row in self.world.bindings():
            self.api.unbind(row["subs_id"], self.x)
        deadline = time.monotonic() + WATCHDOG_S
        while self.carrier.held():
            assert time.monotonic() < deadline, self.carrier.held()
            time.sleep(0.1)

    def terms(self, subs_id):
        return self.carrier.held()[self.x, subs_id]["terms"]


def place_service(home, place):
    service = Maskline(home / "data")
    service.close = service.stop
    return place(service).start()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    things = []

    def place(thing):
        things.append(thing)
        return thing

    yield World(tmp_path_factory.mktemp("world"), place)
    for thing in reversed(things):
        thing.close()


@pytest.mark.parametrize("behaviour", WRONG)
def test_a_bind_and_a_change(world, behaviour):
    faults, code = WRONG[behaviour]
    world.await_free()
    world.carrier.set(**faults)
    answer = world.api.bind_axn(A)
    assert answer.code in code and "SecretBindDTO" not in answer.data, str(answer)
    subs_id = world.await_bound()
    assert list(world.carrier.held()) == [(world.x, subs_id)]

    world.carrier.set(**faults)
    changed = world.api.call("UpdateSubscription", OperateType="updateNoA", SubsId=subs_id, PhoneNoX=world.x, PhoneNoA=C)
    assert changed.code in code, str(changed)
    # The old binding is whole, here and, once it is well, there.
    assert world.api.detail(subs_id, world.x).data["SecretBindDetailDTO"]["PhoneNoA"] == A
    world.carrier.set()
    deadline = time.monotonic() + WATCHDOG_S
    while True:
        changed = world.api.call(
            "UpdateSubscription", OperateType="updateNoA", SubsId=subs_id, PhoneNoX=world.x, PhoneNoA=B
        )
        if changed.code == "OK":
            break
        assert changed.code in (UNAVAILABLE, "isv.BIND_CONFLICT") and time.monotonic() < deadline, str(changed)
        time.sleep(0.1)
    assert world.terms(subs_id)["a"] == B
    assert world.api.unbind(subs_id, world.x).code == "OK"
    world.await_free()
    assert [one for one in world.carrier.history() if one["did"] == "violation"] == []


@pytest.mark.parametrize("faults", [{"slow_s": 4}, {"outage": True}, {"close": 1}], ids=str)
@pytest.mark.parametrize("client", [sdk.POP_CORE_GET, sdk.POP_CORE_POST, sdk.PYTHON_V1], ids=str)
def test_the_clients_with_their_defaults_hear_of_it_and_never_give_up_by_themselves(world, client, faults):
    world.await_free()
    world.carrier.set(**faults)
    params = {"PoolKey": world.world.pool, "PhoneNoA": A, "Expiration": expiration()}
    [outcome] = sdk.run(client, world.api, [{"action": "BindAxn", "params": params}])
    told = outcome.get("code") or json.loads(outcome["body"])["Code"]
    assert told == UNAVAILABLE, outcome
    subs_id = world.await_bound()
    assert world.api.unbind(subs_id, world.x).code == "OK"


def test_an_end_is_the_customer_s_at_once_whatever_the_carrier_does(world):
    world.await_free()
    subs_id = world.await_bound()
    world.carrier.set(outage=True)
    assert world.api.unbind(subs_id, world.x).code == "OK"
    assert world.world.operator.explain(C, world.x)["connect"] is False
    # The number is not given to anybody else until the carrier has let it go.
    assert world.api.bind_axn(A).code in ("isv.NO_AVAILABLE_NUMBER", UNAVAILABLE)
    assert (world.x, subs_id) in world.carrier.held()
    world.carrier.set()
    world.await_free()
    again = world.await_bound()
    assert world.api.unbind(again, world.x).code == "OK"


def test_with_an_open_breaker_customers_hear_of_it_at_once(tmp_path, place):
    world = World(tmp_path, place)
    world.world.operator.apply(
        f'[[carrier]]\nname = "{world.carrier.name}"\nbreaker_failures = 3\nbreaker_open_ms = 60000\n'
    )
    world.carrier.set(error=1)
    # The first one opens it by its tries.
    assert world.api.bind_axn(A).code == UNAVAILABLE
    before = world.carrier.seen()[0]["bind"]
    began = time.monotonic()
    for _ in range(20):
        assert world.api.bind_axn(A).code in (UNAVAILABLE, "isv.NO_AVAILABLE_NUMBER")
    assert world.carrier.seen()[0]["bind"] == before
    # Twenty that waited for the deadline would have taken 50 seconds.
    assert time.monotonic() - began < 40
