"""From the starting document to a voice: its program binds, a stranger dials X, two people talk, and
after a kill the call is on record once.

The call itself, and what each side may hear and see of it, is in sip/first_call.py.
"""

import json

import pytest
from calls.addresses import free_port
from sip.first_call import CALLEE_HOST, CALLER_HOST, run_first_call

from support.operator import Operator
from support.seed import run_program

N = "13811112222"
A = "15905712037"


@pytest.fixture
def trunks(maskline):
    """The carrier that calls come from, and the one that leads to A; the first by name is dialled."""
    port = free_port(CALLEE_HOST)
    Operator(maskline).apply(
        f"""
        [[trunk]]
        name = "a-callee"
        peer = "{CALLEE_HOST}:{port}"
        [[trunk]]
        name = "b-caller"
        peer = "{CALLER_HOST}:5060"
        """
    )
    return port


def test_program_binds_x_is_dialled_a_talks_and_one_row_remains(maskline, trunks, tmp_path):
    answer = run_program(maskline)
    assert answer["Code"] == "OK", answer
    dto = answer["SecretBindDTO"]
    traces = tmp_path / "traces"
    traces.mkdir()

    run_first_call(maskline.ready["sip"], dto["SecretNo"], N, A, traces, trunks)
    maskline.await_log("a call has ended")
    maskline.restart()

    [record] = calls(maskline)
    assert record["state"] == "closed"
    assert (record["x"], record["caller"], record["callee"]) == (dto["SecretNo"], N, A)
    assert record["talked_s"] >= 1


def calls(service):
    answer = json.loads(service.cli("call", "ls", "--json", "--reveal").stdout)
    return answer["items"] if isinstance(answer, dict) else answer
