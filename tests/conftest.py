"""Fixtures: a service of one's own for tests that break things, a shared one for those that do not."""

import os
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

# Their assertions speak as those of the tests do. Said here, so that campaigns and benchmarks, which use some of
# them, need no pytest.
pytest.register_assert_rewrite("calls.exchange", "calls.hearing", "calls.matrix", "calls.phone", "calls.sipp")

from calls.exchange import Exchange  # noqa: E402
from calls.network import Network  # noqa: E402
from support.process import Maskline, binary  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "offline: needs no maskline binary")
    config.addinivalue_line("markers", "expiring: needs what has expired meanwhile, so it comes after the others of its folder")


def pytest_report_header(config):
    return f"maskline: {binary()}"


@pytest.fixture
def maskline(tmp_path):
    """A demo service with its own data directory, killed and started at will."""
    service = Maskline(tmp_path / "data")
    yield service.start()
    service.stop()


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """One demo service for all tests that leave it as they found it, but for their own bindings."""
    service = Maskline(tmp_path_factory.mktemp("shared") / "data")
    yield service.start()
    service.stop()


@pytest.fixture(scope="module")
def exchange(tmp_path_factory):
    """A service for all calls of a module that leave it as they found it; tests that kill it have their own."""
    service = Maskline(tmp_path_factory.mktemp("exchange") / "data")
    yield Exchange(service.start())
    service.stop()


@pytest.fixture
def place():
    """Takes phones, names and the like, closes each at the end, and gives it back."""
    with ExitStack() as stack:
        yield lambda thing: stack.enter_context(closing(thing))


@pytest.fixture
def api(shared):
    """The shared service's customer API, on the AXN demo pool."""
    return shared.gateway()


@pytest.fixture
def network():
    """Hosts of the test's own; the test is skipped where there can be none."""
    with Network() as network:
        yield network


@pytest.fixture
def open_path():
    """A directory that every user may enter. That of pytest is for one alone, whenever it starts."""
    with tempfile.TemporaryDirectory() as path:
        os.chmod(path, 0o755)
        yield Path(path)
