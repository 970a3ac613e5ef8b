"""A short run of the kill -9 campaign; `make campaign` runs the long one."""

import subprocess
import sys

import pytest

from support.process import REPOSITORY

# How often each is killed: a service whose data are of today, and one that began with those of an older program.
CAMPAIGNS = {"of today": (15, []), "begun by form 1": (8, ["--past", "tests/past/form-1.tar.xz"])}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_nothing_acknowledged_is_lost_and_no_slot_is_doubled(campaign):
    kills, options = CAMPAIGNS[campaign]
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "tests/campaigns/kill9.py"), "--kills", str(kills), *options],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=280,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"PASSED: {kills} kills" in done.stdout
