"""The customers' interface without plain HTTP."""

import pytest

from support.gateway import bound
from support.process import Maskline, NotReady


def test_plain_http_can_be_switched_off(tmp_path):
    service = Maskline(tmp_path / "data", args=["--api", "off"]).start()
    try:
        assert service.ready["api"] is None
        bound(service.gateway("https").bind_axn())
        assert service.cli("status", check=False).returncode == 0
    finally:
        service.stop()


def test_with_neither_there_is_no_start(tmp_path):
    service = Maskline(tmp_path / "data", demo=False, args=["--api", "off"])

    with pytest.raises(NotReady) as told:
        service.start()

    assert "ended with 2" in str(told.value)
    assert "--api: api.listen: plain HTTP is off" in str(told.value)
