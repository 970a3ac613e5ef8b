"""The carrier protocol (docs/carrier-protocol.md), read strictly: requests, signatures, and what an answer means."""

import base64
import hashlib
import hmac
import http.client
import json
import re
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

BODY_MAX = 64 * 1024
PAGE_BYTES_MAX = 1024 * 1024
PAGE_MAX = 500
CURSOR_MAX = 256
FENCE_END = 2**53
CLOCK_SKEW_S = 300
CONTENT_TYPE = "application/json; charset=utf-8"
KEY_BYTES = range(24, 65)
# A member of a request: what it must look like.
MEMBERS = {
    "subs_id": re.compile(r"[0-9]{1,16}"),
    "x": re.compile(r"[0-9]{3,20}"),
    "pool": re.compile(r"FC[0-9A-Za-z]{1,30}"),
    "product": re.compile(r"AXN|AXB"),
    "a": re.compile(r"[0-9]{3,20}"),
    "b": re.compile(r"[0-9]{3,20}"),
    "expires_at": re.compile(r"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?Z"),
}
TERMS = ("pool", "product", "a", "expires_at")


class Wrong(Exception):
    """A request that is not one of the protocol; the text says of what kind."""


# Signatures


def key_of(secret):
    assert secret.startswith("whsec_"), "a secret begins with whsec_"
    key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    assert len(key) in KEY_BYTES, f"a key has 24 to 64 bytes, not {len(key)}"
    return key


def signature(key, name, timestamp, body):
    digest = hmac.new(key, b".".join((name.encode(), str(timestamp).encode(), body)), hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def verify(key, headers, body, now):
    """Raises what is wrong with the headers (by their names in small letters); the id."""
    name, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not re.fullmatch(r"[0-9]{1,16}-[0-9]{1,10}|query-[0-9A-Za-z_-]{1,64}", name):
        raise Wrong("webhook-id")
    if not re.fullmatch(r"[0-9]{1,12}", timestamp) or abs(int(timestamp) - now) > CLOCK_SKEW_S:
        raise Wrong("webhook-timestamp")
    wanted = signature(key, name, timestamp, body)
    given = headers.get("webhook-signature", "").split(" ")
    if not any(hmac.compare_digest(wanted, one) for one in given):
        raise Wrong("webhook-signature")
    return name


# Requests


def read_request(body):
    """A request as a dict, with every member that its operation wants and none but those."""
    try:
        request = json.loads(body)
    except ValueError as error:
        raise Wrong("not JSON") from error
    if not isinstance(request, dict):
        raise Wrong("no object")
    op = request.get("op")
    if op == "query":
        _has(request, {"op", "after", "limit"}, set())
        after, limit = request["after"], request["limit"]
        if not (after is None or isinstance(after, str) and 0 < len(after.encode()) <= CURSOR_MAX):
            raise Wrong("after")
        if type(limit) is not int or limit not in range(1, PAGE_MAX + 1):
            raise Wrong("limit")
        return request
    if op not in ("bind", "update", "unbind"):
        raise Wrong("op")
    wanted = {"op", "subs_id", "revision", "fence", "x"} | (set(TERMS) if op != "unbind" else set())
    _has(request, wanted, {"b"} if op != "unbind" else set())
    for member, bounds in (("revision", range(1, 2**31)), ("fence", range(1, FENCE_END))):
        if type(request[member]) is not int or request[member] not in bounds:
            raise Wrong(member)
    # A bind with a later revision says once more what is to be held.
    if op != "bind" and request["revision"] == 1:
        raise Wrong("revision")
    for member, form in MEMBERS.items():
        if member in request and not (isinstance(request[member], str) and form.fullmatch(request[member])):
            raise Wrong(member)
    if request.get("product") == "AXB" and "b" not in request:
        raise Wrong("b")
    return request


def _has(request, wanted, allowed):
    if missing := wanted - request.keys():
        raise Wrong(f"no {sorted(missing)}")
    if strange := request.keys() - wanted - allowed:
        raise Wrong(f"strange {sorted(strange)}")


def key_name(request):
    """The key of a request, which its webhook-id says too."""
    return f"{request['subs_id']}-{request['revision']}"


def terms_of(request):
    return {name: request[name] for name in (*TERMS, "b") if name in request}


# Answers


def outcome(status, body, is_query=False):
    """What an answer means to Maskline: ok, refused, stale, unavailable or unknown."""
    if status >= 500:
        return "unavailable"
    if len(body) > (PAGE_BYTES_MAX if is_query else BODY_MAX):
        return "unknown"
    try:
        told = json.loads(body)
    except ValueError:
        return "unknown"
    result = told.get("result") if isinstance(told, dict) else None
    if status == 200 and result == "ok":
        return "ok" if not is_query or _is_page(told) else "unknown"
    if status == 409 and result == "stale" and type(told.get("fence")) is int:
        return "stale"
    if 400 <= status < 500 and result == "refused":
        return "refused"
    return "unknown"


def _is_page(told):
    held, after = told.get("held"), told.get("next", 0)
    return isinstance(held, list) and (after is None or isinstance(after, str)) and all(map(_is_holding, held))


def _is_holding(one):
    return isinstance(one, dict) and [type(one.get(name)) for name in ("x", "subs_id", "revision", "fence")] == [
        str, str, int, int,
    ]  # fmt: skip


# A client of tests


def bind(x, fence, **changes):
    terms = {"pool": "FC100", "product": "AXN", "a": "13800000001", "expires_at": "2036-12-31T04:00:00Z"}
    made = {"op": "bind", "subs_id": str(fence), "revision": 1, "fence": fence, "x": x, **terms, **changes}
    return {name: value for name, value in made.items() if value is not None}


def update(x, subs_id, revision, fence, **changes):
    return {**bind(x, fence, **changes), "op": "update", "subs_id": str(subs_id), "revision": revision}


def unbind(x, subs_id, revision, fence):
    return {"op": "unbind", "subs_id": str(subs_id), "revision": revision, "fence": fence, "x": x}


def query(after=None, limit=PAGE_MAX):
    return {"op": "query", "after": after, "limit": limit}


@dataclass
class Answer:
    status: int
    body: bytes
    outcome: str
    # Of which request it says that it is the answer, or None.
    name: str = None

    @property
    def data(self):
        return json.loads(self.body)


class Client:
    """Asks as Maskline asks, a connection for each request."""

    def __init__(self, url, secret, timeout=20):
        parts = urlsplit(url)
        self.host, self.port, self.path = parts.hostname, parts.port, parts.path or "/"
        self.key, self.timeout = key_of(secret), timeout

    def send(self, request, *, at=None, headers=None, path=None, method="POST", body=None):
        """An answer; OSError or HTTPException where there is none. A header of None is left out."""
        text = json.dumps(request, separators=(",", ":")).encode() if body is None else body
        name = "query-1" if request.get("op") == "query" else f"{request.get('subs_id')}-{request.get('revision')}"
        at = int(time.time() if at is None else at)
        named = {
            "Content-Type": CONTENT_TYPE,
            "webhook-id": name,
            "webhook-timestamp": str(at),
            "webhook-signature": signature(self.key, name, at, text),
            **(headers or {}),
        }
        link = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)
        try:
            link.request(method, path or self.path, text, {name: one for name, one in named.items() if one is not None})
            got = link.getresponse()
            read = got.read()
            meant = outcome(got.status, read, request.get("op") == "query")
            return Answer(got.status, read, meant, got.headers.get("webhook-id"))
        finally:
            link.close()

    def held(self, limit=PAGE_MAX):
        """All that is held, page by page."""
        found, after = [], None
        while True:
            answer = self.send(query(after, limit))
            assert answer.outcome == "ok", answer
            found += answer.data["held"]
            after = answer.data["next"]
            if after is None:
                return found
