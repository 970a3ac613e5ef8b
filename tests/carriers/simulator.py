#!/usr/bin/env python3
"""A carrier for tests: the protocol over real HTTP, read strictly, with every fault that a carrier can have.

    PYTHONPATH=tests python3 tests/carriers/simulator.py --listen HOST:PORT --control HOST:PORT --journal FILE
        --secret whsec_… [--seed N] [--faults JSON] [--lose-last N] [--lose-share S]

On the first port it is a carrier. On the second one a test steers and asks it, in JSON: `POST /faults` sets what goes
wrong from now on, `GET /held` tells what it holds with all terms, `GET /counts` what it has seen, and what of it was
against the protocol. What was held when is in the journal, a file that may be read at any time (`carriers.book`).

What goes wrong, as members of the faults, each a share of the requests from 0 to 1 unless it says otherwise:

| refuse | a bind or update is refused; its fence is kept |
| delay, delay_s | it is looked at only after a while, whoever still waits for it: up to so many seconds, or [least, most] |
| late, late_s | it is carried out at once and answered after such a while |
| twice | it is answered twice, at once or a moment later |
| nonsense, nonsense_kind | the answer is none of the protocol, of this kind or any; it was carried out or not |
| error | 5xx; it was carried out or not |
| close | the connection is closed without an answer; it was carried out or not |
| die | the process ends behind carrying it out and before answering |
| slow_s | seconds that every answer takes |
| outage | true: nobody listens, and connections are cut |
"""

import argparse
import asyncio
import hashlib
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, fields
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from carriers import book as books  # noqa: E402
from carriers import protocol  # noqa: E402

HEAD_MAX = 16 * 1024
VIOLATIONS_MAX = 100
HUGE = 2 * 1024 * 1024
REASONS = {200: "OK", 302: "Found", 400: "Bad Request", 401: "Unauthorized", 409: "Conflict"}


@dataclass
class Faults:
    refuse: float = 0
    delay: float = 0
    delay_s: object = 1
    late: float = 0
    late_s: object = 1
    twice: float = 0
    nonsense: float = 0
    nonsense_kind: str = ""
    error: float = 0
    close: float = 0
    die: float = 0
    slow_s: float = 0
    outage: bool = False

    @classmethod
    def read(cls, members):
        strange = members.keys() - {one.name for one in fields(cls)}
        if strange:
            raise protocol.Wrong(f"no such fault: {sorted(strange)}")
        return cls(**members)


def answer_bytes(status, body, extra="", length=None):
    reason = REASONS.get(status, "Because")
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\n{extra}"
    return f"{head}Content-Length: {len(body) if length is None else length}\r\n\r\n".encode() + body


# What is no answer of the protocol: the bytes, and whether the connection is over then.
NONSENSE = {
    "no JSON": lambda: (answer_bytes(200, b'{"result":"ok"'), False),
    "an empty body": lambda: (answer_bytes(200, b""), False),
    "a list": lambda: (answer_bytes(200, b'["ok"]'), False),
    "another result": lambda: (answer_bytes(200, b'{"result":"done"}'), False),
    "OK in capitals": lambda: (answer_bytes(200, b'{"result":"OK"}'), False),
    "refused with 200": lambda: (answer_bytes(200, b'{"result":"refused","reason":"no"}'), False),
    "ok with 422": lambda: (answer_bytes(422, b'{"result":"ok"}'), False),
    "ok with 202": lambda: (answer_bytes(202, b'{"result":"ok"}'), False),
    "stale without its fence": lambda: (answer_bytes(409, b'{"result":"stale"}'), False),
    "a redirect": lambda: (answer_bytes(302, b"", "Location: http://127.0.0.1:9/\r\n"), False),
    "404 of a proxy": lambda: (answer_bytes(404, b"<html>not found</html>"), False),
    "an endless body": lambda: (answer_bytes(200, b'{"result":"ok","pad":"' + b"x" * HUGE + b'"}'), True),
    "a deep body": lambda: (answer_bytes(200, b"[" * 60_000 + b"]" * 60_000), True),
    "half a body": lambda: (answer_bytes(200, b'{"result":"ok"}', length=400), True),
    "what is no HTTP": lambda: (b"SIP/2.0 200 OK\r\n\r\n", True),
    "a status of letters": lambda: (b"HTTP/1.1 yes OK\r\n\r\n", True),
    "no UTF-8": lambda: (answer_bytes(200, b'{"result":"\xff\xfe"}'), False),
}


class Died(Exception):
    """The process is to end here."""


class Simulator:
    def __init__(self, options):
        self.key = protocol.key_of(options.secret)
        self.seed = options.seed
        self.journal = books.Journal(options.journal)
        self._lose(options, list(books.read_entries(options.journal)))
        self.book = books.replay(books.read_entries(options.journal))
        self.faults = Faults.read(json.loads(options.faults))
        self.counts = Counter()
        self.violations = []
        # How often each key was asked, and what its body was.
        self.tries = Counter()
        self.bodies = {}
        # How many requests about an X are not answered yet.
        self.under_way = Counter()
        self.open = set()

    def _lose(self, options, entries):
        chance = random.Random(f"{self.seed}/{len(entries)}")
        there = books.losable(entries)
        lost = there[len(there) - options.lose_last :] if options.lose_last else []
        lost += [n for n in there if chance.random() < options.lose_share]
        self.journal.write(time.monotonic_ns(), "started", entries=len(entries))
        if lost:
            self.journal.write(time.monotonic_ns(), "lost", entries=sorted(set(lost)))

    # The carrier's port

    async def connection(self, reader, writer):
        self.open.add(writer)
        try:
            while await self._one_request(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self.open.discard(writer)
            writer.close()

    async def _one_request(self, reader, writer):
        """Whether the connection goes on."""
        got = await read_http(reader, HEAD_MAX, protocol.BODY_MAX)
        if got is None:
            return False
        line, headers, body = got
        try:
            if line[0] != "POST" or line[2] != "HTTP/1.1":
                raise protocol.Wrong(" ".join(line))
            if headers.get("content-type") != protocol.CONTENT_TYPE:
                raise protocol.Wrong("content-type")
            name = protocol.verify(self.key, headers, body, time.time())
        except protocol.Wrong as wrong:
            self.counts["unsigned"] += 1
            await send(writer, answer_bytes(401, json.dumps({"error": str(wrong)}).encode()))
            return True
        try:
            request = protocol.read_request(body)
            if request["op"] != "query":
                self._check_key(name, request, body)
        except protocol.Wrong as wrong:
            self.violation(f"{name}: {wrong}")
            await send(writer, answer_bytes(400, json.dumps({"error": str(wrong)}).encode()))
            return True
        self.counts[request["op"]] += 1
        self.tries[name] += 1
        # The same for the same seed, in whichever order requests come.
        chance = random.Random(f"{self.seed}/{name}/{self.tries[name]}")
        if request["op"] == "query":
            return await self._answer(name, request, chance, writer)
        self.counts["overlapping"] += self.under_way[request["x"]] > 0
        self.under_way[request["x"]] += 1
        try:
            return await self._answer(name, request, chance, writer)
        finally:
            self.under_way[request["x"]] -= 1

    def _check_key(self, name, request, body):
        if name != protocol.key_name(request):
            raise protocol.Wrong("webhook-id is not the key")
        digest = hashlib.blake2b(body, digest_size=8).digest()
        # A binding that is not known any more is ended by the number behind that of its holding, perhaps once more.
        if self.bodies.setdefault((name, request["fence"]), digest) != digest:
            raise protocol.Wrong("a retry differs from what it repeats")

    async def _answer(self, name, request, chance, writer):
        """Lets happen what is to go wrong, and answers. Whether the connection goes on."""
        faults = self.faults
        happens = {fault: chance.random() < getattr(faults, fault) for fault in SHARES}
        done_before = chance.random() < 0.5
        for fault in SHARES:
            self.counts[f"fault {fault}"] += happens[fault]
        if happens["delay"]:
            await asyncio.sleep(while_of(chance, faults.delay_s))
        if happens["error"] or happens["close"] or happens["nonsense"]:
            if done_before:
                self.carry_out(request)
            if happens["close"]:
                return False
            if happens["error"]:
                await send(writer, answer_bytes(chance.choice((500, 502, 503, 504)), b"<html>trouble</html>"))
                return True
            bytes_, is_last = NONSENSE[faults.nonsense_kind or chance.choice(sorted(NONSENSE))]()
            await send(writer, bytes_)
            return not is_last
        status, answer = self.carry_out(request, refuse=happens["refuse"])
        if happens["die"]:
            raise Died
        wait_s = faults.slow_s + (while_of(chance, faults.late_s) if happens["late"] else 0)
        if wait_s:
            await asyncio.sleep(wait_s)
        # Without this the connection would not be used again.
        sent = answer_bytes(status, json.dumps(answer).encode(), f"webhook-id: {name}\r\n")
        if happens["twice"] and done_before:
            sent += sent
        await send(writer, sent)
        if happens["twice"] and not done_before:
            # So late that the connection may be in use for another request by then.
            await asyncio.sleep(chance.uniform(0, 0.05))
            await send(writer, sent)
        return True

    def carry_out(self, request, refuse=False):
        """Does it, with the journal first; the status and the answer."""
        if request["op"] == "query":
            held, after = self.book.page(request["after"], request["limit"])
            return 200, {"result": "ok", "held": held, "next": after}
        if told := self.book.judge(request):
            self.counts[told[1]["result"]] += 1
            if told[1]["result"] == "refused":
                self.violation(f"{protocol.key_name(request)}: another request had its fence")
            return told
        if refuse and request["op"] != "unbind":
            self.journal.refused(time.monotonic_ns(), request)
            self.book.see(request)
            self.counts["refused"] += 1
            return 422, {"result": "refused", "reason": "not today"}
        self.journal.did(time.monotonic_ns(), request)
        self.book.carry_out(request)
        self.counts["ok"] += 1
        return 200, {"result": "ok"}

    def violation(self, text):
        self.counts["violations"] += 1
        self.journal.write(time.monotonic_ns(), "violation", text=text)
        if len(self.violations) < VIOLATIONS_MAX:
            self.violations.append(text)

    # The port that steers

    async def control(self, reader, writer):
        try:
            while (got := await read_http(reader, HEAD_MAX, HUGE)) is not None:
                status, answer = await self._steer(got[0][0], got[0][1], got[2])
                await send(writer, answer_bytes(status, json.dumps(answer).encode()))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _steer(self, method, path, body):
        if (method, path) == ("POST", "/faults"):
            try:
                self.faults = Faults.read(json.loads(body))
            except (protocol.Wrong, ValueError, TypeError) as error:
                return 400, {"error": str(error)}
            await self.listen()
            return 200, {}
        if (method, path) == ("GET", "/held"):
            held = [{**one.row(), "terms": one.terms} for _, one in sorted(self.book.held.items())]
            return 200, held
        if (method, path) == ("GET", "/counts"):
            return 200, {"counts": self.counts, "violations": self.violations}
        return 404, {"error": "POST /faults, GET /held, GET /counts"}

    # Both

    async def serve(self, listen, control):
        self.address, self.server = listen, None
        steering = await asyncio.start_server(self.control, *control)
        await self.listen()
        async with steering:
            await steering.serve_forever()

    async def listen(self):
        """Listens, or not, as the faults want it."""
        if self.faults.outage and self.server is not None:
            self.server.close()
            for writer in list(self.open):
                writer.transport.abort()
            self.server = None
        elif not self.faults.outage and self.server is None:
            self.server = await asyncio.start_server(self.guarded, *self.address, backlog=512)

    async def guarded(self, reader, writer):
        try:
            await self.connection(reader, writer)
        except Died:
            os.kill(os.getpid(), signal.SIGKILL)


SHARES = ("refuse", "delay", "late", "twice", "nonsense", "error", "close", "die")


def while_of(chance, seconds):
    least, most = seconds if isinstance(seconds, list) else (0, seconds)
    return chance.uniform(least, most)


async def send(writer, bytes_):
    writer.write(bytes_)
    await writer.drain()


async def read_http(reader, head_max, body_max):
    """(method, target, version), headers by small letters, body; None at the end or for what is no HTTP."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return None
    if len(head) > head_max:
        return None
    first, *rest = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    line = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in rest)}
    length = headers.get("content-length", "0")
    if len(line) != 3 or not length.isdigit() or int(length) > body_max:
        return None
    return line, headers, await reader.readexactly(int(length))


def address(text):
    host, _, port = text.rpartition(":")
    return host, int(port)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--listen", type=address, required=True)
    options.add_argument("--control", type=address, required=True)
    options.add_argument("--journal", required=True)
    options.add_argument("--secret", required=True)
    options.add_argument("--seed", default="1")
    options.add_argument("--faults", default="{}")
    options.add_argument("--lose-last", type=int, default=0, help="comes back without so many of the newest lines")
    options.add_argument("--lose-share", type=float, default=0, help="and without this share of all")
    options = options.parse_args()
    simulator = Simulator(options)
    asyncio.run(simulator.serve(options.listen, options.control))


if __name__ == "__main__":
    main()
