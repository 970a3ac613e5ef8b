"""Each service of the tests has media ports of its own, in one run and in several beside each other."""

import subprocess
import sys

import pytest

from support.process import MediaPorts

pytestmark = pytest.mark.offline

OTHER_RUN = "from support.process import MediaPorts; ports = MediaPorts(); ports.take(); print(ports.range.start); input()"


def test_no_two_services_have_a_port_in_common():
    services = [MediaPorts() for _ in range(4)]
    told = [service.take()["MASKLINE_RTP_PORTS"] for service in services]
    assert len(set(told)) == len(told)
    [first, *_] = services
    assert first.take()["MASKLINE_RTP_PORTS"] == told[0], "it keeps its own while it lasts"
    with subprocess.Popen(
        [sys.executable, "-c", OTHER_RUN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"PYTHONPATH": "tests"}
    ) as other:
        theirs = int(other.stdout.readline())
        assert theirs not in [service.range.start for service in services]
        other.communicate(b"\n")
    for service in services:
        service.give_back()


def test_where_all_ranges_are_held_a_service_has_the_usual_one(monkeypatch):
    monkeypatch.setattr(MediaPorts, "RANGES", MediaPorts.RANGES[:0])
    assert MediaPorts().take() == {}
