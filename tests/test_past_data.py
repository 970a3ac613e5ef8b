"""Data directories that older programs wrote: they open, tell what they told, and go on."""

import json
import tarfile

import pytest

from abuse.ownership import admin
from past.told import told_of
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


def comparable(told):
    """Without what older programs did not say: an order of numbers and of bindings in force, where a list goes on.
    And without what passes: the year for which a number rests."""
    told["numbers"]["items"].sort(key=lambda number: number["x"])
    for bindings in (told["bindings"]["items"], told["every binding"]):
        bindings.sort(key=lambda binding: binding["subs_id"])
    for name in ("numbers", "bindings", "ended bindings", "calls"):
        assert told[name].pop("next", None) is None, f"{name} were told whole"
    for number in told["numbers"]["items"]:
        if number["status"] == "frozen":
            number["status"] = "free"
    return told
