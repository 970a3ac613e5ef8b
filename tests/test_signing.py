"""The tests' own signer agrees with captures of the official clients (secret `testsecret`).

If this fails, every other failure of the signed tests is suspect.
"""

from urllib.parse import parse_qsl

import pytest

from support.signing import (
    EMPTY_BODY_SHA256,
    acs3_canonical_request,
    acs3_signature,
    rpc_signature,
    rpc_string_to_sign,
)

PYTHON_V1_QUERY = (
    "PoolKey=FC12345&PhoneNoA=15000000000&Expiration=2030-09-05%2012%3A00%3A00"
    "&IsRecordingEnabled=False&ExpectCity=%E5%8C%97%E4%BA%AC"
    "&OutId=a%20b%2A~%2B%2F%3D%26%27%28%29%21&Version=2017-05-25&Action=BindAxn&Format=JSON"
    "&RegionId=cn-hangzhou&Timestamp=2026-11-23T17%3A01%3A36Z&SignatureMethod=HMAC-SHA1"
    "&SignatureType=&SignatureVersion=1.0&SignatureNonce=4399b50d18775743c39167173dc111d3"
    "&AccessKeyId=testid&Signature=m%2FLU78S6RVvNOuSJiffGV7a3F0c%3D"
)
PYTHON_V2_RPC_QUERY = (
    "Action=BindAxn&Format=json&Version=2017-05-25&Timestamp=2026-11-23T17%3A01%3A38Z"
    "&SignatureNonce=091871251e8c9ccdff84b33d4f69baee&CallTimeout=10"
    "&ExpectCity=%E5%8C%97%E4%BA%AC&Expiration=2030-09-05+12%3A00%3A00&IsRecordingEnabled=False"
    "&OutId=a+b%2A~%2B%2F%3D%26%27%28%29%21&PhoneNoA=15000000000&PoolKey=FC12345"
    "&SignatureMethod=HMAC-SHA1&SignatureVersion=1.0&AccessKeyId=testid"
    "&Signature=W3rLREGe%2FX0qOfUPs63AXGUe50w%3D"
)
POP_CORE_FORM = (
    "AccessKeyId=testid&Action=BindAxn&ExpectCity=%E5%8C%97%E4%BA%AC"
    "&Expiration=2030-09-05%2012%3A00%3A00&Format=JSON&IsRecordingEnabled=false"
    "&OutId=a%20b%2A~%2B%2F%3D%26%27%28%29%21&PhoneNoA=15000000000&PoolKey=FC12345"
    "&RegionId=cn-hangzhou&SignatureMethod=HMAC-SHA1"
    "&SignatureNonce=c5333b0e90cfd8034a5b7c79a12d48da&SignatureVersion=1.0"
    "&Timestamp=2026-11-23T17%3A02%3A36Z&Version=2017-05-25"
    "&Signature=DBO%2BEIGjd3y%2By%2FtHE%2Bxzl8PRWtg%3D"
)


@pytest.mark.parametrize(
    "captured", [PYTHON_V1_QUERY, PYTHON_V2_RPC_QUERY, POP_CORE_FORM], ids=["v1", "v2", "pop-core"]
)
def test_rpc_signature_is_the_captured_one(captured):
    params = dict(parse_qsl(captured, keep_blank_values=True))
    signature = params.pop("Signature")

    assert rpc_signature("testsecret", rpc_string_to_sign("POST", params)) == signature


def test_rpc_string_to_sign_encodes_twice():
    params = dict(parse_qsl(PYTHON_V1_QUERY, keep_blank_values=True))
    del params["Signature"]

    text = rpc_string_to_sign("POST", params)

    assert text.startswith("POST&%2F&AccessKeyId%3Dtestid%26Action%3DBindAxn%26")
    assert "OutId%3Da%2520b%252A~%252B%252F%253D%2526%2527%2528%2529%2521%26" in text
    assert "%26SignatureType%3D%26" in text


def test_acs3_signature_is_the_captured_one():
    query = (
        "CallTimeout=10&ExpectCity=%E5%8C%97%E4%BA%AC&Expiration=2030-09-05+12%3A00%3A00"
        "&IsRecordingEnabled=False&OutId=a+b%2A~%2B%2F%3D%26%27%28%29%21&PhoneNoA=15000000000"
        "&PoolKey=FC12345"
    )
    headers = {
        "accept": "application/json",
        "host": "127.0.0.1:18080",
        "user-agent": "AlibabaCloud (Linux; x86_64) Python/3.11.7 Core/0.4.3 TeaDSL/2",
        "x-acs-action": "BindAxn",
        "x-acs-content-sha256": EMPTY_BODY_SHA256,
        "x-acs-credentials-provider": "static_ak",
        "x-acs-date": "2026-11-23T17:01:37Z",
        "x-acs-signature-nonce": "f813265148e3faab1a5502009ad190c7",
        "x-acs-version": "2017-05-25",
    }
    canonical = acs3_canonical_request(
        "POST", dict(parse_qsl(query)), headers, sorted(headers), EMPTY_BODY_SHA256
    )

    assert acs3_signature("testsecret", canonical) == (
        "1620b792816ec66592419e4a4b06f0dd2fe12c812076321cf89352b0a840a252"
    )
