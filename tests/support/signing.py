"""The vendor's two signature schemes, written from the description of the wire, in plain Python.

It shares no code with the server and none with the official clients, so an agreement of all three
means something. `tests/test_signing.py` checks it against captures of the official clients.
"""

import base64
import hashlib
import hmac
from urllib.parse import quote

EMPTY_BODY_SHA256 = hashlib.sha256(b"").hexdigest()


def percent(text):
    """RFC 3986: everything but the unreserved characters becomes %XX over UTF-8."""
    return quote(str(text), safe="-_.~")


def sorted_query(params):
    """`name=value` pairs, encoded, in byte order of their names."""
    pairs = params.items() if isinstance(params, dict) else params
    ordered = sorted(pairs, key=lambda pair: pair[0].encode())
    return "&".join(f"{percent(name)}={percent(value)}" for name, value in ordered)


def rpc_string_to_sign(method, params):
    """RPC signature version 1.0: the sorted query encoded once more, with method and path in front."""
    return f"{method}&%2F&{percent(sorted_query(params))}"


def rpc_signature(secret, string_to_sign, signature_method="HMAC-SHA1"):
    """Base64 of the keyed hash; the key is the secret with an ampersand behind it."""
    digest = {"HMAC-SHA1": hashlib.sha1, "HMAC-SHA256": hashlib.sha256}[signature_method]
    mac = hmac.new(f"{secret}&".encode(), string_to_sign.encode(), digest)
    return base64.b64encode(mac.digest()).decode()


def acs3_canonical_request(method, params, headers, signed_headers, body_sha256):
    """The six parts of ACS3; `headers` maps lower-case names to values."""
    head = "".join(f"{name}:{headers[name].strip()}\n" for name in signed_headers)
    return "\n".join(
        [method, "/", sorted_query(params), head, ";".join(signed_headers), body_sha256]
    )


def acs3_signature(secret, canonical_request):
    """Lower-case hex of HMAC-SHA256; here the key is the bare secret."""
    hashed = hashlib.sha256(canonical_request.encode()).hexdigest()
    text = f"ACS3-HMAC-SHA256\n{hashed}"
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
