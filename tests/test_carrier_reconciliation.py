"""Comparing what a carrier holds with what is bound, with carriers that do not do what they should."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from carriers.scripted import OK, ScriptedCarrier, page
from support.gateway import bound
from support.operator import Operator
from support.process import Maskline
from test_carriers import CARRIER, CITY, A, B, declare, service, shown, until  # noqa: F401
from test_metrics import scrape

WATCHDOG_S = 60
REFUSED = 422, {"result": "refused", "reason": "not today"}


@pytest.fixture
def scripted():
    """Makes carriers, and ends them."""
    made = []

    def make(*args):
        made.append(ScriptedCarrier(*args))
        return made[-1]

    yield make
    for carrier in made:
        carrier.close()


def declared(service, carrier, **settings):  # noqa: F811
    """Once the service has noticed it: within a second."""
    world = declare(service, carrier, **settings)
    until(lambda: shown(service)["breaker"])
    return world


def reconcile(service, *args, check=True):
    return service.cli("carrier", "reconcile", CARRIER, "--json", *args, check=check)


def figures(service):
    """{(metric, other labels): value} of the carriers."""
    lines = scrape(service)[1].decode().splitlines()
    return {key: float(value) for key, value in (line.rsplit(" ", 1) for line in lines if f'carrier="{CARRIER}"' in line)}


def figure(service, name):
    return figures(service).get(f'maskline_carrier_{name}{{carrier="{CARRIER}"}}')


@pytest.mark.parametrize(
    "answer",
    [
        REFUSED,
        (409, {"result": "stale", "fence": 2**52}),
        (503, {}),
        (400, {}),
        (200, {"result": "refused", "reason": "contradictory"}),
    ],
)
def test_an_orphan_that_is_not_let_go_is_told(service, scripted, answer):  # noqa: F811
    carrier = scripted()
    world = declared(service, carrier, breaker_failures=1000)
    rows = [(x, 1000 + n) for n, x in enumerate(world.numbers[CITY])]
    held = dict(rows)

    def answered(request):
        if request["op"] == "query":
            return page(sorted(held.items()))
        if request["x"] == rows[0][0]:
            return answer
        held.pop(request["x"], None)
        return OK

    carrier.answer = answered
    told = reconcile(service, check=False)
    assert told.returncode != 0, told.stdout
    assert "1 of 3 X numbers without a binding are still live" in told.stderr, told.stderr
    # One that is not let go keeps none of the others.
    assert held == dict(rows[:1])
    until(lambda: figure(service, "orphans") == 3)
    assert figure(service, "reconciled_timestamp_seconds") == 0
    answer = OK
    held.clear()
    done = json.loads(reconcile(service).stdout)
    assert (done["orphans"], done["released"]) == (0, 0)
    until(lambda: figure(service, "reconciled_timestamp_seconds") > 0)


def test_after_a_restore_nothing_is_bound_while_an_orphan_is_live(service, scripted, tmp_path):  # noqa: F811
    carrier = scripted()
    world = declared(service, carrier)
    orphan = world.numbers[CITY][0], 1001
    service.cli("backup", tmp_path / "backup")
    service.stop()
    key = str(service.data.with_name(f"{service.data.name}.key"))
    other = Maskline(tmp_path / "other", demo=False, env={"MASKLINE_MASTER_KEY_FILE": key})
    other.cli("restore", tmp_path / "backup")
    let_go = threading.Event()

    def answered(request):
        if request["op"] == "query":
            return page([] if let_go.is_set() else [orphan])
        return REFUSED if request["op"] == "unbind" and not let_go.is_set() else OK

    carrier.answer = answered
    other.start()
    try:
        api = world.moved_to(other).gateway()
        # A page with orphans is read twice: the third time is the second comparison, so the first one is over.
        until(lambda: len(carrier.asked("query")) > 2, 2 * WATCHDOG_S)
        assert api.bind_axn(A).code == "isp.VENDOR_UNAVAILABLE"
        let_go.set()
        until(lambda: api.bind_axn(A).code == "OK", 2 * WATCHDOG_S)
    finally:
        other.stop()


def test_a_binding_of_ours_on_another_x_is_let_go(service, scripted):  # noqa: F811
    carrier = scripted()
    world = declared(service, carrier)
    subs_id, x = bound(world.gateway().bind_axn(A))
    [elsewhere, *_] = [number for number in world.numbers[CITY] if number != x]
    held = {(x, subs_id), (elsewhere, subs_id)}

    def answered(request):
        if request["op"] == "query":
            return page(sorted(held))
        held.discard((request["x"], request["subs_id"]))
        return OK

    carrier.answer = answered
    done = json.loads(reconcile(service).stdout)
    assert (done["orphans"], done["released"], done["missing"]) == (1, 1, 0), done
    assert held == {(x, subs_id)}


def test_what_is_confirmed_behind_its_page_is_not_missing(service, scripted):  # noqa: F811
    carrier = scripted()
    world = declared(service, carrier, deadline_ms=60_000, request_timeout_ms=60_000)
    asked, is_read, goes_on = threading.Event(), threading.Event(), threading.Event()

    def answered(request):
        if request["op"] == "bind":
            asked.set()
            assert is_read.wait(WATCHDOG_S)
        elif request["op"] == "query" and request["after"] is None:
            # Read before the bind was carried out.
            return page([], "1")
        elif request["op"] == "query":
            is_read.set()
            assert goes_on.wait(WATCHDOG_S)
            return page([])
        return OK

    carrier.answer = answered
    with ThreadPoolExecutor() as pool:
        binding = pool.submit(world.gateway().bind_axn, A)
        assert asked.wait(WATCHDOG_S)
        comparing = pool.submit(reconcile, service, "--dry-run")
        bound(binding.result())
        goes_on.set()
        found = json.loads(comparing.result().stdout)
    assert (found["ours"], found["missing"]) == (0, 0), found
    # What was confirmed before is.
    carrier.answer = lambda request: page([]) if request["op"] == "query" else OK
    found = json.loads(reconcile(service, "--dry-run").stdout)
    assert (found["ours"], found["missing"]) == (1, 1), found


@pytest.mark.parametrize("rows_a_page", [0, 500])
def test_a_carrier_that_tells_without_end_is_not_listened_to(service, scripted, rows_a_page):  # noqa: F811
    pages, last = 0, 30_000 // max(rows_a_page, 1)

    def answered(request):
        nonlocal pages
        if request["op"] == "query":
            n = int(request["after"] or 0)
            pages = max(pages, n)
            rows = [(f"1700{n:07d}", 1 + at) for at in range(rows_a_page)]
            return page(rows, str(n + 1) if n < last else None)
        return OK

    carrier = scripted(answered)
    declared(service, carrier)
    told = reconcile(service, "--dry-run", check=False)
    assert told.returncode != 0, told.stdout[:400]
    assert "tells of more than" in told.stderr, told.stderr
    assert pages < last


def test_metrics_of_reconciliations_are_there_from_the_start_and_go_with_the_carrier(service, scripted):  # noqa: F811
    carrier = scripted()
    world = declared(service, carrier)
    until(lambda: figure(service, "reconciled_timestamp_seconds") == 0)
    assert (figure(service, "orphans"), figure(service, "missing")) == (0, 0)
    kept = [bound(world.gateway().bind_axn(A))]
    carrier.answer = lambda request: page([(world.numbers[CITY][0], 7)]) if request["op"] == "query" else OK
    dry = json.loads(reconcile(service, "--dry-run").stdout)
    assert (dry["orphans"], dry["missing"]) == (1, 1)
    # Nothing was mended, so nothing was reconciled. Figures are written once a second at most.
    kept.append(bound(world.gateway().bind_axn(B)))
    binds = f'maskline_carrier_requests_total{{carrier="{CARRIER}",operation="bind",answer="done"}}'
    until(lambda: figures(service).get(binds) == 2)
    assert [figure(service, name) for name in ("orphans", "missing", "reconciled_timestamp_seconds")] == [0, 0, 0]
    carrier.answer = lambda request: page([]) if request["op"] == "query" else OK
    began = int(time.time())
    reconcile(service)
    until(lambda: figure(service, "reconciled_timestamp_seconds") >= began)
    assert [figure(service, name) for name in ("orphans", "missing")] == [0, 2]

    for subs_id, x in kept:
        assert world.gateway().unbind(subs_id, x).code == "OK"
    until(lambda: world.bindings() == [])
    service.cli("pool", "set", world.pool, "--carrier", "")
    service.cli("carrier", "rm", CARRIER)
    until(lambda: figures(service) == {})


def test_a_carrier_that_is_asked_elsewhere_is_compared_at_once(service, scripted):  # noqa: F811
    asked, goes_on = threading.Event(), threading.Event()

    def answered(request):
        if request["op"] == "query":
            asked.set()
            assert goes_on.wait(WATCHDOG_S)
            return page([])
        return OK

    old, new = scripted(answered), scripted(lambda request: page([]) if request["op"] == "query" else OK)
    world = declared(service, old, request_timeout_ms=60_000, reconcile_every_s=0)
    subs_id, x = bound(world.gateway().bind_axn(A))
    with ThreadPoolExecutor() as pool:
        comparing = pool.submit(reconcile, service, check=False)
        assert asked.wait(WATCHDOG_S)
        Operator(service).apply(f'[[carrier]]\nname = "{CARRIER}"\nurl = "{new.url}"\n')
        goes_on.set()
        told = comparing.result()
    # What the old one held says nothing of the new one.
    assert told.returncode != 0 and "was changed" in told.stderr, (told.stdout, told.stderr)
    # Nobody asks for it: it is told what it lacks.
    until(lambda: [request["x"] for request in new.asked("update")] == [x], WATCHDOG_S)
    until(lambda: world.operator.binding(subs_id)["provision"]["phase"] == "confirmed")
    until(lambda: (figure(service, "missing"), figure(service, "orphans")) == (1, 0))
    assert bound(world.gateway().bind_axn(B))


def test_a_binding_of_ours_at_another_carrier_is_told_of_and_not_let_go(service, scripted):  # noqa: F811
    """Both may be one system: letting it go would end what the first has bound."""
    carrier, other = scripted(), scripted()
    Operator(service).carrier("telecom", other)
    world = declared(service, carrier)
    subs_id, x = bound(world.gateway().bind_axn(A))
    holding = lambda request: page([(x, subs_id)]) if request["op"] == "query" else OK  # noqa: E731
    other.answer = carrier.answer = holding
    done = json.loads(service.cli("carrier", "reconcile", "telecom", "--json").stdout)
    assert (done["elsewhere"], done["orphans"], done["ours"]) == (1, 0, 0), done
    assert f'"x":"{x}"' in json.dumps(done["elsewhere_bindings"], separators=(",", ":"))
    assert other.asked("unbind") == carrier.asked("unbind") == []
    done = json.loads(reconcile(service).stdout)
    assert (done["elsewhere"], done["orphans"], done["missing"], done["ours"]) == (0, 0, 0, 1), done
    assert world.operator.binding(subs_id)["provision"]["phase"] == "confirmed"


def test_a_binding_of_ours_that_is_held_on_another_x_alone_is_told_again(service, scripted):  # noqa: F811
    carrier = scripted()
    world = declared(service, carrier)
    subs_id, x = bound(world.gateway().bind_axn(A))
    [elsewhere, *_] = [number for number in world.numbers[CITY] if number != x]
    held = {(elsewhere, subs_id)}

    def answered(request):
        if request["op"] == "query":
            return page(sorted(held))
        place = request["x"], request["subs_id"]
        held.discard(place) if request["op"] == "unbind" else held.add(place)
        return OK

    carrier.answer = answered
    done = json.loads(reconcile(service).stdout)
    assert (done["orphans"], done["released"], done["missing"]) == (1, 1, 1), done
    until(lambda: held == {(x, subs_id)})
