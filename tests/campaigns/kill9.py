#!/usr/bin/env python3
"""Kills the real binary under load, again and again, and checks it against a log kept outside.

Workers bind, change and end bindings on a small stock of X numbers, so that they meet on the same
ones. Every request is written to the log before it is sent, every answer when it came. After each
kill the service is started again and asked about every X:

- an acknowledged binding is there, with the values acknowledged last (none lost);
- an acknowledged end stays one (none risen);
- what is there was asked for (none invented);
- no party holds two bindings on one X (no slot doubled).

A request without an answer may have happened or not; what is found is then taken as what happened.

    python3 tests/campaigns/kill9.py --kills 200 [--seed N] [--workers N] [--keep DIR]
        [--past tests/past/form-1.tar.xz]

With `--past` the service begins with what an older program wrote: it is killed while it opens that, then its tables
and forms change, and while its journal is of both. What the older program told must still be told then.
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from campaigns.ledger import Ledger  # noqa: E402
from campaigns.load import Load, StockedPool  # noqa: E402
from past.told import comparable, told_of  # noqa: E402
from support.operator import Operator  # noqa: E402
from support.process import REPOSITORY, Maskline, NotReady, binary  # noqa: E402

# Small enough that snapshots are killed too: the service looks every two seconds whether one is due,
# so a part of the rounds goes on until about then.
SNAPSHOT_EVERY = "100"
LONG_ROUNDS = 0.2
LONG_ROUND_S = (2.0, 2.6)
# How often the service is killed while it changes the tables of an older program, out of how many tries at most: some
# find a step done already. At which of the steps to come, and how long after it began at most.
KILLS_IN_STEPS = 6
FIRST_STARTS = 60
STEPS_AHEAD = 4
IN_STEP_S = 0.002
STEP_BEGINS = "bringing the tables up to date"
STEP_ENDS = "the tables are one step further"


def main():
    options = arguments()
    rng = random.Random(options.seed)
    print(f"kill9: seed {options.seed}, commit {commit()}, {binary().parent.name} build", flush=True)
    with tempfile.TemporaryDirectory(prefix="kill9-") as scratch:
        home = Path(options.keep or scratch)
        home.mkdir(parents=True, exist_ok=True)
        ok = campaign(options, rng, home)
    return 0 if ok else 1


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--keep", help="keep the data directory and the log here")
    parser.add_argument("--past", help="begin with the data directory in this archive, of an older program")
    return parser.parse_args()


def campaign(options, rng, home):
    if options.past:
        unpack(options.past, home)
    service = Maskline(
        home / "data",
        demo=not options.past,
        env={"MASKLINE_JOURNAL_SNAPSHOT_EVERY_BATCHES": SNAPSHOT_EVERY},
    )
    began = time.monotonic()
    with Ledger(home / "acknowledged.log") as ledger:
        if options.past and not kill_first_starts(service, rng, options.past, home):
            print("kill9: FAILED: no kill fell into a change of the tables often enough")
            return False
        service.start()
        try:
            if options.past:
                told = json.loads((home / "told.json").read_text())
                if comparable(told_of(service), told) != comparable(told):
                    print("kill9: FAILED: the data of the older program tell something else")
                    return False
            world, pools = stock(service)
            for kill in range(1, options.kills + 1):
                one_kill(service, world, ledger, pools, rng, options.workers)
                found = ledger.check(world.gateway(), pools)
                report(ledger, found, kill, options.kills, began)
                if not found.clean:
                    break
            service.kill()
            verdict = service.cli("check", check=False)
        finally:
            service.stop()
        clean = ledger.findings.clean and verdict.returncode == 0
        if verdict.returncode != 0:
            print(f"kill9: maskline check says:\n{verdict.stdout}{verdict.stderr}")
        snapshots = service.log_path.read_text(errors="replace").count("snapshot written")
        print(
            f"kill9: {'PASSED' if clean else 'FAILED'}: {ledger.kills} kills, "
            f"{ledger.acknowledged} answers acknowledged, {ledger.bound} bindings acknowledged, "
            f"{ledger.unanswered} requests unanswered, {snapshots} snapshots; lost {ledger.findings.lost}, "
            f"risen {ledger.findings.risen}, invented {ledger.findings.invented}, "
            f"doubled {ledger.findings.doubled}, surprises {ledger.findings.surprises}; seed {options.seed}, commit {commit()}"
        )
    return clean


def one_kill(service, world, ledger, pools, rng, workers):
    """Load until a random number of answers came, then SIGKILL in the middle of it."""
    load = Load(world.gateway(), ledger, pools, workers, rng)
    seconds = rng.uniform(*LONG_ROUND_S) if rng.random() < LONG_ROUNDS else 0
    load.run_until(rng.randrange(5, 400), seconds)
    service.kill()
    load.join()
    ledger.kills += 1
    service.start()


def unpack(archive, home):
    shutil.rmtree(home / "data", ignore_errors=True)
    with tarfile.open(archive) as packed:
        packed.extractall(home, filter="data")


def kill_first_starts(service, rng, archive, home):
    """SIGKILL while it changes the tables of an older program, at one step or another; the next start goes on with what
    is left, and with new ones of that program once all is changed. Ends with a change that was interrupted."""
    in_steps = tries = 0
    while in_steps < KILLS_IN_STEPS and tries < FIRST_STARTS:
        tries += 1
        after = service.log_path.stat().st_size if service.log_path.exists() else 0
        over = threading.Event()
        wait_s = rng.uniform(0.0, IN_STEP_S)
        killer = threading.Thread(
            target=kill_in_step, args=(service, after, rng.randint(1, STEPS_AHEAD), wait_s, over)
        )
        killer.start()
        try:
            service.start()
            is_changed = True
        except NotReady:
            is_changed = False
        finally:
            over.set()
            killer.join()
        log = log_behind(service, after)
        in_steps += log.count(STEP_BEGINS) > log.count(STEP_ENDS)
        if is_changed:
            service.kill()
            unpack(archive, home)
    print(f"kill9: of {tries} first starts {in_steps} were killed while the tables changed", flush=True)
    return in_steps >= KILLS_IN_STEPS


def kill_in_step(service, after, step, wait_s, over):
    """SIGKILL once the log behind the byte `after` tells that so many steps have begun."""
    while not over.is_set():
        if log_behind(service, after).count(STEP_BEGINS) >= step:
            time.sleep(wait_s)
            process = service.process
            if process is not None and not over.is_set():
                process.kill()
            return
        time.sleep(0.0005)


def log_behind(service, after):
    if not service.log_path.exists():
        return ""
    with open(service.log_path, "rb") as log:
        log.seek(after)
        return log.read().decode(errors="replace")


def stock(service):
    """One account with two small pools: few enough numbers that customers collide on them."""
    world = Operator(service).world(numbers={"北京": 40})
    shared = f"{world.pool}9"
    pairs = [f"1729000{place:04}" for place in range(8)]
    world.operator.pool(shared, world.account, product="axb")
    world.operator.numbers(shared, "上海", pairs)
    return world, [
        StockedPool(world.pool, "AXN", "BindAxn", tuple(world.numbers["北京"])),
        StockedPool(shared, "AXB", "BindAxb", tuple(pairs)),
    ]


def report(ledger, found, kill, kills, began):
    if kill % 10 == 0 or not found.clean:
        print(
            f"kill9: {kill}/{kills} kills, {ledger.bound} bindings acknowledged, "
            f"{time.monotonic() - began:.0f} s",
            flush=True,
        )
    for line in found.lines:
        print(f"kill9: {line}", flush=True)


def commit():
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=REPOSITORY, capture_output=True, text=True
    )
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
