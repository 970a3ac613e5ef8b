#!/usr/bin/env python3
"""Calls of two carriers' pools, over two sipps that answer 403 to an X that is not theirs, and one of them is down half
the time. No X may be shown to the other carrier, whatever becomes of its own.

The numbers of both pools lie among each other (even ones are one carrier's, odd ones the other's), since whose a number
is cannot be seen in it. The trunk of the carrier that stays up comes first by its priority: without `presents` all calls
would go there, which a few calls show at the beginning. Then, in rounds, with the carrier up and down in turn, calls of
its pool are made, while those of the other pool go on all the time. Afterwards:

- neither sipp was sent a call with an X that is not its own;
- every call while the carrier was up was answered by it; every one while it was down ended as `unreachable`;
- every call of the other pool was answered by the other carrier.

A service whose disk is too slow turns calls away (503) before anybody is dialled; few may be, and they are left out.

    python3 tests/campaigns/carriers.py --calls 10000 [--transport tcp] [--rounds N] [--per-s N] [--keep DIR]
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from calls.addresses import free_port  # noqa: E402
from calls.exchange import CALLEE_HOST, CALLER_HOST, PROXY_HOST, Exchange  # noqa: E402
from calls.script import A_LAW, Script  # noqa: E402
from calls.sipp import Sipp  # noqa: E402
from support.process import Maskline, binary  # noqa: E402

FALLING, STEADY = "unicom", "telecom"
TALK_MS = 300
# A silent carrier over UDP is given up after 64 T1 (RFC 3261, timer B).
ROUND_S = 300
BLIND_CALLS = 10
# Of a hundred calls so many may be turned away.
TURNED_AWAY_MAX = 5


def main():
    options = arguments()
    print(f"carriers: {binary().parent.name} build", flush=True)
    with tempfile.TemporaryDirectory(prefix="carriers-") as scratch:
        home = Path(options.keep or scratch)
        home.mkdir(parents=True, exist_ok=True)
        return 0 if campaign(options, home) else 1


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=10_000, help="of both pools together")
    parser.add_argument("--rounds", type=int, default=10, help="half of them with a carrier down")
    parser.add_argument("--per-s", type=int, default=20, help="calls a second of each pool")
    parser.add_argument("--transport", choices=("udp", "tcp"), default="udp", help="of the carrier that goes down")
    parser.add_argument("--keep", help="keep the data directory and the traces here")
    options = parser.parse_args()
    if options.calls % (2 * options.rounds) or options.rounds % 2:
        parser.error("--calls is a multiple of twice --rounds, which is even")
    return options


def campaign(options, home):
    # Over UDP calls to the carrier that is down stand for half a minute, with their media ports.
    service = Maskline(home / "data", many_calls=options.transport == "udp")
    service.start()
    try:
        return rounds(options, Exchange(service), home)
    finally:
        service.stop()


def rounds(options, exchange, home):
    scene = home / "traces"
    scene.mkdir()
    a_round = options.calls // 2 // options.rounds
    exchange.trunk("callers", f"{CALLER_HOST}:5060", outgoing=False, prompts="none")
    steady = Carrier(exchange, scene, STEADY, "[13579]", PROXY_HOST, "udp", priority=0)
    falling = Carrier(exchange, scene, FALLING, "[02468]", CALLEE_HOST, options.transport, priority=1)
    pools = {
        carrier.name: Pool(exchange, scene, carrier.name, place, a_round)
        for place, carrier in enumerate((falling, steady))
    }
    try:
        steady.up()
        falling.up()
        astray = blindly(pools[FALLING], falling, steady)
        print(f"carriers: without `presents`, {astray} of {BLIND_CALLS} calls went astray and were refused", flush=True)
        known = len(exchange.await_closed(None, astray))
        began = time.monotonic()
        others = pools[STEADY].call(
            talks(), options.calls // 2, options.per_s, seconds=ROUND_S * options.rounds
        )
        try:
            for number in range(options.rounds):
                if number % 2:
                    falling.down()
                else:
                    falling.up()
                state, script = ("down", fails(502)) if number % 2 else ("up", talks())
                pools[FALLING].call(script, a_round, options.per_s, seconds=ROUND_S, state=state).wait()
                print(
                    f"carriers: {a_round} calls with {FALLING} {state}, {time.monotonic() - began:.0f} s", flush=True
                )
            others.wait()
        finally:
            others.stop()
        turned_away = sum((pool.turned_away() for pool in pools.values()), Counter())
        exchange.await_closed(None, known + options.calls - turned_away.total(), seconds=120)
        wrong = falling.foreign() + steady.foreign()[astray:]
        # The first ones are those that were to go astray.
        records = exchange.records()[known:]
        return astray > 0 and judge(options, records, pools, falling, steady, wrong, turned_away)
    finally:
        falling.down()
        steady.down()


def blindly(pool, falling, steady):
    """A few calls as they went before anybody said whose X a trunk presents: all to the wrong carrier. How many of
    them it refused."""
    falling.presents([])
    steady.presents([])
    pool.call(fails(480), BLIND_CALLS, BLIND_CALLS, seconds=60, state="blind").wait()
    refused = len(steady.foreign())
    falling.presents([FALLING])
    steady.presents([STEADY])
    return refused


def judge(options, records, pools, falling, steady, wrong, turned_away):
    half = options.calls // 2
    down, up = half // 2 - turned_away[FALLING, "down"], half // 2 - turned_away[FALLING, "up"]
    others = half - turned_away[STEADY, "up"]
    arrived = Counter({carrier.name: len(carrier.own()) for carrier in (falling, steady)})
    owners = {x: name for name, pool in pools.items() for _, _, x in pool.lines}
    outcomes = Counter(
        (owners.get(one["x"]), one["situation"], one["trunk_out"])
        for one in records
        if (one["situation"], one["trunk_out"]) != ("not_durable", None)
    )
    expected = Counter({
        (FALLING, "hung_up", FALLING): up,
        (FALLING, "unreachable", FALLING): down,
        (STEADY, "hung_up", STEADY): others,
    })
    for (owner, situation, trunk), count in sorted(outcomes.items(), key=str):
        print(f"carriers: X of {owner}: {count} calls {situation}, by {trunk}")
    good = (
        not wrong
        and arrived == Counter({FALLING: up, STEADY: others})
        and outcomes == expected
        and 100 * turned_away.total() <= TURNED_AWAY_MAX * options.calls
    )
    print(
        f"carriers: {'PASSED' if good else 'FAILED'}: {options.calls} calls, {len(wrong)} sent wrongly; {FALLING} was "
        f"down for {half // 2} of its {half} and took {arrived[FALLING]}, {STEADY} took {arrived[STEADY]} of {half}; "
        f"{turned_away.total()} were turned away before"
    )
    return good


class Carrier:
    """A sipp that takes calls with an X of its own, refuses others with 403, and notes each."""

    def __init__(self, exchange, scene, name, last_digit, host, transport, priority):
        self.exchange, self.scene, self.name, self.last_digit = exchange, scene, name, last_digit
        self.host, self.port, self.transport = host, free_port(host), transport
        exchange.operator.apply(f'[[carrier]]\nname = "{name}"\n')
        exchange.trunk(
            name, f"{host}:{self.port}", transport=transport, priority=priority, presents=[name], prompts="none"
        )
        self.starts, self.sipp = [], None

    def presents(self, names):
        self.exchange.operator.apply(f'[[trunk]]\nname = "{self.name}"\npresents = {names}\n'.replace("'", '"'))

    def up(self):
        if self.sipp is None:
            name = f"{self.name}-{len(self.starts)}"
            self.starts.append(self.scene / f"{name}.logs")
            self.sipp = Sipp(
                self.scene, name, takes_its_own(f"[0-9]*{self.last_digit}"), self.host, port=self.port,
                transport=self.transport, calls=1_000_000, seconds=7_200, traced=False,
                options=["-trace_logs", "-log_file", self.starts[-1]],
            ).await_listening()

    def down(self):
        if self.sipp is not None:
            self.sipp.stop()
            self.sipp = None

    def own(self):
        return [shown for shown in self._shown() if shown[-1] in self.last_digit]

    def foreign(self):
        return [shown for shown in self._shown() if shown[-1] not in self.last_digit]

    def _shown(self):
        """Who was shown in each call that came."""
        lines = [line for path in self.starts if path.exists() for line in path.read_text().splitlines()]
        return [line.split()[1] for line in lines if line.strip()]


def takes_its_own(pattern):
    script = Script("takes its own").logs_invite().notes_caller("own", pattern).hears("INVITE", tells_port=False)
    script.turns_if("own", "taken").says(403).hears("ACK").turns("end")
    script.label("taken").says(180).says(200, A_LAW).hears("ACK").hears("BYE").says(200)
    return script.label("end").pauses(1)


def talks():
    """A caller that is answered, or turned away."""
    script = rings().hears(200).acks().pauses(TALK_MS).hangs_up().hears(200)
    return is_turned_away(script)


def fails(status):
    """A caller that is refused with this status, or turned away."""
    return is_turned_away(rings().hears(status).acks(refusal=True))


def rings():
    script = Script("caller").dials().hears(503, optional=True, turns="away").hears(100, optional=True)
    for status in (180, 183):
        script.hears(status, optional=True)
    return script


def is_turned_away(script):
    script.turns("end").label("away").acks(refusal=True).logs("away")
    return script.label("end").pauses(1)


class Pool:
    """A pool of a carrier's numbers, each bound to an A of its own."""

    def __init__(self, exchange, scene, carrier, place, size):
        self.exchange, self.scene, self.carrier = exchange, scene, carrier
        world = exchange.operator.world({}, carrier=carrier)
        stock = [f"1719{2 * number + place:07}" for number in range(size)]
        exchange.operator.numbers(world.pool, "北京", stock)
        api = world.gateway()
        self.lines = []
        for number in range(size):
            a, n = f"138{place}{number:07}", f"158{place}{number:07}"
            self.lines.append((a, n, exchange.axn(a, api=api)))
        self.logs = []

    def call(self, script, count, per_s, seconds, state="up"):
        """Starts so many calls, one a number in turn; the callers' sipp."""
        name = f"callers-of-{self.carrier}-{len(self.logs)}"
        self.logs.append((state, self.scene / f"{name}.logs"))
        return Sipp(
            self.scene, name, script, CALLER_HOST, remote=self.exchange.sip,
            calls=count, seconds=seconds, numbers=[(n, x) for _, n, x in self.lines], traced=False,
            options=["-r", per_s, "-l", 5_000, "-trace_logs", "-log_file", self.logs[-1][1]],
        )

    def turned_away(self):
        """How many calls were turned away while the carrier was up, and while it was down."""
        counted = Counter()
        for state, path in self.logs:
            if state != "blind" and path.exists():
                counted[self.carrier, state] += path.read_text().count("away")
        return counted


if __name__ == "__main__":
    sys.exit(main())
