"""Customers that bind, change and end bindings as fast as they can until the service goes away."""

import http.client
import random
import threading
import time
import uuid
from dataclasses import dataclass

from support.gateway import expiration

# What a worker sees when the service is killed under it.
GONE = (OSError, http.client.HTTPException, ValueError)
LIVE_PER_WORKER = 12


@dataclass(frozen=True)
class StockedPool:
    """A pool under load: its key, the kind of its bindings, the action that makes one, its X."""

    key: str
    kind: str
    action: str
    numbers: tuple


class Load:
    """So many customers, each a thread."""

    def __init__(self, gateway, ledger, pools, workers, rng):
        self.ledger = ledger
        # Every binding alive has one owner, so that nobody ends what another is changing.
        owned = list(ledger.live.values())
        self.workers = [
            threading.Thread(
                target=Customer(
                    gateway, ledger, pools, random.Random(rng.getrandbits(64)), owned[n::workers]
                ).run,
                daemon=True,
            )
            for n in range(workers)
        ]

    def run_until(self, answers, seconds=0):
        """Returns once so many answers came and so many seconds passed, with the load still on."""
        began = time.monotonic()
        goal = self.ledger.acknowledged + answers
        for worker in self.workers:
            worker.start()
        while True:
            self.ledger.await_acknowledged(goal, lambda: any(w.is_alive() for w in self.workers))
            assert self.ledger.acknowledged >= goal, "the service stopped answering by itself"
            if time.monotonic() - began >= seconds:
                return
            goal = self.ledger.acknowledged + 1

    def join(self):
        for worker in self.workers:
            worker.join(60)
            assert not worker.is_alive(), "a request hangs on a service that is dead"


class Customer:
    def __init__(self, gateway, ledger, pools, rng, mine):
        self.gateway, self.ledger, self.pools, self.rng = gateway, ledger, pools, rng
        self.mine = mine

    def run(self):
        while True:
            try:
                self.step()
            except GONE:
                self.ledger.no_answer()
                return
            except AssertionError as surprise:
                self.ledger.surprised(str(surprise))
                return

    def step(self):
        if len(self.mine) >= LIVE_PER_WORKER or (self.mine and self.rng.random() < 0.3):
            self.unbind(self.mine.pop(self.rng.randrange(len(self.mine))))
        elif self.mine and self.rng.random() < 0.15:
            self.update(self.rng.choice(self.mine))
        else:
            self.bind(self.rng.choice(self.pools))

    def bind(self, pool):
        # A few parties only, so that pairs collide; every other bind names its X.
        a = f"1390000{self.rng.randrange(40):04}"
        b = f"1580000{self.rng.randrange(40):04}"
        token = uuid.uuid4().hex
        params = {
            "PoolKey": pool.key,
            "PhoneNoA": a,
            "PhoneNoB": b,
            "Expiration": expiration(),
            "OutId": token,
        }
        if self.rng.random() < 0.5:
            params["PhoneNoX"] = self.rng.choice(pool.numbers)
        self.ledger.will_bind(token, pool.kind, pool.key, a, b)
        answer = self.gateway.rpc(pool.action, params).send()
        if answer.code != "OK":
            assert answer.code in REFUSALS, str(answer)
            self.ledger.was_refused(token)
            return
        dto = answer.data["SecretBindDTO"]
        self.ledger.did_bind(token, dto["SubsId"], dto["SecretNo"])
        self.mine.append(self.ledger.live[dto["SubsId"]])

    def unbind(self, binding):
        self.ledger.will_unbind(binding)
        answer = self.gateway.with_pool(binding.pool).unbind(binding.subs_id, binding.x)
        assert answer.code == "OK", str(answer)
        self.ledger.did_unbind(binding)

    def update(self, binding):
        if binding.kind != "AXN":
            return
        b = f"1580000{self.rng.randrange(40):04}"
        self.ledger.will_update(binding, b)
        answer = self.gateway.with_pool(binding.pool).call(
            "UpdateSubscription",
            OperateType="updateNoB",
            SubsId=binding.subs_id,
            PhoneNoX=binding.x,
            PhoneNoB=b,
        )
        assert answer.code == "OK", str(answer)
        self.ledger.did_update(binding, b)


REFUSALS = {"isv.BIND_CONFLICT", "isv.NO_USED_BY_OTHERS", "isv.NO_AVAILABLE_NUMBER"}
