"""What a simulated carrier holds: the rule of fences, and a journal that outlives SIGKILL and tells what was held when.

Without clock or chance, so that the rule can be tested by itself. The journal is a file of lines of JSON, which only
grows. That the carrier "comes back with less than it had" is a line too: it names the lines that count no more.
"""

import json
import os
from dataclasses import dataclass, field

from carriers.protocol import key_name, terms_of


@dataclass
class Held:
    """One holding."""

    x: str
    subs_id: str
    revision: int
    fence: int
    terms: dict

    def row(self):
        """As a query tells it."""
        return {"x": self.x, "subs_id": self.subs_id, "revision": self.revision, "fence": self.fence}


@dataclass
class Book:
    """Holdings by (x, subs_id), and for each X the newest fence with the key that came with it."""

    held: dict = field(default_factory=dict)
    newest: dict = field(default_factory=dict)

    def judge(self, request):
        """What a change is answered without being carried out: a status and an answer, or None if it is to be."""
        fence, key = self.newest.get(request["x"], (0, ""))
        if request["fence"] < fence:
            return 409, {"result": "stale", "fence": fence}
        if request["fence"] == fence and key_name(request) != key:
            return 400, {"result": "refused", "reason": "another request had this fence"}
        return None

    def see(self, request):
        """Keeps the fence."""
        self.newest[request["x"]] = request["fence"], key_name(request)

    def carry_out(self, request):
        self.see(request)
        place = request["x"], request["subs_id"]
        if request["op"] == "unbind":
            self.held.pop(place, None)
        else:
            terms = request["terms"] if "terms" in request else terms_of(request)
            self.held[place] = Held(*place, request["revision"], request["fence"], terms)

    def page(self, after, limit):
        """So many holdings behind the cursor, as rows, and the next cursor or None."""
        behind = tuple(after.split(".", 1)) if after else ("", "")
        places = sorted(place for place in self.held if place > behind)
        shown = places[:limit]
        return [self.held[place].row() for place in shown], ".".join(shown[-1]) if len(places) > limit else None


class Journal:
    """The lines, on disk before anything is answered. A process that is killed loses none: the kernel has them."""

    def __init__(self, path):
        self.path = path
        self.count = sum(1 for _ in read_entries(path)) if os.path.exists(path) else 0
        self._mend()
        self.file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def _mend(self):
        """A last line that a death cut short never counted."""
        if os.path.exists(self.path):
            with open(self.path, "rb+") as file:
                text = file.read()
                file.truncate(text.rfind(b"\n") + 1)

    def write(self, at_ns, did, **members):
        """Appends one line. `at_ns` is the machine's monotonic clock, which all its processes share."""
        self.count += 1
        line = json.dumps({"n": self.count, "at_ns": at_ns, "did": did, **members}, separators=(",", ":")) + "\n"
        written = os.write(self.file, line.encode())
        assert written == len(line), "the disk is full"

    def did(self, at_ns, request):
        """A change that was carried out, or (refused) one whose fence alone was kept."""
        members = {name: request[name] for name in ("x", "subs_id", "revision", "fence")}
        self.write(at_ns, request["op"], **members, **({} if request["op"] == "unbind" else {"terms": terms_of(request)}))

    def refused(self, at_ns, request):
        members = {name: request[name] for name in ("x", "subs_id", "revision", "fence")}
        self.write(at_ns, "refused", **members)

    def close(self):
        os.close(self.file)


CHANGES = ("bind", "update", "unbind")


def read_entries(path):
    """Every whole line, in order."""
    with open(path, "rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                yield json.loads(line)


def replay(entries):
    """The book that is left of them."""
    entries = list(entries)
    lost = {n for entry in entries if entry["did"] == "lost" for n in entry["entries"]}
    book = Book()
    for entry in entries:
        if entry["n"] in lost:
            continue
        if entry["did"] in CHANGES:
            book.carry_out({**entry, "op": entry["did"]})
        elif entry["did"] == "refused":
            book.see(entry)
    return book


def losable(entries):
    """The numbers of the lines that a carrier could come back without."""
    lost = {n for entry in entries if entry["did"] == "lost" for n in entry["entries"]}
    return [one["n"] for one in entries if one["did"] in (*CHANGES, "refused") and one["n"] not in lost]
