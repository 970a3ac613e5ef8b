"""The whole of it, once: bind through the API, dial X, talk, hang up, and find the call after a kill."""

import sqlite3

import pytest
from calls.addresses import free_port
from sip.first_call import CALLEE_HOST, CALLER_HOST, run_first_call
from support.gateway import bound

N = "13811112222"
A = "13933334444"


def trunk(name, peer):
    return f'[[trunk]]\nname = "{name}"\npeer = "{peer}"\n'


def call_records(service):
    with sqlite3.connect(f"file:{service.data}/maskline.db?mode=ro", uri=True) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute("SELECT * FROM call_record")]


@pytest.mark.parametrize("hung_up_by", ["caller", "callee"])
def test_a_bound_number_is_called_and_the_call_is_on_record(maskline, tmp_path, hung_up_by):
    callee_port = free_port(CALLEE_HOST)
    document = tmp_path / "trunks.toml"
    # The first trunk by name is dialled; calls come from any of them.
    document.write_text(
        trunk("a-callee", f"{CALLEE_HOST}:{callee_port}") + trunk("b-caller", f"{CALLER_HOST}:5060")
    )
    maskline.cli("apply", document)
    _, x = bound(maskline.gateway().bind_axn(A))
    place = tmp_path / "traces"
    place.mkdir()
    run_first_call(maskline.ready["sip"], x, N, A, place, callee_port, hung_up_by)
    maskline.await_log("a call has ended")
    maskline.restart()
    records = call_records(maskline)
    assert len(records) == 1
    record = records[0]
    assert record["state"] == "closed"
    assert (record["x"], record["caller"], record["callee"]) == (x, N, A)
    assert (record["situation"], record["release_by"]) == ("hung_up", hung_up_by)
    assert (record["trunk_in"], record["trunk_out"]) == ("b-caller", "a-callee")
    assert record["one_way"] == 0
    log = maskline.log_path.read_text(errors="replace")
    assert N not in log and A not in log
