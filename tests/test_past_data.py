"""Data directories that older programs wrote: they open, tell what they told, and go on."""

import json
import tarfile
import time

import pytest

from carriers.simulated import SimulatedCarrier
from past.clear import found_in
from past.told import comparable, told_of
from support.admin import admin
from support.gateway import bound
from support.process import REPOSITORY, Maskline

PAST = REPOSITORY / "tests" / "past"
# Made before there were carriers and canaries.
FIRST = "form-1.tar.xz"
ALL = sorted(path.name for path in PAST.glob("*.tar.xz"))
LATER = [name for name in ALL if name != FIRST]


@pytest.fixture(params=ALL)
def past(request, tmp_path):
    """A service over a copy of such a directory, not yet started, and what the older program told of it."""
    with tarfile.open(PAST / request.param) as packed:
        packed.extractall(tmp_path, filter="data")
    # However long ago it was made, its journal is there.
    service = Maskline(tmp_path / "data", demo=False, env={"MASKLINE_JOURNAL_RETENTION_DAYS": "36500"})
    yield service, json.loads((tmp_path / "told.json").read_text())
    service.stop()


def test_directory_of_an_older_program_tells_the_same_and_goes_on(past):
    service, told = past
    assert service.cli("check").returncode == 0

    service.start()
    assert comparable(told_of(service), told) == comparable(told)
    assert admin(service, "/v1/imports/half-of-it") == (200, '{"rows":7}')

    kept = bound(service.gateway().bind_axn(a="13900000070", OutId="of today"))
    gone = bound(service.gateway().bind_axn(a="13900000071"))
    assert service.gateway().unbind(*gone).code == "OK"
    old = next(one for one in told["every binding"] if one["out_id"] == "last-0")
    service.cli("binding", "unbind", old["subs_id"])
    after = told_of(service)

    service.restart()
    assert comparable(told_of(service), after) == comparable(after)
    known = {one["subs_id"] for one in after["bindings"]["items"]}
    assert kept[0] in known and not {gone[0], old["subs_id"]} & known
    service.terminate()
    assert service.cli("check").returncode == 0


def test_person_of_an_older_directory_is_erased_from_both_forms(past):
    service, told = past
    ended = next(one for one in told["every binding"] if one["b"] and one["ring_config"])
    person, other = ended["a"], ended["b"]
    assert found_in(service.data, [{"what": "person", "text": person}])
    service.start()
    service.cli("binding", "unbind", ended["subs_id"])
    renewed = bound(service.gateway().bind_axn(a=person, OutId="for the person of today"))
    assert service.gateway().unbind(*renewed).code == "OK"

    erased = json.loads(service.cli("erase", person, "--yes", "--json").stdout)
    assert erased["bindings"] >= 2
    rows = {one["subs_id"]: one for one in everybody(service)}
    for subs_id in (ended["subs_id"], renewed[0]):
        assert rows[subs_id]["erased"] is True
        assert person not in json.dumps(rows[subs_id])
    assert rows[ended["subs_id"]]["b"] == other, "who shared the binding is kept"
    before = told_of(service)

    service.restart()
    assert comparable(told_of(service), before) == comparable(before)
    service.terminate()
    assert service.cli("check").returncode == 0
    gone = [{"what": text, "text": text} for text in (person, "for the person of today")]
    # In form 1 of the journal texts stand where nothing can be blanked.
    gone += [one for one in told.get("canaries", {}).get("clear", []) if is_of_the_person(one, ended)]
    assert found_in(service.data, gone) == []


@pytest.mark.parametrize("past", LATER, indirect=True)
def test_carrier_of_an_older_directory_is_told_what_it_is_owed(past, tmp_path):
    """By requests that are signed with the secret that was sealed then."""
    service, told = past
    carrier = SimulatedCarrier(tmp_path, "unicom").start()
    try:
        service.start()
        service.cli("carrier", "set", "unicom", "--url", carrier.url)
        provisioned = [one for one in told["every binding"] if one["provision"]]
        # Nobody was told of what was only asked for; what was to be changed stands as it was.
        kept = {
            (one["x"], one["subs_id"]): one["a"]
            for one in provisioned
            if one["provision"]["phase"] not in ("reserved", "releasing")
        }
        assert len(kept) == 4 and len(provisioned) == 7
        deadline = time.monotonic() + 100
        while phases(service) != ["confirmed"] * len(kept) or set(carrier.held()) != set(kept):
            assert time.monotonic() < deadline, (phases(service), carrier.held())
            time.sleep(0.2)
        assert {held: one["terms"]["a"] for held, one in carrier.held().items()} == kept
        assert carrier.seen()[1] == []
    finally:
        carrier.close()


@pytest.mark.parametrize("past", LATER, indirect=True)
def test_canaries_of_an_older_directory_stand_in_clear_until_it_is_opened(past):
    """Where a later program seals what an older one wrote, this is what shows that the search would find it."""
    service, told = past
    clear, erased = told["canaries"]["clear"], told["canaries"]["erased"]
    assert len(clear) > 50 and found_in(service.data, clear) == [one["what"] for one in clear]
    assert len(erased) > 2 and found_in(service.data, erased) == []


def phases(service):
    listed = json.loads(service.cli("binding", "ls", "--pool", "FC904", "--json").stdout)["items"]
    shown = [service.cli("binding", "show", one["subs_id"], "--json", check=False) for one in listed]
    known = [json.loads(one.stdout).get("provision") for one in shown if one.returncode == 0]
    return [provision["phase"] for provision in known if provision]


def is_of_the_person(canary, binding):
    return canary["text"] in json.dumps({**binding, "b": None})


def everybody(service):
    listed = service.cli("binding", "ls", "--ended", "--limit", "10000", "--json", "--reveal")
    return json.loads(listed.stdout)["items"]
