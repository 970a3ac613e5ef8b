#!/usr/bin/env python3
"""Calls the real binary again and again, with sipp on both sides, and looks at what is left behind.

First so many calls one after the other, in rounds, then rounds of so many at once. Afterwards:

- every call was answered, reached the number that it was for, and is on record once (no wrong route);
- most rounds leave the memory of the process as they found it, but for what they added to the database, which
  keeps its pages in a cache of 32 MiB (an allocator that keeps pages shows once, a leak shows in every round);
- the process holds the descriptors that it held before the first call.

    python3 tests/campaigns/calls.py --sequence 10000 --at-once 1000 [--lines N] [--keep DIR]
"""

import argparse
import itertools
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from calls.many_calls import ManyCalls  # noqa: E402
from calls.exchange import Exchange  # noqa: E402
from support.process import Maskline, binary  # noqa: E402

# A call's transactions are forgotten so long after it (RFC 3261, timers D, H and J); nothing but the
# passing of time brings this about.
FORGOTTEN_S = 40
UP_PER_S = 100
WARM_UP = 20
ROUNDS = 4
# The median of what a round may add: 2 KiB a call where a thousand are at once, and less than half of it where
# 2,500 follow each other.
GROWTH_OF_ROUND_MAX_KIB = 2 * 1024


def main():
    options = arguments()
    print(f"calls: {binary().parent.name} build", flush=True)
    with tempfile.TemporaryDirectory(prefix="calls-") as scratch:
        home = Path(options.keep or scratch)
        home.mkdir(parents=True, exist_ok=True)
        return 0 if campaign(options, home) else 1


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sequence", type=int, default=10_000)
    parser.add_argument("--at-once", type=int, default=1_000)
    parser.add_argument("--lines", type=int, default=1_000, help="how many bindings take part")
    parser.add_argument("--settle", type=float, default=FORGOTTEN_S, help="seconds to wait after each half")
    parser.add_argument("--keep", help="keep the data directory and the traces here")
    return parser.parse_args()


def campaign(options, home):
    service = Maskline(home / "data", many_calls=True)
    service.start()
    try:
        scene = home / "traces"
        scene.mkdir()
        with ManyCalls(Exchange(service), scene, options.lines) as calls:
            # What is made once is made with the first calls.
            calls.call(WARM_UP, WARM_UP, UP_PER_S, 0).wait()
            before = descriptors(service)
            a_round = options.sequence // ROUNDS
            sequence = [one_after_the_other(service, calls, a_round, options.settle) for _ in range(ROUNDS)]
            at_once = [all_at_once(service, calls, options.at_once, options.settle) for _ in range(ROUNDS)]
            wanted = WARM_UP + ROUNDS * (a_round + options.at_once)
            return judge(service, calls, wanted, before, sequence, at_once)
    finally:
        service.stop()


def one_after_the_other(service, calls, count, settle_s):
    """So many calls, one at a time; the memory and the size of the database then, in KiB."""
    began = time.monotonic()
    calls.call(count, 1, 1_000, 0, seconds=3_600, traced=False).wait()
    took = time.monotonic() - began
    time.sleep(settle_s)
    after = memory_kib(service), database_kib(service)
    print(f"calls: {count} in sequence in {took:.0f} s, {after[0]} KiB, the database {after[1]} KiB", flush=True)
    return after


def all_at_once(service, calls, count, settle_s):
    """The same of so many calls that all stand at the same time, when they are over."""
    talk_ms = 1_000 * count // UP_PER_S + 3_000
    caller = calls.call(count, count, UP_PER_S, talk_ms, seconds=600)
    try:
        calls.await_up(caller, count, seconds=120)
        up = memory_kib(service)
        caller.wait()
    finally:
        caller.stop()
    time.sleep(settle_s)
    after = memory_kib(service), database_kib(service)
    print(
        f"calls: {count} at once: {up} KiB while up, {after[0]} KiB after, the database {after[1]} KiB", flush=True
    )
    return after


def judge(service, calls, wanted, before, sequence, at_once):
    arrived, wrong = calls.wrong_routes()
    records = calls.exchange.records()
    misrecorded = calls.misrecorded()
    unclosed = [one for one in records if (one["state"], one["situation"]) != ("closed", "hung_up")]
    left = descriptors(service) - before
    for what, count in sorted(left.items()):
        print(f"calls: left behind: {count} times {what}")
    growth = max(growth_of_round(sequence), growth_of_round(at_once))
    good = (
        arrived == wanted == len(records)
        and not wrong
        and not misrecorded
        and not unclosed
        and not left
        and growth <= GROWTH_OF_ROUND_MAX_KIB
    )
    print(
        f"calls: {'PASSED' if good else 'FAILED'}: {arrived} of {wanted} calls arrived, {len(wrong)} wrong routes, "
        f"{len(records)} records, {len(misrecorded)} of them wrong, {len(unclosed)} not closed well; "
        f"{left.total()} descriptors left; memory grew by {growth} KiB a round beyond the database"
    )
    return good


def growth_of_round(after):
    """What the usual round adds to the memory beyond what it adds to the database, in KiB."""
    beyond = [memory - database for memory, database in after]
    return int(statistics.median(later - before for before, later in itertools.pairwise(beyond)))


def memory_kib(service):
    """Resident memory."""
    with open(f"/proc/{service.process.pid}/status") as status:
        [line] = [line for line in status if line.startswith("VmRSS:")]
    return int(line.split()[1])


def database_kib(service):
    """The pages of the database, those that lie in its log too."""
    with closing(sqlite3.connect(f"file:{service.data}/maskline.db?mode=ro", uri=True)) as database:
        [(pages,)], [(page_bytes,)] = (database.execute(f"PRAGMA {name}") for name in ("page_count", "page_size"))
    return pages * page_bytes // 1024


def descriptors(service):
    """What the process holds open, by kind: each file by its name, all sockets as one. The database's
    pool opens and closes its connections as it likes, within its bound."""
    held = Counter()
    folder = Path(f"/proc/{service.process.pid}/fd")
    for descriptor in folder.iterdir():
        kind = os.readlink(descriptor).split(":[")[0]
        if not Path(kind).name.startswith("maskline.db"):
            held[kind] += 1
    return held


if __name__ == "__main__":
    sys.exit(main())
