"""The matrix of calls, and a place for the traces of a scene."""

from pathlib import Path

import pytest

from calls.exchange import place
from calls.matrix import Matrix, put_words
from support.process import Maskline


def pytest_collection_modifyitems(items):
    """What must have expired gets old while the other tests of calls run, so it comes after them."""
    late = [item for item in items if item.get_closest_marker("expiring")]
    others = [item for item in items if item not in late]
    ours = [place for place, item in enumerate(others) if item.path.parent == Path(__file__).parent]
    end = ours[-1] + 1 if ours else 0
    items[:] = others[:end] + late + others[end:]


@pytest.fixture
def scene(tmp_path):
    """A directory for the traces of one scene."""
    return place(tmp_path)


@pytest.fixture(scope="session")
def matrix(tmp_path_factory):
    """The matrix of calls, under way. It lives until the bindings in it that have to get old are."""
    home = tmp_path_factory.mktemp("matrix")
    put_words(home / "words")
    settings = home / "settings.toml"
    settings.write_text(f'[prompts]\nlanguages = ["chinese"]\ndirectory = "{home}/words"\n')
    service = Maskline(home / "data", args=["--config", str(settings)]).start()
    try:
        matrix = Matrix(service, place(home))
        yield matrix
        matrix.carrier.stop()
    finally:
        service.stop()
