"""What customers of pools with a carrier were told, and the comparison with what is bound here and held there."""

import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from support.gateway import CHINA


def utc(moment):
    """As the carrier protocol tells a time."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def from_china(text):
    """A time as the admin interface tells it."""
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=CHINA)


@dataclass
class Binding:
    """One binding as its customer knows it. `terms` are those of the carrier protocol."""

    subs_id: str
    x: str
    terms: dict
    # What a change asked for that was not answered: either holds.
    maybe: dict = None
    # An end was asked for and not answered.
    ending: bool = False

    @property
    def expires_at(self):
        return datetime.strptime(self.terms["expires_at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


@dataclass(frozen=True)
class Acknowledged:
    """An OK: the terms that hold, between which moments of the monotonic clock it was asked for and answered."""

    subs_id: str
    x: str
    terms: dict
    sent_ns: int
    received_ns: int


@dataclass
class Findings:
    counts: Counter = field(default_factory=Counter)
    lines: list = field(default_factory=list)

    def note(self, kind, text):
        self.counts[kind] += 1
        self.lines.append(f"{kind}: {text}")

    @property
    def clean(self):
        return not self.counts


class Ledger:
    """Thread-safe. What each request that was answered, or was not, means for what must be there."""

    def __init__(self):
        self.lock = threading.Condition()
        self.live = {}
        self.ended = set()
        # Binds by their OutId: the error that was answered, or None for those without an answer.
        self.failed = {}
        self.acknowledged = []
        self.codes = Counter()
        self.operations = 0
        self.findings = Findings()

    def answered(self, action, code):
        """One more operation is over."""
        with self.lock:
            self.codes[action, code] += 1
            self.operations += 1
            self.lock.notify_all()

    def await_operations(self, goal, seconds):
        """Waits until so many operations are over, but not longer than so."""
        with self.lock:
            return self.lock.wait_for(lambda: self.operations >= goal, seconds)

    # Binds

    def bound(self, subs_id, x, terms, sent_ns, received_ns):
        with self.lock:
            self.live[subs_id] = binding = Binding(subs_id, x, terms)
            self.acknowledged.append(Acknowledged(subs_id, x, terms, sent_ns, received_ns))
            return binding

    def bind_failed(self, token, code):
        with self.lock:
            self.failed[token] = code

    # Changes and ends

    def will_change(self, binding, terms):
        with self.lock:
            binding.maybe = terms

    def changed(self, binding, sent_ns, received_ns):
        with self.lock:
            binding.terms, binding.maybe = binding.maybe, None
            self.acknowledged.append(Acknowledged(binding.subs_id, binding.x, binding.terms, sent_ns, received_ns))

    def change_failed(self, binding):
        """An error was answered: the binding is as it was."""
        with self.lock:
            binding.maybe = None

    def will_end(self, binding):
        with self.lock:
            binding.ending = True

    def did_end(self, binding):
        with self.lock:
            self.live.pop(binding.subs_id, None)
            self.ended.add(binding.subs_id)

    # Comparisons, when nothing is under way any more

    def compare(self, ours, now):
        """`ours` is what is bound, as rows of the admin interface with everything shown. What is over counts no more."""
        found = self.findings
        there = {}
        for row in ours:
            terms = terms_of_row(row)
            if from_china(row["expires_at"]) <= now:
                continue
            subs_id = row["subs_id"]
            there[subs_id] = row
            binding = self.live.get(subs_id)
            if subs_id in self.ended:
                found.note("risen", f"{subs_id} on {row['x']} was ended")
            elif binding is None:
                code = self.failed.get(row.get("out_id"), "nobody asked for it")
                if code is not None:
                    found.note("bound after an error", f"{subs_id} on {row['x']}: {code}")
            elif terms not in (binding.terms, binding.maybe):
                found.note("wrong terms", f"{subs_id} on {row['x']} has {terms}, but was told {binding.terms}")
        for subs_id, binding in self.live.items():
            is_over = min(one.expires_at for one in versions(binding)) <= now + timedelta(seconds=1)
            if subs_id not in there and not binding.ending and not is_over:
                found.note("lost", f"{subs_id} on {binding.x}")
        self._doubled(there.values())
        return found

    def _doubled(self, rows):
        holders = {}
        for row in rows:
            for party in parties(terms_of_row(row)):
                if other := holders.get((row["x"], party)):
                    self.findings.note("doubled", f"{row['subs_id']} and {other} on {row['x']}")
                holders[row["x"], party] = row["subs_id"]

    def compare_with_carrier(self, ours, theirs, now):
        """`theirs` is what it holds, by (x, subs_id). Each binding in force is there with its terms, and nothing else."""
        rows = {(row["x"], row["subs_id"]): row for row in ours if from_china(row["expires_at"]) > now}
        for place, row in rows.items():
            if place not in theirs:
                self.findings.note("not held", f"{place[1]} on {place[0]}")
            elif theirs[place]["terms"] != terms_of_row(row):
                self.findings.note("held otherwise", f"{place}: {theirs[place]['terms']}, but {terms_of_row(row)}")
        for place in theirs.keys() - rows.keys():
            self.findings.note("held without a binding", f"{place[1]} on {place[0]}")
        return self.findings

    def compare_with_history(self, entries):
        """Each OK was true when it was given: the carrier held these terms at some moment while it was asked for."""
        times = holding_times(entries)
        for one in self.acknowledged:
            spans = times.get((one.x, one.subs_id), ())
            if not any(
                terms == one.terms and begin <= one.received_ns and end >= one.sent_ns for begin, end, terms in spans
            ):
                self.findings.note("OK without a carrier", f"{one.subs_id} on {one.x} with {one.terms}")
        for text in doubled_there(entries):
            self.findings.note("doubled at the carrier", text)
        for entry in entries:
            if entry["did"] == "violation":
                self.findings.note("against the protocol", entry["text"])
        return self.findings


def versions(binding):
    """The binding as it may be."""
    both = [binding.terms, *([binding.maybe] if binding.maybe else [])]
    return [Binding(binding.subs_id, binding.x, terms) for terms in both]


def terms_of_row(row):
    terms = {
        "pool": row["pool"],
        "product": row["product"].upper(),
        "a": row["a"],
        "expires_at": utc(from_china(row["expires_at"])),
    }
    return {**terms, "b": row["b"]} if row.get("b") else terms


def parties(terms):
    return {"anyone"} if terms["product"] == "AXN" else {terms["a"], terms["b"]}


def doubled_there(entries):
    """Where the carrier was told of a binding while it held another one in the same place: its slots were given away too
    early. A bind that came late and was carried out only because the carrier had lost newer fences does not count; what
    is ended is ended, however late."""
    held, newest = {}, {}
    for entry in entries:
        if entry["did"] not in ("bind", "update", "unbind"):
            continue
        on_x = held.setdefault(entry["x"], {})
        is_late = entry["fence"] < newest.get(entry["x"], 0)
        newest[entry["x"]] = max(entry["fence"], newest.get(entry["x"], 0))
        if entry["did"] == "unbind":
            on_x.pop(entry["subs_id"], None)
        if entry["did"] == "unbind" or is_late:
            continue
        for other, terms in on_x.items():
            if other != entry["subs_id"] and parties(terms) & parties(entry["terms"]):
                yield f"{entry['subs_id']} and {other} on {entry['x']}, line {entry['n']}"
        on_x[entry["subs_id"]] = entry["terms"]


EVER = 2**63


def holding_times(entries):
    """{(x, subs_id): [(from, until, terms)]} as a carrier's journal tells it. What it comes back without ended then."""
    lost_at = {n: entry["at_ns"] for entry in entries if entry["did"] == "lost" for n in entry["entries"]}
    changes = {}
    for entry in entries:
        if entry["did"] in ("bind", "update", "unbind"):
            changes.setdefault((entry["x"], entry["subs_id"]), []).append(entry)
    return {
        place: [
            (one["at_ns"], min(following["at_ns"] if following else EVER, lost_at.get(one["n"], EVER)), one["terms"])
            for one, following in zip(of_one, [*of_one[1:], None], strict=True)
            if one["did"] != "unbind"
        ]
        for place, of_one in changes.items()
    }
