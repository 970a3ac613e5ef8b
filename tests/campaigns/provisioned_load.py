"""Customers of pools with a carrier: they bind, change, end, and let bindings end by themselves, each over one connection."""

import http.client
import json
import random
import threading
import time
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from campaigns.provisioned import utc
from support.gateway import china_time

# What a customer sees when the service is killed under it.
GONE = (OSError, http.client.HTTPException, ValueError)
ANSWER_S = 60
LIVE_PER_CUSTOMER = 25
# A binding must be asked for with more than 60 seconds to go. Those that are to end by themselves have so many; nothing
# is done with them when few are left.
SHORT_S = (62, 75)
LEFT_ALONE_S = 20
LONG_S = 86_400
# How long a customer waits who hears that the carrier is not well.
PAUSE_S = (0.1, 0.6)
UNAVAILABLE = "isp.VENDOR_UNAVAILABLE"
CARRIER_CODES = {"isv.VENDOR_BIND_FAILED", "isp.UNKNOWN_ERR_CODE", UNAVAILABLE}
BIND_CODES = CARRIER_CODES | {"isv.BIND_CONFLICT", "isv.NO_USED_BY_OTHERS", "isv.NO_AVAILABLE_NUMBER"}


@dataclass(frozen=True)
class StockedPool:
    key: str
    product: str
    action: str
    numbers: tuple
    # What gives the customer's API, or None while the service is not there.
    gateway: object


class Link:
    """One connection that is kept, as SDKs with a pool of connections keep theirs."""

    def __init__(self):
        self.link = self.address = None

    def send(self, request):
        """The answer's JSON. An error closes the connection; nothing is sent again."""
        address = request.connection["host"], request.connection["port"]
        if self.link is None or self.address != address:
            self.close()
            self.link, self.address = http.client.HTTPConnection(*address, timeout=ANSWER_S), address
        try:
            self.link.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                self.link.putheader(name, value)
            self.link.endheaders(request.body or None)
            answer = self.link.getresponse()
            return json.loads(answer.read())
        except GONE:
            self.close()
            raise

    def close(self):
        if self.link is not None:
            self.link.close()
        self.link = None


class Customers:
    """So many of them, each a thread. `up` is set while the service is there."""

    def __init__(self, ledger, pools, count, rng, short_share):
        self.ledger, self.pools, self.short_share = ledger, pools, short_share
        self.up, self.over = threading.Event(), threading.Event()
        self.threads = [
            threading.Thread(target=Customer(self, random.Random(rng.getrandbits(64))).run, daemon=True)
            for _ in range(count)
        ]

    def start(self):
        for thread in self.threads:
            thread.start()

    def join(self):
        self.over.set()
        self.up.set()
        for thread in self.threads:
            thread.join(2 * ANSWER_S)
            assert not thread.is_alive(), "a request hangs"


def is_short(expires_at):
    return expires_at < datetime.now(timezone.utc) + timedelta(seconds=SHORT_S[1] + 5)


class Customer:
    def __init__(self, all_, rng):
        self.all, self.ledger, self.rng = all_, all_.ledger, rng
        self.link = Link()
        self.mine = []

    def run(self):
        try:
            while not self.all.over.is_set():
                self.all.up.wait()
                try:
                    self.step()
                except GONE:
                    pass
        except Exception as surprise:
            # Without customers the campaign would never end.
            with self.ledger.lock:
                self.ledger.findings.note("surprise", f"{type(surprise).__name__}: {surprise}")
        finally:
            self.link.close()

    def step(self):
        now = datetime.now(timezone.utc)
        # What ends by itself soon is not this customer's business any more.
        self.mine = [one for one in self.mine if not one.ending and one.expires_at > now + timedelta(seconds=LEFT_ALONE_S)]
        if len(self.mine) >= LIVE_PER_CUSTOMER or (self.mine and self.rng.random() < 0.3):
            self.end(self.mine.pop(self.rng.randrange(len(self.mine))))
        elif self.mine and self.rng.random() < 0.3:
            self.change(self.rng.choice(self.mine))
        else:
            self.bind(self.rng.choice(self.all.pools))

    def party(self):
        # Few, so that pairs collide.
        return f"1390000{self.rng.randrange(60):04}"

    def expiry(self):
        seconds = self.rng.uniform(*SHORT_S) if self.rng.random() < self.all.short_share else LONG_S
        return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).replace(microsecond=0)

    def ask(self, pool, action, **params):
        """(code, answer, moments before and behind); the request was answered."""
        gateway = pool.gateway()
        if gateway is None:
            raise ConnectionError("the service is not there")
        request = gateway.rpc(action, {"PoolKey": pool.key, **params})
        sent_ns = time.monotonic_ns()
        answer = self.link.send(request)
        return answer["Code"], answer, (sent_ns, time.monotonic_ns())

    def pause(self, code):
        if code == UNAVAILABLE:
            self.all.over.wait(self.rng.uniform(*PAUSE_S))

    def bind(self, pool):
        a, token, expiry = self.party(), uuid.uuid4().hex, self.expiry()
        b = self.party() if pool.product == "AXB" or self.rng.random() < 0.7 else None
        if a == b:
            return
        params = {"PhoneNoA": a, "Expiration": china_time(expiry), "OutId": token}
        if b:
            params["PhoneNoB"] = b
        if self.rng.random() < 0.4:
            params["PhoneNoX"] = self.rng.choice(pool.numbers)
        terms = {"pool": pool.key, "product": pool.product, "a": a, "expires_at": utc(expiry), **({"b": b} if b else {})}
        # Until it is answered: it may be there or not.
        self.ledger.bind_failed(token, None)
        code, answer, moments = self.ask(pool, pool.action, **params)
        if code == "OK":
            told = answer["SecretBindDTO"]
            binding = self.ledger.bound(told["SubsId"], told["SecretNo"], terms, *moments)
            # Most of those that end soon are left to it.
            if not is_short(expiry) or self.rng.random() < 0.3:
                self.mine.append(binding)
        else:
            assert code in BIND_CODES, str(answer)
            self.ledger.bind_failed(token, code)
        if code == "OK" or code in CARRIER_CODES:
            self.ledger.answered("bind", code)
        self.pause(code)

    def change(self, binding):
        pool = next(one for one in self.all.pools if one.key == binding.terms["pool"])
        terms = dict(binding.terms)
        kind = self.rng.choice(("updateNoA", "updateNoB", "updateExpire"))
        if kind == "updateExpire":
            expiry = self.expiry()
            terms["expires_at"], changed = utc(expiry), {"Expiration": china_time(expiry)}
        else:
            name = kind[-1]
            terms[name.lower()] = self.party()
            changed = {f"PhoneNo{name}": terms[name.lower()]}
        if terms == binding.terms or terms["a"] == terms.get("b"):
            return
        self.ledger.will_change(binding, terms)
        try:
            code, answer, moments = self.ask(
                pool, "UpdateSubscription", OperateType=kind, SubsId=binding.subs_id, PhoneNoX=binding.x, **changed
            )
        except GONE:
            # Either holds, and this customer does nothing more with it.
            self.mine.remove(binding)
            raise
        if code == "OK":
            self.ledger.changed(binding, *moments)
        else:
            assert code in CARRIER_CODES | {"isv.UPDATE_CONFLICT"}, str(answer)
            self.ledger.change_failed(binding)
        if code == "OK" or code in CARRIER_CODES:
            self.ledger.answered(kind, code)
        self.pause(code)

    def end(self, binding):
        pool = next(one for one in self.all.pools if one.key == binding.terms["pool"])
        self.ledger.will_end(binding)
        code, answer, _ = self.ask(pool, "UnbindSubscription", SubsId=binding.subs_id, SecretNo=binding.x)
        assert code == "OK", str(answer)
        self.ledger.did_end(binding)
        self.ledger.answered("unbind", code)
