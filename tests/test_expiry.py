"""A binding is over at its second, whether or not anybody tidies up: all jobs stand still here."""

import time
from datetime import datetime, timedelta, timezone

import pytest

from support.gateway import bound, china_time
from support.operator import Operator
from support.process import Maskline

A, C = "13900001111", "13600000000"
BEIJING = "北京"


@pytest.fixture
def without_jobs(tmp_path):
    service = Maskline(tmp_path / "data", env={"MASKLINE_JOBS_ENABLED": "false"})
    yield service.start()
    service.stop()


def wait_until(moment):
    """Nothing but the passing of time brings this event about."""
    while (left := (moment - datetime.now(timezone.utc)).total_seconds()) > 0:
        time.sleep(left)


@pytest.mark.timeout(180)
def test_same_x_is_bound_again_one_millisecond_after_the_end(without_jobs):
    world = Operator(without_jobs).world(numbers={BEIJING: 1})
    api = world.gateway()
    [only] = world.numbers[BEIJING]
    # The first whole second that is more than 60 seconds ahead, with one to spare for the request.
    now = datetime.now(timezone.utc)
    end = now.replace(microsecond=0) + timedelta(seconds=62)
    old, _ = bound(api.bind_axn(A, PhoneNoX=only, Expiration=china_time(end)))
    assert world.operator.explain(C, only)["callee"] == A

    # Asked again and again across the end: whatever is answered before it is a refusal, and whatever is asked
    # after it is taken, however slow this machine is.
    wait_until(end - timedelta(seconds=8))
    refused_before = False
    while True:
        asked = datetime.now(timezone.utc)
        answer = api.bind_axn(C, PhoneNoX=only)
        answered = datetime.now(timezone.utc)
        if answer.code == "OK":
            break
        assert answer.code == "isv.NO_USED_BY_OTHERS", str(answer)
        assert asked < end, "over, and still in the way"
        refused_before |= answered < end
    assert refused_before and answered >= end
    new, x = bound(answer)
    over = api.detail(old, only).data["SecretBindDetailDTO"]
    change = api.call(
        "UpdateSubscription",
        OperateType="updateNoB",
        SubsId=old,
        PhoneNoX=only,
        PhoneNoB="15800000000",
    )

    assert over["Status"] == 0
    assert change.code == "isv.FORBIDDEN_ACTION", str(change)
    assert x == only and new != old
    assert api.call("QuerySubsId", PhoneNoX=only).data["SubsId"] == new
    without_jobs.restart()
    api = world.gateway()
    assert api.detail(old, only).data["SecretBindDetailDTO"]["Status"] == 0
    assert api.detail(new, only).data["SecretBindDetailDTO"]["Status"] == 1
