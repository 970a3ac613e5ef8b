"""The 22 codes of the starting document, each raised by public configuration or a real fault, as two official
clients meet them: Python v1 returns the body of a business error, the Node client throws an error of its name.
"""

import json
import threading
import time

import pytest

from carriers.simulated import SimulatedCarrier
from support import sdk
from support.gateway import Gateway, bound
from support.operator import Operator, World
from support.process import Maskline
from test_errors import BEIJING, CASES, A
from test_faults import cramped, fill, small_disk  # noqa: F401

CLIENTS = (sdk.PYTHON_V1, sdk.POP_CORE_POST)
CODES = (
    "isp.RAM_PERMISSION_DENY", "isv.OUT_OF_SERVICE", "isv.PRODUCT_UN_SUBSCRIPT", "isv.PRODUCT_UNSUBSCRIBE",
    "isv.ACCOUNT_NOT_EXISTS", "isv.ACCOUNT_ABNORMAL", "isp.SYSTEM_ERROR", "isp.UNKNOWN_ERR_CODE",
    "isv.PARTNER_NOT_EXIST", "isv.NO_NOT_EXIST", "isv.ILLEGAL_ARGUMENT", "isp.DAO_EXCEPTION",
    "isv.NO_AVAILABLE_NUMBER", "isp.VENDOR_UNAVAILABLE", "isv.FLOW_LIMIT", "isv.PARTNER_IS_CLOSED",
    "isv.FORBIDDEN_ACTION", "isv.NO_USED_BY_OTHERS", "isv.VENDOR_BIND_FAILED", "isv.EXPIRE_DATE_ILLEGAL",
    "isv.MOBILE_NUMBER_ILLEGAL", "isv.BIND_CONFLICT",
)  # fmt: skip
# What the carrier does, and which code that is.
CARRIER_FAULTS = {
    "isv.VENDOR_BIND_FAILED": {"refuse": 1},
    "isp.UNKNOWN_ERR_CODE": {"nonsense": 1, "nonsense_kind": "no JSON"},
    "isp.VENDOR_UNAVAILABLE": {"error": 1},
}
# Of which the settings or the machine must be such.
BY_FAULTS = {"isv.FLOW_LIMIT", "isp.DAO_EXCEPTION", "isp.SYSTEM_ERROR"}
# One way to each of the others: the first of the table.
FIRST = {case.code: case for case in reversed(CASES)}
BY_CONFIGURATION = [code for code in CODES if code not in CARRIER_FAULTS and code not in BY_FAULTS]


def test_the_table_has_all_codes_of_the_document():
    assert len(set(CODES)) == 22
    assert set(BY_CONFIGURATION) <= set(FIRST)
    assert len(BY_CONFIGURATION) == 16


class Routed(Gateway):
    """A gateway whose calls go by an official client once one is set."""

    def __init__(self, gateway, way):
        self.__dict__.update(gateway.__dict__)
        self.way = way

    def call(self, action, _common=None, **params):
        if self.way["client"] is None:
            return super().call(action, _common, **params)
        params = {"PoolKey": self.pool_key, **params}
        params = {name: value for name, value in params.items() if value is not None}
        [outcome] = sdk.run(self.way["client"], self, [{"action": action, "params": params}])
        return outcome


class RoutedWorld(World):
    """A world whose gateways share one way."""

    def __init__(self, world):
        self.__dict__.update(world.__dict__)
        self.way = {"client": None}

    def gateway(self, key=None):
        return Routed(super().gateway(key), self.way)


def assert_met(client, outcome, code):
    """As the client tells a business error: HTTP 200 with a code."""
    if client is sdk.PYTHON_V1:
        assert outcome.get("returned") == "bytes", outcome
        body = json.loads(outcome["body"])
        assert set(body) == {"RequestId", "Code", "Message"}
        assert body["Code"] == code, outcome
    else:
        assert (outcome.get("raised"), outcome["code"], outcome["status"]) == (f"{code}Error", code, 200), outcome


def met(client, outcome):
    """The code of an outcome."""
    if "returned" in outcome:
        return json.loads(outcome["body"])["Code"]
    return outcome["code"]


@pytest.mark.parametrize("client", CLIENTS, ids=str)
@pytest.mark.parametrize("code", BY_CONFIGURATION)
def test_codes_of_configuration(shared, client, code):
    case = FIRST[code]
    world = RoutedWorld(Operator(shared).world(numbers={BEIJING: 2}, product=case.product))
    request = case.request(world)
    before = world.inventory()
    world.way["client"] = client
    assert_met(client, request(), code)
    assert world.inventory() == before


@pytest.fixture
def carrier(tmp_path):
    simulated = SimulatedCarrier(tmp_path, "unicom")
    yield simulated.start()
    simulated.close()


@pytest.fixture
def service(tmp_path):
    service = Maskline(tmp_path / "data")
    yield service.start()
    service.stop()


@pytest.mark.parametrize("client", CLIENTS, ids=str)
def test_codes_of_carriers(service, carrier, client):
    operator = Operator(service)
    operator.apply(
        f'[[carrier]]\nname = "unicom"\nkind = "http"\nurl = "{carrier.url}"\nsecret = "{carrier.secret}"\n'
        "breaker_failures = 1000\n"
    )
    world = RoutedWorld(operator.world(numbers={BEIJING: 9}, carrier="unicom"))
    for code, faults in CARRIER_FAULTS.items():
        world.way["client"] = None
        carrier.set()
        bound(world.gateway().bind_axn(A))
        world.way["client"] = client
        carrier.set(**faults)
        assert_met(client, world.gateway().bind_axn(A), code)
    # A slow carrier is no time-out of the client's: the Node client gives up after 3 s by itself.
    carrier.set(slow_s=6)
    assert_met(client, world.gateway().bind_axn(A), "isp.VENDOR_UNAVAILABLE")


@pytest.mark.parametrize("client", CLIENTS, ids=str)
def test_the_limit_of_an_action(tmp_path, client):
    settings = tmp_path / "maskline.toml"
    settings.write_text("[limits.actions]\nBindAxn = 1\n")
    service = Maskline(tmp_path / "data", args=["--config", str(settings)])
    service.start()
    try:
        world = Operator(service).world(numbers={BEIJING: 50})
        outcome = first_error(client, world)
        assert_met(client, outcome, "isv.FLOW_LIMIT")
    finally:
        service.stop()


@pytest.mark.parametrize("client", CLIENTS, ids=str)
def test_a_full_disk(cramped, small_disk, client):  # noqa: F811
    world = Operator(cramped).world(numbers={BEIJING: 900})
    fill(small_disk)
    outcome = first_error(client, world)
    assert_met(client, outcome, "isp.DAO_EXCEPTION")


@pytest.mark.parametrize("client", CLIENTS, ids=str)
def test_more_than_the_writer_takes(tmp_path, client):
    service = Maskline(tmp_path / "data")
    service.start()
    try:
        world = Operator(service).world(numbers={BEIJING: 900})
        service.env = {"MASKLINE_WRITER_QUEUE_MAX": "1", "MASKLINE_WRITER_BATCH_MAX": "1"}
        service.restart()
        ended = threading.Event()

        def busy():
            api = world.gateway()
            while not ended.is_set():
                # Each goes by the writer, whatever becomes of it.
                api.call("LockSecretNo", SecretNo=world.numbers[BEIJING][0])

        others = [threading.Thread(target=busy) for _ in range(24)]
        for other in others:
            other.start()
        try:
            outcome = first_error(client, world)
        finally:
            ended.set()
            for other in others:
                other.join()
        assert_met(client, outcome, "isp.SYSTEM_ERROR")
    finally:
        service.stop()


def first_error(client, world, seconds=60):
    """Binds by a client until it meets an error."""
    deadline = time.monotonic() + seconds
    bind = {"action": "BindAxn", "params": {"PoolKey": world.pool, "PhoneNoA": A, "Expiration": "2099-01-01 00:00:00"}}
    while time.monotonic() < deadline:
        for outcome in sdk.run(client, world.gateway(), [bind] * 40):
            if met(client, outcome) != "OK":
                return outcome
    raise AssertionError("no error was met")
