"""What the Makefile and its scripts run by `python3` is run by the machine's own, which has no packages."""

import re
import subprocess
import sys

import pytest

from support.process import REPOSITORY

BY_PYTHON3 = re.compile(r"\bpython3 (tests/[\w/]+\.py)")
NAMED_IN = ["Makefile", *(str(script.relative_to(REPOSITORY)) for script in (REPOSITORY / "scripts").iterdir())]
PROGRAMS = sorted({program for name in NAMED_IN for program in BY_PYTHON3.findall((REPOSITORY / name).read_text())})


@pytest.mark.offline
def test_there_are_such_programs():
    assert {"tests/bench/calls.py", "tests/campaigns/calls.py", "tests/campaigns/kill9.py"} <= set(PROGRAMS)


@pytest.mark.offline
@pytest.mark.parametrize("program", PROGRAMS)
def test_it_starts_without_any_package(program):
    # -S: without site-packages, as on a machine on which nothing is installed.
    command = [sys.executable, "-S", str(REPOSITORY / program), "--help"]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout
