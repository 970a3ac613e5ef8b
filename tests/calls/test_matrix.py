"""Who dials X, and what becomes of it: each cell of the matrix by a real caller."""

import pytest

from calls.exchange import CALLER_HOST
from calls.matrix import CELLS
from calls.script import is_refused
from calls.sipp import Sipp


@pytest.mark.parametrize("name", [str(cell) for cell in CELLS if cell.over != "expired"])
def test_the_call_goes_as_it_must(matrix, name):
    matrix.check(name)


def test_a_number_that_is_not_ours_is_refused_and_not_recorded(matrix, scene):
    strange = "17000009999"
    with Sipp(
        scene, "caller", is_refused(404), CALLER_HOST, remote=matrix.exchange.sip, service=strange,
        caller="13700000000",
    ) as caller:
        caller.wait()
    assert matrix.exchange.records(strange) == []


@pytest.fixture(scope="module")
def aged(matrix):
    matrix.dial_expired()
    return matrix


@pytest.mark.expiring
@pytest.mark.parametrize("name", [str(cell) for cell in CELLS if cell.over == "expired"])
def test_a_call_under_an_expired_binding_is_refused(aged, name):
    aged.check(name)
