"""The official clients, unmodified: what each returns or raises for success, a business error and
gateway errors, over HTTP and HTTPS, in JSON and XML.

The expectations are what these clients were seen to do with the vendor's documented bodies; a client
that raises another type, or loses the code, would break programs that move here.
"""

import json
import xml.etree.ElementTree as ElementTree

import pytest

from support import sdk
from support.gateway import expiration

PAST = "2017-09-18 17:00:00"


@pytest.fixture(scope="module", params=["http", "https"])
def gateway(request, shared):
    return shared.gateway(request.param)


def calls(gateway):
    """The same four calls for every client: success, business error, two gateway errors."""
    # The OutId holds every character that the schemes' encoders have been seen to disagree on.
    bind = {
        "PoolKey": gateway.pool_key,
        "PhoneNoA": "15000000000",
        "Expiration": expiration(),
        "OutId": "a b*~+/=&'()!",
    }
    return [
        {"action": "BindAxn", "params": bind},
        {"action": "BindAxn", "params": {**bind, "Expiration": PAST}},
        {"action": "BindAxn", "params": bind, "secret": "not-the-secret"},
        {"action": "BindAxn", "params": bind, "key_id": "LTAInobodyownsthiskey"},
    ]


def assert_raised(outcome, kind, code, status):
    assert outcome.get("raised") == kind, outcome
    assert (outcome["code"], outcome["status"]) == (code, status), outcome


def assert_binding(body):
    assert body["Code"] == "OK", body
    assert body["SecretBindDTO"]["SecretNo"].isdigit()
    assert isinstance(body["SecretBindDTO"]["SubsId"], str)
    assert body["SecretBindDTO"]["SubsId"].isdigit()


def test_python_v1_in_json(gateway):
    success, business, wrong_secret, unknown_key = sdk.run(sdk.PYTHON_V1, gateway, calls(gateway))

    assert success["returned"] == "bytes", success
    assert_binding(json.loads(success["body"]))
    assert business["returned"] == "bytes", business
    assert json.loads(business["body"])["Code"] == "isv.EXPIRE_DATE_ILLEGAL"
    # The client finds its own string to sign behind the colon, so it knows that the secret is wrong.
    assert_raised(wrong_secret, "ServerException", "InvalidAccessKeySecret", 400)
    assert_raised(unknown_key, "ServerException", "InvalidAccessKeyId.NotFound", 404)


def test_python_v1_in_xml(gateway):
    success, business, wrong_secret, unknown_key = sdk.run(
        sdk.PYTHON_V1, gateway, calls(gateway), format="XML"
    )

    root = ElementTree.fromstring(success["body"])
    assert root.tag == "BindAxnResponse"
    assert root.findtext("Code") == "OK"
    assert root.findtext("SecretBindDTO/SecretNo").isdigit()
    assert root.findtext("SecretBindDTO/SubsId").isdigit()
    assert ElementTree.fromstring(business["body"]).findtext("Code") == "isv.EXPIRE_DATE_ILLEGAL"
    # This client reads error bodies as JSON only and keeps the XML as the message.
    assert_raised(wrong_secret, "ServerException", "SDK.UnknownServerError", 400)
    assert "<Code>SignatureDoesNotMatch</Code>" in wrong_secret["message"]
    assert_raised(unknown_key, "ServerException", "SDK.UnknownServerError", 404)
    assert "<Code>InvalidAccessKeyId.NotFound</Code>" in unknown_key["message"]


@pytest.mark.parametrize("client", [sdk.PYTHON_V2_RPC, sdk.PYTHON_V2_ACS3], ids=str)
def test_python_v2_in_json(gateway, client):
    success, business, wrong_secret, unknown_key = sdk.run(client, gateway, calls(gateway))

    assert success["returned"] == "BindAxnResponse", success
    assert_binding(json.loads(success["body"]))
    assert business["returned"] == "BindAxnResponse", business
    assert json.loads(business["body"])["Code"] == "isv.EXPIRE_DATE_ILLEGAL"
    assert_raised(wrong_secret, "ClientException", "SignatureDoesNotMatch", 400)
    assert_raised(unknown_key, "ClientException", "InvalidAccessKeyId.NotFound", 404)


def test_python_v2_rpc_cannot_read_xml(gateway):
    """The client reads JSON alone; asked for XML it fails in its own parser, with the body named."""
    outcomes = sdk.run(sdk.PYTHON_V2_RPC, gateway, calls(gateway), format="XML")

    assert [outcome["raised"] for outcome in outcomes] == ["UnretryableException"] * 4
    expected = ["OK", "isv.EXPIRE_DATE_ILLEGAL", "SignatureDoesNotMatch", "InvalidAccessKeyId.NotFound"]
    for outcome, code in zip(outcomes, expected):
        assert f"<Code>{code}</Code>" in outcome["message"]


def test_python_v2_acs3_is_answered_in_json_whatever_its_query_says(gateway):
    """ACS3 has no Format parameter; one that strays into the query is signed but not obeyed."""
    success, business, wrong_secret, _ = sdk.run(
        sdk.PYTHON_V2_ACS3, gateway, calls(gateway), format="XML"
    )

    assert_binding(json.loads(success["body"]))
    assert json.loads(business["body"])["Code"] == "isv.EXPIRE_DATE_ILLEGAL"
    assert_raised(wrong_secret, "ClientException", "SignatureDoesNotMatch", 400)


@pytest.mark.parametrize("client", [sdk.POP_CORE_GET, sdk.POP_CORE_POST], ids=str)
def test_pop_core_in_json(gateway, client):
    success, business, wrong_secret, unknown_key = sdk.run(client, gateway, calls(gateway))

    assert success["returned"] == "object", success
    assert_binding(json.loads(success["body"]))
    # This client throws for every Code that is not a success, whatever the HTTP status.
    assert_raised(business, "isv.EXPIRE_DATE_ILLEGALError", "isv.EXPIRE_DATE_ILLEGAL", 200)
    assert_raised(wrong_secret, "SignatureDoesNotMatchError", "SignatureDoesNotMatch", 400)
    assert_raised(unknown_key, "InvalidAccessKeyId.NotFoundError", "InvalidAccessKeyId.NotFound", 404)


@pytest.mark.parametrize("client", [sdk.POP_CORE_GET, sdk.POP_CORE_POST], ids=str)
def test_pop_core_cannot_read_xml(gateway, client):
    outcomes = sdk.run(client, gateway, calls(gateway), format="XML")

    assert [outcome["raised"] for outcome in outcomes] == ["SyntaxError"] * 4
    assert all("<" in outcome["message"] for outcome in outcomes)


@pytest.mark.parametrize("client", sdk.ALL, ids=str)
def test_a_binding_made_by_one_client_is_read_changed_and_ended_by_it(gateway, client):
    """Every action of this family that a customer's program needs, through each client's own classes."""
    bind = {"PoolKey": gateway.pool_key, "PhoneNoA": "15000000000", "Expiration": expiration()}
    [made] = sdk.run(client, gateway, [{"action": "BindAxn", "params": bind}])
    dto = json.loads(made["body"])["SecretBindDTO"]
    named = {"PoolKey": gateway.pool_key, "SubsId": dto["SubsId"], "PhoneNoX": dto["SecretNo"]}
    ended = {"PoolKey": gateway.pool_key, "SubsId": dto["SubsId"], "SecretNo": dto["SecretNo"]}
    new_b = {**named, "OperateType": "updateNoB", "PhoneNoB": "15800000000"}

    updated, detail, ids, unbound, after = sdk.run(
        client,
        gateway,
        [
            {"action": "UpdateSubscription", "params": new_b},
            {"action": "QuerySubscriptionDetail", "params": named},
            {"action": "QuerySubsId", "params": {k: named[k] for k in ("PoolKey", "PhoneNoX")}},
            {"action": "UnbindSubscription", "params": ended},
            {"action": "QuerySubscriptionDetail", "params": named},
        ],
    )

    assert json.loads(updated["body"])["Code"] == "OK"
    held = json.loads(detail["body"])["SecretBindDetailDTO"]
    assert (held["PhoneNoA"], held["PhoneNoB"], held["Status"]) == ("15000000000", "15800000000", 1)
    assert json.loads(ids["body"])["SubsId"] == dto["SubsId"]
    assert json.loads(unbound["body"])["Code"] == "OK"
    assert json.loads(after["body"])["SecretBindDetailDTO"]["Status"] == 0
