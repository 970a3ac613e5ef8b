"""What Prometheus and its tools make of `/metrics`."""

import http.client
import shutil
import subprocess

import pytest

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


def scrape(service, accept=None):
    link = http.client.HTTPConnection(service.ready["admin"], timeout=20)
    link.request("GET", "/metrics", headers={"Accept": accept} if accept else {})
    answer = link.getresponse()
    return answer.getheader("Content-Type"), answer.read()


@pytest.fixture(scope="module")
def used(shared):
    """A service with something to count: requests good and bad, and a call."""
    shared.gateway().bind_axn()
    shared.gateway().bind_axn("1")
    shared.cli("call", "13900000000", "17080000000", "--for", "1", check=False)
    return shared


@pytest.mark.parametrize(
    "accept, kind",
    [
        (None, TEXT),
        ("*/*", TEXT),
        ("text/plain", TEXT),
        ("text/plain;version=0.0.4;q=0.9,*/*;q=0.1", TEXT),
        ("application/openmetrics-text", OPEN_METRICS),
        (PROMETHEUS, OPEN_METRICS),
    ],
)
def test_metrics_come_in_the_format_that_is_asked_for(used, accept, kind):
    told, body = scrape(used, accept)
    assert told == kind
    assert body.endswith(b"# EOF\n") == (kind == OPEN_METRICS)


def test_promtool_finds_nothing_to_say_against_the_metrics(used):
    _, body = scrape(used, "text/plain")
    promtool = shutil.which("promtool")
    assert promtool, "Debian's package `prometheus` has it; `make tools` installs it"
    checked = subprocess.run([promtool, "check", "metrics"], input=body, capture_output=True)
    assert (checked.returncode, checked.stderr) == (0, b""), checked.stderr.decode()
