"""The starting document sentence by sentence: accounts, keys, the three parties, the parameters.

Each test quotes in its first line what the document says. The error codes have a table of their own
in test_errors.py.
"""

import pytest

from support.gateway import bound, expiration
from support.process import Maskline
from support.operator import Operator

BEIJING, SHANGHAI = "北京", "上海"


@pytest.fixture(scope="module", params=["UTC", "America/New_York"])
def zone(request, tmp_path_factory):
    """A service whose machine stands in another time zone than the last one."""
    service = Maskline(tmp_path_factory.mktemp("zone") / "data", env={"TZ": request.param})
    yield service.start()
    service.stop()


@pytest.fixture
def world(zone):
    return Operator(zone).world(numbers={BEIJING: 3, SHANGHAI: 2})


@pytest.fixture
def api(world):
    return world.gateway()


# Step 1: an account, real-name verified


def test_only_verified_accounts_may_use_the_service(zone, world, api):
    """Only users with real-name authentication are supported."""
    bound(api.bind_axn())
    world.operator.account(world.account, real_name_verified=False)

    refused = api.bind_axn()

    assert refused.code == "isv.ACCOUNT_ABNORMAL", str(refused)
    world.operator.account(world.account, real_name_verified=True)
    bound(api.bind_axn())


# Step 2: several AccessKeys, enabled, disabled, deleted at any time


def test_two_keys_of_one_account_both_work(world, api):
    """Every user can create several pairs of keys."""
    second = world.gateway(world.operator.key(world.account))

    subs_id, x = bound(api.bind_axn())

    assert second.detail(subs_id, x).code == "OK"
    bound(second.bind_axn())


def test_disabled_key_is_refused_from_the_next_request_on_and_works_again_enabled(world, api):
    """Keys can be enabled (Active) and disabled (Inactive) at any time."""
    key = world.operator.key(world.account)
    other = world.gateway(key)
    bound(other.bind_axn())

    world.operator.disable_key(key)
    refused = other.bind_axn()

    assert (refused.status, refused.code) == (400, "InvalidAccessKeyId.Inactive"), str(refused)
    bound(api.bind_axn())
    world.operator.enable_key(key)
    bound(other.bind_axn())


def test_deleted_key_is_refused_from_the_next_request_on_and_its_replacement_works(world, api):
    """A pair at risk should be deleted at once and replaced by a new one."""
    leaked = world.operator.key(world.account)
    subs_id, x = bound(world.gateway(leaked).bind_axn())

    world.operator.delete_key(leaked)
    refused = world.gateway(leaked).bind_axn()
    replacement = world.gateway(world.operator.key(world.account))

    assert (refused.status, refused.code) == (404, "InvalidAccessKeyId.NotFound"), str(refused)
    assert replacement.detail(subs_id, x).code == "OK"
    bound(replacement.bind_axn())
    bound(api.bind_axn())


def test_four_keys_side_by_side(zone, world):
    """Of one account's keys two work, one disabled and one deleted are refused, also after a kill."""
    keys = [world.operator.key(world.account) for _ in range(4)]
    world.operator.disable_key(keys[2])
    world.operator.delete_key(keys[3])
    expected = ["isv.NO_NOT_EXIST", "isv.NO_NOT_EXIST"]
    expected += ["InvalidAccessKeyId.Inactive", "InvalidAccessKeyId.NotFound"]

    def codes():
        seen = [world.gateway(key).call("QuerySecretNoDetail", SecretNo="17000009999") for key in keys]
        return [answer.code for answer in seen]

    assert codes() == expected
    zone.restart()
    assert codes() == expected


# Step 3: A, X, N and the default B


def test_without_default_b_a_hears_a_vacant_number(world, api):
    """Without a B number, A is told that the X it dialled is vacant."""
    _, x = bound(api.bind_axn("13900001111"))

    route = world.operator.explain("13900001111", x)

    assert (route["connect"], route["situation"]) == (False, "VacantNumber"), route


def test_with_default_b_a_reaches_it_and_everyone_else_reaches_a(world, api):
    """A dialling X is put through to the default B; any other number dialling X reaches A."""
    subs_id, x = bound(api.bind_axn("13900001111", PhoneNoB="15800000000"))

    held = api.detail(subs_id, x).data["SecretBindDetailDTO"]

    assert (held["PhoneNoA"], held["PhoneNoB"]) == ("13900001111", "15800000000")
    assert world.operator.explain("13900001111", x)["callee"] == "15800000000"
    assert world.operator.explain("13600000000", x)["callee"] == "13900001111"


# The parameters


@pytest.mark.parametrize("landline", ["057188889999", "01088889999"])
def test_landlines_without_a_hyphen_bind_as_a_and_as_b(api, landline):
    """A and B support landlines; no hyphen after the area code."""
    as_a, x = bound(api.bind_axn(landline, PhoneNoB="15800000000"))
    as_b, y = bound(api.bind_axn("15000000000", PhoneNoB=landline))

    assert api.detail(as_a, x).data["SecretBindDetailDTO"]["PhoneNoA"] == landline
    assert api.detail(as_b, y).data["SecretBindDetailDTO"]["PhoneNoB"] == landline


@pytest.mark.parametrize(
    "numbers",
    [{"a": "0571-88889999"}, {"PhoneNoB": "0571-88889999"}],
    ids=["A", "B"],
)
def test_landlines_with_a_hyphen_do_not(api, numbers):
    refused = api.bind_axn(**numbers)

    assert refused.code == "isv.MOBILE_NUMBER_ILLEGAL", str(refused)


def test_x_can_be_chosen_by_the_customer(world, api):
    """PhoneNoX binds that X number."""
    wanted = world.numbers[SHANGHAI][1]

    _, x = bound(api.bind_axn(PhoneNoX=wanted))

    assert x == wanted


def test_wanted_city_decides_while_it_has_numbers(world, api):
    """ExpectCity chooses X of that city, written without its suffix."""
    taken = {bound(api.bind_axn(ExpectCity=SHANGHAI))[1] for _ in range(2)}

    assert taken == set(world.numbers[SHANGHAI])


def test_recording_is_off_unless_wanted(api):
    """IsRecordingEnabled: whether calls are to be recorded, false by default."""
    plain = bound(api.bind_axn())
    recorded = bound(api.bind_axn(IsRecordingEnabled="true"))

    assert api.detail(*plain).data["SecretBindDetailDTO"]["NeedRecord"] is False
    assert api.detail(*recorded).data["SecretBindDetailDTO"]["NeedRecord"] is True


def test_out_id_is_kept_for_the_operator_too(world, api):
    """OutId is the customer's own text."""
    subs_id, _ = bound(api.bind_axn(OutId="订单 abcdef/1"))

    assert world.operator.binding(subs_id)["out_id"] == "订单 abcdef/1"


def test_expiration_is_china_time_wherever_the_machine_stands(world, api):
    """Expiration: yyyy-MM-dd HH:mm:ss, not earlier than a minute from now."""
    wanted = expiration(3600)

    subs_id, x = bound(api.bind_axn(Expiration=wanted))

    assert api.detail(subs_id, x).data["SecretBindDetailDTO"]["ExpireDate"] == wanted
    assert api.bind_axn(Expiration=expiration(55)).code == "isv.EXPIRE_DATE_ILLEGAL"
    bound(api.bind_axn(Expiration=expiration(65)))


@pytest.mark.parametrize("text", ["2099-09-18", "2099/09/18 17:00:00", "2099-02-30 17:00:00", "x"])
def test_expiration_of_another_form_is_refused(api, text):
    assert api.bind_axn(Expiration=text).code == "isv.EXPIRE_DATE_ILLEGAL"


def test_answer_has_the_members_of_the_page(api):
    """RequestId, Code, Message, SecretBindDTO."""
    answer = api.bind_axn()

    assert set(answer.data) == {"RequestId", "Code", "Message", "SecretBindDTO"}
    assert answer.code == "OK"
