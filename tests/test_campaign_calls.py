"""A short run of the calls campaign; `make campaign` runs the long one."""

import subprocess
import sys

import pytest

from support.process import REPOSITORY


@pytest.mark.timeout(300)
def test_calls_leave_nothing_behind_and_none_is_led_astray():
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "tests/campaigns/calls.py"),
         "--sequence", "300", "--at-once", "100", "--lines", "100", "--settle", "5"],
        capture_output=True,
        text=True,
        timeout=280,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASSED: 720 of 720 calls arrived, 0 wrong routes" in done.stdout
