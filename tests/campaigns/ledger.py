"""What was asked and what was acknowledged, kept outside the service, and the comparison."""

import json
import threading
from dataclasses import dataclass, field


@dataclass
class Binding:
    """One binding as the customer knows it."""

    kind: str
    pool: str
    x: str
    a: str
    b: str
    subs_id: str
    # Values of B that may hold: the acknowledged one, and one whose change was not answered.
    b_maybe: str = None
    # An end was asked for; until it is answered, both are right.
    ending: bool = False

    def parties(self):
        return {self.a, self.b} if self.kind == "AXB" else {"anyone"}


@dataclass
class Findings:
    """What a comparison found; all zero is the only good result."""

    lost: int = 0
    risen: int = 0
    invented: int = 0
    doubled: int = 0
    surprises: int = 0
    lines: list = field(default_factory=list)

    @property
    def clean(self):
        return not (
            self.lost or self.risen or self.invented or self.doubled or self.surprises
        )

    def note(self, what, text):
        setattr(self, what, getattr(self, what) + 1)
        self.lines.append(f"{what.upper()}: {text}")


class Ledger:
    """Thread-safe; every change of it is also a line of the log."""

    def __init__(self, path):
        self.path = path
        self.lock = threading.Condition()
        self.live = {}
        self.ended = set()
        self.asked = {}
        self.findings = Findings()
        self.acknowledged = self.bound = self.unanswered = self.kills = 0

    def __enter__(self):
        self.log = open(self.path, "a", encoding="utf-8")
        return self

    def __exit__(self, *_):
        self.log.close()

    def _write(self, **line):
        self.log.write(json.dumps(line) + "\n")

    # Told by the workers

    def will_bind(self, token, kind, pool, a, b):
        with self.lock:
            self.asked[token] = (kind, pool, a, b)
            self._write(ask="bind", token=token, kind=kind, a=a, b=b)

    def did_bind(self, token, subs_id, x):
        with self.lock:
            kind, pool, a, b = self.asked.pop(token)
            binding = Binding(kind, pool, x, a, b, subs_id)
            self._write(ack="bind", token=token, subs_id=subs_id, x=x)
            # Another binding that surely holds one of these slots now: both cannot be right.
            for other in self.live.values():
                if other.x == x and not other.ending and other.parties() & binding.parties():
                    self.findings.note("doubled", f"{subs_id} and {other.subs_id} on {x}")
            self.live[subs_id] = binding
            self.bound += 1
            self._acknowledge()

    def was_refused(self, token):
        with self.lock:
            del self.asked[token]
            self._write(ack="refused", token=token)
            self._acknowledge()

    def will_unbind(self, binding):
        with self.lock:
            binding.ending = True
            self._write(ask="unbind", subs_id=binding.subs_id)

    def did_unbind(self, binding):
        with self.lock:
            self.live.pop(binding.subs_id, None)
            self.ended.add(binding.subs_id)
            self._write(ack="unbind", subs_id=binding.subs_id)
            self._acknowledge()

    def will_update(self, binding, b):
        with self.lock:
            binding.b_maybe = b
            self._write(ask="update", subs_id=binding.subs_id, b=b)

    def did_update(self, binding, b):
        with self.lock:
            binding.b, binding.b_maybe = b, None
            self._write(ack="update", subs_id=binding.subs_id, b=b)
            self._acknowledge()

    def no_answer(self):
        with self.lock:
            self.unanswered += 1

    def surprised(self, text):
        with self.lock:
            self.findings.note("surprises", text)

    def _acknowledge(self):
        self.acknowledged += 1
        self.lock.notify_all()

    def await_acknowledged(self, count, alive):
        """Waits until so many answers have come in all, or no worker is left."""
        with self.lock:
            return self.lock.wait_for(lambda: self.acknowledged >= count or not alive(), 60)

    # Asked after a restart

    def check(self, gateway, pools):
        """Compares every X of the stock with what was acknowledged; adopts what was unanswered."""
        found = self.findings
        seen = set()
        for pool in pools:
            api = gateway.with_pool(pool.key)
            for x in pool.numbers:
                self._check_number(api, pool, x, seen, found)
        for subs_id, binding in list(self.live.items()):
            if subs_id not in seen:
                del self.live[subs_id]
                if binding.ending:
                    self.ended.add(subs_id)
                else:
                    found.note("lost", f"{subs_id} on {binding.x}")
        # What was asked before the kill and is not there now did not happen.
        self.asked.clear()
        return found

    def _check_number(self, api, pool, x, seen, found):
        answer = api.call("QuerySubsId", PhoneNoX=x)
        ids = answer.data.get("SubsId", "") if answer.code == "OK" else ""
        holders = {}
        for subs_id in filter(None, ids.split(",")):
            detail = api.detail(subs_id, x)
            assert detail.code == "OK", str(detail)
            held = detail.data["SecretBindDetailDTO"]
            binding = self._known(pool, x, subs_id, held, found)
            seen.add(subs_id)
            for party in binding.parties():
                if party in holders:
                    found.note("doubled", f"{subs_id} and {holders[party]} on {x}")
                holders[party] = subs_id

    def _known(self, pool, x, subs_id, held, found):
        binding = self.live.get(subs_id)
        a, b = held["PhoneNoA"], held.get("PhoneNoB", "")
        if binding is None:
            if subs_id in self.ended:
                found.note("risen", f"{subs_id} on {x}")
            elif (pool.kind, pool.key, a, b) not in self.asked.values():
                found.note("invented", f"{subs_id} on {x}")
            binding = self.live[subs_id] = Binding(pool.kind, pool.key, x, a, b, subs_id)
            return binding
        if (binding.x, binding.a) != (x, a) or b not in (binding.b, binding.b_maybe):
            found.note("lost", f"values of {subs_id} on {x}")
        # Found alive, an end that was not answered did not happen; the same for a change of B.
        binding.ending, binding.b, binding.b_maybe = False, b, None
        return binding
