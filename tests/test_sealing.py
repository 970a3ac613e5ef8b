"""Sealed at rest: numbers and customers' texts in journal and snapshots, without the key worth nothing."""

import json
import re
import shutil
import sqlite3
import subprocess
from contextlib import closing

import pytest

from support.gateway import bound
from support.operator import Operator
from support.process import Maskline, NotReady

UNSEALED = {"MASKLINE_TEST_UNSEALED": "1"}
# So that snapshots are made while a test looks.
OFTEN = {"MASKLINE_JOURNAL_SNAPSHOT_EVERY_BATCHES": "1"}
A, B, OUT_ID = "13987650001", "15887650002", "canary-out-id-of-li-lei"
OTHER_A = "13687650003"
CANARIES = (A, B, OTHER_A, OUT_ID)
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


def forms(canary):
    """A canary as it may stand in a file: text, and a number as the integer that snapshots keep, a 1 before it."""
    found = [canary.encode()]
    if canary.isdigit():
        found.append(int("1" + canary).to_bytes(8, "big"))
    return found


def opened(blob):
    """A value and what its compressed frames hold."""
    yield blob
    for match in re.finditer(re.escape(ZSTD_MAGIC), blob):
        done = subprocess.run(["zstd", "-dcq"], input=blob[match.start() :], capture_output=True)
        yield done.stdout


def found_in(data, table):
    """Which canaries the rows of a table hold."""
    with closing(sqlite3.connect(f"file:{data}/maskline.db?mode=ro", uri=True)) as database:
        rows = database.execute(f"SELECT * FROM {table}").fetchall()
    assert rows, table
    texts = [text for row in rows for value in row if isinstance(value, bytes) for text in opened(value)]
    return {canary for canary in CANARIES if any(form in text for form in forms(canary) for text in texts)}


def lived(service):
    """Binds, changes and unbinds; gives the binding that was changed."""
    world = Operator(service).world(numbers={"北京": 6})
    api = world.gateway()
    changed, x = bound(api.bind_axn(A, PhoneNoB=B, OutId=OUT_ID))
    answer = api.call(
        "UpdateSubscription", SubsId=changed, PhoneNoX=x, OperateType="updateNoA", PhoneNoA=OTHER_A
    )
    assert answer.code == "OK", str(answer)
    ended = bound(api.bind_axn(A, OutId=OUT_ID))
    assert api.unbind(*ended).code == "OK"
    # So that each of them is in the state, too.
    bound(api.bind_axn(B, PhoneNoB=A, OutId=OUT_ID))
    return api, changed


def await_snapshot(service, api):
    """The next command makes a snapshot due, and it is written within some seconds."""
    position = service.log_path.stat().st_size
    bound(api.bind_axn("13511112222"))
    service.await_log("snapshot written", after=position)


@pytest.fixture(params=[None, UNSEALED], ids=["sealed", "control"])
def life(request, tmp_path):
    """A service with things in its journal and snapshots; sealed, or not so as to see that the search finds them."""
    service = Maskline(tmp_path / "data", demo=False, env={**OFTEN, **(request.param or {})}).start()
    yield service, request.param is None
    service.stop()


@pytest.mark.skipif(shutil.which("zstd") is None, reason="compressed values cannot be looked into")
def test_no_number_and_no_text_lies_in_journal_and_snapshots(life):
    service, is_sealed = life
    api, changed = lived(service)
    # The first may be one that was begun before.
    await_snapshot(service, api)
    await_snapshot(service, api)

    expected = set() if is_sealed else set(CANARIES)
    assert found_in(service.data, "journal") == expected
    assert found_in(service.data, "snapshot") == expected
    status = json.loads(service.cli("seal", "status", "--json").stdout)
    told = {row["form"] for kind in ("journal", "snapshots") for row in status[kind]}
    assert told - {"without persons"} == {"sealed" if is_sealed else "clear"}

    for end in (service.kill, service.terminate):
        end()
        assert json.loads(service.cli("check", "--json").stdout)["state_checked"]
        service.start()
        shown = json.loads(service.cli("binding", "show", changed, "--json", "--reveal").stdout)
        assert (shown["a"], shown["b"], shown["out_id"]) == (OTHER_A, B, OUT_ID)
        assert A in service.cli("journal", "show", "--limit", "100", "--reveal").stdout
        assert A not in service.cli("journal", "show", "--limit", "100").stdout


def test_status_tells_what_is_sealed_with_and_without_a_service(maskline):
    bound(maskline.gateway().bind_axn())
    told = json.loads(maskline.cli("seal", "status", "--json").stdout)
    keys = {key["kind"]: key for key in told["keys"]}
    assert told["sealed"] and told["key"] == keys["values"]["id"] != keys["index"]["id"]
    assert 0 < keys["values"]["uses_reserved"] < told["uses_max"]
    (sealed,) = (row for row in told["journal"] if row["form"] == "sealed")
    assert sealed["key"] == told["key"] and sealed["rows"] >= 1
    assert not [row for row in told["journal"] if row["form"] == "clear"]
    text = maskline.cli("seal", "status").stdout
    assert f"sealed under data key {told['key']}" in text and "NOT SEALED" not in text
    maskline.kill()
    apart = json.loads(maskline.cli("seal", "status", "--json").stdout)
    assert apart["keys"] == told["keys"]


def test_wrong_and_missing_master_key_serve_nothing(tmp_path):
    service = Maskline(tmp_path / "data", demo=False).start()
    lived(service)
    service.terminate()
    key = tmp_path / "data.key"
    right = key.read_text()
    for wrong, told in ((f"{'01' * 32}\n", "is not that of the data"), (None, "is missing")):
        key.unlink() if wrong is None else key.write_text(wrong)
        with pytest.raises(NotReady) as refused:
            service.start()
        assert told in str(refused.value)
        shown = service.cli("journal", "show", check=False)
        assert shown.returncode == 1 and "master key" in shown.stderr
        checked = service.cli("check", check=False)
        assert "NOT CHECKED: state" in checked.stdout
        # A key that is not here is none that is wrong.
        assert checked.returncode == (0 if wrong is None else 1)
    key.write_text(right)
    key.chmod(0o600)
    service.start()
    assert service.terminate() == 0


def test_key_of_data_that_is_lost_alone_is_told_by_its_number(tmp_path):
    service = Maskline(tmp_path / "data", demo=False).start()
    lived(service)
    service.terminate()
    with closing(sqlite3.connect(service.data / "maskline.db", isolation_level=None)) as database:
        database.execute("UPDATE data_key SET sealed = substr(sealed, 1, 40) WHERE kind = 'values'")
    with pytest.raises(NotReady) as refused:
        service.start()
    assert "data key 1" in str(refused.value)


@pytest.mark.parametrize("how", ["swapped", "cut", "of another key"])
def test_columns_that_were_tampered_with_are_refused(tmp_path, how):
    service = Maskline(tmp_path / "data", demo=False).start()
    lived(service)
    service.terminate()
    with closing(sqlite3.connect(service.data / "maskline.db", isolation_level=None)) as database:
        rows = database.execute("SELECT seq, personal FROM journal WHERE hex(substr(personal, 1, 1)) = '03'").fetchall()
        (one, first), (other, second) = rows[-2:]
        changes = {
            "swapped": [(one, second), (other, first)],
            "cut": [(other, second[:-3])],
            "of another key": [(other, second[:1] + b"\0\0\0\x09" + second[5:])],
        }[how]
        for seq, personal in changes:
            database.execute("UPDATE journal SET personal = ? WHERE seq = ?", (personal, seq))

    checked = service.cli("check", check=False)
    assert checked.returncode == 1 and re.search(r"PROBLEM: batch \d+: personal values .*data key", checked.stdout)
    with pytest.raises(NotReady) as refused:
        service.start()
    assert "personal values" in str(refused.value) and "data key" in str(refused.value)


def test_rotation_leaves_the_old_master_key_without_use(tmp_path):
    service = Maskline(tmp_path / "data", demo=False).start()
    _, changed = lived(service)
    service.terminate()
    key = tmp_path / "data.key"
    old, new = key.read_text(), f"{'ab' * 32}\n"
    key.write_text(new + old)
    service.start()
    assert "2 data key(s) sealed anew" in service.cli("key", "reseal").stdout
    assert "0 data key(s) sealed anew" in service.cli("key", "reseal").stdout
    service.terminate()
    key.write_text(new)
    service.start()
    shown = json.loads(service.cli("binding", "show", changed, "--json", "--reveal").stdout)
    assert shown["a"] == OTHER_A
    service.terminate()


def test_restore_wants_the_master_key_before_it_writes(tmp_path):
    service = Maskline(tmp_path / "data", demo=False).start()
    _, changed = lived(service)
    copy = tmp_path / "copy"
    assert "master key" in service.cli("backup", copy).stdout
    service.terminate()
    manifest = json.loads((copy / "backup.json").read_text())
    status = json.loads(service.cli("seal", "status", "--json").stdout)
    assert manifest["data_keys"] == [key["id"] for key in status["keys"]]
    assert manifest["master_keys"] == [status["keys"][0]["master_key"]]

    restored = Maskline(tmp_path / "restored", demo=False)
    place = tmp_path / "restored.key"
    for wrong in (None, f"{'01' * 32}\n"):
        if wrong:
            place.write_text(wrong)
            place.chmod(0o600)
        refused = restored.cli("restore", copy, check=False)
        assert refused.returncode == 1 and manifest["master_keys"][0] in refused.stderr, refused.stderr
        assert not restored.data.exists()
    shutil.copy(tmp_path / "data.key", place)
    restored.cli("restore", copy)
    restored.start()
    shown = json.loads(restored.cli("binding", "show", changed, "--json", "--reveal").stdout)
    assert (shown["a"], shown["b"], shown["out_id"]) == (OTHER_A, B, OUT_ID)
    restored.terminate()
    assert restored.cli("check").returncode == 0
