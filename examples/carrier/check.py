#!/usr/bin/env python3
"""Checks an adapter of yours against the carrier protocol (docs/carrier-protocol.md).

    python3 check.py http://127.0.0.1:8090/ --secret-file carrier.secret --x 17000000009

It binds, updates and ends bindings on one X, which must be bound by nobody, and leaves it unbound. A line a rule; the
exit code is 1 if any does not hold. What it cannot do is kill your adapter: do that by hand, and run it again.
"""

import argparse
import http.client
import json
import sys
import time
from datetime import datetime, timedelta, timezone
from urllib.parse import urlsplit

from standardwebhooks import Webhook

ANSWER_S = 20
A, B, C = "13800000001", "13900000001", "13700000001"


class Carrier:
    """The adapter under test, asked as Maskline asks."""

    def __init__(self, url, secret):
        parts = urlsplit(url)
        self.kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self.address, self.path = parts.netloc, parts.path or "/"
        self.webhook = Webhook(secret)

    def send(self, request, *, signer=None, age_s=0, body=None, headers=None, method="POST"):
        """Status and answer (a dict, or None where the body is no JSON object)."""
        text = json.dumps(request)
        named = "query-check" if request["op"] == "query" else f"{request['subs_id']}-{request['revision']}"
        at = datetime.now(timezone.utc) - timedelta(seconds=age_s)
        signed = {
            "Content-Type": "application/json; charset=utf-8",
            "webhook-id": named,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": (signer or self.webhook).sign(named, at, text),
            **(headers or {}),
        }
        link = self.kind(self.address, timeout=ANSWER_S)
        try:
            signed = {name: value for name, value in signed.items() if value is not None}
            link.request(method, self.path, (body or text).encode(), signed)
            answer = link.getresponse()
            try:
                told = json.loads(answer.read())
            except ValueError:
                told = None
            return answer.status, told if isinstance(told, dict) else None
        finally:
            link.close()

    def held(self, x, limit=500):
        """What it holds of X, as {subs_id: (revision, fence)}, read by pages."""
        found, after, cursors = [], None, set()
        while True:
            status, told = self.send({"op": "query", "after": after, "limit": limit})
            assert status == 200 and told and told.get("result") == "ok", f"a query is answered {status} {told}"
            assert len(told["held"]) <= limit, f"{len(told['held'])} holdings on a page of {limit}"
            found += told["held"]
            after = told["next"]
            if after is None:
                break
            assert after not in cursors, f"the page behind {after!r} leads to itself"
            cursors.add(after)
        order = [(one["x"], one["subs_id"]) for one in found]
        assert order == sorted(set(order)), "holdings are not in the order of x and subs_id, or some come twice"
        return {one["subs_id"]: (one["revision"], one["fence"]) for one in found if one["x"] == x}


class Check:
    def __init__(self, carrier, x):
        self.carrier, self.x = carrier, x
        # Fences as Maskline draws them, so that X can be used by it afterwards.
        self.first = int(time.time() * 1_000_000)
        self.failed = 0

    def request(self, op, subs_id, revision, fence, **terms):
        """`fence` and `subs_id` count from those of this run."""
        made = {"op": op, "subs_id": str(self.first + subs_id), "revision": revision, "fence": self.first + fence}
        made["x"] = self.x
        if op != "unbind":
            expires_at = (datetime.now(timezone.utc) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
            made |= {"pool": "FC100", "product": "AXB", "a": A, "b": B, "expires_at": expires_at, **terms}
        return {name: value for name, value in made.items() if value is not None}

    def rule(self, text, holds):
        self.failed += not holds
        print(f"{'ok    ' if holds else 'FAILED'}  {text}", flush=True)

    def answers(self, text, request, wanted, held, **how):
        """The rule holds if the answer is one of those wanted, and what is held afterwards is so."""
        try:
            status, told = self.carrier.send(request, **how)
            result = (told or {}).get("result")
            holds = verdict(status, result) in wanted and (result != "stale" or told.get("fence") == self.newest)
            now = {int(subs_id) - self.first: one[0] for subs_id, one in self.carrier.held(self.x).items()}
        except (OSError, http.client.HTTPException, AssertionError, KeyError, TypeError) as error:
            return self.rule(f"{text} (but {error!r})", False)
        told_of = "" if holds and now == held else f" (but the answer was {status} {told}, and held is {now})"
        return self.rule(text + told_of, not told_of)

    def tells(self, text, held):
        """The rule holds if pages of one holding, and one page, tell of these."""
        try:
            found = [self.carrier.held(self.x, limit) for limit in (1, 500)]
            wanted = {str(self.first + subs_id): (revision, self.first + fence) for subs_id, revision, fence in held}
            self.rule(text if found == [wanted, wanted] else f"{text} (but {found})", found == [wanted, wanted])
        except (OSError, http.client.HTTPException, AssertionError, KeyError, TypeError) as error:
            self.rule(f"{text} (but {error!r})", False)

    def run(self):
        self.newest = self.first
        bind = self.request("bind", 0, 1, 0)
        self.answers("a bind is carried out", bind, ["ok"], {0: 1})
        self.answers("the same again is ok again", bind, ["ok"], {0: 1})
        self.answers("the same again, signed a minute ago, too", bind, ["ok"], {0: 1}, age_s=60)
        self.tells("a query tells revision and fence", [(0, 1, 0)])

        self.newest = self.first + 2
        update = self.request("update", 0, 2, 2, b=C)
        self.answers("an update is carried out", update, ["ok"], {0: 2})
        self.answers("a bind that comes late is stale", bind, ["stale"], {0: 2})
        self.answers("an unbind that comes late is stale", self.request("unbind", 0, 9, 1), ["stale"], {0: 2})
        other = self.request("bind", 2, 1, 2, a=C, b=A)
        self.answers("another request with a fence that was seen is not carried out", other, ["refused", "stale"], {0: 2})

        self.newest = self.first + 3
        second = self.request("bind", 3, 1, 3, a=C, b=A)
        self.answers("a second binding on the same X is held beside the first", second, ["ok"], {0: 2, 3: 1})
        self.answers("an update of the first that comes late is stale", update, ["stale"], {0: 2, 3: 1})
        self.tells("pages of one holding tell the same as one page", [(0, 2, 2), (3, 1, 3)])

        for text, how in (
            ("signed with another secret", {"signer": Webhook("whsec_" + "QUJDRA" * 6)}),
            ("signed ten minutes ago", {"age_s": 600}),
            ("signed ten minutes from now", {"age_s": -600}),
            ("without a signature", {"headers": {"webhook-signature": None}}),
            ("without a time", {"headers": {"webhook-timestamp": None}}),
            ("whose signature is of another body", {"body": json.dumps(self.request("unbind", 3, 2, 9))}),
            ("whose signature is of another id", {"headers": {"webhook-id": "1-1"}}),
            ("whose signature makes no sense", {"headers": {"webhook-signature": "v1"}}),
        ):
            request = self.request("unbind", 0, 3, 4)
            self.answers(f"a request {text} is answered 401", request, ["unsigned"], {0: 2, 3: 1}, **how)

        self.newest = self.first + 5
        unbind = self.request("unbind", 0, 3, 5)
        self.answers("an unbind ends one binding and leaves the other", unbind, ["ok"], {3: 1})
        self.answers("the same again is ok again", unbind, ["ok"], {3: 1})
        self.answers("what was ended does not come back by an update that comes late", update, ["stale"], {3: 1})
        self.newest = self.first + 6
        gone = self.request("unbind", 0, 4, 6)
        self.answers("an unbind of what is not there is ok", gone, ["ok"], {3: 1})
        self.newest = self.first + 7
        back = self.request("update", 0, 5, 7, product="AXN", b=None)
        self.answers("an update of what is not there makes it be held", back, ["ok"], {0: 5, 3: 1})
        strange = {**self.request("unbind", 0, 6, 8), "op": "lock"}
        self.answers("an operation that is not known is not carried out", strange, ["refused", "unknown"], {0: 5, 3: 1})

        self.newest = self.first + 9
        self.answers("an unbind of the second is carried out", self.request("unbind", 3, 2, 9), ["ok"], {0: 5})
        self.newest = self.first + 10
        self.answers("an unbind of the last is carried out", self.request("unbind", 0, 6, 10), ["ok"], {})
        self.answers("the newest fence of an X outlives what it held", back, ["stale"], {})
        return self.failed == 0


def verdict(status, result):
    """What Maskline makes of an answer."""
    if status == 200 and result == "ok":
        return "ok"
    if status == 409 and result == "stale":
        return "stale"
    if 400 <= status < 500 and result == "refused":
        return "refused"
    if status == 401 and result is None:
        return "unsigned"
    return "unavailable" if status >= 500 else "unknown"


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("url")
    options.add_argument("--secret-file", required=True)
    options.add_argument("--x", required=True, help="an X that nobody has bound")
    options = options.parse_args()
    with open(options.secret_file, encoding="ascii") as file:
        carrier = Carrier(options.url, file.read().strip())
    if carrier.held(options.x):
        print(f"{options.x} is bound; name another X")
        return 2
    return 0 if Check(carrier, options.x).run() else 1


if __name__ == "__main__":
    sys.exit(main())
