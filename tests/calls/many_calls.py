"""Many calls at once, between two sipps: so many bindings, each with its own A and its own caller."""

import time

from calls.addresses import free_port
from calls.exchange import CALLEE_HOST, CALLER_HOST
from calls.script import A_LAW, Script, calls
from calls.sipp import Sipp


def counts():
    """Rings, answers, waits to be hung up on, and logs who was dialled and who was shown."""
    return (
        Script("counts").logs_invite().hears("INVITE", tells_port=False).says(180).says(200, A_LAW).hears("ACK")
        .hears("BYE").says(200)
    )


class ManyCalls:
    """`size` bindings on the exchange, a callee's sipp that answers for all of them, and callers."""

    def __init__(self, exchange, scene, size):
        self.exchange, self.scene = exchange, scene
        api = exchange.operator.world({"北京": size}).gateway()
        # A, N and X of each binding share their last digits, so that a wrong route shows.
        self.lines = []
        for place in range(size):
            a, n = f"1381{place:07}", f"1581{place:07}"
            self.lines.append((a, n, exchange.axn(a, api=api)))
        self.calls = 0
        self.port = free_port(CALLEE_HOST)
        exchange.carrier(self.port)
        self.logs_path = scene / "callee.logs"
        self.callee = Sipp(
            scene, "callee", counts(), CALLEE_HOST, port=self.port, calls=1_000_000, seconds=3_600, traced=False,
            options=["-trace_logs", "-log_file", self.logs_path],
        ).await_listening()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.callee.stop()

    def call(self, count, at_once, per_s, talk_ms, seconds=120, **more):
        """Starts so many calls; the caller's sipp."""
        self.calls += 1
        return Sipp(
            self.scene, f"caller-{self.calls}", calls(talk_ms), CALLER_HOST, remote=self.exchange.sip,
            calls=count, seconds=seconds, numbers=[(n, x) for _, n, x in self.lines],
            options=["-l", at_once, "-r", per_s], **more,
        )

    def wrong_routes(self):
        """How many calls arrived, and those that were not for their own number."""
        shown = {a: x for a, _, x in self.lines}
        arrived = [tuple(line.split()) for line in self.logs_path.read_text().splitlines() if line.strip()]
        return len(arrived), [(a, x) for a, x in arrived if shown.get(a) != x]

    def misrecorded(self):
        """Records whose caller, X and callee do not belong together."""
        lines = {(n, x, a) for a, n, x in self.lines}
        return [
            record
            for record in self.exchange.records()
            if (record["caller"], record["x"], record["callee"]) not in lines
        ]

    def await_up(self, caller, count, seconds=30):
        """Waits until so many calls have been answered, as the caller's sipp saw it."""
        deadline = time.monotonic() + seconds
        while True:
            up = sum(message.startswith("ACK ") for message in caller.messages("sent"))
            if up >= count:
                return
            assert caller.process.poll() is None, f"the callers gave up:\n{caller.told()}"
            assert time.monotonic() < deadline, f"only {up} of {count} calls were answered"
            time.sleep(0.1)
