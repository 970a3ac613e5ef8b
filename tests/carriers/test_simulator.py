"""The simulated carrier: its rule of fences, and that each of its faults is what its name says."""

import http.client
import json
import threading
import time
from itertools import permutations

import pytest

from carriers import adapters, protocol, simulator
from carriers.book import Book, Journal, losable, read_entries, replay
from carriers.simulated import SimulatedCarrier

pytestmark = pytest.mark.offline
X, Y = "17000000001", "17000000002"
WATCHDOG_S = 60


# The rule, without a process

B10 = protocol.bind(X, 10)
B11 = protocol.bind(X, 11, product="AXB", b="13900000001")
U12 = protocol.update(X, 10, 2, 12, a="13700000001")
E13 = protocol.unbind(X, 10, 3, 13)
OTHER = protocol.bind(Y, 9)
# What came, one after the other; the results; the ids held afterwards with their revisions.
RULES = [
    ("a bind is held", [B10], ["ok"], {"10": 1}),
    ("a repeat is ok", [B10, B10], ["ok", "ok"], {"10": 1}),
    ("two bindings on one X", [B10, B11], ["ok", "ok"], {"10": 1, "11": 1}),
    ("a later bind first", [B11, B10], ["ok", "stale"], {"11": 1}),
    ("an update", [B10, U12], ["ok", "ok"], {"10": 2}),
    ("an update first, the bind late", [U12, B10], ["ok", "stale"], {"10": 2}),
    ("an end", [B10, E13], ["ok", "ok"], {}),
    ("an end first, the bind late", [E13, B10], ["ok", "stale"], {}),
    ("an end first, bind and update late", [E13, U12, B10], ["ok", "stale", "stale"], {}),
    ("an end of one of two", [B10, B11, E13], ["ok", "ok", "ok"], {"11": 1}),
    ("an end twice", [B10, E13, E13], ["ok", "ok", "ok"], {}),
    ("the same fence, another key", [B10, {**B11, "fence": 10}], ["ok", "refused"], {"10": 1}),
    ("the same fence, another revision", [B10, {**U12, "fence": 10}], ["ok", "refused"], {"10": 1}),
    ("another X has another fence", [E13, OTHER], ["ok", "ok"], {"9": 1}),
    ("a bind behind an end", [E13, protocol.bind(X, 14)], ["ok", "ok"], {"14": 1}),
]


@pytest.mark.parametrize("name", [rule[0] for rule in RULES])
def test_the_rule_of_fences(name):
    [(_, requests, results, held)] = [rule for rule in RULES if rule[0] == name]
    book, told = Book(), []
    for request in requests:
        refusal = book.judge(request)
        told.append(refusal[1]["result"] if refusal else "ok")
        if refusal is None:
            book.carry_out(request)
    assert told == results
    assert {one.subs_id: one.revision for one in book.held.values()} == held


def test_whatever_the_order_of_arrival_the_newest_stands():
    newest = protocol.bind(X, 14)
    for order in permutations([B10, U12, E13, newest]):
        book = Book()
        for request in (*order, *order):
            if book.judge(request) is None:
                book.carry_out(request)
        assert book.newest[X] == (14, "14-1") and (X, "14") in book.held
        # What was older than the newest when it came changed nothing.
        before = order[: order.index(newest)]
        is_ended = E13 in before or not {B10["fence"], U12["fence"]} & {one["fence"] for one in before}
        assert ((X, "10") in book.held) != is_ended


def test_a_journal_tells_what_was_held_and_a_torn_line_never_counted(tmp_path):
    path = tmp_path / "journal"
    journal = Journal(path)
    for place, request in enumerate((B10, B11, E13)):
        journal.did(place, request)
    journal.close()
    with open(path, "ab") as file:
        file.write(b'{"n":4,"at_ns":9,"did":"bi')
    assert {one.subs_id for one in replay(read_entries(path)).held.values()} == {"11"}
    again = Journal(path)
    again.did(4, protocol.bind(Y, 20))
    again.close()
    assert [entry["n"] for entry in read_entries(path)] == [1, 2, 3, 4]


def test_what_is_lost_counts_no_more_also_its_fence(tmp_path):
    path = tmp_path / "journal"
    journal = Journal(path)
    for request in (B10, B11, E13):
        journal.did(0, request)
    journal.write(0, "lost", entries=[3])
    entries = list(read_entries(path))
    book = replay(entries)
    assert {one.subs_id for one in book.held.values()} == {"10", "11"} and book.newest[X] == (11, "11-1")
    assert losable(entries) == [1, 2]


# What is against the protocol

WRONG = {
    "no JSON": b"{",
    "a list": b"[]",
    "no op": b"{}",
    "another op": {**B10, "op": "lock"},
    "no fence": {name: one for name, one in B10.items() if name != "fence"},
    "a fence as a text": {**B10, "fence": "10"},
    "a fence as a fraction": {**B10, "fence": 10.0},
    "a fence above 2^53": {**B10, "fence": 2**53},
    "a revision of 0": {**B10, "revision": 0},
    "a first revision that is no bind": {**U12, "revision": 1},
    "an id as a number": {**B10, "subs_id": 10},
    "a number with a country": {**B10, "a": "+8613800000001"},
    "a time without a zone": {**B10, "expires_at": "2036-12-31T04:00:00"},
    "a product of its own": {**B10, "product": "AXG"},
    "AXB without b": {**B10, "product": "AXB"},
    "a member too many": {**B10, "out_id": "1"},
    "an unbind with terms": {**B10, "op": "unbind", "revision": 2},
    "a query of too many": protocol.query(limit=501),
    "a query of none": protocol.query(limit=0),
    "a query without after": {"op": "query", "limit": 1},
}


@pytest.fixture
def carrier(tmp_path, place):
    return place(SimulatedCarrier(tmp_path)).start()


def test_requests_against_the_protocol_are_told_and_not_carried_out(carrier):
    client = carrier.client()
    for name, request in WRONG.items():
        members = request if isinstance(request, dict) else B10
        answer = client.send(members, body=request if isinstance(request, bytes) else None)
        assert (answer.status, answer.outcome) == (400, "unknown"), name
    # Its id is not its key.
    assert client.send(B10, body=json.dumps(protocol.bind(X, 12)).encode()).outcome == "unknown"
    _, violations = carrier.seen()
    assert len(violations) == len(WRONG) + 1 and carrier.held() == {}
    # A retry says something else.
    assert client.send(B10).outcome == "ok"
    assert client.send({**B10, "a": "13800000002"}).outcome == "unknown"
    assert any("differs" in one for one in carrier.seen()[1])
    # Those are remembered over its deaths, too.
    carrier.restart()
    assert carrier.seen()[1] == []
    assert sum(entry["did"] == "violation" for entry in carrier.history()) == len(WRONG) + 2


@pytest.mark.parametrize(
    "how",
    [
        {"at": 1},
        {"at": time.time() + 3_600},
        {"headers": {"webhook-signature": None}},
        {"headers": {"webhook-signature": "v1,AAAA"}},
        {"headers": {"webhook-id": None}},
        {"headers": {"webhook-id": "10-2"}},
        {"headers": {"webhook-timestamp": None}},
        {"headers": {"Content-Type": "text/plain"}},
        {"headers": {"Content-Type": "application/json"}},
        {"method": "PUT"},
    ],
    ids=str,
)
def test_what_is_not_signed_is_not_carried_out(carrier, how):
    answer = carrier.client().send(B10, **how)
    assert (answer.status, answer.outcome) == (401, "unknown") and carrier.held() == {}


def test_requests_about_one_x_that_overlap_are_counted(carrier):
    carrier.set(slow_s=1.5)
    both = [threading.Thread(target=carrier.client().send, args=(one,)) for one in (B10, B11)]
    for one in both:
        one.start()
    for one in both:
        one.join(WATCHDOG_S)
    assert carrier.client().send(OTHER).outcome == "ok"
    assert carrier.seen()[0]["overlapping"] == 1


def test_it_passes_the_check_of_adapters(tmp_path, carrier):
    checked = adapters.Adapter(tmp_path, [], carrier.port)
    code, told = checked.check()
    assert code == 0 and not adapters.failed_rules(told), told


# Faults


def tried(carrier, request, **faults):
    """(outcome or the kind of error, whether it is held afterwards)."""
    carrier.set(**faults)
    try:
        outcome = carrier.client().send(request).outcome
    except (OSError, http.client.HTTPException, ValueError) as error:
        outcome = type(error).__name__
    if faults.get("die"):
        carrier.process.wait(WATCHDOG_S)
        carrier.kill()
        carrier.set()
        carrier.start()
    return outcome, (request["x"], request["subs_id"]) in carrier.held()


def test_a_refusal_has_changed_nothing_but_the_fence_is_kept(carrier):
    assert tried(carrier, B11, refuse=1) == ("refused", False)
    assert tried(carrier, B10) == ("stale", False)
    assert tried(carrier, E13, refuse=1) == ("ok", False)


def test_trouble_and_silence_leave_open_whether_it_was_done(carrier):
    for fault, outcomes in (
        ("error", {"unavailable"}),
        ("close", {"RemoteDisconnected", "ConnectionResetError"}),
        ("nonsense", {"unknown", "BadStatusLine", "IncompleteRead", "ConnectionResetError", "BrokenPipeError"}),
    ):
        was_held = set()
        for fence in range(100, 140):
            outcome, held = tried(carrier, protocol.bind(X, fence + 1_000 * len(fault)), **{fault: 1})
            assert outcome in outcomes, (fault, outcome)
            was_held.add(held)
        assert was_held == {True, False}, fault


@pytest.mark.parametrize("kind", sorted(simulator.NONSENSE))
def test_no_nonsense_is_an_answer_of_the_protocol(kind):
    bytes_, _ = simulator.NONSENSE[kind]()
    head, _, body = bytes_.partition(b"\r\n\r\n")
    status = head.split(b" ")[1]
    if bytes_.startswith(b"HTTP/1.1 ") and status.isdigit() and f"Content-Length: {len(body)}".encode() in head:
        assert protocol.outcome(int(status), body) == "unknown"


def test_it_dies_behind_carrying_it_out(carrier):
    outcome, held = tried(carrier, B10, die=1)
    assert outcome in ("RemoteDisconnected", "ConnectionResetError") and held
    # And knows it in its next life.
    assert tried(carrier, B10) == ("ok", True)


def test_an_outage_refuses_connections_and_ends(carrier):
    assert tried(carrier, B10, outage=True) == ("ConnectionRefusedError", False)
    assert tried(carrier, B10) == ("ok", True)


def test_a_delayed_request_is_carried_out_behind_later_ones_or_is_stale(carrier):
    carrier.set(delay=1, delay_s=[1, 3])
    impatient = carrier.client(timeout=0.01)
    with pytest.raises(TimeoutError):
        impatient.send(B10)
    carrier.set()
    # Given up, and ended by a newer one; then the delayed one comes.
    assert carrier.client().send(protocol.unbind(X, 10, 2, 11)).outcome == "ok"
    deadline = time.monotonic() + WATCHDOG_S
    while carrier.seen()[0].get("stale", 0) == 0:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert carrier.held() == {}


def test_a_late_answer_is_of_what_was_done_at_once(carrier):
    carrier.set(late=1, late_s=[20, 30])
    with pytest.raises(TimeoutError):
        carrier.client(timeout=0.2).send(B10)
    assert (X, "10") in carrier.held()


def test_an_answer_comes_twice_on_the_connection(carrier):
    carrier.set(twice=1)
    client = carrier.client()
    seen = set()
    for fence in range(100, 120):
        request = protocol.bind(X, fence)
        text = json.dumps(request).encode()
        name = protocol.key_name(request)
        at = int(time.time())
        link = http.client.HTTPConnection(client.host, client.port, timeout=WATCHDOG_S)
        link.request("POST", client.path, text, {
            "Content-Type": protocol.CONTENT_TYPE, "webhook-id": name, "webhook-timestamp": str(at),
            "webhook-signature": protocol.signature(client.key, name, at, text),
        })  # fmt: skip
        socket = link.sock
        socket.settimeout(WATCHDOG_S)
        got = b""
        while got.count(b'{"result": "ok"}') < 2:
            more = socket.recv(65_536)
            assert more, got
            got += more
        seen.add(got.count(b"HTTP/1.1 200"))
        link.close()
    assert seen == {2}


def test_it_comes_back_with_less_and_with_the_fences_of_that(carrier):
    client = carrier.client()
    assert [client.send(one).outcome for one in (B10, U12, E13)] == ["ok"] * 3
    carrier.restart(lose_last=1)
    assert [one["revision"] for one in carrier.held().values()] == [2]
    assert client.send(U12).outcome == "ok" and client.send(B10).outcome == "stale"
    carrier.restart(lose_share=1)
    assert carrier.held() == {} and client.send(B10).outcome == "ok"
    # What was held once is history for ever.
    assert [entry["did"] for entry in carrier.history() if entry["did"] in ("bind", "update", "unbind")] == [
        "bind", "update", "unbind", "update", "bind",
    ]  # fmt: skip


def test_pages_of_a_query(carrier):
    client = carrier.client()
    for fence in range(1, 26):
        assert client.send(protocol.bind(f"1700000{fence % 7:04}", fence)).outcome == "ok"
    for limit in (1, 2, 7, 24, 25, 500):
        rows = client.held(limit)
        places = [(one["x"], one["subs_id"]) for one in rows]
        assert len(rows) == 25 and places == sorted(places)


def test_faults_that_there_are_not_are_refused(carrier):
    with pytest.raises(AssertionError, match="no such fault"):
        carrier.set(refused=1)
