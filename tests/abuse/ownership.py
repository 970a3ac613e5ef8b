"""Numbers that change hands, and what an operator asks the admin interface about them."""

import json
import time
from datetime import datetime, timezone

from abuse.connections import wait_for
from support.admin import admin  # noqa: F401
from support.gateway import china_time

# Answers to who asks for what is not theirs.
GONE = "isv.SUBS_NOT_EXIST"
NOWHERE = "isv.NO_NOT_EXIST"
DENIED = "isp.RAM_PERMISSION_DENY"


def move(operator, x, pool):
    operator.numbers(pool, "北京", [x])


def remove_and_add(operator, x, pool):
    operator.apply(f'[remove]\nnumbers = ["{x}"]\n')
    operator.numbers(pool, "北京", [x])


def new_second():
    """A moment, in whole seconds, that is behind all that was and before all that comes."""
    begun = time.time()
    wait_for(lambda: int(time.time()) > int(begun))
    now = datetime.now(timezone.utc)
    wait_for(lambda: time.time() >= int(now.timestamp()) + 1)
    return china_time(now)


def audit(service):
    # Asking for an ended binding waits until the projections are up to date.
    service.cli("binding", "show", "1", check=False)
    return json.loads(service.cli("audit", "--limit", "200", "--json").stdout)["items"]
