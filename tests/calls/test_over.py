"""Calls under bindings that are over. They lived a minute, while the tests before these ran."""

import pytest

from calls.matrix import CELLS


@pytest.fixture(scope="module")
def aged(matrix):
    matrix.dial_expired()
    return matrix


@pytest.mark.parametrize("name", [str(cell) for cell in CELLS if cell.over == "expired"])
def test_the_call_is_refused(aged, name):
    aged.check(name)
