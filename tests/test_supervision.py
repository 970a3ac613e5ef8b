"""The packaged unit, by a small supervisor that reads it: what ends for good, what is tried again."""

import re
import signal
import socket

import pytest

from calls.network import Network, ip
from support.process import REPOSITORY
from support.supervisor import Supervisor, unit

ANY = "127.0.0.1:0"
SURROUNDINGS = 75


def ports(*but):
    """Free ports for every listener that is not among `but`."""
    listeners = [listener for listener in ("--api", "--admin", "--sip") if listener not in but]
    return [word for listener in listeners for word in (listener, ANY)]


def test_address_that_comes_late_is_served_without_anybody_s_help(tmp_path):
    with Network() as network:
        host = network.host("server", "10.79.0.1")
        with host, Supervisor(
            "--data", tmp_path / "data", *ports("--sip"), "--sip", "10.79.0.9:5060"
        ) as service:
            for _ in range(2):
                service.await_event("ended", SURROUNDINGS)
            assert "cannot" in service.log() and "10.79.0.9" in service.log()
            ip("-n", host.namespace, "addr", "add", "10.79.0.9/24", "dev", "up0")
            service.await_event("told", "READY=1")
            assert service.process.poll() is None


def test_port_that_is_taken_is_waited_for(tmp_path):
    holder = socket.create_server(("127.0.0.1", 0))
    taken = f"127.0.0.1:{holder.getsockname()[1]}"
    with Supervisor("--data", tmp_path / "data", *ports("--api"), "--api", taken) as service:
        service.await_event("ended", SURROUNDINGS)
        holder.close()
        service.await_event("told", "READY=1")


def test_mistake_in_the_settings_is_not_tried_again(tmp_path):
    settings = tmp_path / "maskline.toml"
    settings.write_text('[api]\nlisten = "8080"\n')
    with Supervisor("--data", tmp_path / "data", "--config", settings) as service:
        service.await_event("given up", 2)
        assert "maskline.toml:2: api.listen" in service.log()


def test_process_that_is_killed_comes_back(tmp_path):
    with Supervisor("--data", tmp_path / "data", *ports()) as service:
        service.await_event("told", "READY=1")
        service.process.send_signal(signal.SIGKILL)
        service.await_event("ended", -signal.SIGKILL)
        service.await_event("told", "READY=1")


def test_process_that_hangs_is_ended_by_the_watchdog_and_comes_back(tmp_path):
    with Supervisor("--data", tmp_path / "data", *ports(), watchdog_s=8) as service:
        service.await_event("told", "READY=1")
        service.await_event("told", "WATCHDOG=1")
        service.process.send_signal(signal.SIGSTOP)
        service.await_event("watchdog")
        service.await_event("told", "READY=1")


def test_stop_is_told_and_is_the_end(tmp_path):
    with Supervisor("--data", tmp_path / "data", *ports()) as service:
        service.await_event("told", "READY=1")
        service.process.send_signal(signal.SIGTERM)
        service.await_event("told", "STOPPING=1")
        service.await_event("given up", 0)


@pytest.mark.offline
def test_exit_codes_of_the_docs_are_those_that_the_unit_rests_on():
    text = (REPOSITORY / "docs" / "install.md").read_text()
    told = {int(code): again for code, again in re.findall(r"^\| (\d+) \|.*\| (yes|no|-) \|$", text, re.M)}
    prevented = {int(code) for code in unit()["Service", "RestartPreventExitStatus"][-1].split()}
    assert {0, 1, 2, 3, 70, SURROUNDINGS} <= told.keys()
    assert {code for code, again in told.items() if again == "no"} == prevented
    assert told[SURROUNDINGS] == told[70] == told[1] == "yes"


@pytest.mark.offline
def test_stop_of_the_unit_waits_longer_than_calls_may_last():
    example = (REPOSITORY / "docs" / "maskline.example.toml").read_text()
    drain = int(re.search(r"#drain_timeout_s = (\d+)", example)[1])
    assert int(unit()["Service", "TimeoutStopSec"][-1]) > drain
