"""Raw requests to the customer API, signed by hand, so that a test can bend any part of them."""

import copy
import hashlib
import http.client
import json
import ssl
import uuid
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from urllib.parse import urlsplit

from support.signing import (
    EMPTY_BODY_SHA256,
    acs3_canonical_request,
    acs3_signature,
    rpc_signature,
    rpc_string_to_sign,
    sorted_query,
)

VERSION = "2017-05-25"
CHINA = timezone(timedelta(hours=8))
FORM = "application/x-www-form-urlencoded"


def nonce():
    return uuid.uuid4().hex


def utc_stamp(moment=None):
    """The form of `Timestamp` and `x-acs-date`."""
    return (moment or datetime.now(timezone.utc)).strftime("%Y-%m-%dT%H:%M:%SZ")


def china_time(moment):
    """The form of `Expiration`: China wall-clock time without a zone."""
    return moment.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")


def expiration(seconds=86_400):
    """An `Expiration` that many seconds from now."""
    return china_time(datetime.now(timezone.utc) + timedelta(seconds=seconds))


@dataclass
class Answer:
    """What came back, read as JSON or XML by its Content-Type."""

    status: int
    headers: dict
    body: bytes
    action: str

    @property
    def content_type(self):
        return self.headers.get("content-type", "")

    @property
    def data(self):
        if "xml" in self.content_type:
            return _element(ElementTree.fromstring(self.body))
        return json.loads(self.body)

    @property
    def xml_root(self):
        return ElementTree.fromstring(self.body).tag

    @property
    def code(self):
        return self.data.get("Code")

    @property
    def message(self):
        return self.data.get("Message")

    def __str__(self):
        return f"{self.action}: HTTP {self.status} {self.body.decode(errors='replace')}"


def _element(node):
    """A nested dict of an XML answer; a repeated child becomes a list."""
    if len(node) == 0:
        return node.text or ""
    members = {}
    for child in node:
        value = _element(child)
        if child.tag in members:
            held = members[child.tag]
            members[child.tag] = held + [value] if isinstance(held, list) else [held, value]
        else:
            members[child.tag] = value
    return members


@dataclass
class Request:
    """One request as bytes-to-be: change it, send it, send it again."""

    method: str
    target: str
    headers: dict
    body: bytes
    action: str = ""
    connection: dict = field(default_factory=dict, repr=False)

    def send(self, timeout=30):
        # Every request has a connection of its own: nothing is retried behind the test's back.
        link = _connect(timeout=timeout, **self.connection)
        try:
            link.putrequest(self.method, self.target, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                link.putheader(name, value)
            link.endheaders(self.body or None)
            response = link.getresponse()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, headers, response.read(), self.action)
        finally:
            link.close()

    def changed(self, **parts):
        other = copy.copy(self)
        other.headers = dict(self.headers)
        for name, value in parts.items():
            setattr(other, name, value)
        return other


def _connect(host, port, ca_file, timeout):
    if ca_file is None:
        return http.client.HTTPConnection(host, port, timeout=timeout)
    context = ssl.create_default_context(cafile=str(ca_file))
    return http.client.HTTPSConnection(host, port, timeout=timeout, context=context)


class Gateway:
    """The customer API at one address, seen by the owner of one AccessKey."""

    def __init__(self, url, key_id, secret, pool_key=None, ca_file=None):
        parts = urlsplit(url if "//" in url else f"http://{url}")
        self.host, self.port, self.scheme = parts.hostname, parts.port, parts.scheme
        self.ca_file = ca_file if self.scheme == "https" else None
        self.key_id, self.secret, self.pool_key = key_id, secret, pool_key

    def with_key(self, key_id, secret):
        other = copy.copy(self)
        other.key_id, other.secret = key_id, secret
        return other

    def with_pool(self, pool_key):
        other = copy.copy(self)
        other.pool_key = pool_key
        return other

    # Requests of both signature schemes

    def rpc(self, action, params, method="POST", place="query", common=None, sign=True):
        """RPC 1.0. `place` is query, form, or split (common in the query, the rest in a form).

        `common` adds or replaces common parameters; a value of None leaves one out.
        """
        shared = {
            "Action": action,
            "Version": VERSION,
            "Format": "JSON",
            "AccessKeyId": self.key_id,
            "SignatureMethod": "HMAC-SHA1",
            "SignatureVersion": "1.0",
            "SignatureNonce": nonce(),
            "Timestamp": utc_stamp(),
        }
        shared.update(common or {})
        shared = {name: value for name, value in shared.items() if value is not None}
        if sign and "Signature" not in shared:
            text = rpc_string_to_sign(method, {**shared, **params})
            algorithm = shared.get("SignatureMethod")
            known = algorithm if algorithm in ("HMAC-SHA1", "HMAC-SHA256") else "HMAC-SHA1"
            shared["Signature"] = rpc_signature(self.secret, text, known)
        query, form = {
            "query": ({**shared, **params}, {}),
            "form": ({}, {**shared, **params}),
            "split": (shared, params),
        }[place]
        return self._request(action, method, query, form, {})

    def acs3(self, action, params, method="POST", place="query", headers=None, secret=None):
        """ACS3-HMAC-SHA256. `headers` adds or replaces signed headers; None leaves one out."""
        query, form = (params, {}) if place == "query" else ({}, params)
        # ACS3 signs the form through its hash only; the query alone is in the canonical request.
        request = self._request(action, method, query, form, {})
        signed = {
            "host": request.headers["Host"],
            "x-acs-action": action,
            "x-acs-version": VERSION,
            "x-acs-date": utc_stamp(),
            "x-acs-signature-nonce": nonce(),
            "x-acs-content-sha256": hashlib.sha256(request.body).hexdigest(),
        }
        if form:
            signed["content-type"] = FORM
        signed.update(headers or {})
        signed = {name: value for name, value in signed.items() if value is not None}
        names = sorted(signed)
        body_sha256 = signed.get("x-acs-content-sha256", EMPTY_BODY_SHA256)
        canonical = acs3_canonical_request(method, query, signed, names, body_sha256)
        signature = acs3_signature(secret or self.secret, canonical)
        request.headers = {name: value for name, value in signed.items() if name != "host"}
        request.headers["Host"] = signed.get("host", f"{self.host}:{self.port}")
        request.headers["Content-Length"] = str(len(request.body))
        request.headers["Authorization"] = (
            f"ACS3-HMAC-SHA256 Credential={self.key_id},"
            f"SignedHeaders={';'.join(names)},Signature={signature}"
        )
        return request

    def _request(self, action, method, query, form, headers):
        target = "/" + (f"?{sorted_query(query)}" if query else "")
        body = sorted_query(form).encode()
        named = {"Host": f"{self.host}:{self.port}", **headers}
        if form:
            named["Content-Type"] = FORM
        if method != "GET":
            named["Content-Length"] = str(len(body))
        connection = {"host": self.host, "port": self.port, "ca_file": self.ca_file}
        return Request(method, target, named, body, action, connection)

    # What most tests say

    def call(self, action, _common=None, **params):
        """One call with the RPC signature; PoolKey is filled in unless given (None leaves it out)."""
        params = {"PoolKey": self.pool_key, **params}
        params = {name: value for name, value in params.items() if value is not None}
        return self.rpc(action, params, common=_common).send()

    def bind_axn(self, a="13900001111", **params):
        wanted = {"PhoneNoA": a, "Expiration": expiration(), **params}
        return self.call("BindAxn", **wanted)

    def bind_axb(self, a="13900001111", b="13900002222", **params):
        wanted = {"PhoneNoA": a, "PhoneNoB": b, "Expiration": expiration(), **params}
        return self.call("BindAxb", **wanted)

    def detail(self, subs_id, x):
        return self.call("QuerySubscriptionDetail", SubsId=subs_id, PhoneNoX=x)

    def unbind(self, subs_id, x):
        return self.call("UnbindSubscription", SubsId=subs_id, SecretNo=x)


def bound(answer):
    """The (SubsId, X) of a successful bind; anything else fails the test with the answer's text."""
    assert answer.status == 200 and answer.code == "OK", str(answer)
    dto = answer.data["SecretBindDTO"]
    return dto["SubsId"], dto["SecretNo"]
