"""What a data directory for later releases holds: something of everything, put in over a running service."""

import json
import re
import threading
import time

from support.admin import admin
from support.gateway import Gateway, bound, expiration
from support.operator import Operator

FAR_S = 20 * 365 * 86_400
FAR = {"Expiration": expiration(FAR_S)}
# So long at least a binding stands.
SHORTEST_S = 62
SNAPSHOT_EVERY = 40
# Of documentation (RFC 5737): nobody answers there.
NOBODY = "https://192.0.2.20/maskline"
# The longest that a carrier can be given: what is asked of it stays asked.
ASKED_MS = 60_000
DOCUMENT = """
emergency_numbers = ["4001234567"]

[[account]]
id = "acme"
real_name_verified = true
requests_per_s_max = 500
bindings_max = 1000

[[account]]
id = "plain"
status = "in_arrears"

[[user]]
account = "acme"
name = "reports"

[[user.statement]]
effect = "allow"
actions = ["dypls:Query*"]
pools = ["FC900"]

[[user.statement]]
effect = "deny"
actions = ["*"]
pools = ["FC901"]

[[carrier]]
name = "mobile"
kind = "none"

[[pool]]
key = "FC900"
account = "acme"
product = "axn"
cooling_s = 31536000
legacy_type = "AXN_170"

[[pool]]
key = "FC901"
account = "acme"
product = "axb"
city_match = "strict"
pairs_max = 3
same_out_order_returns = true

[[pool]]
key = "FC902"
account = "acme"
product = "axn"
pick = "longest_idle"
a_call_back = false
ring_timeout_s = 30
ring_tone_other = "100000001"

[[pool]]
key = "FC903"
account = "plain"
product = "axn"
open = false
carrier = "mobile"

[[numbers]]
pool = "FC900"
city = "杭州"
first = "17300000000"
count = 30

[[numbers]]
pool = "FC901"
city = "北京"
first = "17300001000"
count = 4

[[numbers]]
pool = "FC902"
city = "上海"
first = "17300002000"
count = 8

[[numbers]]
city = "广州"
kind = "service95"
list = ["95012345", "95012346"]

[[trunk]]
name = "plain"
peer = "192.0.2.10:5060"
enabled = false

[[trunk]]
name = "whole"
peer = "sip.carrier.example"
enabled = false
transport = "tls"
sources = ["192.0.2.11"]
domain = "ims.carrier.example"
media_networks = ["198.51.100.0/24"]
presents = ["mobile", "FC900"]
routes = ["1", "0571"]
priority = 3
weight = 2
calls_max = 300
calls_per_s_max = 50
number_out = "zero"
home_area = "0571"
home_prefixes = ["1390571"]
identity_in = "pai"
trusted = true
identity_out = "ppi"
pilot = "057100000000"
diversion = "refuse"
codecs = ["pcma"]
without_g711 = "refuse"
prompts = "answer"
nat = true
rtp_advertised = "198.51.100.1"
auth_username = "line-1"
auth_secret = "its-password"
challenge_username = "carrier"
challenge_secret = "another-password"
registrar = "sip.carrier.example"
"""


# The pool of a carrier that is told of bindings.
PROVISIONED = """
[[pool]]
key = "FC904"
account = "acme"
product = "axn"
carrier = "unicom"

[[numbers]]
pool = "FC904"
city = "成都"
first = "17300004000"
count = 12
"""


def fill(service, carrier, canaries):
    operator = Operator(service)
    operator.apply(DOCUMENT)
    patient = {"deadline_ms": ASKED_MS, "request_timeout_ms": ASKED_MS, "breaker_failures": 1_000}
    operator.carrier("unicom", carrier, reconcile_every_s=0, **patient)
    operator.apply(PROVISIONED)
    keys = [operator.key("acme"), operator.key("acme"), operator.key("acme", user="reports")]
    operator.disable_key(keys[1])
    axn, axb, idle, provisioned = (
        gateway(service, keys[0], pool) for pool in ("FC900", "FC901", "FC902", "FC904")
    )

    ending = bound(
        axn.bind_axn(
            PhoneNoA=canaries.of("A of an expired binding", "13900000001"),
            OutId=canaries.of("OutId of an expired binding", "out-of-the-expired"),
            Expiration=expiration(SHORTEST_S),
        )
    )
    customers(axn, axb, idle, canaries)
    service.cli("number", "lock", "17300000029")
    kept = provision(provisioned, canaries)
    forgotten = canaries.erased_of("the person that was erased", "13900000077")
    text = canaries.erased_of("OutId of the person that was erased", "out-of-the-erased")
    done(axn.unbind(*bound(axn.bind_axn(PhoneNoA=forgotten, OutId=text, **FAR))))
    calls(service, forgotten, canaries)
    service.cli("erase", forgotten, "--yes")
    operate(service, canaries)

    deadline = time.monotonic() + SHORTEST_S + 60
    while ending[0] not in service.cli("binding", "ls", "--ended", "--json").stdout:
        assert time.monotonic() < deadline, "the binding does not end"
        time.sleep(0.5)
    owe(provisioned, carrier, kept, canaries)
    ask(service, provisioned, carrier, kept, canaries)
    counter = bound(axn.bind_axn(PhoneNoA="13900000008", **FAR))
    for _ in range(2):
        force_snapshot(service, axn, counter)

    # Beyond the newest snapshot.
    for n in range(5):
        a = canaries.of(f"A {n} of the newest bindings", f"1390000040{n}")
        bound(axn.bind_axn(PhoneNoA=a, OutId=f"last-{n}", **FAR))
    newest = bound(axn.bind_axn(PhoneNoA=canaries.of("A of the newest ended binding", "13900000410"), **FAR))
    done(axn.unbind(*newest))
    done(provisioned.unbind(*kept["unbound last"]))
    service.cli("binding", "ls", "--party", "13900000400")
    caller = canaries.of("who called last", "13900000411")
    service.cli("call", caller, "17080000001", "--for", "1", check=False)


def customers(axn, axb, idle, canaries):
    """Bindings of both products, in force, changed and ended."""
    bound(
        axn.bind_axn(
            PhoneNoA=canaries.of("A of an AXN binding", "13900000002"),
            PhoneNoB=canaries.of("B of an AXN binding", "13900000003"),
            ASRStatus="true", IsRecordingEnabled="true", CallRestrict="CONTROL_BX_DISABLE", CallTimeout="15",
            RingConfig=json.dumps(
                {"AXNRing_AB": "100000001", "AXNRing_A": canaries.of("RingConfig, AXN", "ring-axn"), "AXNRing_N": "3"}
            ),
            **texts(canaries, "axn"), **FAR,
        )
    )  # fmt: skip
    bound(
        axb.bind_axb(
            PhoneNoA=canaries.of("A of an AXB binding", "13900000011"),
            PhoneNoB=canaries.of("B of an AXB binding", "13900000012"), ExpectCity="北京",
            ASRStatus="true", IsRecordingEnabled="true", CallTimeout="20",
            RingConfig=json.dumps({"AXBRing_A": "100000001", "AXBRing_B": canaries.of("RingConfig, AXB", "ring-axb")}),
            DtmfConfig=json.dumps({"key": canaries.of("DtmfConfig, AXB", "dtmf-axb")}),
            **texts(canaries, "axb"), **FAR,
        )
    )  # fmt: skip

    changed = bound(
        axn.bind_axn(
            PhoneNoA=canaries.of("A before an update", "13900000004"),
            PhoneNoB=canaries.of("B before an update", "13900000021"),
            OutId=canaries.of("OutId before an update", "out-before"),
            **FAR,
        )
    )
    update(axn, changed, "updateNoA", PhoneNoA=canaries.of("A by an update", "13900000005"))
    update(axn, changed, "updateNoB", PhoneNoB=canaries.of("B by an update", "13900000022"))
    update(axn, changed, "updateExpire", Expiration=expiration(2 * FAR_S))
    update(axn, changed, "updateOutId", OutId=canaries.of("OutId by an update", "out-behind"))
    update(axn, changed, "updateIsRecordingEnabled", IsRecordingEnabled="true")
    model = canaries.of("ASRModelId by an update", "asr-behind")
    ring = json.dumps({"AXNRing_A": canaries.of("RingConfig by an update", "ring-behind")})
    update(
        axn, changed, "updateCallRestrict", CallRestrict="CONTROL_AX_DISABLE", ASRStatus="true", ASRModelId=model,
        RingConfig=ring,
    )  # fmt: skip
    pair = bound(axb.bind_axb(PhoneNoA="13900000031", PhoneNoB="13900000032", ExpectCity="北京", **FAR))
    update(axb, pair, "updateNoB", PhoneNoB=canaries.of("B by an update, AXB", "13900000033"))

    ended = {
        "PhoneNoA": canaries.of("A of an ended binding", "13900000006"),
        "PhoneNoB": canaries.of("B of an ended binding", "13900000007"),
        **texts(canaries, "ended"),
    }
    done(axn.unbind(*bound(axn.bind_axn(**ended, **FAR))))
    for n in range(8):
        pair = {"PhoneNoA": f"1390000010{n}", "PhoneNoB": f"1390000020{n}", "ExpectCity": "北京"}
        bound(axb.bind_axb(**pair, OutOrderId=f"order-{n}", DtmfConfig='{"key":"1"}', **FAR))
    for n in range(10):
        done(idle.unbind(*bound(idle.bind_axn(PhoneNoA=f"139000003{n:02}", **FAR))))


def texts(canaries, whose):
    return {
        name: canaries.of(f"{name}, {whose}", f"{text}-{whose}")
        for name, text in (("OutId", "out"), ("OutOrderId", "order"), ("ASRModelId", "asr"), ("Extend", "extend"))
    }


def update(api, binding, operation, **params):
    subs_id, x = binding
    done(api.call("UpdateSubscription", OperateType=operation, SubsId=subs_id, PhoneNoX=x, **params))


def calls(service, forgotten, canaries):
    """By phones of the demonstration."""
    demo, pairs = service.gateway(), service.gateway(product="AXB")
    caller = canaries.of("who called and was answered", "13900000060")
    for number, more in (("13900000050", {"IsRecordingEnabled": "true"}), ("13900000051", {})):
        a = canaries.of(f"who was called, {number[-1]}", number)
        x = bound(demo.bind_axn(PhoneNoA=a, OutId=f"of-a-call-{number}", **more, **FAR))[1]
        for one in (caller, forgotten):
            service.cli("call", one, x, "--for", "1")
    a, b = canaries.of("A who called B", "13900000061"), canaries.of("B whom A called", "13900000062")
    x = bound(pairs.bind_axb(PhoneNoA=a, PhoneNoB=b, IsRecordingEnabled="true", **FAR))[1]
    service.cli("call", a, x, "--for", "1")
    canaries.of("a recording", "WAVEfmt ")
    # Refused by who is called, and by us: nothing is bound there.
    refused = canaries.of("who called and was refused", "13900000063")
    for x in ("17080000001", "17080000003", "17300000028"):
        assert service.cli("call", refused, x, "--for", "1", check=False).returncode == 1


def operate(service, canaries):
    """What operators do."""
    rows = service.data.with_name("numbers.csv")
    rows.write_text("number,city\n" + "".join(f"1730000{n:04},深圳\n" for n in range(3000, 3040)))
    service.cli("number", "import", rows)
    under_way, _ = admin(service, "/v1/imports/half-of-it", method="PUT", body='{"rows": 7}')
    assert under_way == 200
    # Masked where they are written down.
    of_nobody = canaries.erased_of("who was searched for and is not there", "13900000099")
    for words in (("binding", "ls"), ("binding", "ls", "--ended"), ("call", "ls")):
        service.cli(*words, "--party", of_nobody)
    service.cli("call", "ls", "--caller", "13900000060")


def provision(api, canaries):
    """Bindings that a carrier agreed to, by what becomes of them."""
    kept = {}
    for n, name in enumerate(("confirmed", "updated", "renewing", "releasing", "changing", "unbound last")):
        a = canaries.of(f"A of one that a carrier knows, {name}", f"1390000070{n}")
        out_id = canaries.of(f"OutId of one that a carrier knows, {name}", f"out-known-{n}")
        kept[name] = bound(api.bind_axn(PhoneNoA=a, OutId=out_id, **FAR))
    update(api, kept["updated"], "updateNoA", PhoneNoA=canaries.of("A that a carrier agreed to", "13900000711"))
    done(api.unbind(*bound(api.bind_axn(PhoneNoA=canaries.of("A that a carrier let go", "13900000712"), **FAR))))
    return kept


def owe(api, carrier, kept, canaries):
    """What a carrier must be told, and does not understand."""
    carrier.set(nonsense=1, nonsense_kind="no JSON")
    subs_id, x = kept["renewing"]
    a = canaries.of("A that a carrier did not agree to", "13900000713")
    refused = api.call("UpdateSubscription", OperateType="updateNoA", SubsId=subs_id, PhoneNoX=x, PhoneNoA=a)
    assert refused.code == "isp.UNKNOWN_ERR_CODE", str(refused)
    done(api.unbind(*kept["releasing"]))


def ask(service, api, carrier, kept, canaries):
    """What a carrier is asked, and does not answer."""
    carrier.set(slow_s=3_600)
    subs_id, x = kept["changing"]
    a = canaries.of("A that a carrier is asked to change to", "13900000714")
    unanswered(api, "UpdateSubscription", OperateType="updateNoA", SubsId=subs_id, PhoneNoX=x, PhoneNoA=a)
    a = canaries.of("A that a carrier is asked for", "13900000715")
    out_id = canaries.of("OutId that a carrier is asked for", "out-asked")
    unanswered(api, "BindAxn", PhoneNoA=a, OutId=out_id, **FAR)
    wanted, deadline = {"reserved", "changing"}, time.monotonic() + 20
    while not wanted <= phases(service):
        assert time.monotonic() < deadline, "the carrier is not asked"
        time.sleep(0.05)
    # So that no program that opens this speaks to whoever has the port by then.
    service.cli("carrier", "set", "unicom", "--url", NOBODY)


def unanswered(api, action, **params):
    request = api.rpc(action, {"PoolKey": api.pool_key, **params})

    def send():
        try:
            request.send(timeout=2 * ASKED_MS / 1000)
        except OSError:
            pass

    threading.Thread(target=send, daemon=True).start()


def phases(service):
    listed = json.loads(service.cli("binding", "ls", "--pool", "FC904", "--json").stdout)["items"]
    shown = [json.loads(service.cli("binding", "show", one["subs_id"], "--json").stdout) for one in listed]
    return {one["provision"]["phase"] for one in shown}


def force_snapshot(service, api, binding):
    """Until there is one of all that was done before."""
    newest = json.loads(service.cli("status", "--json").stdout)["batch"]
    deadline = time.monotonic() + 60
    for n in range(SNAPSHOT_EVERY + 1):
        update(api, binding, "updateOutId", OutId=f"counted-{n}")
    while newest_snapshot(service) < newest:
        assert time.monotonic() < deadline, "no snapshot is made"
        time.sleep(0.1)


def newest_snapshot(service):
    written = re.findall(r"snapshot written.* batch=(\d+)", service.log_path.read_text())
    return max(map(int, written), default=0)


def done(answer):
    assert answer.code == "OK", str(answer)


def gateway(service, key, pool):
    return Gateway(f"http://{service.ready['api']}", key.id, key.secret, pool)
