#!/usr/bin/env python3
"""Binds in pools that have nothing to do with a carrier in trouble, alone and while others ask for its numbers.

    MASKLINE_TEST_BIN=target/release/maskline python3 tests/bench/carriers.py [--rounds 6] [--seconds 8] [--customers 8]

One carrier is dead (nobody listens), one is slow (4 s to an answer), one is well. In turn, customers bind and end in a
pool without a carrier and in that of the carrier that is well, first alone, then while other customers, of another
process, ask for numbers of the dead and of the slow one. What counts is the ratio of the medians of p99 over the rounds.
"""

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from campaigns.provisioned_load import Link  # noqa: E402
from carriers.simulated import SimulatedCarrier  # noqa: E402
from support.gateway import Gateway, expiration  # noqa: E402
from support.operator import Operator  # noqa: E402
from support.process import Maskline, binary  # noqa: E402

NUMBERS = 2_000
GOAL = 1.2
# Customers that ask in vain, and how often each does: those of the slow carrier wait for their answers.
IN_VAIN = {"dead": (4, 10.0), "slow": (64, 10.0)}
FAULTS = {"dead": {"outage": True}, "slow": {"slow_s": 4}, "well": {}}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--customers", type=int, default=8)
    parser.add_argument("--in-vain", nargs=5, metavar=("API", "KEY", "SECRET", "DEAD", "SLOW"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.in_vain:
        return ask_in_vain(*options.in_vain)
    with tempfile.TemporaryDirectory(prefix="bench-carriers-") as home:
        return measure(options, Path(home))


def measure(options, home):
    carriers = [SimulatedCarrier(home, name, **faults) for name, faults in FAULTS.items()]
    service = Maskline(home / "data")
    try:
        for carrier in carriers:
            carrier.start()
        service.start()
        operator = Operator(service)
        for carrier in carriers:
            operator.apply(
                f'[[carrier]]\nname = "{carrier.name}"\nkind = "http"\nurl = "{carrier.url}"\nsecret = "{carrier.secret}"\n'
            )
        pools = {name: operator.world(numbers={"北京": NUMBERS}, carrier=name) for name in FAULTS}
        pools["none"] = operator.world(numbers={"北京": NUMBERS})
        found = {(pool, is_beside): [] for pool in ("none", "well") for is_beside in (False, True)}
        for _ in range(options.rounds):
            for is_beside in (False, True):
                others = in_vain(service, pools) if is_beside else None
                try:
                    for pool in ("none", "well"):
                        found[pool, is_beside].append(percentiles(pools[pool], options))
                finally:
                    if others:
                        others.kill()
                        others.wait()
    finally:
        service.stop()
        for carrier in carriers:
            carrier.kill()
    return report(found)


def in_vain(service, pools):
    dead, slow = pools["dead"], pools["slow"]
    # Keys go by arguments: they are of this benchmark alone.
    words = [service.ready["api"], f"{dead.first_key.id}/{slow.first_key.id}"]
    words += [f"{dead.first_key.secret}/{slow.first_key.secret}", dead.pool, slow.pool]
    process = subprocess.Popen([sys.executable, __file__, "--in-vain", *words], stdin=subprocess.DEVNULL)
    # The breaker has opened and the customers of the slow one all wait by then.
    time.sleep(5)
    return process


def ask_in_vain(api, keys, secrets, dead, slow):
    for name, pool, key, secret in zip(
        ("dead", "slow"), (dead, slow), keys.split("/"), secrets.split("/"), strict=True
    ):
        customers, per_s = IN_VAIN[name]
        for _ in range(customers):
            gateway = Gateway(f"http://{api}", key, secret, pool)
            threading.Thread(target=keep_asking, args=(gateway, customers / per_s), daemon=True).start()
    threading.Event().wait()


def keep_asking(gateway, pause_s):
    link = Link()
    while True:
        began = time.monotonic()
        a = f"139{random.randrange(10**8):08}"
        link.send(gateway.rpc("BindAxn", {"PoolKey": gateway.pool_key, "PhoneNoA": a, "Expiration": expiration()}))
        time.sleep(max(0, began + pause_s * random.uniform(0.5, 1.5) - time.monotonic()))


def percentiles(world, options):
    """(binds a second, p50, p99) in milliseconds of what so many customers bind in so many seconds."""
    took, over = [], time.monotonic() + options.seconds
    threads = [threading.Thread(target=customer, args=(world.gateway(), over, took)) for _ in range(options.customers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took.sort()
    return len(took) / options.seconds, took[len(took) // 2], took[int(len(took) * 0.99)]


def customer(gateway, over, took):
    link = Link()
    while time.monotonic() < over:
        a = f"139{random.randrange(10**8):08}"
        request = gateway.rpc("BindAxn", {"PoolKey": gateway.pool_key, "PhoneNoA": a, "Expiration": expiration()})
        began = time.monotonic()
        answer = link.send(request)
        took.append((time.monotonic() - began) * 1_000)
        assert answer["Code"] == "OK", answer
        told = answer["SecretBindDTO"]
        ended = link.send(
            gateway.rpc(
                "UnbindSubscription",
                {"PoolKey": gateway.pool_key, "SubsId": told["SubsId"], "SecretNo": told["SecretNo"]},
            )
        )
        assert ended["Code"] == "OK", ended
    link.close()


def report(found):
    print(f"binary {binary()}\n| binds in a pool | alone: a second, p50, p99 ms | beside: a second, p50, p99 ms | p99 |")
    print("|---|---|---|---|")
    worst = 0
    for pool in ("none", "well"):
        alone, beside = (
            [statistics.median(column) for column in zip(*found[pool, is_beside], strict=True)]
            for is_beside in (False, True)
        )
        ratio = beside[2] / alone[2]
        worst = max(worst, ratio)
        cells = [", ".join(f"{value:.1f}" for value in side) for side in (alone, beside)]
        name = "without a carrier" if pool == "none" else "of a carrier that is well"
        print(f"| {name} | {cells[0]} | {cells[1]} | {ratio:.2f} times |")
    print(f"{'reached' if worst <= GOAL else 'MISSED'}: at most {GOAL} times")
    return 0 if worst <= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
