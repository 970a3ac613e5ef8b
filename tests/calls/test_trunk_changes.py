"""A change of the trunks holds from the next request on, once it has been answered."""

import socket

import pytest

from calls.exchange import CALLER_HOST, Exchange
from calls.sipp import status_of
from support.process import Maskline

TIMES = 20


@pytest.fixture
def exchange(tmp_path):
    service = Maskline(tmp_path / "data")
    yield Exchange(service.start())
    service.stop()


def asked(exchange, number):
    """The status that OPTIONS of the trunk's address gets."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.bind((CALLER_HOST, 0))
        link.settimeout(10)
        at = "{}:{}".format(*link.getsockname())
        link.sendto(
            f"OPTIONS sip:{at} SIP/2.0\r\nVia: SIP/2.0/UDP {at};rport;branch=z9hG4bK{number}\r\n"
            f"From: <sip:{at}>;tag=1\r\nTo: <sip:{at}>\r\nCall-ID: asks-{number}\r\n"
            "CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n".encode(),
            exchange.switch,
        )
        return status_of(link.recv(4096).decode())


def test_a_trunk_is_known_and_forgotten_when_its_change_is_answered(exchange):
    for number in range(TIMES):
        exchange.trunk("carrier", f"{CALLER_HOST}:5060")
        assert asked(exchange, f"{number}-there") == 200
        exchange.operator.apply('[remove]\ntrunks = ["carrier"]\n')
        assert asked(exchange, f"{number}-gone") == 403
