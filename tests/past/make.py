#!/usr/bin/env python3
"""Writes a data directory that holds something of everything, for releases to come to open.

With it goes what the program that wrote it tells of it: the next releases must tell the same.

    python3 tests/past/make.py tests/past/form-1.tar.xz

It runs the binary under test (MASKLINE_TEST_BIN, else the development build), and takes a minute. An archive is
made once for each form of the data and never anew: the bytes of the older program are what counts.
"""

import argparse
import json
import sys
import tarfile
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from abuse.ownership import admin  # noqa: E402
from past.told import told_of  # noqa: E402
from support.gateway import Gateway, bound, expiration  # noqa: E402
from support.operator import Operator  # noqa: E402
from support.process import Maskline  # noqa: E402

FAR_S = 20 * 365 * 86_400
# So long at least a binding stands.
SHORTEST_S = 62
SETTINGS = """
[journal]
snapshot_every_batches = 40

[jobs]
enabled = true
"""
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archive", type=Path, help="where to write it, such as tests/past/form-1.tar.xz")
    archive = parser.parse_args().archive.resolve()
    with tempfile.TemporaryDirectory(prefix="past-") as scratch:
        home = Path(scratch)
        settings = home / "settings.toml"
        settings.write_text(SETTINGS)
        service = Maskline(home / "data", args=["--config", str(settings)]).start()
        try:
            fill(service)
            told = told_of(service)
            # As after a crash: the newest batches are in no snapshot.
            service.kill()
        finally:
            service.stop()
        (home / "told.json").write_text(json.dumps(told, ensure_ascii=False))
        with tarfile.open(archive, "w:xz") as packed:
            for name in ("data", "data.key", "told.json"):
                packed.add(home / name, name)


def fill(service):
    operator = Operator(service)
    operator.apply(DOCUMENT)
    keys = [operator.key("acme"), operator.key("acme"), operator.key("acme", user="reports")]
    operator.disable_key(keys[1])
    axn, axb, idle = (gateway(service, keys[0], pool) for pool in ("FC900", "FC901", "FC902"))
    far = {"Expiration": expiration(FAR_S)}

    ending = bound(axn.bind_axn(PhoneNoA="13900000001", Expiration=expiration(SHORTEST_S)))
    every_text = {
        "OutId": "out-1", "OutOrderId": "order-1", "ASRModelId": "model", "ASRStatus": "true",
        "IsRecordingEnabled": "true", "CallRestrict": "CONTROL_BX_DISABLE", "CallTimeout": "15",
        "RingConfig": json.dumps({"AXNRing_AB": "1", "AXNRing_A": "2", "AXNRing_N": "3"}),
    }  # fmt: skip
    bound(axn.bind_axn(PhoneNoA="13900000002", PhoneNoB="13900000003", **every_text, **far))
    changed = bound(axn.bind_axn(PhoneNoA="13900000004", **far))
    done(
        axn.call(
            "UpdateSubscription", OperateType="updateNoA", SubsId=changed[0], PhoneNoX=changed[1],
            PhoneNoA="13900000005", ProductType="AXN_170",
        )
    )  # fmt: skip
    done(axn.unbind(*bound(axn.bind_axn(PhoneNoA="13900000006", **far))))
    forgotten = "13900000007"
    done(axn.unbind(*bound(axn.bind_axn(PhoneNoA=forgotten, OutId="of a person", **far))))
    for n in range(8):
        pair = {"PhoneNoA": f"1390000010{n}", "PhoneNoB": f"1390000020{n}", "ExpectCity": "北京"}
        bound(axb.bind_axb(**pair, OutOrderId=f"order-{n}", DtmfConfig='{"key":"1"}', **far))
    for n in range(20):
        done(idle.unbind(*bound(idle.bind_axn(PhoneNoA=f"139000003{n:02}", **far))))
    service.cli("number", "lock", "17300000029")

    # Calls, by phones of the demonstration: one recorded, one that nobody may make.
    demo = service.gateway()
    for number, more in (("13900000050", {"IsRecordingEnabled": "true"}), ("13900000051", {})):
        x = bound(demo.bind_axn(PhoneNoA=number, **more, **far))[1]
        service.cli("call", "13900000060", x, "--for", "1")
    assert service.cli("call", "13900000060", "17300000028", "--for", "1", check=False).returncode != 0

    service.cli("erase", forgotten, "--yes")
    rows = service.data.with_name("numbers.csv")
    rows.write_text("number,city\n" + "".join(f"1730000{n:04},深圳\n" for n in range(3000, 3040)))
    service.cli("number", "import", rows)
    under_way, _ = admin(service, "/v1/imports/half-of-it", method="PUT", body='{"rows": 7}')
    assert under_way == 200

    deadline = time.monotonic() + SHORTEST_S + 60
    while ending[0] not in service.cli("binding", "ls", "--ended", "--json").stdout:
        assert time.monotonic() < deadline, "the binding does not end"
        time.sleep(0.5)
    # Beyond the newest snapshot.
    for n in range(5):
        bound(axn.bind_axn(PhoneNoA=f"1390000040{n}", OutId=f"last-{n}", **far))


def done(answer):
    assert answer.code == "OK", str(answer)


def gateway(service, key, pool):
    return Gateway(f"http://{service.ready['api']}", key.id, key.secret, pool)


if __name__ == "__main__":
    main()
