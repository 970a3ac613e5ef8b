"""A Maskline with trunks to test peers, and what its customer and its operator do around a call."""

import itertools
import sqlite3
import time

from calls.addresses import free_port
from support.gateway import bound
from support.operator import Operator

# Each side has addresses of its own, so that what one learns of the other can be told.
CALLER_HOST = "127.0.1.2"
CALLEE_HOST = "127.0.1.3"
PROXY_HOST = "127.0.1.4"
# baresip takes no address that no interface has, so all softphones share this one.
PHONE_HOST = "127.0.0.1"

_places = itertools.count(1)


class Exchange:
    """One running service, one world of numbers in it, and trunks that a test sets as it goes."""

    def __init__(self, service, numbers=40, **pool):
        self.service = service
        self.operator = Operator(service)
        self.world = self.operator.world(numbers={"北京": numbers}, **pool)
        self.api = self.world.gateway()
        # The demo's own phones would take calls.
        for name in ("sandbox", "softphones"):
            self.operator.apply(f'[[trunk]]\nname = "{name}"\nenabled = false\n')
        self._parties = itertools.count(1)

    @property
    def sip(self):
        """HOST:PORT of the SIP listener."""
        return self.service.ready["sip"]

    @property
    def switch(self):
        """Host and port of the SIP listener."""
        host, _, port = self.sip.rpartition(":")
        return host, int(port)

    @property
    def host(self):
        return self.switch[0]

    def party(self):
        """A mobile number that nobody else here has."""
        return f"139{next(self._parties):08}"

    def axb_pool(self, numbers=20):
        """Another world in the same service, whose pool is for pairs."""
        return self.operator.world(numbers={"北京": numbers}, product="AXB").gateway()

    # Trunks

    def trunk(self, name, peer, **fields):
        lines = [f'name = "{name}"', f'peer = "{peer}"']
        lines += [f"{key} = {_toml(value)}" for key, value in fields.items()]
        self.operator.apply("[[trunk]]\n" + "\n".join(lines) + "\n")

    def carrier(self, port=None, host=CALLEE_HOST, sources=(CALLER_HOST,), **fields):
        """The one carrier: calls go to this address, and come from `sources` too. The port that calls
        are sent to."""
        port = port or free_port(host)
        self.trunk("carrier", f"{host}:{port}", sources=list(sources), **fields)
        return port

    def await_trunks(self):
        """Nothing is to be waited for: a change of the trunks holds once it has been answered."""

    # Bindings

    def axn(self, a, api=None, **params):
        """X of a new AXN binding."""
        return bound((api or self.api).bind_axn(a, **params))[1]

    def vacant(self, which=0):
        """An X that leads nowhere, which is what a caller hears; with another `which` another one."""
        return next(list(reversed(numbers))[which] for numbers in self.world.numbers.values())

    # Recordings

    @property
    def recordings(self):
        return self.service.data / "recordings"

    def kept_sounds(self):
        """Every recording there is."""
        return sorted(path for path in self.recordings.rglob("*") if path.is_file())

    # Records

    def records(self, x=None):
        """Call records, as they lie in the database, the oldest first."""
        with sqlite3.connect(f"file:{self.service.data}/maskline.db?mode=ro", uri=True) as database:
            database.row_factory = sqlite3.Row
            rows = database.execute(
                "SELECT * FROM call_record WHERE ?1 IS NULL OR x = ?1 ORDER BY arrived_at", (x,)
            )
            return [dict(row) for row in rows]

    def await_closed(self, x, count=1, seconds=30):
        """Waits until so many calls on this X are over and on record; their records."""
        deadline = time.monotonic() + seconds
        while True:
            records = self.records(x)
            if len([record for record in records if record["state"] == "closed"]) >= count:
                return records
            assert time.monotonic() < deadline, f"{count} closed records on {x} wanted: {records}"
            time.sleep(0.05)

    def record(self, x, seconds=30):
        """The record of the one call on this X, once it is over."""
        [record] = self.await_closed(x, seconds=seconds)
        return record


def place(tmp_path):
    """A new directory for the traces of one scene."""
    path = tmp_path / f"scene-{next(_places)}"
    path.mkdir()
    return path


def _toml(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)
