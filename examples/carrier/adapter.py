#!/usr/bin/env python3
"""An adapter between Maskline's carrier protocol (docs/carrier-protocol.md) and Kamailio's htable.

What Kamailio's table holds for an X says who may call it: `any=1` where anyone may (AXN), else the numbers that may
(AXB: `13800000001=1;13900000001=1`). kamailio.cfg beside this file reads it. The table is in memory and empty when
Kamailio starts; the truth is this adapter's book, a SQLite file, from which the table is filled again.

    python3 adapter.py --secret-file carrier.secret --book carrier.sqlite --kamailio /run/kamailio/kamailio_rpc.sock
"""

import argparse
import json
import os
import socket
import sqlite3
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from standardwebhooks import Webhook

BODY_MAX = 64 * 1024
PAGE_MAX = 500
PRODUCTS = ("AXN", "AXB")
# How long Kamailio has for an answer, and how often it is asked whether its table is still filled.
KAMAILIO_S = 1.0
LOOK_EVERY_S = 1.0
NO_SUCH_KEY = 404


class NoKamailio(Exception):
    """It did not answer, so nobody knows what its table holds."""


class Kamailio:
    """The htable `bindings`, by JSON-RPC over the Unix datagram socket of Kamailio's module jsonrpcs."""

    def __init__(self, path):
        self.path = str(path)
        self.home = tempfile.mkdtemp(prefix="carrier-adapter-")
        self.sent = 0

    def put(self, x, value):
        self._ask("htable.sets", "bindings", x, value)

    def drop(self, x):
        self._ask("htable.delete", "bindings", x)

    def run(self):
        """What tells this run of Kamailio from any other: its processes."""
        return self._ask("core.psx")

    def _ask(self, method, *params):
        self.sent += 1
        asked = {"jsonrpc": "2.0", "method": method, "params": params, "id": self.sent}
        # A socket for each question: Kamailio answers to the address it was asked from, and an answer that comes too
        # late finds nobody.
        own = f"{self.home}/{self.sent}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
            try:
                link.settimeout(KAMAILIO_S)
                link.bind(own)
                link.sendto(json.dumps(asked).encode(), self.path)
                told = json.loads(link.recv(65_536))
            except (OSError, ValueError) as error:
                raise NoKamailio(f"{method}: {error}") from error
            finally:
                Path(own).unlink(missing_ok=True)
        # 404 is that there is no such key: what is to be gone is gone.
        if "result" not in told and told["error"]["code"] != NO_SUCH_KEY:
            raise NoKamailio(f"{method}: {told['error']['message']}")
        return told.get("result")


class Book:
    """What is held, and the newest fence of each X, also of those that hold nothing any more."""

    TABLES = """
        CREATE TABLE IF NOT EXISTS newest (x TEXT PRIMARY KEY, fence INTEGER NOT NULL, key TEXT NOT NULL);
        CREATE TABLE IF NOT EXISTS held (
            x TEXT NOT NULL, subs_id TEXT NOT NULL, revision INTEGER NOT NULL, fence INTEGER NOT NULL,
            product TEXT NOT NULL, a TEXT NOT NULL, b TEXT, expires_at TEXT NOT NULL, PRIMARY KEY (x, subs_id));
    """

    def __init__(self, path):
        # One connection, which the adapter's lock guards. `with self.rows:` is a transaction.
        self.rows = sqlite3.connect(path, check_same_thread=False)
        self.rows.execute("PRAGMA journal_mode = WAL")
        self.rows.execute("PRAGMA synchronous = FULL")
        self.rows.executescript(self.TABLES)

    def newest(self, x):
        return self.rows.execute("SELECT fence, key FROM newest WHERE x = ?", (x,)).fetchone() or (0, "")

    def saw(self, x, fence, key):
        self.rows.execute("INSERT OR REPLACE INTO newest VALUES (?, ?, ?)", (x, fence, key))

    def hold(self, x, subs_id, revision, fence, terms):
        row = (x, subs_id, revision, fence, *terms)
        self.rows.execute("INSERT OR REPLACE INTO held VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

    def release(self, x, subs_id):
        self.rows.execute("DELETE FROM held WHERE x = ? AND subs_id = ?", (x, subs_id))

    def callers(self, x):
        """Who may call X, as Kamailio's table has it; empty where nothing is held."""
        found = self.rows.execute("SELECT product, a, b FROM held WHERE x = ?", (x,)).fetchall()
        names = {name for product, a, b in found for name in (["any"] if product == "AXN" else [a, b])}
        return ";".join(f"{name}=1" for name in sorted(names))

    def numbers(self):
        return [x for (x,) in self.rows.execute("SELECT x FROM newest")]

    def page(self, after, limit):
        """So many holdings behind (x, subs_id), in order, and whether there are more."""
        found = self.rows.execute(
            "SELECT x, subs_id, revision, fence FROM held WHERE (x, subs_id) > (?, ?) ORDER BY x, subs_id LIMIT ?",
            (*after, limit + 1),
        ).fetchall()
        return found[:limit], len(found) > limit


class Adapter:
    """What each request means: a request as a dict goes in, a status and an answer come out."""

    def __init__(self, book, kamailio):
        self.book, self.kamailio = book, kamailio
        # One request at a time: the table is written in the order of the book.
        self.lock = threading.Lock()

    def answer(self, request):
        # All is read before anything is changed: what is refused here has changed nothing.
        try:
            step = self._read(request)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            return 400, {"result": "refused", "reason": f"not understood: {error!r}"}
        try:
            return step()
        except NoKamailio as error:
            # Whether it was done is not known: neither "ok" nor "refused" would be true.
            return 503, {"error": f"Kamailio does not answer: {error}"}

    def _read(self, request):
        """What is to be done for it."""
        op = request["op"]
        if op == "query":
            # The cursor is ours alone: where the page before this one ended.
            x, subs_id = request["after"].split(".") if request.get("after") else ("", "")
            limit = min(max(int(request["limit"]), 1), PAGE_MAX)
            return lambda: self._query((x, subs_id), limit)
        x, subs_id = request["x"], request["subs_id"]
        revision, fence = int(request["revision"]), int(request["fence"])
        if not (x.isdigit() and subs_id.isdigit()):
            raise ValueError("x, subs_id")
        terms = None
        if op in ("bind", "update"):
            terms = request["product"], request["a"], request.get("b"), request["expires_at"]
            if terms[0] not in PRODUCTS or terms[0] == "AXB" and not terms[2]:
                raise ValueError("only AXN, and AXB with a and b, is carried")
        elif op != "unbind":
            raise ValueError("op")
        return lambda: self._change(x, subs_id, revision, fence, terms)

    def _change(self, x, subs_id, revision, fence, terms):
        key = f"{subs_id}-{revision}"
        with self.lock:
            newest, newest_key = self.book.newest(x)
            if fence < newest:
                return 409, {"result": "stale", "fence": newest}
            if fence == newest and key != newest_key:
                return 400, {"result": "refused", "reason": "another request had this fence"}
            # First the book, durably, then the switch: what is lost between the two is done again by a retry or a
            # start. An "ok" is answered when both are done.
            with self.book.rows:
                self.book.saw(x, fence, key)
                if terms:
                    self.book.hold(x, subs_id, revision, fence, terms)
                else:
                    self.book.release(x, subs_id)
            self._write(x)
        return 200, {"result": "ok"}

    def _query(self, behind, limit):
        with self.lock:
            rows, more = self.book.page(behind, limit)
        held = [dict(zip(("x", "subs_id", "revision", "fence"), row, strict=True)) for row in rows]
        return 200, {"result": "ok", "held": held, "next": f"{rows[-1][0]}.{rows[-1][1]}" if more else None}

    def _write(self, x):
        """Makes Kamailio's table say of X what the book says. Doing it twice does no harm."""
        callers = self.book.callers(x)
        if callers:
            self.kamailio.put(x, callers)
        else:
            self.kamailio.drop(x)

    def fill(self):
        """Makes the table say what the book says of every X that was ever bound."""
        with self.lock:
            numbers = self.book.numbers()
        for x in numbers:
            # Requests come in between, so each X is written as it is then.
            with self.lock:
                self._write(x)

    def keep_filled(self, over):
        """Fills the table at first, and again whenever Kamailio was started. Until then it answers no call, which is
        wrong for a moment, but never connects anybody who should not be."""
        filled = None
        while True:
            try:
                run = self.kamailio.run()
                if run != filled:
                    self.fill()
                    # Only if it did not start once more meanwhile.
                    filled = run if self.kamailio.run() == run else None
                    print("adapter: Kamailio's table is filled", flush=True)
            except NoKamailio as error:
                filled = None
                print(f"adapter: {error}", flush=True)
            if over.wait(LOOK_EVERY_S):
                return


def handler(adapter, secret):
    webhook = Webhook(secret)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body leave together: in two packets the second waits for the acknowledgement of the first, 40 ms.
        wbufsize = -1
        # A connection that says nothing for so long is closed.
        timeout = 60

        def do_POST(self):
            length = self.headers.get("Content-Length", "")
            if not length.isdigit() or int(length) > BODY_MAX:
                self.close_connection = True
                return self.reply(413, {"error": "a body of at most 64 KiB, with its length, is wanted"})
            body = self.rfile.read(int(length))
            try:
                request = webhook.verify(body, dict(self.headers))
            except Exception as error:  # Whatever is wrong with headers that anybody may have written.
                return self.reply(401, {"error": f"the signature is not right: {error}"})
            self.reply(*adapter.answer(request))

        def reply(self, status, answer):
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            # That this answer belongs to this request. Only then the connection is used for another one.
            self.send_header("webhook-id", self.headers.get("webhook-id", ""))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Nothing: bodies and addresses of customers belong in no log."""

    return Handler


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--listen", default="127.0.0.1:8090", help="HOST:PORT; port 0 is any, and told")
    options.add_argument("--secret-file", required=True, help="the secret of [[carrier]], whsec_…")
    options.add_argument("--book", required=True, help="the SQLite file; it must outlive the adapter")
    options.add_argument("--kamailio", required=True, help="the socket that dgram_socket of jsonrpcs names")
    options = options.parse_args()
    os.umask(0o077)  # The book holds real numbers.
    adapter = Adapter(Book(options.book), Kamailio(options.kamailio))
    host, _, port = options.listen.rpartition(":")
    secret = Path(options.secret_file).read_text(encoding="ascii").strip()
    ThreadingHTTPServer.request_queue_size = 128
    server = ThreadingHTTPServer((host, int(port)), handler(adapter, secret))
    server.daemon_threads = True
    print(f"adapter: listening on {host}:{server.server_port}", flush=True)
    over = threading.Event()
    threading.Thread(target=adapter.keep_filled, args=(over,), daemon=True).start()
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        over.set()


if __name__ == "__main__":
    main()
