"""A short run of the kill -9 campaign; `make campaign` runs the long one."""

import subprocess
import sys

import pytest

from support.process import REPOSITORY

KILLS = 15


@pytest.mark.timeout(300)
def test_nothing_acknowledged_is_lost_and_no_slot_is_doubled():
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "tests/campaigns/kill9.py"), "--kills", str(KILLS)],
        capture_output=True,
        text=True,
        timeout=280,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"PASSED: {KILLS} kills" in done.stdout
