"""Replays, clocks and secrets: each has an error of its own, and a kill changes nothing about it."""

from datetime import datetime, timedelta, timezone

import pytest

from support.gateway import bound, expiration, nonce, utc_stamp

STYLES = ["rpc", "acs3"]


def bind_request(api, style, nonce=None, stamp=None):
    params = {"PoolKey": api.pool_key, "PhoneNoA": "13900001111", "Expiration": expiration()}
    if style == "rpc":
        common = {"SignatureNonce": nonce, "Timestamp": stamp}
        common = {name: value for name, value in common.items() if value}
        return api.rpc("BindAxn", params, common=common)
    headers = {"x-acs-signature-nonce": nonce, "x-acs-date": stamp}
    headers = {name: value for name, value in headers.items() if value}
    return api.acs3("BindAxn", params, headers=headers)


def assert_refused(answer, code):
    assert (answer.status, answer.code) == (400, code), str(answer)


@pytest.mark.parametrize("style", STYLES)
def test_bind_sent_twice_is_refused_the_second_time(api, style):
    request = bind_request(api, style)
    bound(request.send())

    answer = request.send()

    assert_refused(answer, "SignatureNonceUsed")
    assert answer.message == "Specified signature nonce was used already."


@pytest.mark.parametrize("style", STYLES)
def test_bind_replayed_after_kill_9_is_refused(maskline, style):
    request = bind_request(maskline.gateway(), style)
    subs_id, x = bound(request.send())
    maskline.restart()
    address = maskline.ready["api"]
    host, port = address.rsplit(":", 1)
    request = request.changed(connection={"host": host, "port": int(port), "ca_file": None})

    answer = request.send()

    assert_refused(answer, "SignatureNonceUsed")
    api = maskline.gateway()
    assert api.call("QuerySubsId", PhoneNoX=x).data["SubsId"] == subs_id


def test_query_sent_twice_is_refused_the_second_time(api):
    request = api.rpc("QuerySubsId", {"PoolKey": api.pool_key, "PhoneNoX": "17000000000"})
    first = request.send()

    assert first.code != "SignatureNonceUsed"
    assert_refused(request.send(), "SignatureNonceUsed")


def test_nonce_is_used_up_across_signature_schemes(api):
    one = nonce()
    bound(bind_request(api, "rpc", nonce=one).send())

    assert_refused(bind_request(api, "acs3", nonce=one).send(), "SignatureNonceUsed")


def test_nonce_of_a_request_with_a_wrong_signature_stays_free(api):
    one = nonce()
    forged = bind_request(api.with_key(api.key_id, "wrong"), "rpc", nonce=one).send()

    assert_refused(forged, "SignatureDoesNotMatch")
    bound(bind_request(api, "rpc", nonce=one).send())


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("minutes", [-16, 16])
def test_skewed_clock_is_refused(api, style, minutes):
    stamp = utc_stamp(datetime.now(timezone.utc) + timedelta(minutes=minutes))

    answer = bind_request(api, style, stamp=stamp).send()

    assert_refused(answer, "InvalidTimeStamp.Expired")
    assert answer.message == "Specified time stamp or date value is expired."


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("minutes", [-14, 14])
def test_clock_within_a_quarter_of_an_hour_is_accepted(api, style, minutes):
    stamp = utc_stamp(datetime.now(timezone.utc) + timedelta(minutes=minutes))

    bound(bind_request(api, style, stamp=stamp).send())


@pytest.mark.parametrize("style", STYLES)
def test_wrong_secret_does_not_match(api, style):
    answer = bind_request(api.with_key(api.key_id, "wrong"), style).send()

    assert_refused(answer, "SignatureDoesNotMatch")


def test_acs3_mismatch_shows_our_canonical_request(api):
    answer = bind_request(api.with_key(api.key_id, "wrong"), "acs3").send()

    assert "x-acs-action:BindAxn" in answer.message


@pytest.mark.parametrize("part", ["target", "method"])
def test_changed_after_signing_does_not_match(api, part):
    request = bind_request(api, "rpc")
    changed = {
        "target": request.target.replace("13900001111", "13900001112"),
        "method": "GET",
    }[part]

    assert_refused(request.changed(**{part: changed}).send(), "SignatureDoesNotMatch")


def test_acs3_body_that_is_not_the_hashed_one_is_refused(api):
    params = {"PoolKey": api.pool_key, "PhoneNoA": "13900001111", "Expiration": expiration()}
    request = api.acs3("BindAxn", params, place="form")
    other = request.body.replace(b"13900001111", b"13900001112")
    assert other != request.body

    answer = request.changed(body=other).send()

    assert answer.status == 400 and answer.code != "OK", str(answer)
