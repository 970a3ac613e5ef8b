"""A short run of the campaign with a carrier; `make campaign` runs the long one."""

import subprocess
import sys

import pytest

from support.process import REPOSITORY

OPERATIONS, KILLS = 300, 3


# Some bindings are to end by themselves, which none can before a minute is over.
@pytest.mark.timeout(600)
def test_customers_and_carrier_agree_after_kills_of_both(tmp_path):
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "tests/campaigns/provisioning.py"), "--operations", str(OPERATIONS),
         "--kills", str(KILLS), "--customers", "12", "--short-share", "0.2", "--keep", str(tmp_path / "kept")],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=580,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert "provisioning: PASSED" in done.stdout
