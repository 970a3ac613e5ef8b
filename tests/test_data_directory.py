"""Who may look into the data directory."""

import subprocess

import pytest

from support.process import Maskline, NotReady


def mode(path):
    return path.stat().st_mode & 0o7777


def test_directory_that_was_there_is_narrowed_at_each_start(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o755)
    service = Maskline(data).start()
    try:
        assert mode(data) == 0o700
        service.terminate()
        data.chmod(0o755)
        service.start()
        assert mode(data) == 0o700
    finally:
        service.stop()


def test_directory_of_others_files_is_refused_with_the_command_that_mends_it(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "notes.txt").write_text("mine")
    data.chmod(0o755)
    service = Maskline(data)

    with pytest.raises(NotReady) as told:
        service.start()

    assert mode(data) == 0o755 and [path.name for path in data.iterdir()] == ["notes.txt"]
    _, command = str(told.value).split("run: ")
    assert command.strip() == f"chmod 700 {data}"
    subprocess.run(command, shell=True, check=True)
    service.start()
    service.stop()
