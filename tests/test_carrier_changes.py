"""A carrier that is moved, taken away or declared anew while it is asked, and what it names by mistake."""

import threading
from concurrent.futures import ThreadPoolExecutor

from carriers.scripted import OK, page
from support.gateway import bound
from test_carrier_reconciliation import WATCHDOG_S, declared, figure, reconcile, scripted  # noqa: F401
from test_carriers import CARRIER, CITY, A, C, service, shown, until  # noqa: F401


def answering(operation, answer):
    """Answers one kind of request with what `answer` gives, and agrees to all others."""

    def answered(request):
        if request["op"] == operation:
            return answer(request)
        return page([]) if request["op"] == "query" else OK

    return answered


def held_back(operation):
    """The same, but the answer comes only when it is let go: an event of the first request, one that lets go, and
    what answers."""
    asked, goes_on = threading.Event(), threading.Event()

    def wait(request):
        asked.set()
        assert goes_on.wait(WATCHDOG_S)
        return OK

    return asked, goes_on, answering(operation, wait)


def moved_to(world, carrier):
    world.operator.apply(f'[[carrier]]\nname = "{CARRIER}"\nurl = "{carrier.url}"\n')


def test_a_bind_that_is_under_way_is_asked_for_where_the_carrier_is_now(service, scripted):  # noqa: F811
    asked, goes_on, answered = held_back("bind")
    old, new = scripted(answered), scripted(answering("query", lambda request: page([])))
    world = declared(service, old, request_timeout_ms=60_000, deadline_ms=60_000)
    with ThreadPoolExecutor() as pool:
        binding = pool.submit(lambda: bound(world.gateway().bind_axn(A)))
        assert asked.wait(WATCHDOG_S)
        moved_to(world, new)
        subs_id, x = binding.result(WATCHDOG_S)
    assert [request["subs_id"] for request in new.asked("bind")] == [subs_id]
    goes_on.set()
    until(lambda: figure(service, "reconciled_timestamp_seconds"))
    assert world.operator.binding(subs_id)["provision"]["phase"] in ("confirmed", "renewing")


def test_an_unbind_that_is_under_way_is_told_where_the_carrier_is_now(service, scripted):  # noqa: F811
    asked, goes_on, answered = held_back("unbind")
    let_go = threading.Event()

    def refuse_first(request):
        return OK if let_go.is_set() else (503, {})

    old, new = scripted(answered), scripted(answering("unbind", refuse_first))
    world = declared(service, old, request_timeout_ms=60_000)
    subs_id, x = bound(world.gateway().bind_axn(A))
    assert world.gateway().unbind(subs_id, x).code == "OK"
    assert asked.wait(WATCHDOG_S)
    moved_to(world, new)
    until(lambda: new.asked("unbind"), WATCHDOG_S)
    goes_on.set()
    # What the old one says of it now does not count.
    until(lambda: len(new.asked("unbind")) > 1, WATCHDOG_S)
    assert [number["status"] for number in world.inventory()["numbers"] if number["x"] == x] != ["free"]
    let_go.set()
    until(lambda: world.bindings() == [], WATCHDOG_S)


def test_a_carrier_declared_anew_is_told_by_a_task_of_its_own(service, scripted):  # noqa: F811
    orphan = ["", "1000"]

    def stubborn(request):
        if request["op"] == "query":
            return page([tuple(orphan)])
        return (503, {}) if request["subs_id"] == "1000" else OK

    old, new = scripted(stubborn), scripted(answering("unbind", lambda request: (503, {})))
    world = declared(service, old)
    orphan[0] = world.numbers[CITY][0]
    with ThreadPoolExecutor() as pool:
        comparing = pool.submit(reconcile, service, check=False)
        until(lambda: old.asked("unbind"), WATCHDOG_S)
        service.cli("pool", "set", world.pool, "--carrier", "")
        service.cli("carrier", "rm", CARRIER)
        world.operator.carrier(CARRIER, new)
        service.cli("pool", "set", world.pool, "--carrier", CARRIER)
        subs_id, x = bound(world.gateway().bind_axn(A))
        assert world.gateway().unbind(subs_id, x).code == "OK"
        until(lambda: len(new.asked("unbind")) > 1, WATCHDOG_S)
        assert comparing.result().returncode != 0
    assert subs_id not in [request["subs_id"] for request in old.asked("unbind")]
    assert [number["status"] for number in world.inventory()["numbers"] if number["x"] == x] != ["free"]
    until(lambda: figure(service, "owed") == 1)


def test_a_person_whom_a_carrier_takes_for_an_x_is_shown_and_kept_nowhere(service, scripted):  # noqa: F811
    held = [True]

    def answered(request):
        if request["op"] == "query":
            return page([(C, "1000")] if held[0] else [])
        held[0] = False
        return OK

    world = declared(service, scripted(answered), reconcile_every_s=0)
    told = reconcile(service)
    assert '"orphans": 1' in told.stdout and '"released": 1' in told.stdout, told.stdout
    assert world.bindings() == []
    journal = service.cli("journal", "show", "--reveal")
    assert "orphan" in journal.stdout
    service.terminate()
    for shown_in in (told.stdout, told.stderr, journal.stdout, service.log_path.read_text()):
        assert C not in shown_in
    for file in service.data.glob("maskline.db*"):
        assert C.encode() not in file.read_bytes()
