"""The matrix of calls, and a place for the traces of a scene."""

import pytest

from calls.exchange import place
from calls.matrix import Matrix, put_words
from support.process import Maskline


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
