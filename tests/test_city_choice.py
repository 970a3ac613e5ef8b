"""The same inventory, once loose and once strict: what happens when the wanted city is sold out."""

import pytest

from support.gateway import bound
from support.operator import Operator

BEIJING, SHANGHAI = "北京", "上海"


@pytest.fixture(params=["loose", "strict"])
def city_match(request):
    return request.param


@pytest.fixture
def world(shared, city_match):
    return Operator(shared).world(numbers={BEIJING: 1, SHANGHAI: 2}, city_match=city_match)


def test_wanted_city_first_then_as_the_pool_says(world, city_match):
    api = world.gateway()
    _, first = bound(api.bind_axn(ExpectCity=BEIJING))
    assert first in world.numbers[BEIJING]

    second = api.bind_axn(ExpectCity=BEIJING)

    if city_match == "loose":
        assert bound(second)[1] in world.numbers[SHANGHAI]
    else:
        assert second.code == "isv.NO_AVAILABLE_NUMBER", str(second)


def test_without_a_wanted_city_both_give_any_number(world):
    api = world.gateway()

    taken = {bound(api.bind_axn())[1] for _ in range(3)}

    assert taken == set(world.numbers[BEIJING] + world.numbers[SHANGHAI])
    assert api.bind_axn().code == "isv.NO_AVAILABLE_NUMBER"


def test_city_of_which_the_pool_has_nothing(world, city_match):
    answer = world.gateway().bind_axn(ExpectCity="拉萨")

    assert answer.code == ("OK" if city_match == "loose" else "isv.NO_AVAILABLE_NUMBER")


def test_suffix_of_the_city_does_not_matter(world):
    api = world.gateway()

    assert bound(api.bind_axn(ExpectCity=BEIJING + "市"))[1] in world.numbers[BEIJING]


def test_pool_setting_holds_from_the_next_request_on(world, city_match):
    api = world.gateway()
    bound(api.bind_axn(ExpectCity=BEIJING))

    world.operator.pool(
        world.pool, world.account, city_match="strict" if city_match == "loose" else "loose"
    )
    answer = api.bind_axn(ExpectCity=BEIJING)

    assert answer.code == ("isv.NO_AVAILABLE_NUMBER" if city_match == "loose" else "OK")


def test_locked_numbers_are_not_chosen(world, city_match):
    api = world.gateway()
    [only] = world.numbers[BEIJING]
    assert api.call("LockSecretNo", SecretNo=only).code == "OK"

    locked = api.bind_axn(ExpectCity=BEIJING)
    assert api.call("UnlockSecretNo", SecretNo=only).code == "OK"
    unlocked = api.bind_axn(ExpectCity=BEIJING)

    assert locked.code == ("OK" if city_match == "loose" else "isv.NO_AVAILABLE_NUMBER")
    assert bound(unlocked)[1] == only
