"""A short run of the campaign of two carriers; `make campaign` runs the long one."""

import subprocess
import sys

import pytest

from support.process import REPOSITORY


@pytest.mark.timeout(400)
def test_no_x_goes_out_over_another_carrier_while_its_own_is_up_or_down():
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "tests/campaigns/carriers.py"),
         "--calls", "200", "--rounds", "4", "--transport", "tcp"],
        capture_output=True,
        text=True,
        timeout=380,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    # Without it they go astray, and the carrier sees it.
    assert "of 10 calls went astray and were refused" in done.stdout
    assert "PASSED: 200 calls, 0 sent wrongly" in done.stdout
