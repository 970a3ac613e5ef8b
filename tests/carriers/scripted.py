"""A carrier that answers as a test says, request by request; it keeps nothing, and believes every signature."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from carriers.adapters import HOST, SECRET

OK = 200, {"result": "ok"}


class ScriptedCarrier:
    """`answer(request)` gives a status and an answer; it may wait, each request has a thread of its own."""

    def __init__(self, answer=lambda request: OK):
        self.answer, self.secret = answer, SECRET
        self.requests = []
        carrier = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                request = json.loads(self.rfile.read(int(self.headers["content-length"])))
                carrier.requests.append(request)
                status, answer = carrier.answer(request)
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("webhook-id", self.headers["webhook-id"])
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer((HOST, 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://{HOST}:{self.server.server_port}/"

    def asked(self, operation):
        return [request for request in self.requests if request["op"] == operation]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def page(rows, after=None):
    """An answer to a query: rows of (x, subs_id) or of (x, subs_id, fence), and the next cursor."""
    held = [
        {"x": x, "subs_id": str(subs_id), "revision": 1, "fence": more[0] if more else int(subs_id)}
        for x, subs_id, *more in rows
    ]
    return 200, {"result": "ok", "held": held, "next": after}
