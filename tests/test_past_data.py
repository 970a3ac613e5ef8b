"""Data directories that older programs wrote: they open, tell what they told, and go on."""

import json
import tarfile

import pytest

from abuse.ownership import admin
from past.told import comparable, told_of
from support.gateway import bound
from support.process import REPOSITORY, Maskline

PAST = REPOSITORY / "tests" / "past"


@pytest.fixture(params=sorted(path.name for path in PAST.glob("*.tar.xz")))
def past(request, tmp_path):
    """A service over a copy of such a directory, not yet started, and what the older program told of it."""
    with tarfile.open(PAST / request.param) as packed:
        packed.extractall(tmp_path, filter="data")
    service = Maskline(tmp_path / "data", demo=False)
    yield service, json.loads((tmp_path / "told.json").read_text())
    service.stop()


def test_directory_of_an_older_program_tells_the_same_and_goes_on(past):
    service, told = past
    assert service.cli("check").returncode == 0

    service.start()
    assert comparable(told_of(service)) == comparable(told)
    assert admin(service, "/v1/imports/half-of-it") == (200, '{"rows":7}')

    kept = bound(service.gateway().bind_axn(a="13900000070", OutId="of today"))
    gone = bound(service.gateway().bind_axn(a="13900000071"))
    assert service.gateway().unbind(*gone).code == "OK"
    old = next(one for one in told["every binding"] if one["out_id"] == "last-0")
    service.cli("binding", "unbind", old["subs_id"])
    after = told_of(service)

    service.restart()
    assert comparable(told_of(service)) == comparable(after)
    known = {one["subs_id"] for one in after["bindings"]["items"]}
    assert kept[0] in known and not {gone[0], old["subs_id"]} & known
    service.terminate()
    assert service.cli("check").returncode == 0


def test_person_of_an_older_directory_is_erased_from_both_forms(past):
    service, told = past
    service.start()
    ended = next(one for one in told["every binding"] if one["b"])
    person, other = ended["a"], ended["b"]
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
    assert comparable(told_of(service)) == comparable(before)
    service.terminate()
    assert service.cli("check").returncode == 0
    for file in service.data.glob("maskline.db*"):
        assert b"for the person of today" not in file.read_bytes()


def everybody(service):
    listed = service.cli("binding", "ls", "--ended", "--limit", "10000", "--json", "--reveal")
    return json.loads(listed.stdout)["items"]
