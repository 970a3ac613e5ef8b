"""Fault numbers: each raises what the page about them says, in the demo and where it is set, and nowhere else."""

import http.client
import json
import re
import time

import pytest

from support import sdk
from support.gateway import bound, expiration
from support.operator import Operator
from support.process import REPOSITORY, Maskline

BEIJING = "北京"
SLOW_S = 4


def listed():
    """{number: answer} of the page."""
    page = (REPOSITORY / "docs" / "fault-numbers.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(179\d{8})` \| `?([\w. ]+?)`? \|", page, re.MULTILINE)
    assert len(rows) == 25
    return dict(rows)


CODES = {number: answer for number, answer in listed().items() if answer.startswith(("isv.", "isp."))}
[SLOW], [LOST_BEHIND], [LOST_BEFORE] = (
    [number for number, answer in listed().items() if answer == wanted]
    for wanted in ("slow", "lost behind", "lost before")
)


@pytest.fixture
def world(shared):
    return Operator(shared).world(numbers={BEIJING: 3})


def test_each_code_is_raised_and_nothing_has_changed(shared):
    for product in ("AXN", "AXB"):
        world = Operator(shared).world(numbers={BEIJING: 2}, product=product)
        before = world.inventory()
        bind = world.gateway().bind_axn if product == "AXN" else world.gateway().bind_axb
        for number, code in CODES.items():
            answer = bind(number)
            assert (answer.status, answer.code) == (200, code), str(answer)
            assert set(answer.data) == {"RequestId", "Code", "Message"}
        assert world.inventory() == before


def test_the_codes_come_after_what_is_wrong_with_the_request(world):
    api = world.gateway()
    [number, *_] = CODES
    assert api.bind_axn(number, Expiration="soon").code == "isv.EXPIRE_DATE_ILLEGAL"
    assert api.with_pool("FC99999999999").bind_axn(number).code == "isv.POOLKEY_NOT_EXISTS"
    refused = api.with_key(api.key_id, "not-the-secret").bind_axn(number)
    assert (refused.status, refused.code) == (400, "SignatureDoesNotMatch")


def test_a_slow_answer_comes_late_and_is_a_binding(world):
    began = time.monotonic()
    subs_id, x = bound(world.gateway().bind_axn(SLOW))
    assert time.monotonic() - began >= SLOW_S
    assert world.gateway().detail(subs_id, x).code == "OK"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_lost_answer_is_none_and_what_was_done_is_done(world, shared, scheme):
    api = world.gateway()
    if scheme == "https":
        secure = shared.gateway("https")
        api = secure.with_key(api.key_id, api.secret).with_pool(world.pool)
    for number, bindings in ((LOST_BEFORE, 0), (LOST_BEHIND, 1)):
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            api.bind_axn(number)
        assert len(world.bindings()) == bindings
    # Others are answered as ever.
    bound(api.bind_axn())


def test_the_official_clients_meet_them(world):
    """What reaches a customer's program: a body in Python v1, an exception in the Node client."""
    bind = {"PoolKey": world.pool, "Expiration": expiration()}
    calls = [{"action": "BindAxn", "params": {**bind, "PhoneNoA": number}} for number in CODES]
    gateway = world.gateway()
    for outcome, code in zip(sdk.run(sdk.PYTHON_V1, gateway, calls), CODES.values(), strict=True):
        assert json.loads(outcome["body"])["Code"] == code, outcome
    for outcome, code in zip(sdk.run(sdk.POP_CORE_POST, gateway, calls), CODES.values(), strict=True):
        assert (outcome["raised"], outcome["code"]) == (f"{code}Error", code), outcome


def test_outside_the_demo_they_are_numbers_as_others_are_unless_it_is_set(tmp_path):
    service = Maskline(tmp_path / "data", demo=False)
    service.start()
    try:
        world = Operator(service).world(numbers={BEIJING: 3})
        [number, *_] = CODES
        bound(world.gateway().bind_axn(number))
        bound(world.gateway().bind_axn(LOST_BEFORE))
        service.env = {"MASKLINE_API_FAULT_NUMBERS": "true"}
        service.restart()
        assert world.gateway().bind_axn(number).code == CODES[number]
    finally:
        service.stop()
