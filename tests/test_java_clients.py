"""The vendor's Java clients, unmodified, against the running server.

Two of them sign fewer headers than all other clients: the asynchronous core, always, and the first
generation when it is told to use V3. They speak plain HTTP here; TLS is tested with the others.
"""

import json

import pytest

from support import sdk
from support.gateway import expiration

pytestmark = pytest.mark.skipif(
    sdk.java_is_missing() is not None, reason=sdk.java_is_missing() or ""
)

ASYNC = [sdk.JAVA_ASYNC_QUERY, sdk.JAVA_ASYNC_FORM]
V1 = [sdk.JAVA_V1_RPC, sdk.JAVA_V1_V3]


def bind(api, **more):
    # The OutId holds every character that the schemes' encoders have been seen to disagree on.
    return {
        "PoolKey": api.pool_key,
        "PhoneNoA": "15000000000",
        "Expiration": expiration(),
        "OutId": "a b*~+/=&'()! 北京",
        **more,
    }


def outcomes(client, api):
    """Success, business error, wrong secret, unknown key."""
    calls = [
        {"action": "BindAxn", "params": bind(api)},
        {"action": "BindAxn", "params": bind(api, Expiration="2017-09-18 17:00:00")},
        {"action": "BindAxn", "params": bind(api), "secret": "not-the-secret"},
        {"action": "BindAxn", "params": bind(api), "key_id": "LTAInobodyownsthiskey"},
    ]
    return sdk.run(client, api, calls)


def body(outcome):
    assert "returned" in outcome, outcome
    return json.loads(outcome["body"])


@pytest.mark.parametrize("client", ASYNC, ids=str)
def test_asynchronous_core_binds_and_tells_errors(api, client):
    success, business, wrong_secret, unknown_key = outcomes(client, api)

    made = body(success)
    assert made["Code"] == "OK" and made["SecretBindDTO"]["SecretNo"].isdigit(), success
    assert success["headers"]["x-acs-request-id"] == made["RequestId"]
    assert body(business)["Code"] == "isv.EXPIRE_DATE_ILLEGAL"
    for outcome, code, status in [
        (wrong_secret, "SignatureDoesNotMatch", 400),
        (unknown_key, "InvalidAccessKeyId.NotFound", 404),
    ]:
        assert (outcome.get("code"), outcome.get("status")) == (code, status), outcome
        # The core reads it from the header, ahead of the body.
        assert len(outcome["request_id"]) == 36, outcome


@pytest.mark.parametrize("client", V1, ids=str)
def test_first_generation_binds_and_tells_errors(api, client):
    success, business, wrong_secret, unknown_key = outcomes(client, api)

    made = body(success)
    assert success["returned"] == "BindAxnResponse"
    assert made["Code"] == "OK" and made["SecretBindDTO"]["SecretNo"].isdigit(), success
    told = body(business)
    assert (told["Code"], told["Message"]) == ("isv.EXPIRE_DATE_ILLEGAL", "过期时间非法")
    # With the old signature the client finds its own string to sign behind the colon.
    expected = {sdk.JAVA_V1_RPC: "SDK.InvalidAccessKeySecret", sdk.JAVA_V1_V3: "SignatureDoesNotMatch"}
    assert wrong_secret.get("code") == expected[client], wrong_secret
    assert unknown_key.get("code") == "InvalidAccessKeyId.NotFound", unknown_key


@pytest.mark.parametrize("client", [*ASYNC, *V1], ids=str)
def test_a_binding_made_by_one_client_is_read_and_ended_by_it(api, client):
    [made] = sdk.run(client, api, [{"action": "BindAxn", "params": bind(api)}])
    dto = body(made)["SecretBindDTO"]
    named = {"PoolKey": api.pool_key, "SubsId": dto["SubsId"]}

    detail, unbound, after = sdk.run(
        client,
        api,
        [
            {"action": "QuerySubscriptionDetail", "params": {**named, "PhoneNoX": dto["SecretNo"]}},
            {"action": "UnbindSubscription", "params": {**named, "SecretNo": dto["SecretNo"]}},
            {"action": "QuerySubscriptionDetail", "params": {**named, "PhoneNoX": dto["SecretNo"]}},
        ],
    )

    held = body(detail)["SecretBindDetailDTO"]
    assert (held["PhoneNoA"], held["Status"]) == ("15000000000", 1)
    assert body(unbound)["Code"] == "OK"
    assert body(after)["SecretBindDetailDTO"]["Status"] == 0
