#!/usr/bin/env python3
"""Kills the real binary and a simulated carrier in turn, under load and with every fault that a carrier can have.

Customers bind, change and end bindings in two pools whose numbers a carrier must be told of, and let some end by
themselves. The carrier refuses, delays, answers twice, too late or nonsense, dies between carrying out and answering, is
away, and comes back with less than it had. Then everything is well again, one reconciliation runs, and:

- what customers were told is bound here, and nothing else (none lost, risen, doubled, or bound after an error);
- the carrier holds what is bound here, on the same terms, and nothing else;
- each OK was true: the carrier held these terms while it was asked for;
- nothing that the carrier was sent was against its protocol;
- every X can be bound once more, and but once.

    python3 tests/campaigns/provisioning.py [--operations 100000] [--kills 40] [--seed N] [--customers N] [--keep DIR]
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from campaigns.provisioned import Ledger, from_china  # noqa: E402
from campaigns.provisioned_load import Customers, StockedPool, is_short  # noqa: E402
from carriers.simulated import SimulatedCarrier  # noqa: E402
from support.gateway import Gateway, expiration  # noqa: E402
from support.operator import Operator  # noqa: E402
from support.process import REPOSITORY, Maskline, binary, clean_environment  # noqa: E402

CARRIER = "simulated"
SNAPSHOT_EVERY = "200"
AXN_NUMBERS, AXB_NUMBERS = 1_200, 60
# How a carrier can be, and for how long at most: none of it is to eat up the time of the others.
NO_FAULTS = {}
ROUGH = {
    "refuse": 0.05, "delay": 0.03, "delay_s": 1, "late": 0.03, "late_s": 1, "twice": 0.05, "nonsense": 0.02,
    "error": 0.03, "close": 0.03,
}  # fmt: skip
# (how often, how, for how many seconds at most).
FAULT_PROFILES = [
    (6, NO_FAULTS, 3.0),
    (6, ROUGH, 4.0),
    (1, {"delay": 0.1, "delay_s": 6}, 3.0),
    (1, {"late": 0.1, "late_s": 6}, 3.0),
    (1, {"refuse": 0.5}, 1.0),
    (2, {"twice": 1}, 2.0),
    (1, {"nonsense": 0.3}, 1.0),
    (1, {"error": 0.3, "close": 0.3}, 1.0),
    (1, {"slow_s": 4}, 3.0),
    (1, {"outage": True}, 1.0),
    (1, {"die": 0.02, "delay": 0.05, "delay_s": 2}, 2.0),
]
# How much is asked for before other faults come.
OPERATIONS_OF_FAULTS = 400
LESS = [{}, {}, {"lose_last": 3}, {"lose_last": 50}, {"lose_share": 0.05}]
RECONCILED_OFTEN = 0.4
SETTLED_S = 240
RECONCILED_S = 300
# How often at most it is reconciled until the carrier holds nothing that is not bound.
RECONCILIATIONS_MAX = 5
LOOK_S = 0.2


def main():
    options = arguments()
    rng = random.Random(options.seed)
    print(f"provisioning: seed {options.seed}, commit {commit()}, {binary().parent.name} build", flush=True)
    with tempfile.TemporaryDirectory(prefix="provisioning-") as scratch:
        home = Path(options.keep or scratch)
        home.mkdir(parents=True, exist_ok=True)
        ok = Campaign(options, rng, home).run()
    return 0 if ok else 1


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--operations", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=40, help="of the service, and as many of the carrier")
    parser.add_argument("--customers", type=int, default=32)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--short-share", type=float, default=0.08, help="of bindings that end by themselves")
    parser.add_argument("--keep", help="keep the data directory and the carrier's journal here")
    return parser.parse_args()


class Campaign:
    def __init__(self, options, rng, home):
        self.options, self.rng = options, rng
        self.service = Maskline(home / "data", env={"MASKLINE_JOURNAL_SNAPSHOT_EVERY_BATCHES": SNAPSHOT_EVERY})
        self.carrier = SimulatedCarrier(home, CARRIER, seed=options.seed)
        self.ledger = Ledger()
        self.deaths = 0
        # Reconciliations that were begun in the middle of it all.
        self.reconciling = []

    def run(self):
        began = time.monotonic()
        assert not self.service.data.exists(), "the directory is to be empty"
        self.carrier.start()
        self.service.start()
        try:
            self.stock()
            self.under_load()
            self.all_is_well()
            found = self.verdict()
            checked = self.service.cli("check", check=False) if not self.service.alive else None
        finally:
            self.service.stop()
            self.carrier.kill()
        checked = checked or self.service.cli("check", check=False)
        if checked.returncode != 0:
            found.note("maskline check", checked.stdout + checked.stderr)
        for line in found.lines[:40]:
            print(f"provisioning: {line}", flush=True)
        told = ", ".join(f"{action} {code} {count}" for (action, code), count in sorted(self.ledger.codes.items()))
        history = self.carrier.history()
        lost = sum(len(entry["entries"]) for entry in history if entry["did"] == "lost")
        print(
            f"provisioning: {'PASSED' if found.clean else 'FAILED'}: {self.ledger.operations} operations ({told}), "
            f"{len(self.ledger.acknowledged)} OKs compared, {self.expired} bindings ended by themselves, "
            f"{self.options.kills} kills of the service, {self.carrier.starts - 1} deaths of the carrier, which came back "
            f"without {lost} of its {len(history)} lines, {len(self.reconciling) + 1} reconciliations; "
            f"{dict(found.counts) or 'nothing found'}; {time.monotonic() - began:.0f} s; seed {self.options.seed}, "
            f"commit {commit()}",
            flush=True,
        )
        return found.clean

    def stock(self):
        operator = Operator(self.service)
        operator.apply(
            f'[[carrier]]\nname = "{CARRIER}"\nkind = "http"\nurl = "{self.carrier.url}"\n'
            f'secret = "{self.carrier.secret}"\nconnect_timeout_ms = 500\nrequest_timeout_ms = 1000\n'
            # A carrier that is not well is asked again soon, else most of the campaign would be refusals.
            "deadline_ms = 2500\nconcurrency = 16\nbreaker_failures = 8\nbreaker_open_ms = 300\n"
        )
        world = operator.world(numbers={"北京": AXN_NUMBERS}, carrier=CARRIER)
        shared = f"{world.pool}9"
        pairs = [f"1729000{place:04}" for place in range(AXB_NUMBERS)]
        operator.pool(shared, world.account, product="axb", carrier=CARRIER)
        operator.numbers(shared, "上海", pairs)
        self.key = world.first_key
        self.pools = [
            StockedPool(world.pool, "AXN", "BindAxn", tuple(world.numbers["北京"]), self.gateway),
            StockedPool(shared, "AXB", "BindAxb", tuple(pairs), self.gateway),
        ]

    def gateway(self):
        # It is gone from one moment to the next when the service is killed.
        ready = self.service.ready
        return ready and Gateway(f"http://{ready['api']}", self.key.id, self.key.secret)

    # Under load

    def under_load(self):
        options = self.options
        customers = Customers(self.ledger, self.pools, options.customers, self.rng, options.short_share)
        customers.up.set()
        customers.start()
        # In turn, spread over the operations.
        step = options.operations / (2 * options.kills + 1)
        kills = [(round(step * (place + 1)), place % 2 == 0) for place in range(2 * options.kills)]
        reported = 0
        while self.ledger.operations < options.operations and not self.ledger.findings.counts["surprise"]:
            self.change_faults()
            if kills and self.ledger.operations >= kills[0][0]:
                _, is_ours = kills.pop(0)
                if is_ours:
                    self.kill_service(customers)
                else:
                    self.bring_back()
            if self.ledger.operations - reported >= 5_000:
                reported = self.ledger.operations
                print(f"provisioning: {reported}/{options.operations} operations, {len(kills)} kills to come", flush=True)
        for _, is_ours in kills:
            self.kill_service(customers) if is_ours else self.bring_back()
        customers.join()
        self.never_bound_again = {one.subs_id for one in self.ledger.acknowledged}

    def change_faults(self):
        [(_, faults, seconds)] = self.rng.choices(FAULT_PROFILES, [often for often, _, _ in FAULT_PROFILES])
        self.carrier.set(**faults)
        goal = self.ledger.operations + min(OPERATIONS_OF_FAULTS, max(20, self.options.operations // 30))
        until = time.monotonic() + self.rng.uniform(0.3, 1) * seconds
        while time.monotonic() < until and not self.ledger.await_operations(goal, LOOK_S):
            if not self.carrier.alive:
                self.bring_back()
            if self.ledger.findings.counts["surprise"]:
                return
        if not self.carrier.alive:
            self.bring_back()

    def kill_service(self, customers):
        customers.up.clear()
        self.service.kill()
        self.service.start()
        customers.up.set()

    def bring_back(self):
        """The carrier is killed, unless it is dead, and comes back, perhaps with less than it had."""
        self.carrier.kill()
        self.carrier.start(**self.rng.choice(LESS))
        if self.rng.random() < RECONCILED_OFTEN:
            # In the middle of the load; whether it can end then, with all that goes wrong, is not asked.
            self.reconciling.append(self.reconcile())

    def reconcile(self):
        """Begins one."""
        command = [str(binary()), "carrier", "reconcile", CARRIER, "--json", "--data", str(self.service.data)]
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=clean_environment(),
        )  # fmt: skip

    # Afterwards

    def all_is_well(self):
        """No faults, every short binding over, and reconciled."""
        self.carrier.set()
        if not self.carrier.alive:
            self.bring_back()
        self.service.restart()
        for process in self.reconciling:
            # Of a service that was killed since, or of a carrier that could not answer.
            process.communicate(timeout=RECONCILED_S)
        last = max((one.expires_at for one in self.ledger.live.values() if is_short(one.expires_at)), default=None)
        if last:
            time.sleep(max(0, (last - datetime.now(timezone.utc)).total_seconds() + 1))
        self.await_settled()
        # One run lets the orphans of a page go for 20 s and says what is left, which on a busy machine are some.
        for _ in range(RECONCILIATIONS_MAX):
            last = self.reconcile()
            told, _ = last.communicate(timeout=RECONCILED_S)
            if last.returncode == 0 or "run it again" not in told:
                break
            print(f"provisioning: {told.strip()}", flush=True)
        if last.returncode != 0:
            self.ledger.findings.note("not reconciled", told)
        else:
            kept = ("theirs", "ours", "missing", "orphans", "released")
            print(f"provisioning: reconciled: {({name: json.loads(told)[name] for name in kept})}", flush=True)
        self.await_settled()

    def ours(self):
        """Every binding that has not ended, of both pools, with everything shown."""
        rows = []
        for pool in self.pools:
            after = []
            while True:
                listed = self.service.cli(
                    "binding", "ls", "--pool", pool.key, "--limit", "5000", "--json", "--reveal", *after
                )
                page = json.loads(listed.stdout)
                rows += page["items"]
                if not page["more"]:
                    break
                after = ["--after", page["next"]]
        return rows

    def await_settled(self):
        """Until nothing is under way: the carrier is owed nothing, and both sides are as they were a moment before."""
        deadline = time.monotonic() + SETTLED_S
        before = None
        while True:
            health = json.loads(self.service.cli("carrier", "show", CARRIER, "--json").stdout)
            owed = [health["waiting"], health["owed"], health["under_way"]]
            rows = self.ours()
            now = (sorted((row["subs_id"], row["state"]) for row in rows), sorted(self.carrier.held()))
            is_quiet = owed == [0, 0, 0] and all(row["state"] == "live" for row in rows)
            if is_quiet and now == before:
                return rows
            if time.monotonic() > deadline:
                states = Counter(row["state"] for row in rows)
                self.ledger.findings.note("not settled", f"{dict(states)}, waiting, owed and under way are {owed}")
                return rows
            before = now if is_quiet else None
            # Longer than the carrier's task takes to look what it owes.
            time.sleep(1.5)

    def verdict(self):
        ledger, now = self.ledger, datetime.now(timezone.utc)
        rows = self.ours()
        self.expired = sum(one.expires_at <= now for one in ledger.live.values())
        self.show_unknown(rows)
        ledger.compare(rows, now)
        ledger.compare_with_carrier(rows, self.carrier.held(), now)
        self.every_number_is_usable(rows)
        return ledger.compare_with_history(self.carrier.history())

    def show_unknown(self, rows):
        """Adds the OutId, which lists leave out, to what no customer was told of."""
        for row in rows:
            if row["subs_id"] not in self.ledger.live:
                shown = self.service.cli("binding", "show", row["subs_id"], "--json", "--reveal", check=False)
                row["out_id"] = json.loads(shown.stdout)["out_id"] if shown.returncode == 0 else None

    def every_number_is_usable(self, rows):
        """All that is bound is ended; then every X is bound once more by its number, and but once."""
        found = self.ledger.findings
        by_key = {pool.key: pool for pool in self.pools}
        with ThreadPoolExecutor(16) as several:
            for row, answer in zip(rows, several.map(lambda row: self.end(by_key[row["pool"]], row), rows), strict=True):
                if answer.code != "OK" and from_china(row["expires_at"]) > datetime.now(timezone.utc):
                    found.note("not ended", f"{row['subs_id']}: {answer}")
            self.await_settled()
            if left := self.carrier.held():
                found.note("held behind the end", str(sorted(left)[:5]))
            for pool in self.pools:
                for x, answer in zip(pool.numbers, several.map(lambda x: self.bind(pool, x), pool.numbers), strict=True):
                    if answer.code != "OK":
                        found.note("not usable", f"{x}: {answer}")
                again = list(several.map(lambda x: self.bind(pool, x), pool.numbers))
                if doubled := [str(answer) for answer in again if answer.code == "OK"]:
                    found.note("doubled", f"{len(doubled)}: {doubled[0]}")
        held = len(self.carrier.held())
        if held != sum(len(pool.numbers) for pool in self.pools):
            found.note("held", f"{held} of all numbers")

    def end(self, pool, row):
        return pool.gateway().with_pool(pool.key).unbind(row["subs_id"], row["x"])

    def bind(self, pool, x):
        params = {"PhoneNoA": "13911110001", "PhoneNoB": "13911110002", "PhoneNoX": x, "Expiration": expiration()}
        return pool.gateway().with_pool(pool.key).call(pool.action, **params)


def commit():
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=REPOSITORY, capture_output=True, text=True
    )
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
