"""What an answer looks like as bytes, for clients that cannot be run here.

Java v1's reader does not decode \\u escapes, fails on null, picks its parser by Content-Type, and wants
some lists plain and others wrapped. Each of these was seen to break a program.
"""

import json
import re

import pytest

from support.gateway import bound
from support.operator import Operator

CITY = "北京"


@pytest.fixture
def made(api):
    """A binding in a city with a Chinese name."""
    answer = api.bind_axn(ExpectCity=CITY, OutId="外部")
    return answer, *bound(answer)


def answers(api, made):
    answer, subs_id, x = made
    yield answer
    yield api.detail(subs_id, x)
    yield api.call("QuerySubsId", PhoneNoX=x)
    yield api.call("QuerySecretNoDetail", SecretNo=x)
    yield api.call("QuerySecretNoRemain", City="全国列表", SpecId="1", PoolKey=None)
    yield api.bind_axn(Expiration="2017-09-18 17:00:00")
    yield api.with_key(api.key_id, "wrong").bind_axn()


def test_json_is_raw_utf_8_without_null(api, made):
    for answer in answers(api, made):
        assert answer.content_type == "application/json;charset=utf-8", str(answer)
        assert re.search(rb"\\u[0-9a-fA-F]{4}", answer.body) is None, str(answer)
        assert not holds_null(json.loads(answer.body)), str(answer)


def holds_null(value):
    if isinstance(value, dict):
        return any(holds_null(member) for member in value.values())
    if isinstance(value, list):
        return any(holds_null(item) for item in value)
    return value is None


def test_chinese_text_stands_as_it_is(api, made):
    _, _, x = made

    body = api.call("QuerySecretNoDetail", SecretNo=x).body

    assert f'"City":"{CITY}"'.encode() in body


def test_members_have_the_types_that_java_reads(api, made):
    _, subs_id, x = made

    held = api.detail(subs_id, x).data["SecretBindDetailDTO"]
    number = api.call("QuerySecretNoDetail", SecretNo=x).data["SecretNoInfoDTO"]

    assert isinstance(held["SubsId"], str)
    assert type(held["Status"]) is int
    assert isinstance(held["NeedRecord"], bool) and isinstance(held["ASRStatus"], bool)
    assert "CallRestrict" not in held and "GroupId" not in held and "ASRModelId" not in held
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", held["GmtCreate"])
    assert [type(number[name]) for name in ("Vendor", "SecretStatus", "CertifyStatus")] == [int] * 3


@pytest.fixture
def stock(shared):
    """Numbers in no pool: what can be bought."""
    Operator(shared).apply(
        """
        [[numbers]]
        city = "拉萨"
        list = ["17088880001", "17088880002"]
        [[numbers]]
        city = "西安"
        list = ["17088880003"]
        """
    )


def test_remaining_numbers_keep_their_wrapper(api, stock):
    answer = api.call("QuerySecretNoRemain", City="全国列表", SpecId="1", PoolKey=None)

    assert answer.code == "OK", str(answer)
    remain = answer.data["SecretRemainDTO"]
    cities = remain["RemainDTOList"]["remainDTO"]
    assert {row["City"]: row["Amount"] for row in cities} == {"拉萨": 2, "西安": 1}
    assert remain["Amount"] == 3


def test_remaining_numbers_in_xml_are_wrapped_too(api, stock):
    answer = api.call(
        "QuerySecretNoRemain", City="全国列表", SpecId="1", PoolKey=None, _common={"Format": "XML"}
    )

    assert answer.xml_root == "QuerySecretNoRemainResponse"
    rows = rb"<RemainDTOList>(<remainDTO><City>[^<]+</City><Amount>\d+</Amount></remainDTO>){2}</RemainDTOList>"
    assert re.search(rows, answer.body), str(answer)


def test_request_id_is_an_upper_case_uuid_and_new_each_time(api):
    ids = [api.call("QuerySubsId", PhoneNoX="17000000000").data["RequestId"] for _ in range(3)]

    assert all(re.fullmatch(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", text) for text in ids)
    assert len(set(ids)) == 3


def test_success_in_xml_has_the_root_of_its_action(api, made):
    _, subs_id, x = made

    answer = api.call(
        "QuerySubscriptionDetail", SubsId=subs_id, PhoneNoX=x, _common={"Format": "XML"}
    )

    assert answer.body.startswith(b'<?xml version="1.0" encoding="UTF-8"?><QuerySubscriptionDetailResponse>')
    assert answer.data["SecretBindDetailDTO"]["SubsId"] == subs_id


def test_mismatch_message_holds_one_colon_and_then_the_string_to_sign(api):
    """Python v1 splits at the colon, Go v1 takes all that follows the words before it."""
    answer = api.with_key(api.key_id, "wrong").bind_axn()

    words, text = answer.message.split(":")
    assert words.endswith("server string to sign is")
    assert text.startswith("POST&%2F&AccessKeyId%3D")


def test_members_that_go_panics_on_are_strings(api):
    answer = api.with_key("LTAInobody", "x").bind_axn()

    names = ("RequestId", "HostId", "Code", "Recommend", "Message")
    assert all(isinstance(answer.data[name], str) for name in names), str(answer)
