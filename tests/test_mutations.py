"""Ten thousand requests bent in ways that nobody means: each class gets its code, none an OK, and the
service neither ends nor hangs.

MASKLINE_TEST_SEED replays a run.
"""

import os
import random
import socket
import string
from dataclasses import dataclass
from typing import Callable
from urllib.parse import parse_qsl

import pytest

from support.gateway import bound, expiration, nonce
from support.operator import Operator

SEED = int(os.environ.get("MASKLINE_TEST_SEED", random.SystemRandom().randrange(2**32)))
EACH = 600
BELOW_HTTP = 1500
MISMATCH = {"SignatureDoesNotMatch"}
UNSIGNED = MISMATCH | {"IncompleteSignature"}
TOO_LARGE = {"InvalidParameter.TooLarge"}


@pytest.fixture(scope="module")
def world(shared):
    return Operator(shared).world(numbers={"北京": 5})


@dataclass(frozen=True)
class Mutation:
    """One class: how a good request is bent, and the codes that it may get."""

    name: str
    bend: Callable
    codes: set
    each: int = EACH

    def __str__(self):
        return self.name


MUTATIONS = []


def mutation(codes, each=EACH):
    def register(function):
        MUTATIONS.append(Mutation(function.__name__, function, codes, each))
        return function

    return register


def params(api):
    return {
        "PoolKey": api.pool_key,
        "PhoneNoA": "13900001111",
        "Expiration": expiration(),
        "OutId": "a b*~+",
    }


def other_character(rng, old, alphabet=string.ascii_letters + string.digits):
    return rng.choice([character for character in alphabet if character != old])


def with_one_changed(rng, text, start=0, end=None):
    place = rng.randrange(start, len(text) if end is None else end)
    return text[:place] + other_character(rng, text[place]) + text[place + 1:]


def part_of(request, name):
    """Where the value of a parameter stands in the target."""
    start = request.target.index(f"{name}=") + len(name) + 1
    end = request.target.find("&", start)
    return start, len(request.target) if end < 0 else end


# Signature


@mutation(MISMATCH)
def signature_with_one_character_changed(api, rng):
    # The last character before the padding holds bits that no byte shows; it is left alone.
    good = api.rpc("BindAxn", params(api))
    start, end = part_of(good, "Signature")
    value = good.target[start:end]
    letters = [i for i, c in enumerate(value[:-5]) if c.isalnum() and "%" not in value[max(0, i - 2): i]]
    place = start + rng.choice(letters)
    changed = other_character(rng, good.target[place])
    return good.changed(target=good.target[:place] + changed + good.target[place + 1:])


@mutation(UNSIGNED)
def signature_of_random_bytes(api, rng):
    text = "".join(rng.choice(string.printable) for _ in range(rng.randrange(1, 80)))
    return api.rpc("BindAxn", params(api), common={"Signature": text})


@mutation(UNSIGNED | {"MissingSignature"}, each=50)
def signature_left_out_or_empty(api, rng):
    request = api.rpc("BindAxn", params(api), common={"Signature": ""})
    if rng.random() < 0.5:
        return request
    return request.changed(target=request.target.replace("&Signature=", ""))


@mutation(MISMATCH)
def acs3_signature_with_one_digit_changed(api, rng):
    request = api.acs3("BindAxn", params(api))
    text = request.headers["Authorization"]
    place = rng.randrange(len(text) - 64, len(text))
    changed = other_character(rng, text[place], "0123456789abcdef")
    request.headers["Authorization"] = text[:place] + changed + text[place + 1:]
    return request


@mutation(UNSIGNED | {"InvalidSignatureMethod", "MissingAccessKeyId", "MissingAction"})
def authorization_bent(api, rng):
    """The header without one of its parts, cut short, or with bytes in it that do not belong."""
    request = api.acs3("BindAxn", params(api))
    text = request.headers["Authorization"]
    bent = rng.choice(
        [
            lambda: text[: rng.randrange(1, len(text) - 64)],
            lambda: text.replace("ACS3-HMAC-SHA256", "ACS3-HMAC-MD5"),
            lambda: text.replace("SignedHeaders=", "SignedFooters="),
            lambda: text.replace("Signature=", "Sig="),
            lambda: text.replace(",", ";;"),
        ]
    )()
    request.headers["Authorization"] = bent
    return request


# Parameters and headers, changed after they were signed


@mutation(MISMATCH)
def parameter_changed_after_signing(api, rng):
    request = api.rpc("BindAxn", params(api))
    start, end = part_of(request, rng.choice(["PoolKey", "PhoneNoA", "SignatureNonce"]))
    return request.changed(target=with_one_changed(rng, request.target, start, end))


@mutation(MISMATCH)
def parameter_added_after_signing(api, rng):
    request = api.rpc("BindAxn", params(api))
    name = "X" + "".join(rng.choice(string.ascii_letters) for _ in range(rng.randrange(1, 20)))
    return request.changed(target=f"{request.target}&{name}={rng.randrange(10**9)}")


@mutation(MISMATCH)
def parameter_left_out_after_signing(api, rng):
    request = api.rpc("BindAxn", params(api))
    start, end = part_of(request, rng.choice(["PoolKey", "OutId", "PhoneNoA"]))
    name = request.target.rindex("&", 0, start)
    return request.changed(target=request.target[:name] + request.target[end:])


@mutation(MISMATCH)
def signed_header_changed(api, rng):
    request = api.acs3("BindAxn", params(api), headers={"x-acs-extra": "0123456789abcdef"})
    name = rng.choice(["x-acs-extra", "x-acs-signature-nonce"])
    request.headers[name] = with_one_changed(rng, request.headers[name])
    return request


@mutation(MISMATCH | {"InvalidAction.NotFound", "InvalidVersion", "InvalidTimeStamp.Format"})
def acs3_header_left_out_or_replaced(api, rng):
    request = api.acs3("BindAxn", params(api))
    name = rng.choice(["x-acs-action", "x-acs-version", "x-acs-date"])
    request.headers[name] = "".join(rng.choice(string.ascii_letters) for _ in range(8))
    return request


@mutation({"InvalidTimeStamp.Format", "InvalidTimeStamp.Expired"})
def time_stamp_of_any_text(api, rng):
    text = "".join(rng.choice(string.digits + "TZ:- ") for _ in range(rng.randrange(1, 25)))
    return api.rpc("BindAxn", params(api), common={"Timestamp": text})


@mutation({"InvalidAccessKeyId.NotFound"})
def access_key_of_any_text(api, rng):
    text = "".join(rng.choice(string.printable) for _ in range(rng.randrange(1, 60)))
    return api.with_key(text, "x").rpc("BindAxn", params(api))


@mutation({"InvalidAction.NotFound"})
def action_of_any_text(api, rng):
    text = "".join(rng.choice(string.ascii_letters + " /.<>&\"'") for _ in range(rng.randrange(1, 60)))
    return api.rpc(text, params(api))


# Bodies


@mutation(MISMATCH | {"InvalidParameter.Format"})
def form_cut_short(api, rng):
    request = api.rpc("BindAxn", params(api), place="split")
    body = request.body[: rng.randrange(1, len(request.body))]
    return resized(request, body)


@mutation(MISMATCH | {"InvalidParameter.Format"})
def form_with_one_byte_changed(api, rng):
    request = api.rpc("BindAxn", params(api), place="split")
    meant = pairs(request.body)
    while True:
        body = bytearray(request.body)
        body[rng.randrange(len(body))] = rng.randrange(256)
        # %3A and %3a are the same form; such a change is none.
        if pairs(body) != meant:
            return resized(request, bytes(body))


def pairs(form):
    return parse_qsl(form.decode("latin-1"), keep_blank_values=True, encoding="latin-1")


@mutation(MISMATCH | {"InvalidParameter.Format", "InvalidContentSha256"})
def acs3_body_that_was_not_hashed(api, rng):
    request = api.acs3("BindAxn", params(api), place="form")
    return resized(request, request.body + rng.randbytes(rng.randrange(1, 200)))


def resized(request, body):
    return request.changed(body=body, headers={**request.headers, "Content-Length": str(len(body))})


# Encoding


@mutation({"InvalidParameter.Format"})
def percent_signs_without_digits(api, rng):
    request = api.rpc("BindAxn", params(api))
    bent = rng.choice(["%", "%G0", "%0", "%%", "%-1", "%u4e00"])
    start, _ = part_of(request, "OutId")
    return request.changed(target=request.target[:start] + bent + "&" + request.target[start:])


@mutation({"InvalidParameter.Format"})
def bytes_that_are_not_utf_8(api, rng):
    request = api.rpc("BindAxn", params(api))
    bent = rng.choice(["%FF", "%C3%28", "%E2%28%A1", "%F0%28%8C%BC", "%ED%A0%80", "%C0%AF"])
    start, _ = part_of(request, "OutId")
    return request.changed(target=request.target[:start] + bent + request.target[start:])


# Length


@mutation(TOO_LARGE, each=100)
def value_longer_than_any(api, rng):
    return api.rpc("BindAxn", {**params(api), "OutId": "x" * rng.randrange(40_000, 60_000)}, place="form")


@mutation(TOO_LARGE, each=100)
def more_parameters_than_any(api, rng):
    many = {f"P{n}": "" for n in range(rng.randrange(260, 400))}
    return api.rpc("BindAxn", {**params(api), **many}, place="form")


@mutation(TOO_LARGE, each=20)
def body_larger_than_any(api, rng):
    return api.rpc("BindAxn", {**params(api), "OutId": "x" * rng.randrange(1 << 20, 1 << 21)}, place="form")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mutation", MUTATIONS, ids=str)
def test_class_gets_its_code(shared, world, mutation):
    rng = random.Random(f"{SEED} {mutation.name}")
    api = world.gateway()
    before = world.bindings()

    for count in range(mutation.each):
        request = mutation.bend(api, rng)
        answer = request.send(timeout=10)
        told = f"seed {SEED}, request {count}: {request} gave {answer}"
        assert 400 <= answer.status < 500, told
        assert answer.code in mutation.codes, told

    assert shared.alive
    assert world.bindings() == before


def test_there_are_ten_thousand():
    assert sum(mutation.each for mutation in MUTATIONS) + BELOW_HTTP >= 10_000


# Below HTTP


@pytest.mark.timeout(300)
def test_bytes_that_are_hardly_http(shared, world):
    """Whatever comes is answered or closed within seconds, and is never a fault of the service."""
    rng = random.Random(f"{SEED} bytes")
    api = world.gateway()
    good = as_bytes(api.rpc("BindAxn", params(api), common={"SignatureNonce": nonce()}))
    # The line of the query is left out: a change there is a class of its own above.
    head = good.index(b" HTTP/1.1")

    for count in range(BELOW_HTTP):
        data = bytearray(good)
        for _ in range(rng.randrange(1, 6)):
            place = rng.choice([rng.randrange(0, 5), rng.randrange(head, len(data))])
            data[place] = rng.randrange(256)
        if rng.random() < 0.2:
            del data[rng.randrange(1, len(data)):]
        answer = exchange(api, bytes(data))
        assert not answer.startswith(b"HTTP/1.1 5"), f"seed {SEED}, request {count}: {answer[:300]}"

    assert shared.alive
    bound(api.bind_axn())


def as_bytes(request):
    lines = [f"{request.method} {request.target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + request.body


def exchange(api, data):
    """Sends, says that no more will come, and reads to the end."""
    with socket.create_connection((api.host, api.port), timeout=10) as link:
        try:
            link.sendall(data)
            link.shutdown(socket.SHUT_WR)
            answer = b""
            while chunk := link.recv(65536):
                answer += chunk
            return answer
        except ConnectionError:
            return b""
