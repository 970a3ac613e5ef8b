"""Every way in which an official client was seen to send a request is read and verified."""

from datetime import datetime, timezone

import pytest

from support.gateway import bound, expiration, utc_stamp
from support.operator import Operator

AWKWARD = "a b*~+/=&'()!,;:@?#[]%25 北京"


def wanted(api, **more):
    return {
        "PoolKey": api.pool_key,
        "PhoneNoA": "13900001111",
        "Expiration": expiration(),
        "OutId": AWKWARD,
        **more,
    }


@pytest.mark.parametrize("algorithm", ["HMAC-SHA1", "HMAC-SHA256"])
@pytest.mark.parametrize(
    "method, place", [("GET", "query"), ("POST", "query"), ("POST", "form"), ("POST", "split")]
)
def test_rpc_request_binds(api, method, place, algorithm):
    common = {"SignatureMethod": algorithm}

    answer = api.rpc("BindAxn", wanted(api), method=method, place=place, common=common).send()

    bound(answer)


@pytest.mark.parametrize("method, place", [("GET", "query"), ("POST", "query"), ("POST", "form")])
def test_acs3_request_binds(api, method, place):
    bound(api.acs3("BindAxn", wanted(api), method=method, place=place).send())


@pytest.mark.parametrize("place", ["query", "form"])
def test_acs3_need_not_sign_the_host(api, place):
    """The asynchronous Java core never does, nor Java v1 with V3."""
    request = api.acs3("BindAxn", wanted(api), place=place, headers={"host": None})

    assert "SignedHeaders=x-acs-action" in request.headers["Authorization"] or place == "form"
    bound(request.send())


@pytest.mark.parametrize("stamp", ["%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%dT%H:%M:%S.123Z"])
def test_time_stamps_with_fractions_are_taken(api, stamp):
    now = datetime.now(timezone.utc).strftime(stamp)

    bound(api.rpc("BindAxn", wanted(api), common={"Timestamp": now}).send())


def test_expiration_without_padding_is_taken(api):
    subs_id, x = bound(api.bind_axn(Expiration="2099-1-31 23:59:59"))

    held = api.detail(subs_id, x).data["SecretBindDetailDTO"]

    assert held["ExpireDate"] == "2099-01-31 23:59:59"


def test_acs3_signs_whatever_headers_the_client_lists(api):
    more = {
        "accept": "application/json",
        "user-agent": "AlibabaCloud (Linux; x86_64) Python/3.11 TeaDSL/2",
        "x-acs-credentials-provider": "static_ak",
    }

    bound(api.acs3("BindAxn", wanted(api), headers=more).send())


def test_query_with_plus_for_space_is_the_same_request(api):
    request = api.rpc("BindAxn", wanted(api))

    bound(request.changed(target=request.target.replace("%20", "+")).send())


def test_python_v1_extras_are_signed_and_ignored(api):
    common = {"SignatureType": "", "RegionId": "cn-hangzhou"}

    bound(api.rpc("BindAxn", wanted(api), common=common).send())


def test_unknown_parameter_is_signed_and_ignored(api):
    bound(api.rpc("BindAxn", wanted(api, OwnerId="1", NoSuchParameter="x")).send())


def test_parameter_names_match_whatever_their_case(api):
    """pop-core upper-cases first letters; callers of other generic clients write names as they like."""
    params = {name[0].lower() + name[1:]: value for name, value in wanted(api).items()}

    bound(api.rpc("BindAxn", params).send())


@pytest.mark.parametrize("spelling", ["true", "True", "1", "false", "False", "0"])
def test_booleans_of_every_client_are_read(api, spelling):
    subs_id, x = bound(api.bind_axn(IsRecordingEnabled=spelling))

    held = api.detail(subs_id, x).data["SecretBindDetailDTO"]

    assert held["NeedRecord"] is (spelling.lower() in ("true", "1"))


@pytest.mark.parametrize(
    "format, content_type",
    [
        ("JSON", "application/json;charset=utf-8"),
        ("json", "application/json;charset=utf-8"),
        ("None", "application/json;charset=utf-8"),
        ("XML", "text/xml;charset=utf-8"),
        (None, "application/json;charset=utf-8"),
    ],
)
def test_format_decides_the_form_of_the_answer(api, format, content_type):
    answer = api.bind_axn(_common={"Format": format})

    assert answer.content_type == content_type
    bound(answer)


def test_pool_keys_may_hold_hexadecimal_letters(shared):
    operator = Operator(shared)
    operator.apply(
        """
        [[account]]
        id = "hexadecimal"
        real_name_verified = true
        [[pool]]
        key = "FC2a57EE"
        account = "hexadecimal"
        product = "axn"
        [[numbers]]
        pool = "FC2a57EE"
        city = "杭州"
        list = ["17155550001"]
        """
    )
    key = operator.key("hexadecimal")
    api = shared.gateway().with_key(key.id, key.secret).with_pool("FC2a57EE")

    bound(api.bind_axn())
    assert "FC2a57EE" in shared.cli("pool", "show", "FC2a57EE").stdout
    refused = shared.cli("pool", "set", "FCxyz", "--account", "hexadecimal", "--product", "axn", check=False)
    assert refused.returncode == 1 and "hexadecimal digits" in refused.stderr, refused


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("style", ["rpc", "acs3"])
def test_both_schemes_over_both_transports(shared, scheme, style):
    api = shared.gateway(scheme)

    bound(getattr(api, style)("BindAxn", wanted(api)).send())


# What is refused at the gate


def assert_gateway_error(answer, status, code, message=None):
    assert (answer.status, answer.code) == (status, code), str(answer)
    assert set(answer.data) >= {"RequestId", "HostId", "Code", "Message"}
    if message is not None:
        assert answer.message == message


def test_unknown_action(api):
    answer = api.rpc("BindEverything", wanted(api)).send()

    text = "Specified api is not found, please check your url and method."
    assert_gateway_error(answer, 404, "InvalidAction.NotFound", text)


@pytest.mark.parametrize("style", ["rpc", "acs3"])
@pytest.mark.parametrize("name", ["PhoneNoA", "Expiration"])
def test_missing_required_parameter(api, style, name):
    params = wanted(api)
    del params[name]

    answer = getattr(api, style)("BindAxn", params).send()

    assert_gateway_error(answer, 400, f"Missing{name}", f"{name} is mandatory for this action.")


def test_wrong_version(api):
    answer = api.rpc("BindAxn", wanted(api), common={"Version": "2016-01-01"}).send()

    assert_gateway_error(answer, 400, "InvalidVersion")


def test_unknown_signature_method(api):
    answer = api.rpc("BindAxn", wanted(api), common={"SignatureMethod": "HMAC-MD5"}).send()

    text = "Specified signature method is not valid."
    assert_gateway_error(answer, 400, "InvalidSignatureMethod", text)


def test_unknown_key(api):
    answer = api.with_key("LTAInobody", "secret").rpc("BindAxn", wanted(api)).send()

    text = "Specified access key is not found."
    assert_gateway_error(answer, 404, "InvalidAccessKeyId.NotFound", text)


def test_other_methods_are_refused(api):
    answer = api.rpc("BindAxn", wanted(api), method="PUT").send()

    assert_gateway_error(answer, 400, "UnsupportedHTTPMethod")


def test_gateway_error_in_xml_has_the_root_error(api):
    answer = api.rpc("BindEverything", wanted(api), common={"Format": "XML"}).send()

    assert answer.xml_root == "Error"
    assert_gateway_error(answer, 404, "InvalidAction.NotFound")


def test_time_stamp_of_another_form(api):
    stamp = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S")

    answer = api.rpc("BindAxn", wanted(api), common={"Timestamp": stamp}).send()

    assert utc_stamp() != stamp
    assert_gateway_error(answer, 400, "InvalidTimeStamp.Format")


@pytest.mark.parametrize("action", ["CreateAxgGroup", "QueryRecordFileDownloadUrl", "BuySecretNo"])
def test_actions_of_the_official_list_that_are_not_there_yet_say_so(api, action):
    """The shape is that of a business error, so that a program can tell it from a typing error."""
    params = {
        "PoolKey": api.pool_key,
        "CallId": "1",
        "CallTime": "2030-01-01 00:00:00",
        "City": "北京",
        "SpecId": "1",
        "GroupName": "g",
    }

    answer = api.rpc(action, params).send()

    assert answer.status == 200, str(answer)
    assert answer.code.startswith(("isv.", "isp.")), str(answer)
    assert "not supported" in answer.message.lower() or "不支持" in answer.message
