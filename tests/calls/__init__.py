"""Calls between real peers: sipp, baresip softphones and Kamailio, each on an address of its own."""

import pytest

# Their assertions speak as those of the tests do.
pytest.register_assert_rewrite("calls.matrix", "calls.phone", "calls.sipp", "calls.exchange")
