"""The error table: every code that needs no carrier, raised over HTTP by a configuration that an
operator can make, and the state unchanged after each.

The three codes of the starting document that only a carrier can cause are in test_carriers.py, the two
that need a fault of the machine, isp.DAO_EXCEPTION and isp.SYSTEM_ERROR, in test_faults.py, and all 22
as official clients meet them in test_errors_by_clients.py.
"""

from dataclasses import dataclass
from typing import Callable

import pytest

from support.gateway import bound, expiration
from support.operator import Operator, new_index
from support.process import Maskline

A, B, C = "13900001111", "15800000000", "13600000000"
BEIJING = "北京"


@dataclass(frozen=True)
class Case:
    """A code, and what has to be so that a request gets it."""

    code: str
    when: str
    request: Callable
    product: str = "AXN"

    def __str__(self):
        return f"{self.code}-{self.when}".replace(" ", "_")


CASES = []


def case(code, when, product="AXN"):
    """The function arranges `when` and returns the request that gets `code`."""

    def register(function):
        CASES.append(Case(code, when, function, product))
        return function

    return register


# Who asks


@case("isp.RAM_PERMISSION_DENY", "the user's policy denies the action")
def _(world):
    ram_user = world.operator.user(
        world.account, allow=[("dypls:*", "*")], deny=[("dypls:BindAxn", "*")]
    )
    api = world.gateway(world.operator.key(world.account, user=ram_user))
    return lambda: api.bind_axn(A)


@case("isp.RAM_PERMISSION_DENY", "no policy allows the action")
def _(world):
    ram_user = world.operator.user(world.account, allow=[("dypls:Query*", "*")])
    api = world.gateway(world.operator.key(world.account, user=ram_user))
    return lambda: api.bind_axn(A)


@case("isp.RAM_PERMISSION_DENY", "the user's policy is for another pool")
def _(world):
    ram_user = world.operator.user(world.account, allow=[("dypls:*", "FC1")])
    api = world.gateway(world.operator.key(world.account, user=ram_user))
    return lambda: api.bind_axn(A)


def account_that(code, when, **state):
    @case(code, when)
    def _(world):
        world.operator.account(world.account, **state)
        return lambda: world.gateway().bind_axn(A)


account_that("isv.OUT_OF_SERVICE", "the account is in arrears", status="in_arrears")
account_that(
    "isv.PRODUCT_UN_SUBSCRIPT", "communications never opened", communications_opened=False
)
account_that("isv.PRODUCT_UNSUBSCRIBE", "this product not opened", product_opened=False)
account_that("isv.ACCOUNT_NOT_EXISTS", "the account is closed", status="closed")
account_that("isv.ACCOUNT_ABNORMAL", "the account is frozen", status="abnormal")
account_that("isv.ACCOUNT_ABNORMAL", "the account is not verified", real_name_verified=False)


# Which pool


@case("isv.PARTNER_NOT_EXIST", "the pool is another account's")
def _(world):
    other = world.operator.world(numbers={BEIJING: 1})
    return lambda: world.gateway().with_pool(other.pool).bind_axn(A)


@case("isv.PARTNER_IS_CLOSED", "the pool is closed")
def _(world):
    world.operator.pool(world.pool, world.account, open=False)
    return lambda: world.gateway().bind_axn(A)


@case("isv.POOLKEY_NOT_EXISTS", "no pool has this key")
def _(world):
    return lambda: world.gateway().with_pool("FC99999999999").bind_axn(A)


@case("isv.ILLEGAL_ARGUMENT", "no pool is named")
def _(world):
    return lambda: world.gateway().bind_axn(A, PoolKey=None)


@case("isv.FORBIDDEN_ACTION", "the pool is of another product")
def _(world):
    return lambda: world.gateway().bind_axb(A, B)


# Parameters


@case("isv.ILLEGAL_ARGUMENT", "A and B are the same")
def _(world):
    return lambda: world.gateway().bind_axn(A, PhoneNoB=A)


@case("isv.ILLEGAL_ARGUMENT", "A is the wanted X")
def _(world):
    [x, *_] = world.numbers[BEIJING]
    return lambda: world.gateway().bind_axn(x, PhoneNoX=x)


@case("isv.ILLEGAL_ARGUMENT", "CallRestrict has an unknown value")
def _(world):
    return lambda: world.gateway().bind_axn(A, CallRestrict="CONTROL_EVERYTHING")


@case("isv.INVALID_PARAMETERS", "RingConfig is not JSON")
def _(world):
    return lambda: world.gateway().bind_axn(A, RingConfig="{")


@case("isv.MOBILE_NUMBER_ILLEGAL", "A has a country code")
def _(world):
    return lambda: world.gateway().bind_axn("+8613900001111")


@case("isv.MOBILE_NUMBER_ILLEGAL", "B has a space")
def _(world):
    return lambda: world.gateway().bind_axn(A, PhoneNoB="158 0000 0000")


@case("isv.MOBILE_NUMBER_ILLEGAL", "A is an emergency number")
def _(world):
    return lambda: world.gateway().bind_axn("110")


@case("isv.EXPIRE_DATE_ILLEGAL", "Expiration is in the past")
def _(world):
    return lambda: world.gateway().bind_axn(A, Expiration="2017-09-18 17:00:00")


@case("isv.EXPIRE_DATE_ILLEGAL", "Expiration is less than a minute ahead")
def _(world):
    return lambda: world.gateway().bind_axn(A, Expiration=expiration(50))


# X


@case("isv.NO_NOT_EXIST", "the wanted X does not exist")
def _(world):
    return lambda: world.gateway().bind_axn(A, PhoneNoX="17099990000")


@case("isv.NO_NOT_EXIST", "the wanted X is another account's")
def _(world):
    other = world.operator.world(numbers={BEIJING: 1})
    [x] = other.numbers[BEIJING]
    return lambda: world.gateway().bind_axn(A, PhoneNoX=x)


@case("isv.FORBIDDEN_ACTION", "the wanted X is in another pool")
def _(world):
    index = new_index()
    pool, x = f"FC77{index}", f"1709{index:07}"
    world.operator.pool(pool, world.account, product="axn")
    world.operator.numbers(pool, BEIJING, [x])
    return lambda: world.gateway().bind_axn(A, PhoneNoX=x)


@case("isv.FORBIDDEN_ACTION", "the wanted X is locked")
def _(world):
    [x, *_] = world.numbers[BEIJING]
    assert world.gateway().call("LockSecretNo", SecretNo=x).code == "OK"
    return lambda: world.gateway().bind_axn(A, PhoneNoX=x)


@case("isv.NO_USED_BY_OTHERS", "the wanted X is bound for another A")
def _(world):
    _, x = bound(world.gateway().bind_axn(A))
    return lambda: world.gateway().bind_axn(C, PhoneNoX=x)


@case("isv.BIND_CONFLICT", "the wanted X is bound for the same A")
def _(world):
    _, x = bound(world.gateway().bind_axn(A))
    return lambda: world.gateway().bind_axn(A, PhoneNoX=x)


@case("isv.BIND_CONFLICT", "a party of the pair is on the wanted X already", product="AXB")
def _(world):
    _, x = bound(world.gateway().bind_axb(A, B))
    return lambda: world.gateway().bind_axb(C, A, PhoneNoX=x)


@case("isv.NO_AVAILABLE_NUMBER", "every X is taken")
def _(world):
    for _ in range(2):
        bound(world.gateway().bind_axn(A))
    return lambda: world.gateway().bind_axn(C)


# What is there already


@case("isv.SUBS_NOT_EXIST", "no binding has this id")
def _(world):
    _, x = bound(world.gateway().bind_axn(A))
    return lambda: world.gateway().unbind("1000000000000001", x)


@case("isv.SUBS_NOT_EXIST", "id and X do not belong together")
def _(world):
    subs_id, x = bound(world.gateway().bind_axn(A))
    [other] = [number for number in world.numbers[BEIJING] if number != x]
    return lambda: world.gateway().unbind(subs_id, other)


@case("isv.SUBS_NOT_EXIST", "the binding has been ended")
def _(world):
    subs_id, x = bound(world.gateway().bind_axn(A))
    assert world.gateway().unbind(subs_id, x).code == "OK"
    return lambda: world.gateway().unbind(subs_id, x)


@case("isv.UPDATE_CONFLICT", "the new B is on this X already", product="AXB")
def _(world):
    api = world.gateway()
    _, x = bound(api.bind_axb(A, B))
    subs_id, _ = bound(api.bind_axb(C, "13700000000", PhoneNoX=x))
    return lambda: api.call(
        "UpdateSubscription", OperateType="updateNoB", SubsId=subs_id, PhoneNoX=x, PhoneNoB=B
    )


@case("isv.ILLEGAL_ARGUMENT", "OperateType is unknown")
def _(world):
    subs_id, x = bound(world.gateway().bind_axn(A))
    return lambda: world.gateway().call(
        "UpdateSubscription", OperateType="updateNothing", SubsId=subs_id, PhoneNoX=x
    )


@case("isv.NO_NOT_EXIST", "the number to lock does not exist")
def _(world):
    return lambda: world.gateway().call("LockSecretNo", SecretNo="17099990000")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_code(shared, case):
    world = Operator(shared).world(numbers={BEIJING: 2}, product=case.product)
    request = case.request(world)
    before = world.inventory()

    answer = request()

    assert (answer.status, answer.code) == (200, case.code), str(answer)
    assert set(answer.data) == {"RequestId", "Code", "Message"}
    assert world.inventory() == before


def test_flow_limit_of_one_action(maskline_with_limits):
    """The second bind within a second is one too many; queries have a limit of their own."""
    world = Operator(maskline_with_limits).world(numbers={BEIJING: 50})
    api = world.gateway()

    answers = [api.bind_axn(A) for _ in range(10)]

    codes = [answer.code for answer in answers]
    assert codes[0] == "OK" and "isv.FLOW_LIMIT" in codes, codes
    assert set(codes) == {"OK", "isv.FLOW_LIMIT"}
    assert len(world.bindings()) == codes.count("OK")
    assert api.call("QuerySecretNoDetail", SecretNo=world.numbers[BEIJING][0]).code == "OK"


def test_total_limit_of_an_account(maskline_with_limits):
    world = Operator(maskline_with_limits).world(numbers={BEIJING: 1}, requests_per_s_max=3)
    api = world.gateway()
    [x] = world.numbers[BEIJING]

    answers = [api.call("QuerySecretNoDetail", SecretNo=x) for _ in range(20)]

    refused = [answer for answer in answers if answer.code != "OK"]
    assert answers[0].code == "OK" and refused
    assert {(answer.status, answer.code) for answer in refused} == {(400, "Throttling.User")}


@pytest.fixture
def maskline_with_limits(tmp_path):
    settings = tmp_path / "maskline.toml"
    settings.write_text("[limits.actions]\nBindAxn = 2\n")
    service = Maskline(tmp_path / "data", args=["--config", str(settings)])
    yield service.start()
    service.stop()


SEED_CODES_WITHOUT_CARRIER = {
    "isp.RAM_PERMISSION_DENY",
    "isv.OUT_OF_SERVICE",
    "isv.PRODUCT_UN_SUBSCRIPT",
    "isv.PRODUCT_UNSUBSCRIBE",
    "isv.ACCOUNT_NOT_EXISTS",
    "isv.ACCOUNT_ABNORMAL",
    "isp.SYSTEM_ERROR",
    "isv.PARTNER_NOT_EXIST",
    "isv.NO_NOT_EXIST",
    "isv.ILLEGAL_ARGUMENT",
    "isp.DAO_EXCEPTION",
    "isv.NO_AVAILABLE_NUMBER",
    "isv.FLOW_LIMIT",
    "isv.PARTNER_IS_CLOSED",
    "isv.FORBIDDEN_ACTION",
    "isv.NO_USED_BY_OTHERS",
    "isv.EXPIRE_DATE_ILLEGAL",
    "isv.MOBILE_NUMBER_ILLEGAL",
    "isv.BIND_CONFLICT",
}
ELSEWHERE = {"isv.FLOW_LIMIT", "isp.DAO_EXCEPTION", "isp.SYSTEM_ERROR"}


def test_the_table_is_whole():
    assert len(SEED_CODES_WITHOUT_CARRIER) == 19
    assert SEED_CODES_WITHOUT_CARRIER <= {case.code for case in CASES} | ELSEWHERE
