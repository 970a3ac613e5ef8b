"""Calls that go in circles end by themselves, and are on record."""

import pytest

from calls.exchange import CALLER_HOST, PROXY_HOST, Exchange
from calls.kamailio import Kamailio
from calls.script import is_refused
from calls.sipp import Sipp
from support.process import Maskline

PER_X_MAX = 6


@pytest.fixture
def exchange(tmp_path):
    settings = tmp_path / "settings.toml"
    settings.write_text(f"[calls]\nper_x_max = {PER_X_MAX}\n")
    service = Maskline(tmp_path / "data", args=["--config", str(settings)])
    yield Exchange(service.start())
    service.stop()


def dial(exchange, scene, forwards, x, n, status):
    with Kamailio.forwarding(scene, PROXY_HOST, exchange.sip, forwards) as carrier:
        exchange.carrier(carrier.port, PROXY_HOST)
        with Sipp(
            scene, "caller", is_refused(status), CALLER_HOST, remote=exchange.sip, service=x, caller=n, tone=440
        ) as caller:
            caller.wait()


def test_a_who_forwards_to_x_ends_the_call(exchange, scene):
    a, n = exchange.party(), exchange.party()
    x = exchange.axn(a)
    dial(exchange, scene, {a: x}, x, n, 482)
    records = exchange.await_closed(x, count=2)
    # The call, and the call of X to itself that it became.
    assert [(one["caller"], one["situation"]) for one in records] == [(n, "loop"), (x, "loop")]


def test_a_ring_of_two_x_ends_within_the_cap(exchange, scene):
    a, b, n = exchange.party(), exchange.party(), exchange.party()
    one, other = exchange.axn(a), exchange.axn(b)
    dial(exchange, scene, {a: other, b: one}, one, n, 486)
    last = exchange.await_closed(one, count=PER_X_MAX + 1)
    assert len(last) == PER_X_MAX + 1, "one call too many was refused, and no other came"
    assert len(exchange.await_closed(other, count=PER_X_MAX)) == PER_X_MAX
    assert {record["state"] for record in exchange.records()} == {"closed"}
    assert "x_full" in {record["situation"] for record in last}
